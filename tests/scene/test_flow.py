"""Layout of the blocks: no overlap, the order of the flow, rows, and filled pictures."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nnviz3d.scene.camera import MARGINS, CameraPose, Margins, default_view, fit
from nnviz3d.scene.layout.flow import lay_out
from nnviz3d.scene.layout.layering import _chains, assign_ranks_and_lanes
from nnviz3d.scene.layout.plan import Plan
from tests.data.test_grouping import random_graph
from tests.support.graphs import GRAPHS, chain
from tests.support.pinhole import to_frame

ASPECTS = {"16:9": 16 / 9, "4:3": 4 / 3}


@pytest.fixture(params=GRAPHS, scope="module")
def graph(request):
    return GRAPHS[request.param]()


@pytest.fixture(params=ASPECTS)
def aspect(request):
    return ASPECTS[request.param]


def pose_of(plan: Plan, aspect: float) -> CameraPose:
    """The default pose of a scene without camera settings."""
    return fit(plan.corners(), *default_view(len(plan.rows)), aspect=aspect, margins=MARGINS)


def share_covered(plan: Plan, pose: CameraPose, aspect: float) -> float:
    """Share of the picture that lies behind the blocks' outlines."""
    height = 300
    width = round(height * aspect)
    canvas = Image.new("1", (width, height))
    draw = ImageDraw.Draw(canvas)
    faces = [(0, 1, 3, 2), (4, 5, 7, 6), (0, 1, 5, 4), (2, 3, 7, 6), (0, 2, 6, 4), (1, 3, 7, 5)]
    pixels = (to_frame(plan.corners(), pose, aspect) + 1) / 2 * (width, height)
    for block in pixels.reshape(-1, 8, 2):
        for face in faces:
            draw.polygon([tuple(block[k]) for k in face], fill=1)
    return float(np.asarray(canvas).mean())


def test_blocks_do_not_overlap(graph, aspect):
    places = list(lay_out(graph, {}, aspect=aspect).placements.values())
    low = np.array([p.origin for p in places])
    high = low + [p.size for p in places]
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    overlapping = (shared > 1e-9).all(axis=2) & ~np.eye(len(places), dtype=bool)
    assert not overlapping.any(), [(places[i].node, places[j].node) for i, j in np.argwhere(overlapping)]


def test_node_is_after_its_sources(graph, aspect):
    plan = lay_out(graph, {}, aspect=aspect)
    places = plan.placements
    for edge in graph.edges:
        source, target = places[edge.source], places[edge.target]
        assert source.rank < target.rank
        assert source.row <= target.row or plan.leveled
        if source.row == target.row:
            assert source.origin[0] + source.size[0] < target.origin[0]


def test_ranks_of_a_row_are_from_left_to_right(graph, aspect):
    places = lay_out(graph, {}, aspect=aspect).placements.values()
    for first in places:
        for second in places:
            if first.row == second.row and first.rank < second.rank:
                assert first.origin[0] + first.size[0] < second.origin[0]


def test_rows_are_from_top_to_bottom(graph, aspect):
    plan = lay_out(graph, {}, aspect=aspect)
    for upper, lower in pairwise(plan.rows):
        assert upper.bottom > lower.top
    for place in plan.placements.values():
        row = plan.rows[place.row]
        assert row.bottom < place.origin[1]
        assert place.origin[1] + place.size[1] <= row.top + 1e-9


def test_no_two_nodes_share_rank_and_lane(graph):
    positions = assign_ranks_and_lanes(graph)
    assert len({(s.rank, s.lane) for s in positions.values()}) == len(graph)


def test_cells_fill_their_block(graph, aspect):
    for place in lay_out(graph, {}, aspect=aspect).placements.values():
        assert all(size > 0 for size in place.cell)
        assert place.size == pytest.approx([n * c for n, c in zip(place.grid.size, place.cell, strict=True)])


def test_camera_is_as_near_as_the_margins_allow(graph, aspect):
    plan = lay_out(graph, {}, aspect=aspect)
    x, y = to_frame(plan.corners(), pose_of(plan, aspect), aspect).T
    left, right = x.min() + 1 - 2 * MARGINS.left, 1 - 2 * MARGINS.right - x.max()
    bottom, top = y.min() + 1 - 2 * MARGINS.bottom, 1 - 2 * MARGINS.top - y.max()
    tolerance = 1e-6
    assert min(left, right, bottom, top) > -tolerance
    # At the nearest pose both ends touch along one dimension; along the other one the picture is centred.
    touching = [max(a, b) < tolerance for a, b in ((left, right), (bottom, top))]
    assert any(touching), (left, right, bottom, top)


