"""The panel of interventions: what is changed, the scores before and after, and in a browser a mute and its undoing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d import Intervention
from nnviz3d.apps.sample_runner import Answer
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.view_state import show_view, view_of
from nnviz3d.apps.web.panels.changes import ChangesPanel, ChangesState
from nnviz3d.apps.web.panels.interventions import InterventionsPanel
from nnviz3d.data.capabilities.interventions import write_changed, write_interventions
from nnviz3d.errors import UserError
from nnviz3d.scene.colors import number, score
from nnviz3d.scene.look import LookSpec
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.view_text import ViewState, decode_view, encode_view
from nnviz3d.scene.views.connections import EdgePick
from tests.apps.conftest import Served
from tests.apps.test_web_panels import Page
from tests.support import captures
from tests.support.browser import changed, looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser


class Model:
    """A runner that keeps the requests, and answers when it is told to."""

    stage, share = "", None

    def __init__(self, folder):
        self.folder, self.asked, self.ready, self.expected = folder, [], [], []
        self.made_all, self.answered = False, 0

    def ask(self, request):
        self.asked.append(request)

    def expect(self, request):
        self.expected.append(request)

    def answers(self):
        found, self.ready = self.ready, []
        return found

    def answer(self, number=-1):
        """Answer a request, by default the newest, with a changed run in which the scores are turned around."""
        request, self.answered = self.asked[number], self.answered + 1
        values = {name: numbers[:1] for name, numbers in captures.small_values().items()}

        def also(writer):
            if request.insights.interventions:
                write_interventions(writer, request.insights.interventions)
                write_changed(writer, "scores", 0, 0, values["scores"][:, ::-1])

        path = self.folder / f"{self.answered}.zarr.zip"
        self.ready.append(
            Answer(
                request, captures.write(path, captures.small_graph(), values, also=(also,), classes=captures.CLASSES)
            )
        )

    def keep(self, sample, path):
        pass

    def keeps(self, sample):
        return False

    def made(self, sample, source):
        return self.made_all

    def oldest(self, *, besides):
        return None


@pytest.fixture
def model(tmp_path):
    return Model(tmp_path)


def panel_of(capture, model, *, further=0):
    count = capture.committed
    samples = tuple(Sample(f"sample {i}", i if i < count else None, f"digits:{i}") for i in range(count + further))
    page = Page(Session(Scene.build(default_scene(), capture), SimpleNamespace(), samples=samples, runner=model))
    panel = InterventionsPanel(page)
    page.panels = [panel]
    return panel


@pytest.fixture
def panel(small_capture, model):
    return panel_of(small_capture, model)


@pytest.fixture
def panel_of_file(model, tmp_path):
    """The panel for captures of a model's file that the session has made; the model is not trained meanwhile."""
    model.made_all = True
    capture = captures.write(
        tmp_path / "run.zarr", captures.small_graph(), captures.small_values(), classes=captures.CLASSES, sha256="ab"
    )
    return panel_of(capture, model, further=1)


def answered(panel, model):
    model.answer()
    assert panel.page.session.poll()
    panel.synchronize()
    return panel.state


def places(panel, pick):
    panel.page.session.select(pick=pick)
    panel.synchronize()
    return panel.state.whatif_places


def test_pick_offers_its_unit_its_number_its_layer_or_its_edge(panel):
    assert places(panel, CellPick("conv", (2, 2, 1))) == ["Channel 1", "This number", "Whole layer"]
    assert places(panel, CellPick("dense", (4,))) == ["Neuron 4", "Whole layer"]
    edge = EdgePick("flatten", "dense", (7,), (5,), 0.5)
    assert places(panel, edge) == ["This connection", "Neuron 7 for dense", "Whole layer for dense"]
    found = panel.page.session.interventions.places()["This connection"]
    assert found == Intervention("flatten", unit=7, reader="dense", reader_unit=5)
    edge = EdgePick("conv", "pool", (2, 2, 1), (1, 1, 1), 0.5)
    assert places(panel, edge)[:3] == ["This connection", "Channel 1 for channel 1", "Channel 1 for pool"]
    found = panel.page.session.interventions.places()
    assert [found[words].place for words in ("This connection", "Channel 1 for channel 1")] == [
        "conv[2,2,1]->pool[1,1,1]",
        "conv[1]->pool[1]",
    ]
    assert places(panel, None) == [], "nothing is chosen"
    assert places(panel, LayerPick("conv")) == ["Whole layer"]
    panel.page.session.select(layer="pool")
    assert places(panel, None) == ["Whole layer"]
    assert panel.page.session.interventions.places() == {"Whole layer": Intervention("pool")}


