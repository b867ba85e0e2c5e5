"""A saved scene file shows the same picture as the session that saved it, pixel by pixel."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nnviz3d import Intervention
from nnviz3d.apps.interventions import Interventions
from nnviz3d.apps.open_target import opened
from nnviz3d.apps.saved_scene import saved_scene, write_scene
from nnviz3d.apps.session import Session
from nnviz3d.apps.snapshot import snapshot
from nnviz3d.apps.target import ModelOptions
from nnviz3d.apps.turntable import orbit, pan, zoom
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.request import CaptureRequest
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.look_check import scene_of, selection_of
from nnviz3d.scene.scene_text import scene_text
from nnviz3d.scene.selection import CellPick, LayerPick, PointFilter, Selection
from nnviz3d.scene.spec import SceneSpec, read_scene
from tests.apps.test_groups import PARTS, capture

SIZE = (480, 300)
ASPECT = SIZE[0] / SIZE[1]
large = capture


def no_capture(_request: object) -> None:
    raise AssertionError("a ready capture is shown")


class Shown:
    """A session as a page has it: laid out for another shape than the picture's."""

    def __init__(self, target: str, folder: Path) -> None:
        self._folder = folder
        with opened(target, None, ModelOptions(), no_capture) as found:
            selection = selection_of(found.spec.look, found.sample, found.capture)
            scene = scene_of(found.spec, found.capture, selection, aspect=1.55, trajectory=found.trajectory)
            self.session = Session(
                scene, SimpleNamespace(size=SIZE), samples=found.samples, selection=selection, origin=found.origin
            )
        self.pose = self.session.own_pose(ASPECT)

    def save(self) -> Path:
        return write_scene(saved_scene(self.session, self.pose, ASPECT).text, self._folder)

    def pixels(self) -> np.ndarray:
        studio = Offscreen(SIZE)
        try:
            return studio.picture(self.session.scene.at(self.session.clock.t, self.session.selection), self.pose)
        finally:
            studio.close()


def pixels_of(path: Path) -> np.ndarray:
    """Return the picture that the command `snapshot` makes of a scene file."""
    out = path.with_suffix(".png")
    with opened(str(path), None, ModelOptions(), no_capture) as found:
        selection = selection_of(found.spec.look, found.sample, found.capture)
        snapshot(found.spec, found.capture, out, size=SIZE, selection=selection, trajectory=found.trajectory)
    return np.asarray(Image.open(out))


def cells(session: Session) -> None:
    session.clock.seek(5.0)
    session.select(sample=2, threshold=0.5, colormap="viridis", normalize="global", ranking="contribution")
    session.select(pick=CellPick("conv2d", (3, 4, 1)), layer="conv2d_1")


def decisions(session: Session) -> None:
    session.select(sample=2, method="occlusion", target=session.choices.explained_targets[1].target)


def unfolded(session: Session) -> None:
    session.select(unfold="conv2d", channel_order="mean", channel_pictures="maps")


def points(session: Session) -> None:
    wanted = PointFilter(column="score", low=0.9, chosen=tuple(range(0, 900, 2)), isolated=True)
    session.select(colored_by="prediction", points=wanted)


CHANGES = {
    "digits": cells,
    "attention": lambda session: session.select(sample=1, pick=LayerPick("attention")),
    "embedding": points,
    "training": lambda session: session.select(step=int(session.scene.capture.training.steps[3])),
    "landscape": lambda session: session.clock.seek(1.0),
    "decisions": decisions,
    "features": unfolded,
    "gradients": lambda session: session.choices.show("gradient"),
    "what_if": lambda session: session.select(pick=CellPick("conv2d_1", (3, 4, 21)), threshold=0.1),
}


class Asked(Exception):  # noqa: N818 - nothing went wrong
    """Raised when a capture is asked for."""

    def __init__(self, request: CaptureRequest) -> None:
        super().__init__()
        self.request = request


def ask(request: CaptureRequest) -> None:
    raise Asked(request)


def changed_session(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *listed: Intervention) -> Shown:
    """Show the change of a changed run of the session."""
    shown = Shown(name, folder)
    series = CaptureSeries.of(shown.session.scene.capture)
    shown.session.show(
        shown.session.scene.revised(series.with_changed_run(0, series.first)), Selection(quantity="change"), 8.0
    )
    monkeypatch.setattr(Interventions, "listed", listed)
    return shown


def test_interventions_of_the_session_are_saved_and_captured_again(tmp_path, monkeypatch):
    mute, paint = Intervention("conv2d_1", unit=3), Intervention("input", action="paint", picture="/tmp/paint.png")
    shown = changed_session("what_if", tmp_path, monkeypatch, mute, paint)
    saved = saved_scene(shown.session, shown.pose, ASPECT)
    assert saved.remarks == ("What was changed is not saved: paint input.",)
    assert (saved.spec.look.interventions, saved.spec.look.quantity) == (("mute conv2d_1[3]",), "change")
    with pytest.raises(Asked) as asked, opened(str(shown.save()), None, ModelOptions(), ask):
        pass
    request = asked.value.request
    assert request.insights.interventions == (mute,)
    assert request.inputs[request.only or 0].endswith("digits:18"), "the same sample"
    monkeypatch.undo()
    assert saved_scene(Shown("what_if", tmp_path).session, shown.pose, ASPECT).spec.look.interventions is None, (
        "the capture holds them"
    )


