"""Tests of a film's labels: they do not blink, and the last frame has those of a picture."""

from __future__ import annotations

from itertools import groupby, pairwise

import numpy as np
import pytest

from nnviz3d.data.capture import Capture
from nnviz3d.render.steady_labels import SteadyLabels
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList, Labels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.tours.make_tour import TourKind, make_tour

SIZE = (1280, 720)
FPS = 30


def lines(what: DrawList) -> set[str]:
    """Return every line of the labels, each after the first line of its label."""
    found = [label for p in what.primitives if isinstance(p, Labels) for label in p.labels]
    return {f"{label.lines[0]}: {line}" for label in found for line in label.lines}


OPEN = default_scene().model_copy(update={"groups": "open"})
"""The default scene, with all nodes of a large network."""


class Film:
    """The labels of a whole tour: those of each frame, and those of single pictures."""

    def __init__(self, capture: Capture, kind: TourKind, seconds: float | None = None) -> None:
        scene = Scene.build(OPEN, capture, aspect=SIZE[0] / SIZE[1])
        tour = make_tour(scene, SIZE[0] / SIZE[1], kind, seconds)

        def at(tau: float) -> tuple[DrawList, CameraPose]:
            t, pose = tour.at(tau)
            return scene.at(t), pose

        self.labels = SteadyLabels(tour.seconds, at, SIZE, 1.0, loops=tour.loops)
        self.moments = np.arange(0, tour.seconds, 1 / FPS)
        self.shown = [lines(self.labels.of(at(tau)[0], tau)) for tau in self.moments]
        self.end = lines(self.labels.of(at(tour.seconds)[0], tour.seconds))
        self.alone = [
            lines(SteadyLabels(1.0, lambda _, tau=tau: at(tau), SIZE, 1.0).of(at(tau)[0], 0.0))
            for tau in (*self.moments[:: FPS // 3], tour.seconds)
        ]


@pytest.fixture(scope="module")
def flight(long_capture: Capture) -> Film:
    return Film(long_capture, "flythrough", 12.0)


def test_label_is_visible_for_at_least_three_quarters_of_a_second(flight):
    for line in set().union(*flight.shown):
        runs = [(seen, len(list(run))) for seen, run in groupby(line in frame for frame in flight.shown)]
        assert all(length >= 0.75 * FPS for seen, length in runs[1:-1] if seen), line


def test_labels_change_far_less_often_than_in_single_pictures(flight):
    def changes(frames: list[set[str]]) -> int:
        return sum(len(a ^ b) for a, b in pairwise(frames))

    assert changes(flight.shown) < changes(flight.alone) / 2
    assert np.mean([len(frame) for frame in flight.shown]) > 0.6 * np.mean([len(frame) for frame in flight.alone])


def test_labels_at_the_end_of_a_film_are_those_of_a_picture(flight):
    assert flight.end == flight.alone[-1]
    assert len(flight.end) > 10


def test_labels_of_a_loop_match_at_its_ends(digits: Capture):
    film = Film(digits, "orbit", 14.0)
    assert len(film.shown[0] ^ film.shown[-1]) <= max(len(a ^ b) for a, b in pairwise(film.shown))
    assert len(film.shown[0]) >= 6


def test_label_whose_text_changes_stays(recorded_capture: Capture):
    """During a training the scores change at every recorded step, and the names of the classes stay."""
    scene = Scene.build(
        parse_scene({"format": 1, "views": [{"kind": "activations"}, {"kind": "training", "duration": 2.0}]}),
        recorded_capture,
        aspect=SIZE[0] / SIZE[1],
    )
    pose = scene.overview(aspect=SIZE[0] / SIZE[1])

    def at(tau: float) -> tuple[DrawList, CameraPose]:
        return scene.at(scene.timeline.training[0] + tau), pose

    labels = SteadyLabels(2.0, at, SIZE, 1.0)
    written = []
    for tau in np.linspace(0, 2, 12):
        now = labels.of(at(tau)[0], tau)
        scores = [
            label.lines[0] for p in now.primitives if isinstance(p, Labels) and p.name == "scores" for label in p.labels
        ]
        assert [score.split()[0] for score in scores] == ["ant", "bee", "cat", "dog", "elk"]
        written.append(tuple(scores))
    assert len(set(written)) == 3, "one for each recorded step"