def test_channel_of_the_chosen_layer_is_picked_by_its_number(panel, model, small_capture):
    session = panel.page.session
    panel.synchronize()
    assert (panel.state.whatif_layer, panel.state.whatif_units) == ("", 0), "no layer is chosen"
    session.select(layer="conv")
    panel.synchronize()
    state = panel.state
    assert (state.whatif_layer, state.whatif_unit, state.whatif_units) == ("conv", "channel", 4)
    assert state.whatif_channel is None
    panel._choose_unit(3)
    panel.synchronize()
    values = small_capture.activation("conv", 0)
    strongest = np.unravel_index(np.abs(values[..., 3]).argmax(), values.shape[:2])
    assert session.selection.pick == CellPick("conv", (*map(int, strongest), 3))
    assert (panel.state.whatif_channel, panel.state.whatif_places[0]) == (3, "Channel 3")
    panel._intervene("Channel 3", "Mute")
    assert answered(panel, model).whatif_listed == ["mute conv[3]"]
    assert panel.state.whatif_answer.startswith("Without channel 3 of conv, the answer ")
    places(panel, CellPick("dense", (4,)))
    state = panel.state
    assert (state.whatif_layer, state.whatif_unit, state.whatif_channel) == ("dense", "neuron", 4)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (4, "conv has the channels 0 to 3; there is no channel 4."),
        (-1, "conv has the channels 0 to 3; there is no channel -1."),
        (1e99, "The page asked for an impossible channel, 1e+99; it is a number."),
        ("3", "The page asked for an impossible channel, '3'; it is a number."),
    ],
)
def test_number_that_is_no_channel_is_refused_in_a_sentence(panel, number, sentence):
    panel.page.session.select(layer="conv")
    with pytest.raises(UserError) as refused:
        panel._choose_unit(number)
    assert str(refused.value) == sentence
    assert panel.page.session.selection.pick is None


def test_mute_shows_the_change_and_the_scores_and_undoing_it_the_activations(panel, model, small_capture):
    session = panel.page.session
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "Mute")
    assert model.asked[-1].insights.interventions == (Intervention("conv", unit=1),)
    assert session.selection.quantity is None, "the change is shown when it is known"
    state = answered(panel, model)
    assert state.whatif_listed == ["mute conv[1]"]
    assert session.selection.quantity == "change"
    scores = small_capture.activation("scores", 0)
    shown = {one["name"]: (one["before"], one["after"]) for one in state.whatif_scores}
    turned = zip(captures.CLASSES, scores, scores[::-1], strict=True)
    assert shown == {name: (score(float(a)), score(float(b))) for name, a, b in turned}
    less = dict(zip(captures.CLASSES, scores[::-1].astype(float) - scores.astype(float), strict=True))
    signs = {one["name"]: (one["difference"], one["sign"]) for one in state.whatif_scores}
    assert signs == {n: (f"{'+' if d > 0 else ''}{number(d)}", np.sign(d)) for n, d in less.items()}
    assert {one["sign"] for one in state.whatif_scores} == {-1, 0, 1}, "an equal score is no change"
    panel._intervene("Channel 1", "× 2")
    panel._intervene("Whole layer", "Freeze")
    asked = model.asked[-1].insights.interventions
    assert [one.text for one in asked] == ["scale conv[1] by 2", "freeze conv"], "one change for each place"
    answered(panel, model)
    panel._remove(0)
    assert answered(panel, model).whatif_listed == ["freeze conv"]
    asked = len(model.asked)
    panel._reset()
    panel.synchronize()
    state = panel.state
    assert len(model.asked) == asked, "the unchanged run is known"
    assert (state.whatif_listed, state.whatif_scores) == ([], [])
    assert session.selection.quantity is None


