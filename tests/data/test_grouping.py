"""Groups of a graph's nodes, and graphs in which some groups are closed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.grouping.contracted import Grouping, contract
from nnviz3d.data.grouping.find import MOST
from tests.support.graphs import GRAPHS, Spec, chain, graph_of

SHAPE = (8, 8, 4)


def residual_blocks(count: int, names: str) -> ModelGraph:
    """Return blocks of four layers and a skip each; `names` is a format with the block's and the layer's number."""
    nodes: list[Spec] = [("input", "InputLayer", SHAPE)]
    edges: list[tuple[str, str]] = []
    last = "input"
    for block in range(count):
        inside = [names.format(block=block, layer=k, number=4 * block + k) for k in range(4)]
        kinds = ("Conv2D", "BatchNormalization", "ReLU", "Add")
        nodes += [(name, kind, SHAPE) for name, kind in zip(inside, kinds, strict=True)]
        edges += [*pairwise([last, *inside]), (last, inside[-1])]
        last = inside[-1]
    return graph_of([*nodes, ("out", "Dense", (3,))], [*edges, (last, "out")])


def cells(count: int) -> ModelGraph:
    """Return cells that each take the outputs of the two cells before, with the cell's number behind each name."""
    nodes: list[Spec] = [("input", "InputLayer", SHAPE), ("stem", "Conv2D", SHAPE)]
    edges = [("input", "stem")]
    before, last = "input", "stem"
    for cell in range(count):
        parts = [f"{part}_{side}_{cell}" for part in ("conv_1", "bn_1", "conv_2", "bn_2") for side in ("left", "right")]
        nodes += [(name, "Conv2D", SHAPE) for name in parts] + [(f"cell_concat_{cell}", "Concatenate", SHAPE)]
        edges += [*pairwise([last, *parts[::2]]), *pairwise([before, *parts[1::2]])]
        edges += [(parts[-2], f"cell_concat_{cell}"), (parts[-1], f"cell_concat_{cell}")]
        before, last = last, f"cell_concat_{cell}"
    return graph_of([*nodes, ("out", "Dense", (3,))], [*edges, (last, "out")])


def encoder(blocks: int) -> ModelGraph:
    """Return numbered blocks of two residual parts of four layers each, whose parts have no names of their own."""
    nodes: list[Spec] = [("input", "InputLayer", SHAPE)]
    edges: list[tuple[str, str]] = []
    last = "input"
    for block in range(1, blocks + 1):
        for part in (1, 2):
            inside = [f"block{block}_{name}{part}" for name in ("norm", "up", "down", "add")]
            kinds = ("LayerNormalization", "Dense", "Dense", "Add")
            nodes += [(name, kind, SHAPE) for name, kind in zip(inside, kinds, strict=True)]
            edges += [*pairwise([last, *inside]), (last, inside[-1])]
            last = inside[-1]
    return graph_of([*nodes, ("out", "Dense", (3,))], [*edges, (last, "out")])


def random_graph(seed: int) -> ModelGraph:
    """Return a graph with random edges, names with and without blocks, and nodes with two outputs."""
    random = np.random.default_rng(seed)
    count = int(random.integers(20, 150))
    prefixes = ["a/b/", "a/", "", "block_1_", "block_2_", "stage1_block_1_", "stage1_block_2_"]
    nodes = [
        LayerNode(f"{prefixes[int(random.integers(len(prefixes)))]}layer{i}", 0, "Conv2D", (SHAPE, (3,)))
        for i in range(count)
    ]
    edges = []
    for i in range(1, count):
        for j in {int(random.integers(max(0, i - 12), i)) for _ in range(int(random.integers(1, 4)))}:
            edges.append(Edge(nodes[j].id, nodes[i].id, int(random.integers(2))))
    return ModelGraph("random", tuple(nodes), tuple(edges), (nodes[0].id,), (nodes[-1].id,))


