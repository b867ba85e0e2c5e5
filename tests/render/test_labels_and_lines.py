"""Labels of many graphs: none is struck through by a line, and none covers another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnviz3d.render.label_placement import PlacedLabel, corners_of, line_map, outlines, place_labels
from nnviz3d.render.label_ways import LabelWays
from nnviz3d.render.line_map import LineMap
from nnviz3d.render.steady_labels import _matrix
from nnviz3d.render.text import label_size, label_sprite
from nnviz3d.scene.primitives import Label, Labels, Lines
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import parse_scene
from tests.data.test_grouping import cells, residual_blocks
from tests.support.captures import write
from tests.support.graphs import GRAPHS
from tests.support.pinhole import to_pixels

SIZE = (1600, 900)
SCALE = 1.25
EDGE = 4.0
"""Width of a label's edge without text, in pixels of a picture that is 720 pixels high."""
MANY = {
    **GRAPHS,
    "blocks with skips": lambda: residual_blocks(9, "block_{block}_part{layer}"),
    "cells that take the last two": lambda: cells(6),
}


def struck(pieces: np.ndarray, rects: np.ndarray) -> np.ndarray:
    """Return which rectangles ``(m, 4)`` straight pieces ``(n, 2, 2)`` enter: ``(m,)``, by clipping each piece exactly."""
    start, step = pieces[:, np.newaxis, 0], (pieces[:, 1] - pieces[:, 0])[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = ((rects[np.newaxis, :, k : k + 2] - start) / step for k in (0, 2))
    parallel = step == 0
    inside = (start > rects[np.newaxis, :, :2]) & (start < rects[np.newaxis, :, 2:])
    enters = np.where(parallel, np.where(inside, -np.inf, np.inf), np.minimum(a, b)).max(axis=2)
    leaves = np.where(parallel, np.where(inside, np.inf, -np.inf), np.maximum(a, b)).min(axis=2)
    return (np.maximum(enters, 0) < np.minimum(leaves, 1)).any(axis=0)


class Placed:
    """The labels of the default picture of a graph's architecture."""

    def __init__(self, scene: Scene) -> None:
        pose = scene.camera(0.0, aspect=SIZE[0] / SIZE[1])
        drawn = scene.at(0.0).primitives
        self.labels = [label for p in drawn if isinstance(p, Labels) for label in p.labels]
        lines = [p.points for p in drawn if isinstance(p, Lines) and p.avoided]
        matrix = _matrix(pose, SIZE)
        self.around = outlines(corners_of(self.labels), matrix, SIZE)
        self.with_lines = self._place(line_map(lines, matrix, SIZE))
        self.without = self._place(None)
        flat = [to_pixels(one.reshape(-1, 3), pose, SIZE).reshape(*one.shape[:2], 2) for one in lines]
        self.pieces = np.concatenate([np.stack([p[:, :-1], p[:, 1:]], axis=2).reshape(-1, 2, 2) for p in flat])
        self.pieces[..., 1] = SIZE[1] - self.pieces[..., 1]

    def _place(self, lines: LineMap | None) -> list[PlacedLabel]:
        def measure(label: Label, text: tuple[str, ...]) -> tuple[int, int]:
            return label_size(text, SCALE, label.small)

        return place_labels(LabelWays(self.labels, measure), self.around, SIZE, SCALE, (), lines)


def text_rects(placed: list[PlacedLabel]) -> np.ndarray:
    edge = EDGE * SCALE
    rects = [p.rect for p in placed]
    return np.array(
        [(r.left + edge, r.bottom + edge, r.left + r.width - edge, r.bottom + r.height - edge) for r in rects]
    )


@pytest.fixture(scope="module", params=MANY)
def picture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Placed:
    graph = MANY[request.param]()
    shape = [n or 7 for n in graph.node(graph.inputs[0]).shape]
    values = {graph.inputs[0]: np.zeros((1, *shape), np.float32)}
    capture = write(tmp_path_factory.mktemp("labels") / "run.zarr", graph, values)
    spec = parse_scene({"format": 1, "groups": "open", "views": [{"kind": "structure"}]})
    return Placed(Scene.build(spec, capture, aspect=SIZE[0] / SIZE[1]))


def test_no_label_is_struck_through_by_a_line(picture: Placed):
    assert not struck(picture.pieces, text_rects(picture.with_lines)).any()


def test_no_label_covers_another(picture: Placed):
    rects = [p.rect for p in picture.with_lines]
    assert not any(a.overlaps(b) for i, a in enumerate(rects) for b in rects[:i])


def test_most_labels_find_another_place(picture: Placed):
    assert len(picture.with_lines) >= 0.7 * len(picture.without)


def test_labels_stay_where_they_are_if_no_line_strikes_one_through(picture: Placed):
    if struck(picture.pieces, text_rects(picture.without)).any():
        moved = {p.index for p in picture.with_lines if p not in picture.without}
        assert len(moved) < len(picture.with_lines)
    else:
        assert picture.with_lines == picture.without


def test_lines_strike_through_labels_if_they_are_ignored(tmp_path: Path):
    """The tests above would pass without any effect if lines never crossed labels."""
    graph = GRAPHS["177 nodes"]()
    values = {"input": np.zeros((1, 224, 224, 3), np.float32)}
    spec = parse_scene({"format": 1, "groups": "open", "views": [{"kind": "structure"}]})
    picture = Placed(Scene.build(spec, write(tmp_path / "run.zarr", graph, values), aspect=SIZE[0] / SIZE[1]))
    assert struck(picture.pieces, text_rects(picture.without)).any()


@pytest.mark.parametrize("seed", range(5))
def test_map_of_lines_finds_all_that_cross_a_rectangle(seed: int):
    random = np.random.default_rng(seed)
    lines = random.uniform(-100, 500, (12, 4, 2))
    low = random.uniform(0, 280, (200, 2))
    rects = np.concatenate([low, low + random.uniform(6, 60, (200, 2))], axis=1)
    pieces = np.stack([lines[:, :-1], lines[:, 1:]], axis=2).reshape(-1, 2, 2)
    found = LineMap([lines], (400, 400)).cross(rects)
    inner = rects + np.array([1.5, 1.5, -1.5, -1.5])
    outer = rects + np.array([-5, -5, 5, 5])
    assert (found >= struck(pieces, inner)).all()
    assert (found <= struck(pieces, outer)).all()


@pytest.mark.parametrize("lines", [("name",), ("name", "Conv2D · 3 × 3"), ("数", "x")])
@pytest.mark.parametrize("small", [False, True])
def test_size_of_a_label_is_that_of_its_sprite(lines: tuple[str, ...], small: bool):
    for scale in (0.6, 1.0, 2.5):
        assert label_size(lines, scale, small) == label_sprite(lines, 1.0, scale, small).shape[1::-1]