def test_sign_of_a_change_stays_in_every_perspective_shows_it_and_undoes_it(panel, model):
    page, session = panel.page, panel.page.session
    sign = ChangesPanel(page)
    page.panels = [panel, sign]
    page.synchronize()
    assert sign.state == ChangesState()
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "Mute")
    answered(panel, model)
    session.look_at("network")
    page.synchronize()
    assert sign.state == ChangesState("1 change", "mute conv[1]", True)
    assert session.selection.quantity is None
    page.triggers["show_changes"]()
    assert (session.perspectives.current, session.selection.quantity) == ("activations", "change")
    panel._intervene("Whole layer", "Freeze")
    answered(panel, model)
    page.synchronize()
    assert (sign.state.changes_words, sign.state.changes_told) == ("2 changes", "mute conv[1]\nfreeze conv")
    page.triggers["reset_interventions"]()
    assert sign.state == ChangesState()


def test_interventions_go_along_to_another_sample_and_to_other_requests(panel, model):
    session = panel.page.session
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "Mute")
    answered(panel, model)
    session.choose(2)
    assert model.asked[-1].source == "digits:2"
    assert model.asked[-1].insights.interventions == (Intervention("conv", unit=1),)
    answered(panel, model)
    assert session.selection.quantity == "change"
    session.choices.find_gradients({})
    assert model.asked[-1].insights.gradients
    assert model.asked[-1].insights.interventions == (Intervention("conv", unit=1),)


def test_model_that_cannot_have_changed_computes_the_changed_run_alone(panel_of_file, model):
    panel, session = panel_of_file, panel_of_file.page.session
    places(panel, CellPick("conv", (2, 2, 1)))
    assert model.expected[-1].insights.interventions == (Intervention("conv", unit=1),), (
        "compiled before it is asked for"
    )
    panel._intervene("Channel 1", "Mute")
    assert (model.asked[-1].changed_only, model.asked[-1].insights.interventions) == (True, (Intervention("conv", 1),))
    state = answered(panel, model)
    first = session.scene.capture.changed[0].path
    assert (session.selection.sample, session.selection.quantity) == (0, "change")
    assert session.scene.capture.committed == 3, "the sample keeps its unchanged run"
    assert len(state.whatif_scores) == 5
    panel._intervene("Channel 1", "× ½")
    panel._scale(0, 1.25, False)
    panel._scale(0, 1.5, True)
    assert [one.insights.interventions[0].factor for one in model.asked[-3:]] == [0.5, 1.25, 1.5]
    state = answered(panel, model)
    assert (state.whatif_listed, state.whatif_factors) == (["scale conv[1] by 1.5"], [1.5])
    assert not first.exists(), "an earlier changed run takes no room"
    session.choices.find_gradients({})
    assert not model.asked[-1].changed_only
    assert model.asked[-1].insights.interventions[0].factor == 1.5
    panel._intervene("Whole layer", "Freeze")
    assert not model.asked[-1].changed_only, "the gradients are still asked for"
    assert model.asked[-1].insights.gradients


def test_view_of_an_address_asks_for_its_interventions_and_shows_its_quantity(panel_of_file, model):
    panel, session = panel_of_file, panel_of_file.page.session
    assert view_of(session).look.interventions is None
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "× ½")
    answered(panel, model)
    view = decode_view(encode_view(view_of(session)))
    assert (view.look.interventions, view.look.quantity) == (("scale conv[1] by 0.5",), "change")
    asked = len(model.asked)
    show_view(session, view)
    assert len(model.asked) == asked, "it is shown already"
    panel._reset()
    show_view(session, view)
    assert session.selection.quantity is None, "the change is shown when it is known"
    assert answered(panel, model).whatif_listed == ["scale conv[1] by 0.5"]
    assert session.selection.quantity == "change"
    show_view(session, view.model_copy(update={"look": LookSpec(interventions=("mute conv",), layer="conv")}))
    assert answered(panel, model).whatif_listed == ["mute conv"]
    assert (session.selection.quantity, session.selection.layer) == (None, "conv")
    panel._undo()
    assert answered(panel, model).whatif_listed == ["scale conv[1] by 0.5"]
    later = len(session.samples) - 1
    assert session.samples[later].index is None
    show_view(session, view.model_copy(update={"sample": later}))
    assert model.asked[-1].insights.interventions == (Intervention("conv", unit=1, action="scale", factor=0.5),)
    answered(panel, model)
    assert (session.samples.chosen, session.selection.quantity) == (later, "change")


