"""Routes of the edges: one each, from its source to its target, without crossing another block."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.scene.layout.flow import lay_out
from nnviz3d.scene.layout.plan import Placement
from nnviz3d.scene.layout.routes import bezier, rounded, route_edges
from tests.support.graphs import GRAPHS

TOUCH = 1e-4


@pytest.fixture(params=GRAPHS, scope="module")
def laid_out(request):
    graph = GRAPHS[request.param]()
    plan = lay_out(graph, {})
    return graph, plan, route_edges(graph, plan)


def along(points: np.ndarray, steps: int = 25) -> np.ndarray:
    """Sample a polyline finely, ``(p, 3)`` to ``(n, 3)``."""
    a, b = points[:-1, np.newaxis].astype(np.float64), points[1:, np.newaxis].astype(np.float64)
    return (a + (b - a) * np.linspace(0, 1, steps)[:, np.newaxis]).reshape(-1, 3)


def inside(points: np.ndarray, place: Placement) -> np.ndarray:
    low = np.array(place.origin)
    return ((points > low + TOUCH) & (points < low + place.size - TOUCH)).all(axis=1)


def is_on(point: np.ndarray, place: Placement) -> bool:
    """Whether a point lies on a block's surface."""
    low = np.array(place.origin)
    high = low + place.size
    near = ((point >= low - TOUCH) & (point <= high + TOUCH)).all()
    return bool(near and not inside(point[np.newaxis], place).any())


def test_each_edge_has_one_route(laid_out):
    graph, _, routes = laid_out
    assert [r.edge for r in routes] == list(graph.edges)


def test_route_begins_at_its_source_and_ends_at_its_target(laid_out):
    _, plan, routes = laid_out
    for route in routes:
        assert route.points.dtype == np.float32
        assert is_on(route.points[0], plan.placements[route.edge.source]), route.edge
        assert is_on(route.points[-1], plan.placements[route.edge.target]), route.edge


def test_no_route_crosses_a_block(laid_out):
    _, plan, routes = laid_out
    through = [
        (route.kind, route.edge.source, route.edge.target, place.node)
        for route in routes
        for place in plan.placements.values()
        if inside(along(route.points), place).any()
    ]
    assert through == []


@pytest.mark.parametrize("name", ["residual", "u-net", "177 nodes"])
def test_route_of_a_skip_is_above_the_skipped_blocks(name):
    graph = GRAPHS[name]()
    plan = lay_out(graph, {}, aspect=4.0)
    skips = [r for r in route_edges(graph, plan) if r.kind == "around"]
    assert skips
    for route in skips:
        source, target = plan.placements[route.edge.source], plan.placements[route.edge.target]
        for place in plan.placements.values():
            if place.row != source.row or place.lane != source.lane or not source.rank < place.rank < target.rank:
                continue
            points = along(route.points)
            left, top = place.origin[0], place.origin[1] + place.size[1]
            over = points[(points[:, 0] >= left) & (points[:, 0] <= left + place.size[0])]
            assert len(over)
            assert (over[:, 1] > top).all()


def test_route_of_a_longer_skip_is_above_that_of_a_shorter_one():
    graph = GRAPHS["u-net"]()
    plan = lay_out(graph, {}, aspect=4.0)
    tops = {r.edge.source: r.points[:, 1].max() for r in route_edges(graph, plan) if r.kind == "around"}
    assert tops["down1"] > tops["down2"]


def test_route_to_the_next_block_is_straight():
    graph = GRAPHS["3 nodes"]()
    for route in route_edges(graph, lay_out(graph, {})):
        assert route.kind == "flow"
        assert len(route.points) == 2


def test_route_to_another_row_ends_at_its_target():
    graph = GRAPHS["177 nodes"]()
    plan = lay_out(graph, {})
    folds = [r for r in route_edges(graph, plan) if r.kind == "fold"]
    assert len(folds) >= len(plan.rows) - 1
    for route in folds:
        assert plan.placements[route.edge.source].row < plan.placements[route.edge.target].row


def test_bezier_begins_and_ends_at_its_outer_points():
    a, b, c, d = np.random.default_rng(1).normal(size=(4, 5, 3))
    curve = bezier(a, b, c, d, 9)
    assert curve.shape == (5, 9, 3)
    assert np.allclose(curve[:, 0], a)
    assert np.allclose(curve[:, -1], d)
    assert np.allclose(curve[:, 4], (a + 3 * b + 3 * c + d) / 8)


def test_rounding_keeps_the_ends_and_cuts_the_corner():
    path = rounded(np.array([[0.0, 0, 0], [2, 0, 0], [2, 2, 0]]), 0.5)
    assert np.allclose(path[0], (0, 0, 0))
    assert np.allclose(path[-1], (2, 2, 0))
    assert np.linalg.norm(path - (2, 0, 0), axis=1).min() > 0.05
    assert (path >= -1e-9).all()
    assert (path <= 2 + 1e-9).all()
