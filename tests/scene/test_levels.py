"""U-Nets as a U: which networks are, where their blocks are, and how their edges run."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nnviz3d.scene.layout.flow import lay_out
from nnviz3d.scene.layout.plan import Plan
from nnviz3d.scene.layout.routes import route_edges
from tests.scene.test_routes import along, inside
from tests.support.graphs import GRAPHS, Spec, chain, graph_of


def unet(depth: int, convolutions: int, *, skips: bool = True, step: int = 2):
    """Return a U-Net with some resolutions below the first, and some convolutions at each of them on both sides."""
    size, side = 64, 8
    nodes: list[Spec] = [("input", "InputLayer", (size, size, 3))]
    ends, edges = [], []
    for level in range(depth):
        nodes += [(f"down{level}_{k}", "Conv2D", (size, size, side)) for k in range(convolutions)]
        ends.append(nodes[-1][0])
        size //= step
        nodes.append((f"pool{level}", "MaxPooling2D", (size, size, side)))
        side *= 2
    nodes += [("bottom", "Conv2D", (size, size, side))]
    for level in reversed(range(depth)):
        size, side = size * step, side // 2
        nodes.append((f"up{level}", "UpSampling2D", (size, size, side)))
        nodes.append((f"join{level}", "Concatenate", (size, size, 2 * side)))
        nodes += [(f"up{level}_{k}", "Conv2D", (size, size, side)) for k in range(convolutions)]
        edges += [(ends[level], f"join{level}")] if skips else []
    nodes.append(("mask", "Conv2D", (size, size, 1)))
    return graph_of(nodes, [*pairwise(name for name, _, _ in nodes), *edges])


U_NETS = {
    "u-net": GRAPHS["u-net"],
    "four levels": lambda: unet(3, 1),
    "two convolutions": lambda: unet(3, 2),
    "deep": lambda: unet(4, 1),
}


@pytest.fixture(params=U_NETS, scope="module")
def graph(request: pytest.FixtureRequest):
    return U_NETS[request.param]()


@pytest.fixture(scope="module")
def plan(graph) -> Plan:
    return lay_out(graph, {})


def test_each_resolution_is_a_row_from_the_highest_down(graph, plan: Plan):
    assert plan.leveled
    sizes = sorted({node.shape[0] for node in graph}, reverse=True)
    assert [plan.placements[node.id].row for node in graph] == [sizes.index(node.shape[0]) for node in graph]
    for upper, lower in pairwise(plan.rows):
        assert upper.bottom > lower.top


def test_encoder_is_left_of_the_decoder(graph, plan: Plan):
    centers = [plan.placements[node.id].center[0] for node in graph]
    assert centers == sorted(centers)


def test_no_two_blocks_overlap(plan: Plan):
    places = list(plan.placements.values())
    low = np.array([p.origin for p in places])
    high = low + [p.size for p in places]
    shared = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    assert not ((shared > 1e-9).all(axis=2) & ~np.eye(len(places), dtype=bool)).any()


def test_skips_run_across_at_their_level_and_no_route_crosses_a_block(graph, plan: Plan):
    routes = route_edges(graph, plan)
    skips = {(r.edge.source, r.edge.target) for r in routes if r.skips}
    assert skips == {(e.source, e.target) for e in graph.edges if len(graph.sources(e.target)) > 1} - set(
        pairwise(node.id for node in graph)
    )
    for route in routes:
        if route.skips:
            row = plan.rows[plan.placements[route.edge.source].row]
            assert row.bottom < route.points[:, 1].min()
        crossed = [p.node for p in plan.placements.values() if inside(along(route.points), p).any()]
        assert crossed == [], route.edge


@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "u-net"])
def test_layout_of_a_network_that_is_no_u_net_has_no_levels(name: str):
    assert not lay_out(GRAPHS[name](), {}).leveled


def test_autoencoder_without_skips_is_no_u():
    assert not lay_out(unet(3, 1, skips=False), {}).leveled


def test_classifier_whose_resolution_only_falls_is_no_u():
    sizes = (64, 32, 16, 8, 4)
    assert not lay_out(chain([(f"conv{n}", "Conv2D", (n, n, 8)) for n in sizes]), {}).leveled


def test_network_that_is_too_long_to_be_seen_as_a_u_has_rows_like_text():
    assert not lay_out(unet(4, 12), {}).leveled