def test_view_with_interventions_without_a_model_changes_nothing(small_capture):
    session = Session(Scene.build(default_scene(), small_capture), SimpleNamespace(size=(160, 90)))
    before = (session.selection, session.clock.t)
    with pytest.raises(UserError, match="interventions: there is no model"):
        show_view(session, ViewState(sample=1, look=LookSpec(interventions=("mute conv",))))
    assert (session.selection, session.clock.t) == before


def test_undo_goes_back_list_by_list_and_a_slide_is_one_step(panel_of_file, model):
    panel = panel_of_file
    places(panel, CellPick("conv", (2, 2, 1)))
    assert not panel.state.whatif_undo
    panel._intervene("Channel 1", "× 2")
    answered(panel, model)
    panel._scale(0, 3.0, False)
    panel._scale(0, 3.5, True)
    answered(panel, model)
    panel._intervene("Whole layer", "Mute")
    answered(panel, model)
    panel._reset()
    seen = []
    while panel.state.whatif_undo:
        panel._undo()
        if model.asked[-1] not in seen:
            seen.append(model.asked[-1])
            answered(panel, model)
        seen.append(panel.state.whatif_listed)
    assert [one for one in seen if isinstance(one, list)] == [
        ["scale conv[1] by 3.5", "mute conv"],
        ["scale conv[1] by 3.5"],
        ["scale conv[1] by 2"],
        [],
    ]
    with pytest.raises(UserError, match="no change to undo"):
        panel._undo()


def test_answer_of_a_change_that_was_undone_meanwhile_is_dropped(panel_of_file, model):
    panel = panel_of_file
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "Mute")
    panel._reset()
    assert answered(panel, model).whatif_listed == []
    assert not list(model.folder.glob("*.zip"))


def test_key_mutes_what_is_picked_and_undoes_it(panel_of_file, model):
    panel = panel_of_file
    with pytest.raises(UserError, match="Click a cell or a line first"):
        panel.keys["mute"]()
    places(panel, EdgePick("flatten", "dense", (7,), (5,), 0.5))
    panel.keys["mute"]()
    assert answered(panel, model).whatif_listed == ["mute flatten[7]->dense[5]"]
    panel.keys["mute"]()
    panel.synchronize()
    assert panel.state.whatif_listed == []
    panel.keys["undo"]()
    assert answered(panel, model).whatif_listed == ["mute flatten[7]->dense[5]"]


@pytest.mark.parametrize("factor", [float("nan"), 1e6, "2", True, None])
def test_impossible_factor_is_one_sentence(panel_of_file, model, factor):
    panel = panel_of_file
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "× 2")
    with pytest.raises(UserError, match=r"[Ff]actor"):
        panel._scale(0, factor, False)
    assert model.asked[-1].insights.interventions[0].factor == 2


def test_refused_request_leaves_the_list_as_it_was(panel, model):
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "Mute")
    assert panel.state.whatif_listed == ["mute conv[1]"]
    model.ready.append(Answer(model.asked[-1], problem="The model failed."))
    panel.page.session.poll()
    panel.synchronize()
    assert panel.state.whatif_listed == []
    assert panel.page.session.queries.message == "The model failed."


PAINTED = """() => {
  const canvas = document.getElementById("paint-canvas");
  if (!canvas?.width) return -1;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value, k) => sum + (k % 4 === 0 ? value : 0), 0);
}"""
"""Sum of the brightness of the canvas; the first to ask for its context decides how it is kept, and may be this."""


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    yield from serving("digits")


