"""Blocks that show one model minus another one: numbers, words, picks, closed groups, and what is missing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.counterpart import Counterpart
from nnviz3d.errors import CaptureError, SceneError
from nnviz3d.scene.derived.differences import differences_of
from nnviz3d.scene.derived.kernels import KernelPick
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.panel_rows import KeyRow, TextRow
from nnviz3d.scene.primitives import Box, Callout, Image, Labels, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views.counterpart import CounterpartView
from tests.support import captures
from tests.support.number_words import read_number

DIFFERENCE = Selection(sample=1, quantity="difference")


def other_values() -> dict[str, np.ndarray]:
    """Return the small capture's numbers, changed in all layers but the input."""
    random = np.random.default_rng(5)
    return {
        name: values + (name != "input") * random.normal(size=values.shape).astype(np.float32)
        for name, values in captures.small_values().items()
    }


def compared(shown, other) -> CaptureSeries:
    return CaptureSeries.of(shown).compared(Counterpart.of(shown, other, ("a.keras", "b.keras"), "b.keras"))


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> CaptureSeries:
    folder = tmp_path_factory.mktemp("two")
    shown = captures.small_capture(folder / "a.zarr")
    return compared(shown, captures.write(folder / "b.zarr", captures.small_graph(), other_values()))


@pytest.fixture(scope="module")
def scene(series) -> Scene:
    return Scene.build(default_scene(), series)


def test_blocks_show_one_model_minus_the_other_for_the_same_sample(scene):
    found = {p.name: p for p in scene.at(scene.duration, DIFFERENCE).primitives if isinstance(p, Voxels)}
    assert found.keys() == {"conv", "pool", "flatten", "dense", "scores"}
    for name, block in found.items():
        difference = captures.small_values()[name][1] - other_values()[name][1]
        assert np.array_equal(block.values, scene.context.placement(name).grid.arrange(difference)), name
        assert block.limits[0] == -block.limits[1]
        assert block.colormap.diverging


def test_input_that_both_models_were_given_stays_a_picture(scene):
    assert [p.name for p in scene.at(scene.duration, DIFFERENCE).primitives if isinstance(p, Image)] == ["input"]


def test_words_name_both_models(scene):
    panels = [p for p in scene.at(scene.duration, DIFFERENCE).primitives if isinstance(p, Panel)]
    text = "\n".join(row.text for p in panels for row in p.rows if isinstance(row, TextRow))
    assert "a.keras − b.keras; each layer's scale ends at" in text
    best = int(other_values()["scores"][1].argmax())
    assert f"b.keras: predicted {captures.CLASSES[best]}" in text
    assert "b.keras" not in "".join(
        row.text
        for p in scene.at(scene.duration, Selection(1)).primitives
        if isinstance(p, Panel)
        for row in p.rows
        if isinstance(row, TextRow)
    )


def test_pick_tells_the_numbers_of_both_models(scene):
    pick = CellPick("conv", (5, 2, 3))
    (told,) = (
        p for p in scene.at(9.0, Selection(1, quantity="difference", pick=pick)).primitives if isinstance(p, Callout)
    )
    parts = {row.key: np.float32(read_number(row.text)) for row in told.rows if isinstance(row, KeyRow)}
    here, there = (values["conv"][1][5, 2, 3] for values in (captures.small_values(), other_values()))
    assert parts == {"activation": here, "of b.keras": there, "difference": here - there}


def test_sample_of_the_same_capture_can_be_subtracted_instead(scene):
    chosen = Selection(sample=1, against=2, quantity="difference")
    block = next(p for p in scene.at(9.0, chosen).primitives if isinstance(p, Voxels) and p.name == "dense")
    values = captures.small_values()["dense"]
    assert np.array_equal(block.values, scene.context.placement("dense").grid.arrange(values[1] - values[2]))


def test_sample_on_which_the_other_model_was_not_run_is_one_sentence(series, tmp_path):
    one = captures.write(tmp_path / "one.zarr", captures.small_graph(), {k: v[:1] for k, v in other_values().items()})
    scene = Scene.build(default_scene(), compared(series.first, one))
    assert scene.at(9.0, Selection(0, quantity="difference"))
    with pytest.raises(CaptureError, match=r"b\.keras was not captured for this sample"):
        scene.at(9.0, DIFFERENCE)
    assert scene.at(9.0, Selection(1, pick=CellPick("conv", (0, 0, 0)))), "a pick has no difference there"


def layer_sizes() -> dict[str, float]:
    """Return the size of each layer's difference for sample 1, by its definition."""
    found = {}
    for name, values in captures.small_values().items():
        a, b = values[1].astype(float), other_values()[name][1].astype(float)
        found[name] = float(np.sqrt(np.mean((a - b) ** 2)) / np.sqrt((np.mean(a**2) + np.mean(b**2)) / 2))
    return found


