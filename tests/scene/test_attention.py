"""Sheets of attention: captured scores, layout, picks and rollout."""

from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.analysis.rollout import rollout
from nnviz3d.apps.picking import pick_at, say
from nnviz3d.data.capabilities.attention import write_attention
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.storage.axis_names import write_tokens
from nnviz3d.errors import SceneError
from nnviz3d.render.eye import Eye
from nnviz3d.scene.facts import exact
from nnviz3d.scene.layout.attention import ScorePick, Sheet, place_sheets
from nnviz3d.scene.panel_rows import ScaleRow, TextRow
from nnviz3d.scene.primitives import Box, Callout, Labels, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from tests.support.captures import write
from tests.support.graphs import chain
from tests.support.sequences import TOKENS, WORDS, encoder

SPEC = parse_scene({"format": 1, "views": [{"kind": "structure"}, {"kind": "attention"}]})
GRAPH = chain(
    [
        ("input", "InputLayer", (5, 6)),
        ("first", "MultiHeadAttention", (5, 6)),
        ("second", "Attention", (5, 6)),
        ("scores", "Dense", (3,)),
    ]
)
HEADS = {"first": 3, "second": 1}


def scores_of(name: str, samples: int = 2) -> np.ndarray:
    random = np.random.default_rng(len(name))
    return random.dirichlet(np.ones(5), size=(samples, HEADS[name], 5)).astype(np.float32)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    random = np.random.default_rng(1)
    values = {node.id: random.random((2, *node.shape), dtype=np.float32) for node in GRAPH}

    def scores(writer):
        for name in HEADS:
            write_attention(writer, name, 0, scores_of(name))

    return write(tmp_path_factory.mktemp("attention") / "run.zarr", GRAPH, values, also=[scores])


@pytest.fixture(scope="module")
def scene(capture):
    return Scene.build(SPEC, capture)


def drawn(scene, selection=None, kind=Voxels):
    return {p.name: p for p in scene.at(0.0, selection).primitives if isinstance(p, kind)}


def test_each_head_has_a_sheet_with_its_scores_and_rollout_has_one_more(scene):
    for sample in range(2):
        sheets = drawn(scene, Selection(sample=sample))
        assert len(sheets) == 3 + 1 + 1
        for name, heads in HEADS.items():
            for head in range(heads):
                block = sheets[Sheet(name, head).name]
                expected = scores_of(name)[sample, head]
                assert np.array_equal(block.values[:, :, 0], expected[::-1].T)
                assert block.limits == (0.0, scores_of(name)[sample].max())
                assert block.threshold == 0
        through = rollout([scores_of("first")[sample], scores_of("second")[sample]])
        assert np.array_equal(sheets[Sheet(None).name].values[:, :, 0], through[::-1].T)


def test_sheets_are_above_the_network_without_overlap_and_inside_the_picture(scene):
    hung = place_sheets(scene.context)
    top = max(p.origin[1] + p.size[1] for p in scene.context.plan.placements.values())
    boxes = [(np.array(h.origin[:2]), np.array(h.origin[:2]) + h.size[:2]) for h in hung]
    assert all(low[1] > top for low, _ in boxes)
    for i, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:i]:
            assert np.any(high <= other_low) or np.any(other_high <= low)
    eye = Eye.of(scene.overview(aspect=16 / 9), (1280, 720))
    seen, _ = eye.project(np.array([corner for low_high in boxes for corner in low_high] @ np.eye(2, 3)))
    assert np.all((seen >= 0) & (seen <= (1280, 720)))


def test_description_of_a_score_has_head_query_key_and_the_exact_number(scene):
    size = (1280, 720)
    pose = scene.overview(aspect=16 / 9)
    session = SimpleNamespace(
        scene=scene,
        clock=SimpleNamespace(t=0.0),
        selection=Selection(sample=1),
        renderer=SimpleNamespace(pose=lambda: pose, size=size),
    )
    place = next(hung for hung in place_sheets(scene.context) if hung.sheet == Sheet("first", 2))
    asked = ScorePick("first", 2, query=1, key=4)
    span = place.span(asked)
    front = np.array(span.origin) + np.array(span.size) * (0.5, 0.5, 1.0)
    (at,), _ = Eye.of(pose, size).project(front[np.newaxis])
    assert pick_at(session, tuple(at)) == asked
    session.selection = Selection(sample=1, pick=asked)
    expected = exact(scores_of("first")[1, 2, 1, 4])
    assert say(session) == f"first: attention head 2, query 1, key 4 = {expected}"
    session.selection = Selection(sample=1, pick=ScorePick(None, 0, 3, 3))
    assert say(session).startswith("rollout of attention, query 3, key 3 = 0.")
    marks = [p for p in scene.at(0.0, Selection(sample=1, pick=asked)).primitives if isinstance(p, Lines)]
    assert any(p.name == "pick/frames" for p in marks)