@pytest.mark.chromium
@pytest.mark.tensorflow
def test_click_mutes_the_picked_channel_and_reset_undoes_it(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        first = still(page)
        height, width = first.shape[:2]
        page.locator("#view").click(position={"x": 0.575 * width, "y": 0.33 * height})
        wait_until(lambda: page.locator("#whatif").count() == 1, "the cell can be changed")
        page.locator("#whatif .whatif-place", has_text="Channel").get_by_text("Mute").click()
        wait_until(lambda: page.locator("#whatif-scores").count() == 1, "the scores are compared")
        assert "mute conv2d[" in text(page, "#whatif")
        muted = changed(page, first)
        assert np.mean(np.abs(muted.astype(int) - first)) > 1, "the blocks show the change"
        page.get_by_text("Ask for its gradient").click()
        wait_until(lambda: page.locator("#whatif-class").count() == 1, "the classes are listed")
        assert text(page, "#whatif-class") == "The scores listed under Class are those without the changes."
        page.locator("[data-perspective=neurons]").click()
        neurons = changed(page, muted)
        assert text(page, "#changes-show") == "1 change"
        page.locator("#changes-show").click()
        changed(page, neurons)
        assert page.locator("[data-perspective=activations]").get_attribute("aria-selected") == "true"
        assert "Change by interventions" in text(page, "#insights")
        wait_until(lambda: "~Imute!20conv2d" in page.evaluate("location.search"), "the address holds the change")
        address = page.evaluate("location.href")
        page.locator("#changes-reset").click()
        wait_until(lambda: page.locator("#whatif-scores, #whatif-class, #changes").count() == 0, "nothing is changed")
        wait_until(lambda: "~I" not in page.evaluate("location.search"), "nor does the address hold a change")
        page.goto(address)
        wait_until(lambda: page.locator("#whatif-scores").count() == 1, "the address shows the change again")
        page.locator("#whatif-reset").click()
        wait_until(lambda: page.locator("#whatif-scores").count() == 0, "nothing is changed")


@pytest.mark.chromium
@pytest.mark.tensorflow
def test_channel_that_is_typed_is_muted_and_the_answer_is_told(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        page.evaluate("window.trame.trigger('choose_layer', ['conv2d'])")
        field = page.locator("#whatif-unit")
        wait_until(lambda: field.count() == 1, "a channel of the layer can be chosen")
        field.fill("99")
        field.press("Enter")
        wait_until(lambda: "there is no channel 99" in text(page, "#message"), "the page says so")
        field.fill("5")
        field.press("Enter")
        row = page.locator(".whatif-place", has_text="Channel 5")
        wait_until(lambda: row.count() == 1, "the channel is picked")
        row.get_by_text("Mute").click()
        answer = page.locator("#whatif-answer")
        wait_until(lambda: answer.count() == 1, "the answer is told")
        assert re.fullmatch(
            r"Without channel 5 of conv2d, the answer (stays \d \([\d.]+( → [\d.]+)?\)|changes from \d .* to \d .*)\.",
            answer.inner_text(),
        )
        page.locator("#whatif-reset").click()
        wait_until(lambda: answer.count() == 0, "nothing is changed")


@pytest.mark.chromium
@pytest.mark.tensorflow
def test_paint_changes_the_scores_and_a_drawing_becomes_a_sample(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        first = still(page)
        page.locator("#paint-toggle").click()
        canvas = page.locator("#paint-canvas")
        wait_until(lambda: canvas.count() == 1 and page.evaluate(PAINTED) > 0, "the canvas shows the digit")
        before = page.evaluate(PAINTED)

        def stroke(*points):
            box = canvas.bounding_box()
            places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
            page.mouse.move(*places[0])
            page.mouse.down()
            for place in places[1:]:
                page.mouse.move(*place, steps=6)
            page.mouse.up()

        stroke((0.1, 0.1), (0.9, 0.9))
        wait_until(lambda: page.locator("#whatif-scores").count() == 1, "the scores are compared")
        assert page.evaluate(PAINTED) > before
        assert text(page, "#whatif .whatif-change").startswith("paint input")
        painted = changed(page, first)
        assert np.mean(np.abs(painted.astype(int) - first)) > 1, "the blocks show the change"
        page.locator("#whatif-undo").click()
        wait_until(lambda: page.evaluate(PAINTED) == before, "the canvas follows")
        page.locator("#paint-draw").click()
        wait_until(lambda: text(page, "#sample").startswith("drawing 1"), "the drawing is the sample")
        wait_until(lambda: page.evaluate(PAINTED) == 0, "it is black")
        stroke((0.5, 0.15), (0.5, 0.85))
        wait_until(lambda: "predicted 1" in text(page, "#sample"), "the network reads a 1")
        assert page.evaluate(PAINTED) > 1000
        page.locator("#paint-undo").click()
        wait_until(lambda: page.evaluate(PAINTED) == 0, "the stroke is undone")