def test_places_that_differ_most_are_listed_by_size(scene):
    found = differences_of(scene.context, DIFFERENCE)
    sizes = layer_sizes()
    expected = sorted((name for name in sizes if name != "input"), key=lambda name: -sizes[name])
    assert [place.layer for place in found.layers] == expected
    assert [place.size for place in found.layers] == pytest.approx([sizes[name] for name in expected], rel=1e-5)
    assert found.equal == 1, "the input"
    assert all(a.size >= b.size for some in (found.units, found.cells) for a, b in pairwise(some))
    cell = found.cells[0]
    a, b = captures.small_values()[cell.layer][1], other_values()[cell.layer][1]
    assert (np.float32(cell.here), np.float32(cell.there)) == (a[cell.index], b[cell.index])
    assert abs(cell.here - cell.there) == np.abs(a - b).max()
    assert max(sum(place.layer == name for place in found.cells) for name in sizes) <= 4
    assert (found.variables, found.weights) == ((), ()), "neither capture holds weights"
    assert found is differences_of(scene.context, DIFFERENCE)


def test_cells_of_a_layer_that_passes_on_the_numbers_of_one_model_alone_are_listed(tmp_path):
    values = captures.small_values()
    values["flatten"] = values["pool"].reshape(len(values["pool"]), -1)
    there = {name: array + (name == "pool") for name, array in values.items()}
    there["flatten"] = there["pool"].reshape(there["flatten"].shape)
    shown = captures.write(tmp_path / "a.zarr", captures.small_graph(), values)
    listed = []
    for name in ("b", "c"):
        other = captures.write(tmp_path / f"{name}.zarr", captures.small_graph(), there)
        found = differences_of(Scene.build(default_scene(), compared(shown, other)).context, DIFFERENCE)
        listed.append({place.layer for place in found.cells})
        there["flatten"] = values["flatten"] - 1
    assert listed == [{"pool"}, {"pool", "flatten"}], "only a layer that passes them on in both is left out"


def test_words_tell_that_the_inputs_differ_too(series, tmp_path):
    other = captures.write(
        tmp_path / "b.zarr", captures.small_graph(), other_values() | {"input": -captures.small_values()["input"]}
    )
    for capture, told in ((series, False), (compared(series.first, other), True)):
        scene = Scene.build(default_scene().with_view("counterpart"), capture)
        for chosen in (DIFFERENCE, Selection(1)):
            panels = [p for p in scene.at(9.0, chosen).primitives if isinstance(p, Panel)]
            rows = [r.text for p in panels for r in p.rows if isinstance(r, TextRow)]
            assert ("the inputs differ, too" in rows) is told
            legend = "a.keras − b.keras (the inputs differ, too); each" in "".join(rows)
            assert legend is (told and chosen is DIFFERENCE)


def test_places_of_two_samples_are_listed_too(scene):
    found = differences_of(scene.context, Selection(sample=1, against=2, quantity="difference"))
    assert "input" in [place.layer for place in found.layers]
    assert not found.weights
    assert differences_of(Scene.build(default_scene(), scene.capture.first).context, DIFFERENCE) is None


def test_weights_of_both_models_are_compared_one_by_one(tmp_path):
    random = np.random.default_rng(8)
    graph = captures.small_graph()
    graph = replace(graph, nodes=tuple(replace(n, parameters=740 if n.id == "dense" else 0) for n in graph))
    kernels = random.normal(size=(2, 36, 20)).astype(np.float32)
    biases = np.zeros((2, 20), np.float32)
    made = []
    for k, name in enumerate("ab"):

        def also(writer, k=k):
            writer.write_weights("dense", "kernel", kernels[k])
            writer.write_weights("dense", "bias", biases[k])

        made.append(captures.write(tmp_path / f"{name}.zarr", graph, captures.small_values(), also=[also]))
    found = differences_of(Scene.build(default_scene(), compared(*made)).context, Selection(quantity="difference"))
    a, b = kernels.astype(float)
    scale = np.sqrt((np.mean(a**2) + np.mean(b**2)) / 2)
    (kernel,) = found.variables
    assert (kernel.layer, kernel.variable) == ("dense", "kernel")
    assert kernel.size == pytest.approx(np.sqrt(np.mean((a - b) ** 2)) / scale)
    change = np.abs(a - b)
    best = [tuple(int(i) for i in np.unravel_index(k, change.shape)) for k in np.argsort(-change, axis=None)[:4]]
    assert [place.index for place in found.weights] == best
    assert [place.here - place.there for place in found.weights] == pytest.approx([(a - b)[i] for i in best])
    assert not found.layers, "both have equal numbers"
    without = compared(made[0], captures.write(tmp_path / "c.zarr", graph, captures.small_values()))
    scene = Scene.build(default_scene(), without)
    assert differences_of(scene.context, Selection(quantity="difference")).without_weights == ("dense",)