@pytest.mark.parametrize(
    ("name", "floor"), [("3 nodes", 0.25), ("9 nodes", 0.17), ("23 nodes", 0.18), ("177 nodes", 0.11)]
)
def test_few_or_many_layers_fill_the_picture(name, floor, aspect):
    plan = lay_out(GRAPHS[name](), {}, aspect=aspect)
    assert share_covered(plan, pose_of(plan, aspect), aspect) > floor


def test_only_a_long_network_is_folded():
    assert len(lay_out(GRAPHS["3 nodes"](), {}).placements) == 3
    assert len(lay_out(GRAPHS["3 nodes"](), {}).rows) == 1
    assert len(lay_out(GRAPHS["177 nodes"](), {}).rows) > 2


def test_narrow_picture_has_at_least_as_many_rows():
    rows = [len(lay_out(GRAPHS["177 nodes"](), {}, aspect=a).rows) for a in (0.75, 4 / 3, 16 / 9, 32 / 9)]
    assert rows == sorted(rows, reverse=True)
    assert rows[0] > rows[-1]


def test_layout_is_deterministic(graph):
    one, other = lay_out(graph, {}), lay_out(graph, {})
    assert one.placements == other.placements


def test_variable_length_takes_the_length_of_the_sample():
    graph = chain([("words", "InputLayer", (None, 8)), ("out", "Dense", (3,))])
    plan = lay_out(graph, {"words": (21, 8)})
    assert plan.placements["words"].grid.size == (21, 8, 1)
    assert all(n > 0 for n in lay_out(graph, {}).placements["words"].grid.size)


def test_network_of_one_layer_has_a_layout():
    graph = chain([("alone", "InputLayer", (4, 4, 1))])
    assert lay_out(graph, {}).placements["alone"].rank == 0


def test_large_tensors_and_deep_tensors_look_like_blocks():
    places = lay_out(GRAPHS["23 nodes"](), {}).placements
    for name in ("block1_conv1", "block5_conv3"):
        x, _, z = places[name].size
        assert 0.2 < z / x < 5


@pytest.mark.parametrize("margins", [Margins(), Margins(0.3, 0.0, 0.0, 0.2), MARGINS], ids=("even", "uneven", "scene"))
@pytest.mark.parametrize("angles", [(0.0, 0.0), (-30.0, 16.0), (70.0, -40.0), (180.0, 80.0)], ids=str)
def test_fit_touches_its_margins_for_any_angles(margins, angles, aspect):
    points = np.random.default_rng(3).normal(size=(60, 3)) * (5, 2, 3)
    x, y = to_frame(points, fit(points, *angles, aspect=aspect, margins=margins), aspect).T
    gaps = [
        (x.min() + 1 - 2 * margins.left, 1 - 2 * margins.right - x.max()),
        (y.min() + 1 - 2 * margins.bottom, 1 - 2 * margins.top - y.max()),
    ]
    assert min(map(min, gaps)) > -1e-6
    assert min(map(max, gaps)) < 1e-6


def reference_chains(order: list[str], sources: dict[str, tuple[str, ...]]) -> list[list[str]]:
    """Cut a graph into chains, by a search through all nodes that are left, for each chain."""
    free, found = set(order), []
    while free:
        length: dict[str, int] = {}
        previous: dict[str, str | None] = {}
        for node in (n for n in order if n in free):
            previous[node] = max((s for s in sources[node] if s in free), key=lambda s: length[s], default=None)
            length[node] = 1 + (length[previous[node]] if previous[node] is not None else 0)
        node = max(length, key=lambda n: length[n])
        chain = []
        while node is not None:
            chain.append(node)
            node = previous[node]
        found.append(chain[::-1])
        free.difference_update(chain)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_chains_are_those_of_a_search_through_all_nodes(seed):
    graph = random_graph(seed) if seed < 4 else GRAPHS["inception" if seed == 4 else "177 nodes"]()
    order = [node.id for node in graph]
    sources = {name: graph.sources(name) for name in order}
    targets = {name: [edge.target for edge in graph.edges_from(name)] for name in order}
    assert list(_chains(order, sources, targets)) == reference_chains(order, sources)