def test_interventions_that_no_file_repeats_are_named_in_the_file(tmp_path, monkeypatch):
    capture_alone = str(bundled("what_if.zarr.zip"))
    shown = changed_session(capture_alone, tmp_path, monkeypatch, Intervention("conv2d_1", unit=21))
    saved = saved_scene(shown.session, shown.pose, ASPECT)
    assert saved.remarks == ("What was changed is not saved: mute conv2d_1[21].",)
    assert (saved.spec.look.quantity, saved.spec.look.interventions) == (None, None)
    monkeypatch.undo()
    assert Shown("what_if", tmp_path).session.interventions.changed is False


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_snapshot_of_the_saved_file_is_the_picture_that_was_saved(name, tmp_path):
    shown = Shown(name, tmp_path)
    before = shown.pixels()
    CHANGES[name](shown.session)
    shown.pose = pan(zoom(orbit(shown.pose, 21.0, 7.0), 1.3), 0.05, -0.04)
    picture = shown.pixels()
    assert np.mean(np.abs(picture.astype(int) - before)) > 1, "the picture was changed"
    assert np.array_equal(pixels_of(shown.save()), picture)


@pytest.mark.slow
def test_open_groups_are_saved(large: Capture, tmp_path):
    shown = Shown(str(large.path), tmp_path)
    shown.session.groups.open("block_2")
    shown.session.select(layer=PARTS[1])
    path = shown.save()
    assert read_scene(path).look.opened == ("block_2",)
    assert np.array_equal(pixels_of(path), shown.pixels())
    shown.session.groups.close("block_2")
    assert np.array_equal(pixels_of(shown.save()), shown.pixels())


def test_file_is_saved_under_the_next_free_name(tmp_path):
    shown = Shown("digits", tmp_path)
    (tmp_path / "my-2.toml").write_text("mine")
    assert [shown.save().name for _ in range(3)] == ["my.toml", "my-3.toml", "my-4.toml"]
    assert (tmp_path / "my-2.toml").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-2.toml", "my-3.toml", "my-4.toml", "my.toml"]


def test_saved_file_that_is_opened_and_saved_again_is_the_same(tmp_path):
    first = Shown("digits", tmp_path)
    cells(first.session)
    path = first.save()
    again = Shown(str(path), tmp_path)
    assert read_scene(again.save()) == read_scene(path)
    again.session.leave_saved_pose()
    assert again.session.own_pose(ASPECT) == first.session.own_pose(ASPECT), "the way back to the whole network"


def test_options_of_the_command_line_win_over_the_file(tmp_path):
    shown = Shown("digits", tmp_path)
    cells(shown.session)
    chosen = {"colormap": "magma", "layer": "dense"}
    with opened(str(shown.save()), None, ModelOptions(), no_capture, sample=4, chosen=chosen) as found:
        selection = selection_of(found.spec.look, found.sample, found.capture)
    assert selection == Selection(
        sample=4,
        layer="dense",
        threshold=0.5,
        colormap="magma",
        normalize="global",
        ranking="contribution",
        pick=CellPick("conv2d", (3, 4, 1)),
    )


def test_scene_for_another_model_keeps_only_what_every_model_has(tmp_path):
    shown = Shown("digits", tmp_path)
    cells(shown.session)
    shown.session.keyframes.add(shown.pose, ASPECT)
    spec = read_scene(shown.save()).elsewhere()
    assert spec.look.model_dump(exclude_none=True) == {
        "threshold": 0.5,
        "colormap": "viridis",
        "normalize": "global",
        "ranking": "contribution",
    }
    assert spec.camera.pose is None
    assert not spec.camera.keyframes


@pytest.mark.parametrize(
    ("look", "sentence"),
    [
        ({"layer": "nothing"}, "look.layer"),
        ({"pick": {"layer": "conv2d", "index": [99, 0, 0]}}, "look.pick"),
        ({"pick": {"layer": "conv2d", "index": []}}, "look.pick"),
        ({"pick": {"layer": "nothing"}}, "look.pick"),
        ({"unfold": "dense"}, "look.unfold"),
        ({"embedding": "dense"}, "look.embedding"),
        ({"step": 3}, "look.step"),
        ({"opened": ["nothing"]}, "look.opened"),
    ],
)
def test_look_that_does_not_fit_is_refused_in_one_sentence(look, sentence, tmp_path):
    spec = SceneSpec.model_validate({**Shown("digits", tmp_path).session.scene.spec.model_dump(), "look": look})
    path = tmp_path / "odd.toml"
    shown = Shown("digits", tmp_path)
    shown.session._frame.scene.spec = spec
    path.write_text(scene_text(spec.model_copy(update={"source": shown.session.origin.source})))
    with pytest.raises(Exception, match=sentence) as error:
        pixels_of(path)
    assert "\n" not in str(error.value)
    assert not path.with_suffix(".png").exists()
