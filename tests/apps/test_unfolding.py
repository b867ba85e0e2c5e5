"""Tests of unfolding a layer by the user, whatever the scene unfolds over time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnviz3d.apps.session import Session
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.scene.primitives import Tiles
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene, read_scene


@pytest.fixture
def session(digits: Capture) -> Session:
    return Session(Scene.build(default_scene(), digits), SimpleNamespace())


def tiles(session: Session) -> Tiles | None:
    what = session.scene.at(session.clock.t, session.selection)
    return next((p for p in what.primitives if isinstance(p, Tiles)), None)


def settle(session: Session) -> list[tuple[str, float]]:
    """Advance until nothing moves; returns the unfolded layer and its share at each step."""
    way = []
    while session.moving:
        assert session.advance(0.3)
        selection = session.selection
        way.append((str(selection.unfold), selection.unfolded))
        assert len(way) < 20
    return way


def test_layer_unfolds_in_a_second_and_folds_again(session):
    assert (session.unfolding.layer, session.moving) == (None, False)
    session.unfolding.start("conv2d_1")
    assert (session.unfolding.layer, session.moving) == ("conv2d_1", True)
    way = settle(session)
    assert [layer for layer, _ in way] == ["conv2d_1"] * 4
    assert [share for _, share in way] == pytest.approx([0.3, 0.6, 0.9, 1.0])
    assert tiles(session).name == "conv2d_1"
    assert not session.advance(1.0)
    session.unfolding.start(None)
    assert session.unfolding.layer is None
    assert tiles(session) is not None
    assert [share for _, share in settle(session)] == pytest.approx([0.7, 0.4, 0.1, 0.0])
    assert tiles(session) is None


def test_second_layer_waits_until_the_first_is_folded(session):
    session.unfolding.start("conv2d")
    settle(session)
    session.unfolding.start("conv2d_2")
    assert session.unfolding.layer == "conv2d_2"
    way = settle(session)
    assert [layer for layer, _ in way] == ["conv2d"] * 4 + ["conv2d_2"] * 4
    # Another choice during the animation reverses it.
    session.unfolding.start(None)
    session.advance(0.3)
    session.unfolding.start("conv2d_2")
    assert settle(session)[-1] == ("conv2d_2", 1.0)


def test_layer_that_the_scene_unfolds_can_be_folded_and_unfolds_again_over_time():
    scene = Scene.build(read_scene(bundled("features.toml")), open_capture(bundled("features.zarr.zip")))
    session = Session(scene, SimpleNamespace())
    assert session.unfolding.layer == "conv2d_2"
    session.unfolding.start(None)
    settle(session)
    assert session.unfolding.layer is None
    assert tiles(session) is None
    session.clock.play()
    while session.clock.playing:
        session.advance(1.0)
    assert session.unfolding.layer == "conv2d_2"
    assert tiles(session).name == "conv2d_2"
    session.clock.seek(0.0)
    assert session.unfolding.layer is None
    # A change of the time replaces the user's layer by the scene's layer.
    session.unfolding.start("conv2d")
    settle(session)
    session.clock.seek(scene.duration)
    assert session.unfolding.layer == "conv2d_2"


def test_unfolded_layer_stays_unfolded_over_time_if_the_scene_unfolds_nothing(session):
    session.unfolding.start("conv2d")
    settle(session)
    session.clock.seek(2.0)
    assert session.unfolding.layer == "conv2d"
    assert tiles(session) is not None