LARGE = {
    "named blocks": lambda: residual_blocks(20, "block_{block}_part{layer}"),
    "blocks of stages": lambda: residual_blocks(20, "stage{block}a_part{layer}"),
    "nested models": lambda: residual_blocks(20, "backbone/block_{block}/part{layer}"),
    "names of Keras": lambda: residual_blocks(200, "conv2d_{number}"),
    "chain": lambda: chain([(f"dense_{k}", "Dense", (9,)) for k in range(1000)]),
    "cells": lambda: cells(12),
    **GRAPHS,
    **{f"random {seed}": (lambda seed=seed: random_graph(seed)) for seed in range(12)},
}


@pytest.fixture(params=LARGE, scope="module")
def grouping(request: pytest.FixtureRequest) -> Grouping:
    return Grouping.of(LARGE[request.param]())


def some_open(grouping: Grouping) -> list[frozenset[str]]:
    """Return different sets of open groups: none, all, the automatic ones, and random ones."""
    random = np.random.default_rng(3)
    some = [frozenset(g for g in sorted(grouping.everything) if random.random() < share) for share in (0.2, 0.5, 0.9)]
    return [frozenset(), grouping.everything, grouping.automatic(), *some]


class TestEveryGrouping:
    def test_groups_are_nested_or_disjoint_with_unique_ids(self, grouping: Grouping):
        ids = [group.id for group in grouping.groups]
        assert len({*ids, *(node.id for node in grouping.graph)}) == len(ids) + len(grouping.graph)
        assert all(group.id.isprintable() for group in grouping.groups)
        for parent in {None, *ids}:
            inside = [name for group in grouping.groups if group.parent == parent for name in group.members]
            outer = {node.id for node in grouping.graph} if parent is None else {*grouping.by_id[parent].members}
            assert len(inside) == len(set(inside))
            assert set(inside) <= outer
            assert all(set(g.members) < outer for g in grouping.groups if g.parent == parent)

    def test_members_are_in_the_order_of_the_graph(self, grouping: Grouping):
        place = {node.id: i for i, node in enumerate(grouping.graph)}
        for group in grouping.groups:
            assert len(group.members) > 1
            assert [*group.members] == sorted(group.members, key=place.__getitem__)

    def test_inputs_and_outputs_are_in_no_group(self, grouping: Grouping):
        ends = {*grouping.graph.inputs, *grouping.graph.outputs}
        assert not any(ends & set(group.members) for group in grouping.groups)

    def test_contracted_edges_equal_the_definition(self, grouping: Grouping):
        graph = grouping.graph
        for opened in some_open(grouping):
            found = contract(grouping, opened)
            closed = [g for g in grouping.groups if g.id not in opened]

            def stands(name: str, closed=closed) -> str:
                around = [g for g in closed if name in g.members]
                return max(around, key=lambda g: len(g.members)).id if around else name

            ends = [(stands(e.source), stands(e.target)) for e in graph.edges]
            assert {(e.source, e.target) for e in found.graph.edges} == {(a, b) for a, b in ends if a != b}
            # Each edge that is not inside a closed group is counted once, and keeps the output that it begins at.
            assert Counter(i for one in found.origins.values() for i in one) == Counter(
                i for i, (a, b) in enumerate(ends) if a != b
            )
            for edge in found.graph.edges:
                tensors = {(graph.edges[i].source, graph.edges[i].output) for i in found.origins[edge]}
                if edge.source in found.outputs:
                    assert tensors == {found.outputs[edge.source][edge.output]}
                else:
                    assert tensors == {(edge.source, edge.output)}

    def test_batch_axis_all_groups_gives_the_original_graph(self, grouping: Grouping):
        assert contract(grouping, grouping.everything).graph == grouping.graph

    def test_parameters_inputs_and_outputs_are_those_of_the_graph(self, grouping: Grouping):
        for opened in some_open(grouping):
            found = contract(grouping, opened).graph
            assert found.parameters == grouping.graph.parameters
            assert (found.inputs, found.outputs) == (grouping.graph.inputs, grouping.graph.outputs)

    def test_group_shows_the_last_output_that_leaves_it(self, grouping: Grouping):
        graph = grouping.graph
        found = contract(grouping, ())
        place = {node.id: i for i, node in enumerate(graph)}
        for name, outputs in found.outputs.items():
            inside = set(grouping.by_id[name].members)
            leaving = {(e.source, e.output) for e in graph.edges if e.source in inside and e.target not in inside}
            leaving = leaving or {(grouping.by_id[name].members[-1], 0)}  # nothing takes its outputs
            assert set(outputs) == leaving
            assert place[outputs[0][0]] == max(place[member] for member, _ in leaving)
            assert found.graph.node(name).shapes == tuple(graph.node(member).shapes[k] for member, k in outputs)

    def test_finding_is_deterministic(self, grouping: Grouping):
        assert Grouping.of(grouping.graph).groups == grouping.groups