def test_sheets_have_names_lines_to_their_layers_and_a_scale(scene):
    words = [label.lines[0] for label in drawn(scene, kind=Labels)["attention"].labels]
    assert sorted(words) == ["first", "head 0", "head 1", "head 2", "rollout", "second"]
    assert len(drawn(scene, kind=Lines)["attention"].points) == 2
    rows = drawn(scene, kind=Panel)["attention"].rows
    assert [t for t, _ in next(r for r in rows if isinstance(r, ScaleRow)).ticks] == [0.0, 0.5, 1.0]
    chosen = drawn(scene, Selection(layer="second"))
    assert chosen[Sheet("second").name].emphasis == 1 > chosen[Sheet("first", 1).name].emphasis


def test_lines_lead_from_each_querys_two_strongest_keys_to_its_row_with_the_root_of_the_mean_score_as_opacity(scene):
    for layer, source in (("first", "input"), ("second", "first")):
        mean = scores_of(layer)[1].mean(axis=0)
        (lines,) = [p for p in scene.at(0.0, Selection(sample=1)).primitives if p.name == f"attention of {layer}"]
        expected = {}
        for query in range(5):
            for key in np.argsort(-mean[query])[:2]:
                rows = (
                    scene.context.centers(source, np.array([key * 6])),
                    scene.context.centers(layer, np.array([query * 6])),
                )
                expected[tuple(np.round([found[0][1] for found in rows], 4))] = np.sqrt(mean[query, key])
        ends = np.round(lines.points[:, [0, -1], 1].astype(float), 4)
        assert {tuple(pair): color[3] for pair, color in zip(ends, lines.colors, strict=True)} == pytest.approx(
            expected
        )
        places = scene.context.plan.placements
        assert lines.points[:, 0, 0] == pytest.approx(places[source].origin[0] + places[source].size[0])
        assert lines.points[:, -1, 0] == pytest.approx(places[layer].origin[0])
    chosen = {p.name for p in scene.at(0.0, Selection(layer="second")).primitives if isinstance(p, Lines)}
    assert "attention of second" in chosen
    assert "attention of first" not in chosen


def test_pick_of_a_score_shows_the_lines_of_its_head_to_its_query(scene):
    found = scene.at(0.0, Selection(pick=ScorePick("first", 2, query=1, key=4))).primitives
    (lines,) = [p for p in found if p.name == "pick/attention"]
    assert sorted(lines.colors[:, 3]) == pytest.approx(sorted(np.sqrt(scores_of("first")[0, 2, 1])))
    assert len(set(np.round(lines.points[:, -1, 1], 5))) == 1
    assert scene.describe(ScorePick("first", 2, 1, 4), Selection()).more == ()


def test_words_of_the_tokens_are_beside_the_rollout_and_in_descriptions(tmp_path):
    values = {n.id: np.ones((1, *n.shape), dtype=np.float32) for n in encoder(2)}

    def also(writer):
        write_tokens(writer, "ids", WORDS[:1])
        for k in (1, 2):
            scores = np.random.default_rng(k).dirichlet(np.ones(TOKENS), size=(1, 3, TOKENS)).astype(np.float32)
            write_attention(writer, f"block{k}_attention", 0, scores)

    scene = Scene.build(SPEC, write(tmp_path / "run.zarr", encoder(2), values, also=[also]))
    (rolled,) = [placed for placed in place_sheets(scene.context) if placed.sheet == Sheet(None)]
    labels = drawn(scene, kind=Labels)["attention"].labels
    words = [label for label in labels if label.align == "left"]
    assert [label.lines[0] for label in words] == [word or "·" for word in WORDS[0]]
    for query, label in enumerate(words):
        middle = label.anchor[1] + label.span[1] / 2
        assert middle == pytest.approx(rolled.span(ScorePick(None, 0, query, 0)).origin[1] + rolled.cell / 2)
    facts = scene.describe(ScorePick("block1_attention", 1, query=3, key=8), Selection())
    assert facts.more == ("query: token 3 “never”", "key: token 8 “liked”")


