"""Any view of an address is shown or refused in one sentence; a view of a session shows the same again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nnviz3d.apps.session import Session
from nnviz3d.apps.view_state import show_view, view_of
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.look import LookSpec, PickSpec
from nnviz3d.scene.points_look import PointsSpec
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.view_text import ViewState, decode_view, encode_view

VIEWS = [{"kind": kind} for kind in ("structure", "activations", "connections", "attributions", "channels")]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene.build(parse_scene({"format": 1, "views": VIEWS}), open_capture(bundled("decisions.zarr.zip")))


def session_of(scene: Scene) -> Session:
    return Session(scene, SimpleNamespace(size=(320, 200)))


LAYERS = st.sampled_from(["input", "conv2d", "conv2d_1", "flatten", "dense", "dense_1", "nothing", "a\nb"])
SMALL = st.integers(0, 4) | st.sampled_from([13, 10**14])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "time": st.floats(0, 20),
    "layer": LAYERS,
    "threshold": st.floats(0, 1),
    "colormap": st.sampled_from(["viridis", "berlin"]),
    "normalize": st.sampled_from(["layer", "global", "symmetric"]),
    "ranking": st.sampled_from(["weight", "contribution"]),
    "quantity": st.sampled_from(["activation", "gradient", "gradient_x_activation", "difference"]),
    "against": SMALL,
    "target": st.sampled_from(["9", "4", "dense_1[3]", "dense_1[999]", "not dense_1[4]", "mask[:,:]", "x"]),
    "method": st.sampled_from(["grad_cam", "occlusion", "smoothgrad", "../x"]),
    "map_opacity": st.floats(0, 1),
    "unfold": LAYERS,
    "unfolded": st.floats(0, 1),
    "channel_order": st.sampled_from(["index", "mean", "contribution"]),
    "channel_pictures": st.sampled_from(["maps", "features"]),
    "embedding": LAYERS,
    "colored_by": st.sampled_from(["label", "age", "a\nb"]),
    "points": st.builds(
        PointsSpec,
        name=st.none() | st.just("a"),
        of_class=st.none() | SMALL,
        wrong=st.none() | st.just(True),
        column=st.none() | st.sampled_from(["score", "age"]),
        low=st.none() | st.just(0.5),
        chosen=st.none() | st.sampled_from(["", "0-2.5", "999999999"]),
    ),
    "step": SMALL,
    "pick": st.builds(PickSpec, layer=LAYERS, index=st.none() | st.lists(SMALL, max_size=4).map(tuple)),
    "opened": st.lists(LAYERS, max_size=1).map(tuple),
    "interventions": st.sampled_from([("mute conv2d[3]",), ("freeze nothing",), ()]),
}
# Few fields each, so that many views can be shown.
LOOKS = (
    st.sets(st.sampled_from(sorted(FIELDS)), max_size=4)
    .flatmap(lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in sorted(names)}))
    .map(lambda fields: LookSpec(**fields))
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(sample=st.none() | SMALL, look=LOOKS)
@example(sample=None, look=LookSpec(pick=PickSpec(layer="dense_1", index=())))  # a vector has no place of all its units
def test_any_view_is_drawn_or_refused_and_then_nothing_changes(scene, sample, look):
    session = session_of(scene)
    before = (session.selection, session.clock.t, session.scene)
    try:
        show_view(session, ViewState(sample=sample, look=look))
    except UserError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert "\n" not in refused
        assert (session.selection, session.clock.t, session.scene) == before
        return
    drawn = session.scene.at(session.clock.t, session.selection)
    assert drawn.primitives
    if session.selection.pick is not None:
        assert session.scene.describe(session.selection.pick, session.selection) is not None


def test_view_of_a_session_shows_the_same_in_another(scene):
    first, second = session_of(scene), session_of(scene)
    first.clock.seek(2.5)
    target = first.choices.explained_targets[1].target
    first.select(sample=2, method="occlusion", target=target, layer="conv2d", threshold=0.5, unfold="conv2d_1")
    first.select(pick=CellPick("conv2d", (3, 4, 1)), channel_order="mean")
    show_view(second, decode_view(encode_view(view_of(first))))
    assert second.selection == first.selection
    assert second.clock.t == 2.5
    show_view(second, decode_view(encode_view(ViewState(sample=0))))
    assert second.selection == Selection()
    assert second.clock.t == scene.duration
