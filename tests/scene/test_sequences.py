"""Sheets of tokens: which nodes have them, their cells, one height for each token, words, and names without overlap."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise, product
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.picking import pick_at, say
from nnviz3d.data.capabilities.attributions import Attribution, write_attribution, write_attribution_layers
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.storage.axis_names import write_tokens
from nnviz3d.data.targets import PREDICTED, Explained, Target, write_targets
from nnviz3d.render.eye import Eye
from nnviz3d.render.label_placement import place_labels
from nnviz3d.render.label_ways import LabelWays
from nnviz3d.render.text import label_sprite
from nnviz3d.scene.facts import exact
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.layout.flow import lay_out
from nnviz3d.scene.layout.sequences import Sequences
from nnviz3d.scene.primitives import Labels, Lines
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import parse_scene
from tests.support.captures import write
from tests.support.graphs import GRAPHS, chain, graph_of
from tests.support.sequences import TOKENS, UNITS, WORDS, encoder, encoder_capture

VIEWS = [{"kind": "structure"}, {"kind": "activations"}]
SPEC = parse_scene({"format": 1, "groups": "open", "views": VIEWS})
SIZE = (1600, 900)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return encoder_capture(tmp_path_factory.mktemp("sequences") / "run.zarr")


@pytest.fixture(scope="module")
def scene(capture):
    return Scene.build(SPEC, capture, aspect=SIZE[0] / SIZE[1])


def tokens_in(graph):
    return Sequences.of(graph).tokens


def labels_of(scene, sample=0):
    found = scene.at(scene.duration, Selection(sample=sample)).primitives
    return [label for p in found if isinstance(p, Labels) for label in p.labels]


def placed(scene, sample=0):
    """The labels as shown in the overview: each with its rectangle."""
    labels, scale = labels_of(scene, sample), SIZE[1] / 720
    low, span = np.array([label.anchor for label in labels]), np.array([label.span for label in labels])
    corners = low[:, np.newaxis] + np.array([*product((0, 1), repeat=3)]) * span[:, np.newaxis]
    seen, _ = Eye.of(scene.overview(aspect=SIZE[0] / SIZE[1]), SIZE).project(corners.reshape(-1, 3))
    seen = seen.reshape(-1, 8, 2) * (1, -1) + (0, SIZE[1])
    around = np.concatenate([seen.min(axis=1), seen.max(axis=1)], axis=1)

    def measure(label, lines):
        return label_sprite(lines, label.emphasis, scale, label.small).shape[1::-1]

    return [(labels[p.index], p) for p in place_labels(LabelWays(labels, measure), around, SIZE, scale)]


class TestTokenNodes:
    def test_embedding_attention_and_all_that_is_between_have_tokens(self):
        graph = encoder(2)
        assert tokens_in(graph) == {node.id for node in graph} - {"pool", "scores"}

    def test_signal_and_picture_have_none(self):
        signal = chain([("signal", "InputLayer", (64, 1)), ("conv", "Conv1D", (60, 8)), ("lstm", "LSTM", (60, 4))])
        assert not tokens_in(signal)
        assert not any(tokens_in(make()) for make in GRAPHS.values())

    def test_table_with_an_embedded_category_has_none(self):
        nodes = [("color", "InputLayer", (1,)), ("embedding", "Embedding", (1, 8)), ("flat", "Flatten", (8,))]
        assert not tokens_in(chain(nodes))

    def test_vectors_before_an_embedding_have_tokens_unless_they_are_dense(self):
        nodes = [
            ("text", "InputLayer", ()),
            ("words", "TextVectorization", (9,)),
            ("embedding", "Embedding", (9, 4)),
            ("lstm", "LSTM", (9, 4)),
            ("last", "GRU", (9,)),
        ]
        assert tokens_in(chain(nodes)) == {"words", "embedding", "lstm"}

    def test_patches_of_a_picture_have_tokens(self):
        nodes = [
            ("picture", "InputLayer", (32, 32, 3)),
            ("patches", "Conv2D", (4, 4, 16)),
            ("rows", "Reshape", (16, 16)),
            ("attention", "MultiHeadAttention", (16, 16)),
        ]
        assert tokens_in(chain(nodes)) == {"rows", "attention"}


def test_tokens_of_a_layer_that_goes_backwards_have_their_own_height_and_names_until_they_are_flipped(tmp_path):
    nodes = [
        ("ids", "InputLayer", (5,)),
        ("embedding", "Embedding", (5, 3)),
        ("forward", "LSTM", (5, 3)),
        ("backward", "LSTM", (5, 3)),
        ("flip", "Flip", (5, 3)),
        ("both", "Concatenate", (5, 6)),
        ("odd", "Flip", (5, 6)),
    ]
    pairs = "ids embedding, embedding forward, embedding backward, backward flip, forward both, flip both, both odd"
    graph = graph_of(nodes, [tuple(pair.split()) for pair in pairs.split(", ")])
    turned = [replace(n, details={"go_backwards": True}) if n.id == "backward" else n for n in graph]
    graph = replace(graph, nodes=tuple(turned))
    values = {n.id: np.arange(n.size, dtype=np.float32).reshape(1, *n.shape) for n in graph}
    words = [["a", "b", "c", "d", "e"]]
    capture = write(tmp_path / "run.zarr", graph, values, also=[lambda writer: write_tokens(writer, "ids", words)])
    scene = Scene.build(SPEC, capture)
    heights = {}
    for name in ("embedding", "forward", "backward", "flip", "both"):
        place = scene.context.placement(name)
        order = [4, 3, 2, 1, 0] if name == "backward" else [0, 1, 2, 3, 4]
        told = [scene.describe(CellPick(name, (i, 0)), Selection()).more[0] for i in range(5)]
        words = ["abcde"[i] for i in order]
        assert told == [f"token {i} “{word}”, unit 0" for i, word in zip(order, words, strict=True)]
        centers = scene.context.centers(name, np.arange(5) * place.grid.channels)[:, 1] - place.origin[1]
        heights[name] = dict(zip(words, np.round(centers, 6), strict=True))
        cells, stored = scene.context.values(name, 0).cells, capture.activation(name, 0)
        for i, unit in product(range(5), range(place.grid.channels)):
            (cell,) = place.grid.cells(np.array([i * place.grid.channels + unit]))
            assert cells[tuple(cell)] == stored[i, unit]
            assert place.grid.index(tuple(cell)) == (i, unit)
    assert all(found == heights["embedding"] for found in heights.values())
    # The axis of a flip that undoes nothing is not known.
    assert "position 1, unit 0" in scene.describe(CellPick("odd", (1, 0)), Selection()).more


def test_closed_groups_are_sheets_with_the_words_of_the_tokens_even_if_the_embedding_is_inside(capture):
    closed = parse_scene({"format": 1, "groups": "closed", "views": VIEWS})
    scene = Scene.build(closed, capture, aspect=SIZE[0] / SIZE[1])
    shown = {node.id for node in scene.context.graph}
    assert "embedding" not in shown
    assert len(shown) < 12
    sheets = [p for p in scene.context.plan.placements.values() if p.grid.tokens]
    assert {p.node for p in sheets} == shown - {"pool", "scores"}
    assert len({(p.row, round(p.cell[1], 9)) for p in sheets}) == len({p.row for p in sheets})
    words = [label.lines[0] for label, _ in placed(scene) if label.align == "left"]
    assert sorted(words) == sorted([w or "·" for w in WORDS[0]] * len({p.row for p in sheets}))
    last = next(name for name in shown if "block6" in name)
    assert "token 3 “never”, unit 5" in scene.describe(CellPick(last, (3, 5)), Selection()).more


def test_attribution_of_tokens_is_a_column_with_each_token_at_its_height_and_can_be_picked(tmp_path):
    graph = chain([("ids", "InputLayer", (4,)), ("embedding", "Embedding", (4, 3)), ("out", "Dense", (2,))])
    values = {n.id: np.arange(n.size, dtype=np.float32).reshape(1, *n.shape) for n in graph}
    found = np.array([0.5, 0.0, 2.0, 1.0], dtype=np.float32)

    def also(writer):
        write_targets(writer, PREDICTED, "out", np.array([1]), np.ones(1), np.full(1, 0.5))
        write_attribution_layers(writer, "grad_cam", PREDICTED, ["embedding"])
        explained = Explained(PREDICTED, Target("out", 1), 1.0, None)
        empty = (np.empty(0, np.float32),) * 3
        write_attribution(writer, PREDICTED, [Attribution("grad_cam", "embedding", found, explained, {}, *empty)])

    capture = write(tmp_path / "run.zarr", graph, values, also=[also])
    spec = parse_scene({"format": 1, "views": [*VIEWS, {"kind": "attributions"}]})
    scene = Scene.build(spec, capture)
    (block,) = [p for p in scene.at(scene.duration).primitives if p.name == "map:embedding"]
    place = scene.context.placement("embedding")
    assert np.array_equal(block.values, found[::-1][np.newaxis, :, np.newaxis])
    assert (block.origin[1], block.cell[1]) == pytest.approx((place.origin[1], place.cell[1]))
    assert block.origin[0] + block.size[0] < place.origin[0]
    assert scene.pick(CellHit(block, (0, 1, 0)), Selection()) == CellPick("embedding", (2,))


@pytest.mark.parametrize("shape", [(7, 5), (7, 1), (7,)])
def test_cells_of_a_sheet_have_tokens_from_top_to_bottom_and_units_from_left_to_right(shape):
    grid = grid_for(shape, tokens=True)
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    cells = grid.arrange(values)
    assert grid.size == cells.shape == (*(shape[1:] or (1,)), 7, 1)
    flat = grid.cells(np.arange(values.size))
    for number, index in enumerate(np.ndindex(shape)):
        unit = index[1] if len(index) > 1 else 0
        assert flat[number].tolist() == [unit, 6 - index[0], 0]
        assert cells[tuple(flat[number])] == values[index]
        assert grid.index(tuple(flat[number])) == index


@pytest.mark.parametrize("aspect", [16 / 9, 4 / 3])
def test_token_has_the_same_height_in_all_sheets_of_a_row(aspect):
    placements = lay_out(encoder(), {}, aspect=aspect).placements.values()
    sheets = [p for p in placements if p.grid.tokens]
    assert len(sheets) == 44
    heights: dict[int, set[tuple[float, ...]]] = {}
    for sheet in sheets:
        tokens = np.arange(TOKENS) * (UNITS * sheet.grid.size[0] // UNITS if len(sheet.grid.shape) > 1 else 1)
        middles = sheet.origin[1] + (sheet.grid.cells(tokens)[:, 1] + 0.5) * sheet.cell[1]
        assert np.all(np.diff(middles) < 0)
        heights.setdefault(sheet.row, set()).add(tuple(np.round(middles, 9)))
    assert all(len(found) == 1 for found in heights.values())


def test_sequences_of_two_lengths_have_rows_of_one_height_and_a_pooled_one_fills_the_height():
    nodes = [
        ("long", "InputLayer", (16,)),
        ("embedding", "Embedding", (16, 8)),
        ("conv", "Conv1D", (14, 8)),
        ("pooled", "MaxPooling1D", (7, 8)),
    ]
    places = lay_out(chain(nodes), {}).placements
    heights = {name: round(place.cell[1], 9) for name, place in places.items()}
    assert heights["long"] == heights["embedding"] == heights["conv"] < heights["pooled"]
    # Token i of a convolution of three tokens belongs to the token in their middle.
    middle = {name: place.origin[1] + (place.grid.size[1] - 0.5) * place.cell[1] for name, place in places.items()}
    assert middle["conv"] == pytest.approx(middle["embedding"] - heights["embedding"])


def test_sheets_are_no_slivers_and_fill_the_picture(scene):
    eye = Eye.of(scene.overview(aspect=SIZE[0] / SIZE[1]), SIZE)
    plan, area = scene.context.plan, 0.0
    for node in scene.context.graph:
        place = plan.placements[node.id]
        seen, _ = eye.project(plan.corners([node.id]))
        assert np.all((seen >= 0) & (seen <= SIZE)), node.id
        if len(place.grid.shape) == 2:
            assert 0.25 < place.size[0] / place.size[1] < 4
            area += np.prod(np.ptp(seen, axis=0))
    seen, _ = eye.project(plan.corners())
    assert area > 0.15 * SIZE[0] * SIZE[1]
    assert np.ptp(seen[:, 0]) > 0.75 * SIZE[0]


@pytest.mark.parametrize("sample", [0, 1])
def test_words_of_the_sample_are_beside_every_row_at_the_height_of_their_tokens(scene, sample):
    found = placed(scene, sample)
    rows = {p.row for p in scene.context.plan.placements.values() if p.grid.tokens}
    words = [label for label, _ in found if label.align == "left"]
    expected = [w if 0 < len(w) <= 12 else f"{w[:11]}…" if w else "·" for w in WORDS[sample]]
    assert sorted(label.lines[0] for label in words) == sorted(expected * len(rows))
    places = scene.context.plan.placements
    first = min(places.values(), key=lambda p: p.rank)
    here = [label for label in words if label.anchor[1] >= first.origin[1] - 1e-9][:TOKENS]
    for label in here:
        token = round(TOKENS - 1 - (label.anchor[1] - first.origin[1]) / first.cell[1])
        assert label.lines[0] == expected[token]


def test_words_have_room_after_an_added_text_was_run_again_and_its_first_run_removed(scene, capture):
    series = CaptureSeries.of(capture).plus(capture).plus(capture)
    own = capture.committed
    later = scene.revised(series).revised(series.without(own))
    first, again = (
        [(one.lines, one.anchor) for one in labels_of(shown, sample)]
        for shown, sample in ((scene, 0), (later, 2 * own))
    )
    assert again == first


def test_edges_do_not_cross_the_words_of_tokens(scene):
    rects = [p.rect for label, p in placed(scene) if label.align == "left"]
    low = np.array([(r.left + 2, r.bottom + 2) for r in rects])
    high = np.array([(r.left + r.width - 2, r.bottom + r.height - 2) for r in rects])
    eye = Eye.of(scene.overview(aspect=SIZE[0] / SIZE[1]), SIZE)
    for lines in (p for p in scene.at(0.0).primitives if isinstance(p, Lines) and p.avoided):
        for line in lines.points.astype(float):
            points = np.concatenate([np.linspace(a, b, 200) for a, b in pairwise(line)])
            seen = (eye.project(points)[0] * (1, -1) + (0, SIZE[1]))[:, np.newaxis]
            assert not ((seen > low) & (seen < high)).all(axis=2).any(), lines.name


def test_every_block_is_named_and_no_text_covers_another(scene):
    found = placed(scene)
    for (_, one), (_, other) in combinations(found, 2):
        assert not one.rect.overlaps(other.rect)
    shown = [label.lines[0] for label, _ in found]
    for node in scene.context.graph:
        name = node.name.split("_", 1)[-1] if node.name.startswith("block") else node.name
        asked = sum(
            (n.name.split("_", 1)[-1] if n.name.startswith("block") else n.name) == name for n in scene.context.graph
        )
        assert shown.count(name) == asked, name
    assert {f"block{k}" for k in range(1, 7)} <= set(shown)


def test_residual_stream_is_one_line_from_the_embedding_through_every_addition(scene):
    routes = {(r.edge.source, r.edge.target): r for r in scene.context.routes if r.skips}
    stream = ["embedding", *(f"block{k}_add{i}" for k, i in product(range(1, 7), (1, 2)))]
    for source, target, behind in zip(stream, stream[1:], [*stream[2:], None], strict=False):
        end = routes[source, target].points[-1]
        if behind is not None and routes[source, target].kind == routes[target, behind].kind == "around":
            assert end == pytest.approx(routes[target, behind].points[0])
    drawn = [p for p in scene.at(0.0).primitives if isinstance(p, Lines) and "skip" in p.name]
    assert sum(len(p.points) for p in drawn) == len(routes) == 12


def test_pick_tells_token_unit_and_the_exact_number(scene, capture):
    pose = scene.overview(aspect=SIZE[0] / SIZE[1])
    session = SimpleNamespace(
        scene=scene,
        clock=SimpleNamespace(t=scene.duration),
        selection=Selection(),
        renderer=SimpleNamespace(pose=lambda: pose, size=SIZE),
    )
    layer, index = "block1_attention", (4, 7)
    center = scene.context.centers(layer, np.array([np.ravel_multi_index(index, (TOKENS, UNITS))]))
    (at,), _ = Eye.of(pose, SIZE).project(center)
    assert pick_at(session, tuple(at)) == CellPick(layer, index)
    facts = scene.describe(CellPick(layer, index), Selection())
    assert "token 4 “dull”, unit 7" in facts.more
    session.selection = Selection(pick=CellPick(layer, index))
    assert say(session) == f"{layer} [4, 7] = {exact(capture.activation(layer, 0)[index])}"
    assert "token 11, padding, unit 0" in scene.describe(CellPick(layer, (11, 0)), Selection()).more


def test_tokens_without_words_are_told_by_their_numbers_and_sequences_without_tokens_by_positions(tmp_path):
    nodes = [("ids", "InputLayer", (6,)), ("embedding", "Embedding", (6, 4)), ("out", "Dense", (6, 2))]
    graph = graph_of(nodes, [("ids", "embedding"), ("embedding", "out")])
    values = {n.id: np.arange(n.size, dtype=np.float32).reshape(1, *n.shape) for n in graph}
    scene = Scene.build(SPEC, write(tmp_path / "ids.zarr", graph, values))
    assert [label.lines[0] for label in labels_of(scene) if label.align == "left"] == list("012345")
    assert "token 3 “3”, unit 1" in scene.describe(CellPick("out", (3, 1)), Selection()).more
    nodes = [("series", "InputLayer", (6, 3)), ("attention", "Attention", (6, 3))]
    graph = chain(nodes)
    values = {n.id: np.ones((1, *n.shape), dtype=np.float32) for n in graph}
    scene = Scene.build(SPEC, write(tmp_path / "series.zarr", graph, values))
    assert not [label for label in labels_of(scene) if label.align == "left"]
    assert "position 2, unit 1" in scene.describe(CellPick("series", (2, 1)), Selection()).more


def test_words_of_a_long_sequence_are_thinned_and_numbered(tmp_path):
    length = 300
    graph = chain([("ids", "InputLayer", (length,)), ("embedding", "Embedding", (length, 8))])
    values = {n.id: np.arange(n.size, dtype=np.float32).reshape(1, *n.shape) for n in graph}
    words = [[f"w{i}" for i in range(length)]]
    capture = write(tmp_path / "long.zarr", graph, values, also=[lambda writer: write_tokens(writer, "ids", words)])
    shown = [label.lines[0] for label, _ in placed(Scene.build(SPEC, capture)) if label.align == "left"]
    assert len(shown) > 8
    assert all(text.split()[1] == f"w{text.split()[0]}" for text in shown)
    assert "0 w0" in shown
