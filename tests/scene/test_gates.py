"""Sheets of the gates of recurrent layers: numbers, places, picks, and when they are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nnviz3d.data.storage.axis_names import write_tokens
from nnviz3d.data.storage.gates import write_gates
from nnviz3d.render.eye import Eye
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.primitives import Callout, Labels, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.gates import GatePick
from tests.support.captures import write
from tests.support.graphs import chain

WORDS = ["my", "very", "first", "film"]
STATES = ["input gate", "forget gate", "candidate", "output gate", "cell state", "hidden state"]
LAST = ["update gate", "reset gate", "candidate", "hidden state"]
VIEWS = [{"kind": "structure"}, {"kind": "activations"}]
SPEC = parse_scene({"format": 1, "views": VIEWS})


def gates_of(layer):
    random = np.random.default_rng(len(layer))
    names, units = (STATES, 3) if layer == "lstm" else (LAST, 2)
    found = {name: random.normal(size=(2, 4, units)).astype(np.float32) for name in names}
    return {name: np.abs(v) / 4 if name.endswith("gate") else v for name, v in found.items()}


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    graph = chain(
        [
            ("ids", "InputLayer", (4,)),
            ("embedding", "Embedding", (4, 5)),
            ("lstm", "LSTM", (4, 3)),
            ("gru", "GRU", (2,)),
            ("out", "Dense", (2,)),
        ]
    )
    details = {"lstm": {"gates": STATES}, "gru": {"gates": LAST, "go_backwards": True}}
    graph = replace(graph, nodes=tuple(replace(n, details=details.get(n.id, {})) for n in graph))
    values = {n.id: np.random.default_rng(n.size).normal(size=(2, *n.shape)).astype(np.float32) for n in graph}

    def also(writer):
        write_tokens(writer, "ids", [WORDS, WORDS[::-1]])
        for layer in ("lstm", "gru"):
            write_gates(writer, layer, 0, gates_of(layer))

    return write(tmp_path_factory.mktemp("gates") / "run.zarr", graph, values, also=[also])


@pytest.fixture(scope="module")
def scene(capture):
    return Scene.build(SPEC, capture)


def sheets(scene, selection=None):
    found = scene.at(scene.duration, selection).primitives
    return {p.name: p for p in found if isinstance(p, Voxels) and " of " in p.name}


def test_gates_have_sheets_with_a_row_for_each_token_in_its_height(scene):
    for sample in (0, 1):
        found = sheets(scene, Selection(sample=sample))
        # The hidden state of a layer that gives all its states is its output.
        shown = [f"{name} of lstm" for name in STATES[:-1]] + [f"{name} of gru" for name in LAST]
        assert list(found) == shown
        lstm = scene.context.placement("lstm")
        for layer in ("lstm", "gru"):
            for name, values in gates_of(layer).items():
                if (block := found.get(f"{name} of {layer}")) is None:
                    continue
                # The gru goes backwards, so its first step is the last token, which is the lowest row.
                rows = values[sample] if layer == "gru" else values[sample][::-1]
                assert np.array_equal(block.values[:, :, 0], rows.T)
                assert block.limits == (
                    (0, 1) if name.endswith("gate") else pytest.approx((-block.limits[1], block.limits[1]))
                )
                assert block.cell[1] == pytest.approx(lstm.cell[1])
                center, own = block.origin[1] + block.size[1] / 2, scene.context.placement(layer).center[1]
                assert center == pytest.approx(own)


def test_sheets_are_between_their_layer_and_the_layer_before_inside_the_picture(scene):
    places, found = scene.context.plan.placements, sheets(scene)
    for before, layer in (("embedding", "lstm"), ("lstm", "gru")):
        own = [block for name, block in found.items() if name.endswith(f"of {layer}")]
        edges = [
            places[before].origin[0] + places[before].size[0] if places[before].row == places[layer].row else -np.inf
        ]
        for block in own:
            assert block.origin[0] > edges[-1]
            edges.append(block.origin[0] + block.size[0])
        assert edges[-1] < places[layer].origin[0]
    corners = np.array([np.array(b.origin) + share * np.array(b.size) for b in found.values() for share in (0, 1)])
    seen, _ = Eye.of(scene.overview(aspect=16 / 9), (1600, 900)).project(corners)
    assert np.all((seen >= 0) & (seen <= (1600, 900)))
    names = [label.lines[0] for p in scene.at(0.0).primitives if isinstance(p, Labels) for label in p.labels]
    assert names.count("candidate") == 2


def test_pick_of_a_gate_tells_token_unit_and_the_exact_number(scene):
    block = sheets(scene)["reset gate of gru"]
    pick = scene.pick(CellHit(block, (1, 0, 0)), Selection())
    assert pick == GatePick("gru", "reset gate", 0, 1)
    facts = scene.describe(pick, Selection())
    assert facts.title == "gru: reset gate [0, 1]"
    assert facts.value == str(gates_of("gru")["reset gate"][0, 0, 1])
    assert facts.more == ("token 3 “film”, unit 1",)
    (callout,) = [p for p in scene.at(0.0, Selection(pick=pick)).primitives if isinstance(p, Callout)]
    assert callout.marks[0].origin == pytest.approx(np.array(block.origin) + np.array([1, 0, 0]) * block.cell)
    assert scene.describe(GatePick("lstm", "cell state", 1, 2), Selection(sample=1)).more == (
        "token 1 “first”, unit 2",
    )


def test_gates_are_hidden_if_blocks_have_no_numbers_and_while_gradients_are_shown(capture, scene):
    spec = parse_scene({"format": 1, "views": [{"kind": "structure"}]})
    bare = Scene.build(spec, capture)
    assert not sheets(bare)
    assert all(place.lead == 0 for place in bare.context.plan.placements.values())
    assert not sheets(scene, Selection(quantity="difference", against=1))


def test_gates_of_a_measured_series_have_their_steps_from_left_to_right(tmp_path):
    graph = chain([("series", "InputLayer", (4, 2)), ("lstm", "LSTM", (4, 3))])
    graph = replace(graph, nodes=tuple(replace(n, details={"gates": STATES} if n.id == "lstm" else {}) for n in graph))
    values = {n.id: np.random.default_rng(n.size).normal(size=(2, *n.shape)).astype(np.float32) for n in graph}
    also = [lambda writer: write_gates(writer, "lstm", 0, gates_of("lstm"))]
    scene = Scene.build(SPEC, write(tmp_path / "run.zarr", graph, values, also=also))
    block = sheets(scene)["cell state of lstm"]
    assert np.array_equal(block.values[:, :, 0], gates_of("lstm")["cell state"][0][:, ::-1])
    assert scene.describe(GatePick("lstm", "cell state", 1, 2), Selection()).more == ("step 1, unit 2",)


def test_name_of_a_layer_is_below_its_gates_if_they_reach_below_its_block(scene):
    (names,) = (p for p in scene.at(0.0).primitives if isinstance(p, Labels) and p.name == "names")
    label = {one.lines[0]: one for one in names.labels}
    lstm, gru = (scene.context.placement(layer) for layer in ("lstm", "gru"))
    assert (label["lstm"].anchor, label["lstm"].span) == (lstm.origin, lstm.size)
    gates = [sheet for name, sheet in sheets(scene).items() if name.endswith("of gru")]
    low, span = np.array(label["gru"].anchor), np.array(label["gru"].span)
    assert low[1] == pytest.approx(min(sheet.origin[1] for sheet in gates))
    assert low[1] < gru.origin[1]
    assert low[0] == pytest.approx(min(sheet.origin[0] for sheet in gates))
    assert low[0] + span[0] == pytest.approx(gru.origin[0] + gru.size[0])