def test_equal_arguments_give_the_same_primitives(scene):
    assert drawn(scene)[Sheet("first").name] is drawn(scene)[Sheet("first").name]


def test_sheets_fill_when_the_forward_pass_reaches_their_layers(capture):
    reveal = {"start": 1.0, "duration": 4.0}  # four ranks, one second each
    views = [{"kind": "attention"}, {"kind": "activations", "reveal": reveal}]
    scene = Scene.build(parse_scene({"format": 1, "views": views}), capture)
    shares = {}
    for t in (0.0, 2.5, 3.75, 5.0):
        found = {p.name: p for p in scene.at(t).primitives if isinstance(p, Voxels)}
        shares[t] = [found[Sheet(*which).name].reveal for which in (("first", 2), ("second",), (None,))]
        assert found["first"].reveal == shares[t][0]
    assert shares == {0.0: [0, 0, 0], 2.5: [0.5, 0, 0], 3.75: [1, 0.75, 0.75], 5.0: [1, 1, 1]}
    assert {p.name for p in scene.at(0.0).primitives if isinstance(p, Box)} >= {Sheet("first", 0).name}
    lines = {t: next(p for p in scene.at(t).primitives if p.name == "attention of first") for t in (0.0, 2.5, 5.0)}
    assert [found.opacity for found in lines.values()] == [0, 0.5, 1]


def test_scene_without_rollout_has_no_rollout_sheet(capture):
    spec = parse_scene({"format": 1, "views": [{"kind": "attention", "rollout": False}]})
    scene = Scene.build(spec, capture)
    assert Sheet(None).name not in drawn(scene)
    # Without the rollout the sheets have other positions, and so have the marks.
    found = scene.at(0.0, Selection(pick=ScorePick("first", 1, query=4, key=0))).primitives
    (callout,) = [p for p in found if isinstance(p, Callout)]
    assert callout.marks[0].origin == pytest.approx(drawn(scene)[Sheet("first", 1).name].origin)


def masked_graph(*, same, edges):
    """Two attention layers, each with a mask as a further input."""
    nodes = [
        LayerNode(name, 0, kind, ((5, 6),), details={"self_attention": same} if name in HEADS else {})
        for name, kind in (
            ("input", "InputLayer"),
            ("mask", "InputLayer"),
            ("first", "MultiHeadAttention"),
            ("second", "Attention"),
        )
    ]
    both = [("mask", "first"), ("mask", "second"), ("input", "first"), *edges]
    return ModelGraph("hand", tuple(nodes), tuple(Edge(a, b) for a, b in both), ("input", "mask"), ("second",))


@pytest.mark.parametrize(
    ("same", "edges", "width", "reason"),
    [
        (True, [("first", "second")], 5, None),
        (False, [("first", "second")], 5, "no layer attends from a sequence to itself"),
        (True, [("input", "second")], 5, "second does not follow first"),
        (True, [("first", "second")], 4, "sequences of 4 and 5 positions"),
    ],
)
def test_rollout_ignores_masks_and_the_legend_names_the_reason_if_there_is_none(tmp_path, same, edges, width, reason):
    graph = masked_graph(same=same, edges=edges)
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}

    def scores(writer):
        write_attention(writer, "first", 0, scores_of("first", 1))
        write_attention(writer, "second", 0, scores_of("second", 1)[..., :width, :width])

    scene = Scene.build(SPEC, write(tmp_path / "run.zarr", graph, values, also=[scores]))
    assert (Sheet(None).name in drawn(scene)) == (reason is None)
    legend = drawn(scene, kind=Panel)["attention"]
    told = [row.text for row in legend.rows if isinstance(row, TextRow) and row.text.startswith("no rollout")]
    assert told == ([] if reason is None else [f"no rollout: {reason}"])


def test_capture_without_attention_is_refused_with_the_option_that_captures_it(small_capture):
    with pytest.raises(SceneError, match=r"views\[1\]\.kind: .* holds no attention scores; capture .* --attention"):
        Scene.build(SPEC, small_capture)


def test_scene_with_attention_needs_attention():
    assert SPEC.needs().attention
