"""Descriptions and marks of picks: exactly the captured numbers, for every shown sample."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.picking import say
from nnviz3d.scene.colors import number, score
from nnviz3d.scene.derived.shown_digits import exact_number
from nnviz3d.scene.facts import exact
from nnviz3d.scene.panel_rows import KeyRow
from nnviz3d.scene.primitives import Callout, Image, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views.connections import EdgePick, curves
from tests.support import captures
from tests.support.captures import small_connections, small_values
from tests.support.graphs import chain
from tests.support.number_words import read_number


@pytest.fixture(scope="module")
def scene(small_capture):
    return Scene.build(default_scene(), small_capture)


def callout(scene: Scene, pick, sample: int = 0) -> Callout:
    found = [p for p in scene.at(scene.duration, Selection(sample, pick=pick)).primitives if isinstance(p, Callout)]
    assert len(found) == 1
    return found[0]


def words(scene: Scene, pick, sample: int = 0) -> list[str]:
    return [f"{r.key} {r.text}" if isinstance(r, KeyRow) else r.text for r in callout(scene, pick, sample).rows]


class TestCells:
    def test_cell_describes_the_stored_number_of_every_sample(self, scene, small_capture):
        pick = CellPick("conv", (5, 2, 3))
        texts = [words(scene, pick, sample) for sample in range(3)]
        for sample, text in enumerate(texts):
            assert text[0] == "conv [5, 2, 3]"
            assert np.float32(read_number(text[1])) == small_capture.activation("conv", sample)[5, 2, 3]
            assert text[2] == "row 5, column 2, channel 3"
        assert len({text[1] for text in texts}) == 3
        assert len({callout(scene, pick, sample).marks for sample in range(3)}) == 1

    def test_mark_is_the_box_of_the_cell(self, scene):
        """The described number is the number of the drawn block at the position of the mark."""
        blocks = {p.name: p for p in scene.at(scene.duration).primitives if isinstance(p, Voxels)}
        for layer, index in (("conv", (0, 6, 1)), ("pool", (2, 0, 3)), ("flatten", (35,)), ("scores", (4,))):
            (mark,) = callout(scene, CellPick(layer, index)).marks
            block = blocks[layer]
            cell = (np.array(mark.origin) - block.origin) / block.cell
            assert np.allclose(cell, np.round(cell), atol=1e-6)
            assert mark.size == pytest.approx(block.cell)
            shown = block.values[tuple(np.round(cell).astype(int))]
            assert np.float32(read_number(words(scene, CellPick(layer, index))[1])) == shown

    def test_title_names_neuron_and_class(self, scene):
        assert words(scene, CellPick("dense", (7,)))[2] == "neuron 7"
        assert words(scene, CellPick("scores", (2,)))[2] == "neuron 2: cat"

    def test_pick_leaves_all_other_primitives_the_same_objects(self, scene):
        before = scene.at(scene.duration, Selection()).primitives
        after = scene.at(scene.duration, Selection(pick=CellPick("conv", (0, 0, 0)))).primitives
        assert {id(p) for p in before if not isinstance(p, Panel)} <= {id(p) for p in after}
        again = scene.at(scene.duration, Selection(pick=CellPick("conv", (0, 0, 0)))).primitives
        assert all(a is b or isinstance(a, Panel) for a, b in zip(after, again, strict=True))

    @pytest.mark.parametrize("index", [(6, 0, 0), (0, 0), (0, 0, 4), (0, 0, 0, 0), (-1, 0, 0), ()])
    def test_index_outside_the_tensor_has_no_description(self, scene, index):
        found = scene.describe(CellPick("conv", index), Selection())
        assert found is None or index == (0, 0)
        if found is None:
            drawn = scene.at(scene.duration, Selection(pick=CellPick("conv", index))).primitives
            assert not any(isinstance(p, Callout) for p in drawn)


def scene_of(capture, *views) -> Scene:
    return Scene.build(parse_scene({"format": 1, "title": "t", "views": [{"kind": "structure"}, *views]}), capture)


def marks(scene: Scene, selection: Selection) -> list[object]:
    """All that a pick adds to the picture."""
    before = {id(p) for p in scene.at(scene.duration, replace(selection, pick=None)).primitives}
    found = [p for p in scene.at(scene.duration, selection).primitives if id(p) not in before]
    return [p for p in found if not isinstance(p, Panel)]


class TestUndrawnCells:
    """A cell is marked only where a view draws the cells of its layer; what is known of it stays the same."""

    PICK = CellPick("conv", (2, 2, 1))

    def test_cell_of_a_block_without_cells_has_no_mark(self, small_capture, scene):
        bare, some = scene_of(small_capture), scene_of(small_capture, {"kind": "activations", "layers": ["dense"]})
        for other in (bare, some):
            assert marks(other, Selection(pick=self.PICK)) == []
            assert other.describe(self.PICK, Selection()) == scene.describe(self.PICK, Selection())
            assert marks(other, Selection(pick=LayerPick("conv"))), "its block is drawn"
        assert marks(bare, Selection(pick=CellPick("dense", (4,)))) == []
        assert marks(some, Selection(pick=CellPick("dense", (4,))))

    def test_cell_without_a_number_of_the_shown_quantity_has_no_mark(self, explained_capture):
        found = scene_of(explained_capture, {"kind": "activations", "quantity": "gradient"})
        drawn = {p.name for p in found.at(found.duration).primitives if isinstance(p, Voxels | Image)}
        picks = {node.id: CellPick(node.id, tuple(0 for _ in node.shape)) for node in explained_capture.graph}
        assert {name for name, pick in picks.items() if marks(found, Selection(pick=pick))} == drawn
        assert drawn != picks.keys()
        plain = Selection(quantity="activation")
        assert all(marks(found, replace(plain, pick=pick)) for pick in picks.values())

    def test_cell_on_a_map_is_marked_without_blocks_of_cells(self, explained_capture):
        found = scene_of(explained_capture, {"kind": "attributions"})
        maps = {
            p.source.layer for p in found.at(found.duration).primitives if isinstance(p, Voxels | Image) and p.source
        }
        assert maps
        for node in explained_capture.graph:
            pick = CellPick(node.id, tuple(0 for _ in node.shape))
            assert bool(marks(found, Selection(pick=pick))) == (node.id in maps)


@pytest.fixture(scope="module")
def colored(tmp_path_factory):
    graph = chain([("input", "InputLayer", (5, 6, 3)), ("conv", "Conv2D", (5, 6, 2))])
    random = np.random.default_rng(1)
    values = {n.id: random.random((2, *n.shape), dtype=np.float32) for n in graph}
    pixels = random.integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("colored") / "colored.zarr"
    capture = captures.write(path, graph, values, pictures={"input": pixels})
    return Scene.build(default_scene(), capture), values["input"], pixels


class TestPictures:
    def test_pixel_describes_the_input_numbers_and_the_original_picture(self, colored):
        scene, values, pixels = colored
        for sample in (0, 1):
            text = words(scene, CellPick("input", (4, 1)), sample)
            assert [np.float32(read_number(v)) for v in text[1].split(", ")] == list(values[sample, 4, 1])
            assert text[2] == "row 4, column 1"
            red, green, blue = pixels[sample, 4, 1]
            assert text[3] == f"pixel red {red}, green {green}, blue {blue}"

    def test_mark_of_a_pixel_contains_all_channels(self, colored):
        scene, _, _ = colored
        (mark,) = callout(scene, CellPick("input", (4, 1))).marks
        place = scene.context.placement("input")
        assert mark.size == pytest.approx((place.cell[0], place.cell[1], place.size[2]))
        assert mark.origin == pytest.approx((place.origin[0] + place.cell[0], place.origin[1], place.origin[2]))


@pytest.fixture(scope="module")
def pair():
    return small_connections(small_values())["flatten", "dense"]["weight"]


class TestEdges:
    def edge(self, pair, k: int) -> EdgePick:
        source, target = (int(i) for i in pair[0].index[k])
        return EdgePick("flatten", "dense", (source,), (target,), float(pair[0].weight[k]))

    def test_connection_describes_captured_weight_activation_and_contribution_of_each_sample(self, scene, pair):
        for k in range(5):
            source, target = pair[0].index[k]
            for sample in range(3):
                text = words(scene, self.edge(pair, k), sample)
                assert text[0] == f"flatten[{source}] → dense[{target}]"
                numbers = {name: np.float32(read_number(value)) for name, value in (row.split() for row in text[1:])}
                assert numbers == {
                    "weight": pair[sample].weight[k],
                    "activation": small_values()["flatten"][sample, source],
                    "contribution": pair[sample].contribution[k],
                }

    def test_mark_of_a_connection_has_both_ends_and_its_line(self, scene, pair):
        pick = self.edge(pair, 3)
        found = callout(scene, pick)
        drawn = scene.at(scene.duration, Selection(pick=pick)).primitives
        (way,) = curves(scene.context, "flatten", "dense", pair[0].index[3:4])
        glow = [p for p in drawn if isinstance(p, Lines) and p.name.startswith("pick/glow")]
        assert glow
        assert all(np.array_equal(line.points, way[np.newaxis]) for line in glow)
        for end, mark in zip((way[0], way[-1]), found.marks, strict=True):
            assert (np.array(mark.origin) - 1e-5 <= end).all()
            assert (end <= np.array(mark.origin) + mark.size + 1e-5).all()

    def test_every_line_has_its_connection(self, scene):
        lines = [p for p in scene.at(scene.duration).primitives if isinstance(p, Lines) and p.ends is not None]
        assert sum(len(p.points) for p in lines) == 30 + 6
        for p in lines:
            ends = p.ends
            assert len(ends.index) == len(ends.weight) == len(p.points)
            pair = scene.context.capture.connections(ends.source, ends.target, "weight", 0)
            stored = {tuple(i): w for i, w in zip(pair.index.tolist(), pair.weight, strict=True)}
            assert all(stored[tuple(i)] == w for i, w in zip(ends.index.tolist(), ends.weight, strict=True))
            start = scene.context.centers(ends.source, ends.index[:, 0])
            assert np.allclose(p.points[:, 0], start, atol=1e-4)


def test_layer_describes_kind_shape_and_parameters(small_capture):
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "structure"}]}), small_capture)
    text = words(scene, LayerPick("conv"))
    assert text[:3] == ["conv", "Conv2D", "6 × 7 × 4"]


def test_layer_describes_its_activation_function_and_statistics_of_its_weights(digits):
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "structure"}]}), digits)
    kernel, bias = (digits.weights("conv2d")[name] for name in ("kernel", "bias"))
    text = words(scene, LayerPick("conv2d"))
    assert text[4] == "activation function relu"
    for line, name, shape, values in ((text[6], "kernel", "3 × 3 × 1 × 32", kernel), (text[5], "bias", "32", bias)):
        mean, std = number(float(values.mean(dtype=np.float64))), number(float(values.std(dtype=np.float64)))
        span = f"{number(float(values.min()))} to {number(float(values.max()))}"
        assert line == f"weight {name} {shape}: mean {mean}, std {std}, {span}"
    assert not any("activation function" in line or "weight" in line for line in words(scene, LayerPick("flatten")))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30, 16777216.0, -2.5e7, 0.0])
def test_exact_writes_all_digits_of_a_number(value):
    stored = np.float32(value)
    assert np.float32(exact(stored).replace("−", "-")) == stored


def test_exact_writes_nan_and_infinity():
    assert [exact(np.float32(v)) for v in (np.nan, np.inf, -np.inf)] == ["NaN", "∞", "−∞"]


@pytest.mark.parametrize("write", [exact, number, score, exact_number])
def test_every_writer_of_numbers_writes_a_minus_sign_for_a_number_and_its_exponent(write):
    assert write(np.float32(-2.5)).startswith("−2.5")
    assert write(np.float32(-2e-6)).startswith("−2")
    assert "-" not in write(np.float32(-2e-6))


def test_sentence_of_a_layer_is_plain_text(digits):
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "structure"}]}), digits)
    said = say(
        SimpleNamespace(scene=scene, clock=SimpleNamespace(t=0.0), selection=Selection(pick=LayerPick("conv2d")))
    )
    assert said.isascii()
    assert said.startswith("conv2d: Conv2D, 26 x 26 x 32, 320 parameters, activation function relu, weight bias 32: ")
    assert said.endswith(f", {float(digits.weights('conv2d')['kernel'].min()):.3g} to 0.241")
