"""The window's keys that change what is picked, choose the part that changes, and undo it; and the strongest samples."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d import Intervention
from nnviz3d.apps.pick_examples import strongest_samples
from nnviz3d.apps.session import Session
from nnviz3d.apps.window.key_commands import KeyCommands
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.examples import read_examples
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.colors import number
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.spec import default_scene
from tests.apps.test_brush import press, window  # noqa: F401 - fixture
from tests.apps.test_painting import model, session  # noqa: F401 - fixtures
from tests.support.window_status import status_lines

CHANNEL = Intervention("conv", unit=2)


@pytest.fixture
def picked(window, session):  # noqa: F811
    session.select(pick=CellPick("conv", (1, 3, 2)))
    return window


def asked(model) -> tuple[Intervention, ...]:  # noqa: F811
    return model.asked[-1].insights.interventions


def test_key_goes_through_the_changes_of_the_picked_channel(picked, session, model):  # noqa: F811
    for action, factor in (("mute", 0.0), ("scale", 0.5), ("scale", 2.0), ("freeze", 0.0)):
        press(picked, "A")
        (one,) = asked(model)
        assert (one.layer, one.unit, one.action, one.factor) == ("conv", 2, action, factor)
        assert status_lines(picked)[0] == one.shown_text
    press(picked, "A")
    assert session.interventions.listed == ()
    assert status_lines(picked)[0] == "no longer changed: conv[2]"
    press(picked, "d")
    press(picked, "A")
    assert asked(model)[0].factor == 0.5, "a mute goes on to the next change"


def test_key_chooses_the_part_of_the_pick_that_is_changed(picked, session, model):  # noqa: F811
    press(picked, "S")
    assert status_lines(picked)[0] == "what if: this number · d: mute · A: next change"
    press(picked, "d")
    assert asked(model) == (Intervention("conv", index=(1, 3, 2)),)
    press(picked, "S")
    assert status_lines(picked)[0] == "what if: whole layer · d: mute · A: next change"
    press(picked, "d")
    assert asked(model)[-1] == Intervention("conv")
    press(picked, "d")
    assert asked(model) == (Intervention("conv", index=(1, 3, 2)),), "pressed again, it is no longer muted"
    session.select(pick=CellPick("dense", (1,)))
    press(picked, "d")
    assert asked(model)[-1] == Intervention("dense"), "the whole layer, as before"
    press(picked, "S")
    press(picked, "d")
    assert asked(model)[-1] == Intervention("dense", unit=1)


def test_keys_tell_and_undo_all_changes(picked, session):  # noqa: F811
    press(picked, "Z")
    assert status_lines(picked) == ("nothing is changed",)
    press(picked, "X")
    assert status_lines(picked) == ("Nothing is changed",)
    press(picked, "d")
    press(picked, "S")
    press(picked, "d")
    press(picked, "Z")
    assert status_lines(picked)[0] == "changed: mute conv[2], mute conv[1,3,2]"
    press(picked, "X")
    assert session.interventions.listed == ()
    press(picked, "D")
    assert session.interventions.listed == (CHANNEL, Intervention("conv", index=(1, 3, 2))), "that can be undone, too"


def test_keys_say_what_to_pick_first(window):  # noqa: F811
    for key, begin in (
        ("A", "Click a cell or a line first"),
        ("S", "Click a cell or a line first"),
        ("E", "Click a cell first"),
    ):
        press(window, key)
        assert status_lines(window)[0].startswith(begin)


def test_key_finds_the_strongest_samples_and_tells_them(picked, session, model):  # noqa: F811
    press(picked, "E")
    assert model.asked[-1].insights.examples == ("conv",)
    assert status_lines(picked)[0] == "Looking for the samples that activate it most; press E again when they are found"


def test_strongest_samples_of_a_bundled_capture_are_told_in_their_order():
    capture = open_capture(bundled("examples.zarr.zip"))
    session = Session(Scene.build(default_scene(), capture), SimpleNamespace())  # noqa: F811
    layer = next(node.id for node in capture.graph if read_examples(capture.stored, node.id) is not None)
    found = read_examples(capture.stored, layer)
    channel = int(np.argmax(found.means[:, 0]))
    session.select(pick=CellPick(layer, (0, 0, channel)))
    said: list[str] = []
    KeyCommands(session, said.append).tell_strongest_samples()
    strong, heading = strongest_samples(session, session.selection.pick)
    assert [one.mean for one in strong] == sorted((one.mean for one in strong), reverse=True)
    assert strong[0].mean == pytest.approx(float(found.means[channel, 0]))
    names = [found.names[int(np.searchsorted(found.shown, sample))] for sample in found.samples[channel]]
    assert [one.name for one in strong] == names[: len(strong)]
    assert said == [f"{heading}: {', '.join(f'{one.name} {number(one.mean)}' for one in strong[:4])}"]
    silent = int(np.argmax(found.dead))
    assert found.dead[silent]
    session.select(pick=CellPick(layer, (0, 0, silent)))
    KeyCommands(session, said.append).tell_strongest_samples()
    assert said[-1] == f"Dead: channel {silent} is 0 for all 1,000 samples"