class TestWhatIsFound:
    @pytest.mark.parametrize("name", ["named blocks", "blocks of stages", "nested models", "names of Keras", "chain"])
    def test_few_nodes_are_left_of_a_large_graph(self, name: str):
        grouping = Grouping.of(LARGE[name]())
        assert len(contract(grouping, ()).graph) <= MOST
        for group in grouping.groups:
            inner = [g for g in grouping.groups if g.parent == group.id]
            assert len(inner) + len(group.members) - sum(len(g.members) for g in inner) <= 1.5 * MOST

    def test_small_graph_is_open(self):
        grouping = Grouping.of(residual_blocks(7, "block_{block}_part{layer}"))
        assert grouping.groups
        assert grouping.automatic() == grouping.everything

    def test_numbered_blocks_are_open_only_if_there_is_room_for_all_of_their_nodes(self):
        assert Grouping.of(encoder(4)).automatic() == Grouping.of(encoder(4)).everything
        grouping = Grouping.of(encoder(6))
        assert any(not group.named for group in grouping.groups)
        shown = list(dict.fromkeys(grouping.shown(grouping.automatic()).values()))
        assert shown == ["input", *(f"block{block}" for block in range(1, 7)), "out"]

    def test_levels_are_opened_while_there_is_room(self):
        grouping = Grouping.of(residual_blocks(12, "backbone/block_{block}_part{layer}"))
        assert [g.id for g in grouping.groups if g.parent is None] == ["backbone"]
        found = contract(grouping, grouping.automatic()).graph
        assert [node.id for node in found] == ["input", *(f"backbone/block_{k}" for k in range(12)), "out"]

    def test_numbered_prefixes_of_two_levels(self):
        nodes: list[Spec] = [("input", "InputLayer", SHAPE)]
        for stage in (2, 3):
            for block in (1, 2, 3):
                nodes += [
                    (f"conv{stage}_block{block}_{part}", "Conv2D", SHAPE) for part in ("0_bn", "1_conv", "2_conv")
                ]
                nodes.append((f"conv{stage}_block{block}_out", "Add", SHAPE))
        grouping = Grouping.of(chain([*nodes, ("out", "Dense", (3,))]))
        assert {g.id: g.parent for g in grouping.groups} == {
            f"conv{stage}{f'_block{block}' if block else ''}": f"conv{stage}" if block else None
            for stage in (2, 3)
            for block in (0, 1, 2, 3)
        }

    def test_cells_by_the_number_at_the_end(self):
        grouping = Grouping.of(cells(12))
        found = contract(grouping, ())
        assert [node.id for node in found.graph] == ["input", "stem", *(f"cell {k}" for k in range(12)), "out"]
        assert {(e.source, e.target) for e in found.graph.edges if e.target == "cell 5"} == {
            ("cell 3", "cell 5"),
            ("cell 4", "cell 5"),
        }

    def test_branches_between_nodes_that_all_data_pass(self):
        nodes: list[Spec] = [("input", "InputLayer", SHAPE)]
        edges: list[tuple[str, str]] = []
        last, number = "input", 0
        for module in range(11):
            ends = []
            for length in (1, 2, 3):
                end = last
                for _ in range(length):
                    number += 1
                    nodes.append((f"conv2d_{number}", "Conv2D", SHAPE))
                    edges.append((end, f"conv2d_{number}"))
                    end = f"conv2d_{number}"
                ends.append(end)
            last = f"mixed{module}"
            nodes.append((last, "Concatenate", SHAPE))
            edges += [(end, last) for end in ends]
        grouping = Grouping.of(graph_of([*nodes, ("out", "Dense", (3,))], [*edges, (last, "out")]))
        assert [g.id for g in grouping.groups] == [f"conv2d_{6 * k + 1} … mixed{k}" for k in range(11)]
        assert all(len(g.members) == 7 for g in grouping.groups)

    def test_merges_between_the_blocks_of_a_stage_belong_to_it(self):
        nodes: list[Spec] = [("input", "InputLayer", SHAPE), ("stem", "Conv2D", SHAPE)]
        edges = [("input", "stem")]
        last = "stem"
        for stage in range(6):
            for block in range(3):
                parts = [f"stage_{stage}_block_{block}_{part}" for part in ("conv", "norm", "gelu", "scale")]
                merge = f"add_{3 * stage + block}"
                nodes += [*((name, "Conv2D", SHAPE) for name in parts), (merge, "Add", SHAPE)]
                edges += [*pairwise([last, *parts, merge]), (last, merge)]
                last = merge
            nodes.append((f"downsampling_{stage}", "Conv2D", SHAPE))
            edges.append((last, f"downsampling_{stage}"))
            last = f"downsampling_{stage}"
        grouping = Grouping.of(graph_of([*nodes, ("out", "Dense", (3,))], [*edges, (last, "out")]))
        for stage in range(6):
            assert {f"add_{3 * stage}", f"add_{3 * stage + 1}"} < {*grouping.by_id[f"stage_{stage}"].members}

    def test_each_call_of_a_shared_model_is_a_group(self):
        inner = ("conv", "bn", "pool")
        nodes = [LayerNode("left", 0, "InputLayer", (SHAPE,)), LayerNode("right", 0, "InputLayer", (SHAPE,))]
        edges = []
        for call, source in enumerate(("left", "right")):
            made = [LayerNode(f"tower/{name}", call, "Conv2D", (SHAPE,)) for name in inner]
            edges += [Edge(a, b) for a, b in pairwise([source, *(node.id for node in made)])]
            nodes += made
        nodes.append(LayerNode("distance", 0, "Subtract", (SHAPE,)))
        edges += [Edge("tower/pool", "distance"), Edge("tower/pool@1", "distance")]
        graph = ModelGraph("siamese", tuple(nodes), tuple(edges), ("left", "right"), ("distance",))
        found = contract(Grouping.of(graph), ()).graph
        assert [node.id for node in found] == ["left", "right", "tower", "tower@1", "distance"]

    def test_nodes_apart_are_in_no_group(self):
        graph = LARGE["named blocks"]()
        grouping = Grouping.of(graph, ["block_3_part1"])
        assert "block_3_part1" in contract(grouping, ()).graph
        assert {f"block_{k}" for k in range(20) if k != 3} <= grouping.everything

    def test_group_with_the_name_of_a_node_gets_another_id(self):
        nodes: list[Spec] = [("input", "InputLayer", SHAPE), ("body/a", "Conv2D", SHAPE), ("body/b", "Conv2D", SHAPE)]
        grouping = Grouping.of(chain([*nodes, ("body", "Conv2D", SHAPE), ("out", "Dense", (3,))]))
        assert [g.id for g in grouping.groups] == ["body group"]
        assert grouping.around("body/a") == ("body group",)
        assert grouping.around("body") == ()

    def test_groups_around_a_node_are_from_the_innermost_on(self):
        grouping = Grouping.of(LARGE["nested models"]())
        assert grouping.around("backbone/block_3/part2") == ("backbone/block_3", "backbone")
        assert grouping.around("backbone/block_3") == ("backbone",)
        assert grouping.around("input") == ()
