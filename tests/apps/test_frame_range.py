"""Tests of films that are drawn by ranges: the description of a film, and equal pixels in every process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.apps.film.description import film_of as described
from nnviz3d.apps.film.frame_range import FilmPlan, FilmScene, FilmStudio, PlannedTrajectory, draw_range
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.targets import Target
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.selection import CellPick, Pick, Selection
from nnviz3d.scene.spec import SceneSpec, default_scene, read_scene
from nnviz3d.scene.story.captions import story_of

SIZE, FPS, SECONDS = (128, 96), 4, 2.0
CHILD = """
import sys
import numpy as np
from nnviz3d.apps.film.frame_range import FilmPlan, draw_range
plan = FilmPlan.from_json(sys.stdin.read())
np.save(sys.argv[1], [frame for _, frame in draw_range(plan, int(sys.argv[2]), int(sys.argv[3]))])
"""


def film_of(capture: CaptureReader, spec: SceneSpec | None = None, selection: Selection | None = None) -> FilmScene:
    return FilmScene(
        spec or default_scene(),
        capture,
        selection or Selection(),
        tour=None,
        size=SIZE,
        fps=FPS,
        seconds=SECONDS,
        trajectory=None,
    )


def plan_of(film: FilmScene) -> FilmPlan:
    found = film.plan()
    assert found is not None
    return FilmPlan.from_json(found.to_json())


def test_ranges_in_other_processes_have_the_pixels_of_the_whole_film(small_capture: Capture, tmp_path: Path):
    plan = plan_of(film_of(small_capture))
    whole = [frame for _, frame in draw_range(plan, 0, 8)]
    assert [number for number, _ in draw_range(plan, 6, 8)] == [6, 7]
    parts = []
    for start, stop in ((5, 8), (0, 5)):
        out = tmp_path / f"{start}.npy"
        arguments = [sys.executable, "-c", CHILD, str(out), str(start), str(stop)]
        subprocess.run(arguments, input=plan.to_json(), text=True, check=True)
        parts.insert(0, np.load(out))
    assert np.array_equal(whole, list(chain(*parts)))
    assert len({frame.tobytes() for frame in whole}) == 8


def test_range_outside_the_film_is_refused(small_capture: Capture):
    with pytest.raises(ValueError, match="has 8 frames; 3 to 9"):
        next(draw_range(plan_of(film_of(small_capture)), 3, 9))


@pytest.mark.parametrize("name", [path.name for path in sorted(bundled("digits.toml").parent.glob("*.toml"))])
def test_scene_stays_the_same_in_a_description(name: str):
    spec = read_scene(bundled(name))
    plan = FilmPlan(captures=("x",), spec=spec, tour="orbit", size=SIZE, fps=FPS)
    line = plan.to_json()
    assert "\n" not in line
    assert FilmPlan.from_json(line) == plan


@pytest.mark.parametrize(
    "selection",
    [
        Selection(2, layer="dense", threshold=0.5, colormap="viridis", quantity="gradient"),
        Selection(1, target=Target("dense", 3, against=True), method="grad_cam", unfold="conv", unfolded=0.25),
        Selection(0, target=Target("dense", 0, region=":,3"), pick=CellPick("dense", (3,)), step=7, against=1),
    ],
)
def test_selection_stays_the_same_in_a_description(small_capture: Capture, selection: Selection):
    film = film_of(small_capture)
    film.selection = selection
    assert plan_of(film).selection == selection


def test_selection_that_no_scene_file_can_say_has_no_description(small_capture: Capture):
    film = film_of(small_capture)
    film.selection = replace(film.selection, pick=Pick())
    assert film.plan() is None


def test_trajectory_stays_the_same_in_a_description():
    points = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    quality = ({"kl": 0.1 + 0.2, "trustworthiness": float("nan")}, {})
    before = EmbeddingTrajectory(points, quality, {"perplexity": 30, "metric": "cosine"}, ("a", "b"))
    planned = PlannedTrajectory.model_validate(json.loads(json.dumps(PlannedTrajectory.of(before).model_dump())))
    after = planned.trajectory()
    assert np.array_equal(after.points, before.points)
    assert after.points.dtype == np.float32
    assert repr(after.quality) == repr(before.quality)
    assert (after.settings, after.keys) == (before.settings, before.keys)


def test_series_is_opened_with_all_its_captures(small_capture: Capture):
    series = CaptureSeries.of(small_capture).plus(open_capture(small_capture.path))
    film = film_of(series, selection=Selection(4))
    plan = plan_of(film)
    assert plan.captures == (str(small_capture.path.absolute()),) * 2
    assert plan.open().committed == 6
    assert plan.selection == Selection(4)


def test_growing_capture_has_no_description(small_capture: Capture):
    film = film_of(small_capture)
    complete, small_capture.complete = small_capture.complete, False
    try:
        assert film.plan() is None
    finally:
        small_capture.complete = complete


def test_frames_at_rest_are_drawn_once(small_capture: Capture, monkeypatch: pytest.MonkeyPatch):
    film = FilmScene(
        default_scene(),
        small_capture,
        Selection(),
        tour="flythrough",
        size=SIZE,
        fps=30,
        seconds=SECONDS,
        trajectory=None,
    )
    drawn = []
    draw = Offscreen.samples
    monkeypatch.setattr(Offscreen, "samples", lambda self, *what: drawn.append(what) or draw(self, *what))
    studio = FilmStudio(film)
    frames = [studio.frame(number) for number in range(60)]
    studio.close()
    assert 10 < len(drawn) < 60
    drawn.clear()
    other = FilmStudio(film)
    for number in (59, 0, 58, 1):  # no frame follows its neighbour, so each is drawn
        assert np.array_equal(other.frame(number), frames[number])
    other.close()
    assert len(drawn) == 4


def test_story_has_its_captions_in_the_film_and_in_the_description_of_its_frames(small_capture: Capture):
    film = FilmScene(
        default_scene(),
        small_capture,
        Selection(sample=1),
        tour="story",
        size=(640, 360),
        fps=1,
        seconds=None,
        trajectory=None,
    )
    captions = [stop.text for stop in story_of(film.scene, Selection(sample=1))]
    assert described(film)["captions"] == captions
    plan = film.plan()
    assert plan is not None
    again = FilmScene.of(FilmPlan.from_json(plan.to_json()))
    assert [again.path.at(tau) for tau in (0.0, 20.0)] == [film.path.at(tau) for tau in (0.0, 20.0)]
    assert again.path.captions == film.path.captions
    studio = Offscreen(film.size)
    for tau in (4.0, 30.0, film.path.seconds):
        what, pose = film.at(tau)
        without = replace(
            what, primitives=tuple(p for p in what.primitives if p is not film.path.told(tau, Selection())[0])
        )
        assert len(without.primitives) == len(what.primitives) - 1
        drawn = [studio.averaged(studio.samples(one, pose)).astype(int) for one in (what, without)]
        rows = np.flatnonzero((np.abs(drawn[0] - drawn[1]).max(axis=2) > 60).any(axis=1))
        assert len(rows) > 20, "the caption is drawn"
        assert rows.min() > 0.45 * film.size[1], "it stands in the lower half"
    studio.close()
