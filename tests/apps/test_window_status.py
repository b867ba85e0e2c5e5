"""The window's sentences below the scene: on keys, on the model's work and on drags; and its first picture."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.interventions import ChangedScore
from nnviz3d.apps.session import Session
from nnviz3d.apps.window.controls import Controls
from nnviz3d.apps.window.desktop import Desktop
from nnviz3d.apps.window.keys import described
from nnviz3d.apps.window.status import Status
from nnviz3d.render.text import board_sprite
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.apps.test_brush import SIZE, drag, press, window  # noqa: F401 - fixture
from tests.apps.test_painting import model, session  # noqa: F401 - fixtures
from tests.support.window_status import status_lines

BRUSH = "brush: drag over the input's picture · P: eraser · D: undo · Esc: end"
STARTS = "Starting TensorFlow, then running the model with interventions on sample 0"


def test_status_says_that_tensorflow_is_still_starting_below_what_a_drag_and_a_key_do(window, model):  # noqa: F811
    model.stage = "import"
    press(window, "P")
    assert status_lines(window) == (BRUSH,)
    drag(window, (2, 1), (2, 4))
    assert status_lines(window) == (BRUSH, STARTS)
    press(window, "b")
    assert status_lines(window) == ("The cells show no difference; press x until they show one", STARTS)
    model.stage = "forward"
    press(window, "r")
    assert status_lines(window) == (BRUSH, "Running the model with interventions on sample 0")


def test_key_takes_away_what_was_told_of_the_key_before(window):  # noqa: F811
    press(window, "o")
    assert status_lines(window) == ("No layer is unfolded; point at one, then press u",)
    press(window, "Up")
    assert status_lines(window) == ("No layer is unfolded; point at one, then press u",), "one may read on while flying"
    press(window, "P")
    assert status_lines(window) == (BRUSH,), "not the sentence on another key"
    press(window, "Escape")
    assert status_lines(window) == ()


def test_perspective_that_is_computed_says_so_until_it_is_stopped(window, session, model):  # noqa: F811
    while "Gradients: not captured" not in "".join(status_lines(window)):
        press(window, "Tab")
    model.stage = "gradients"
    press(window, "Return")
    assert session.queries.perspective == "gradients"
    assert status_lines(window) == (
        "Gradients: shown when the model has computed it · Esc: stop",
        "Finding the gradients",
    )
    model.stop = lambda: None
    press(window, "Escape")
    assert status_lines(window) == ("stopped",)


def test_perspective_named_right_after_one_that_is_shown_is_told_and_computed(window, session, model):  # noqa: F811
    while "Landscape" not in "".join(status_lines(window)):
        press(window, "Tab")
    for _ in range(5):
        press(window, "Tab")
    assert session.perspectives.current == "activations", "four perspectives are shown, all before the next picture"
    assert status_lines(window) == ("Features: not captured; press Return to let the model compute it",)
    press(window, "Return")
    assert session.queries.perspective == "features"


def test_changed_scores_are_told_before_and_after_until_nothing_is_changed():
    scores = [ChangedScore(name, 0.5 / k, 0.25 / k) for k, name in enumerate(("cat", "dog", "cow", "owl"), 1)]
    found = SimpleNamespace(context=object(), selection=SimpleNamespace(sample=0), training_status="")
    answer = "Without channel 3 of conv, the answer stays cat (0.500 → 0.250)."
    found.interventions = SimpleNamespace(scores=lambda: scores, can_undo=True, told_answer=lambda: answer)
    found.queries = SimpleNamespace(busy="")
    status = Status(found)
    status.shows_hint = False
    assert status.advance(0.0, "")
    (panel,) = status.panels()
    words = "cat: 0.500 → 0.250 · dog: 0.250 → 0.125 · cow: 0.167 → 0.0833"
    assert panel.rows == (TextRow(answer), TextRow(f"{words} · D: undo"))
    assert status.advance(0.0, BRUSH)
    assert status.panels()[0].rows == (TextRow(BRUSH), TextRow(answer), TextRow(words))
    answer, scores, found.context = "", [], object()
    assert status.advance(0.0, "")
    assert status.panels() == ()


@pytest.mark.parametrize(("size", "scale", "divided"), [((1280, 800), 1.0, False), ((420, 300), 0.6, True)])
def test_help_tells_every_key_in_parts_that_fit_the_window(small_capture, size, scale, divided):
    renderer = SimpleNamespace(size=size, scale=scale)
    shown = Controls(Session(Scene.build(default_scene(), small_capture), renderer), save=str, write=str, printed=print)
    parts = []
    press(shown, "h")
    while panels := [panel for panel in shown.panels() if panel.name == "help"]:
        parts.append(panels[0].rows)
        press(shown, "h")
    assert (len(parts) > 1) == divided
    assert [(row.key, row.text) for part in parts for row in part if "the next keys" not in row.text] == list(
        described()
    )
    for part in parts:
        height, width, _ = board_sprite(part, scale, 0.9 * size[0], size[1]).shape
        assert (width <= size[0], height <= size[1]) == (True, True)
    press(shown, "h")
    press(shown, "Escape")
    assert shown.panels() == ()


class EarlyWindow:
    """A window whose user drags before it shows anything, and then closes it."""

    def __init__(self) -> None:
        drag = (("LeftButtonPress", 400), ("MouseMove", 440), ("LeftButtonRelease", 440))
        held = {"y": 300, "shiftKey": False, "controlKey": False}
        self.waiting = [[{"type": kind, "x": x, **held} for kind, x in drag], [{"type": "Exit"}]]

    def open(self) -> None:
        pass

    def events(self):
        return self.waiting.pop(0)


class Camera:
    """A renderer whose camera stands anywhere until it is placed."""

    size, careful = SIZE, False

    def __init__(self) -> None:
        self.poses = [CameraPose((0.0, 0.0, 1.0), (0.0, 0.0, 0.0))]

    def pose(self):
        return self.poses[-1]

    def look(self, pose) -> None:
        self.poses.append(pose)

    def draw(self, what) -> None:
        pass

    render = overlay = lambda *_: None


def test_drag_before_the_first_picture_turns_the_scene_as_it_will_be_seen(small_capture):
    session = Session(Scene.build(default_scene(), small_capture), Camera())  # noqa: F811
    home, arm = session.home(), lambda pose: np.subtract(pose.position, pose.target)
    Desktop(session, EarlyWindow()).run()
    turned = session.renderer.pose()
    assert turned.target == home.target
    assert turned.position != home.position
    assert np.isclose(np.linalg.norm(arm(turned)), np.linalg.norm(arm(home)))