def test_compared_network_is_drawn_below_with_the_same_colour_scales(series):
    scene = Scene.build(default_scene().with_view("counterpart"), series)
    picture = scene.at(scene.duration, Selection(1)).primitives
    blocks = {p.name: p for p in picture if isinstance(p, Voxels)}
    drop = blocks["counterpart/conv"].origin[1] - blocks["conv"].origin[1]
    plan = scene.context.plan
    assert -drop > max(row.top for row in plan.rows) - min(row.bottom for row in plan.rows)
    for name, values in other_values().items():
        if name == "input":
            continue
        mine, block = blocks[name], blocks[f"counterpart/{name}"]
        assert np.array_equal(block.values, scene.context.placement(name).grid.arrange(values[1])), name
        assert (block.limits, block.colormap) == (mine.limits, mine.colormap)
        assert np.allclose(np.subtract(block.origin, mine.origin), (0, drop, 0))
        assert block.source.view == "counterpart"
    assert {p.name for p in picture if isinstance(p, Image)} == {"input", "counterpart/input"}
    names = [label.lines for p in picture if isinstance(p, Labels) for label in p.labels]
    assert ("a.keras",) in names
    assert ("b.keras",) in names
    assert scene.extent()[:, 1].min() <= min(block.origin[1] for block in blocks.values())


def test_hit_in_the_other_network_picks_the_same_place_in_both(series):
    scene = Scene.build(default_scene().with_view("counterpart"), series)
    chosen = Selection(1)
    picture = scene.at(scene.duration, chosen).primitives
    blocks = {p.name: p for p in picture if isinstance(p, Voxels)}
    upper, lower = blocks["conv"], blocks["counterpart/conv"]
    pick = scene.pick(CellHit(lower, (2, 1, 0)), chosen)
    assert pick == scene.pick(CellHit(upper, (2, 1, 0)), chosen)
    frames = {p.name: p for p in picture if isinstance(p, Box)}
    assert "counterpart/dense" in frames
    (told,) = (p for p in scene.at(9.0, replace(chosen, pick=pick)).primitives if isinstance(p, Callout))
    low, high = sorted(mark.origin[1] for mark in told.marks)
    assert high - low == pytest.approx(upper.origin[1] - lower.origin[1])
    assert LayerPick("dense") == scene.get(CounterpartView).pick(
        SimpleNamespace(primitive=frames["counterpart/dense"]), chosen
    )


def test_scene_without_another_model_says_how_to_name_one(scene):
    with pytest.raises(SceneError, match=r"a\.zarr is compared with no other model; --against b\.keras names one"):
        Scene.build(default_scene().with_view("counterpart"), scene.capture.first)


def test_filters_show_the_difference_of_the_weights(tmp_path):
    random = np.random.default_rng(9)
    graph = captures.small_graph()
    graph = replace(graph, nodes=tuple(replace(n, parameters=40 if n.id == "conv" else 0) for n in graph))
    kernels = random.normal(size=(2, 3, 3, 1, 4)).astype(np.float32)
    made = [
        captures.write(
            tmp_path / f"{name}.zarr",
            graph,
            captures.small_values(),
            also=[lambda writer, k=k: writer.write_weights("conv", "kernel", kernels[k])],
        )
        for k, name in enumerate("ab")
    ]
    spec = parse_scene({"format": 1, "views": [{"kind": "activations"}, {"kind": "kernels"}]})
    scene = Scene.build(spec, compared(*made))
    pick = KernelPick("conv", (2, 0, 0, 3))
    for quantity, values in (("difference", kernels[0] - kernels[1]), (None, kernels[0])):
        chosen = Selection(quantity=quantity, pick=pick)
        picture = scene.at(0.0, chosen).primitives
        (block,) = (p for p in picture if isinstance(p, Voxels) and p.name == "filter 3 of conv")
        assert np.array_equal(np.sort(block.values, axis=None), np.sort(values[..., 3], axis=None))
        facts = scene.describe(pick, chosen)
        told = dict(facts.parts)["difference"] if quantity else facts.value
        assert np.float32(read_number(told)) == values[2, 0, 0, 3]
        text = "".join(r.text for p in picture if isinstance(p, Panel) for r in p.rows if isinstance(r, TextRow))
        assert ("weights of conv, a.keras − b.keras: " in text) == (quantity is not None)
