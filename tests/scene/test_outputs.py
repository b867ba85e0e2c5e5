"""Tests of outputs of every kind: gauges, several answers, pictures, segmentation maps; and of named columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capture import Capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.note_words import CADENCE, NO_CONNECTIONS, TEXT_NOT_STORED
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.storage.axis_names import write_unit_names
from nnviz3d.data.storage.truths import write_truth
from nnviz3d.scene.panel_rows import GaugeRow, PicturesRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import DrawList, Image, Labels, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.support import captures
from tests.support.graphs import Spec, graph_of
from tests.support.sequences import encoder_capture


def with_activation(graph: ModelGraph, name: str, activation: str) -> ModelGraph:
    nodes = tuple(replace(node, activation=activation) if node.id == name else node for node in graph)
    return replace(graph, nodes=nodes)


def two_layers(kind: Spec, source: Spec = ("in", "InputLayer", (3,))) -> ModelGraph:
    return graph_of([source, kind], [(source[0], kind[0])])


def shown(capture: CaptureReader, sample: int = 0) -> DrawList:
    scene = Scene.build(default_scene(), capture)
    return scene.at(scene.duration, Selection(sample=sample))


def panels(picture: DrawList) -> dict[str, Panel]:
    return {p.name: p for p in picture.primitives if isinstance(p, Panel)}


def texts(panel: Panel) -> list[str]:
    return [row.text for row in panel.rows if isinstance(row, TextRow)]


def lines(picture: DrawList, name: str) -> list[tuple[str, ...]]:
    (found,) = (p for p in picture.primitives if isinstance(p, Labels) and p.name == name)
    return [label.lines for label in found.labels]


def numbers_in(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).random(shape, dtype=np.float32)


class TestGauge:
    @staticmethod
    def single(tmp_path: Path, values: list[float], activation: str = "linear", classes=None) -> DrawList:
        graph = with_activation(two_layers(("price", "Dense", (1,))), "price", activation)
        arrays = {"in": numbers_in(len(values), 3), "price": np.array(values, np.float32)[:, np.newaxis]}
        return shown(captures.write(tmp_path / "run.zarr", graph, arrays, classes=classes))

    def test_probability_has_a_gauge_from_0_to_1_with_both_names_and_the_threshold(self, tmp_path):
        picture = self.single(tmp_path, [0.25], "sigmoid", ("cat", "dog"))
        title, gauge = panels(picture)["gauges"].rows
        assert title == TextRow("price: probability of dog, threshold 0.5", "quiet")
        assert isinstance(gauge, GaugeRow)
        assert (gauge.low, gauge.value, gauge.high, gauge.threshold) == (0.0, 0.25, 1.0, 0.5)
        assert gauge.ends == ("cat 0", "1 dog")
        assert lines(picture, "scores") == [("cat   0.750", "dog   0.250")]

    def test_unbounded_number_has_a_gauge_over_the_captured_samples(self, tmp_path):
        picture = self.single(tmp_path, [5.0, -1.0, 11.0])
        _, gauge = panels(picture)["gauges"].rows
        assert (gauge.low, gauge.value, gauge.high, gauge.threshold) == (-1.0, 5.0, 11.0, None)
        assert "3 captured samples" in texts(panels(picture)["gauges"])[0]

    def test_range_is_of_the_samples_that_are_still_there_each_counted_once(self, tmp_path):
        graph = with_activation(two_layers(("price", "Dense", (1,))), "price", "linear")

        def priced(name: str, *prices: float) -> Capture:
            arrays = {"in": numbers_in(len(prices), 3), "price": np.array(prices, np.float32)[:, np.newaxis]}
            return captures.write(tmp_path / name, graph, arrays)

        series = (
            CaptureSeries.of(priced("run.zarr", 5.0, -1.0))
            .plus(priced("far.zarr", 99.0))
            .plus(priced("near.zarr", 7.0))
        )
        picture = shown(series.without(2))
        assert panels(picture)["gauges"].rows[1].high == 7.0
        assert "2 captured samples" in texts(panels(picture)["gauges"])[0], "sample 0 was run three times"

    @pytest.mark.parametrize("values", [[5.0], [5.0, 5.0], [float("nan")]])
    def test_unbounded_number_without_known_range_has_no_gauge(self, tmp_path, values):
        assert "gauges" not in panels(self.single(tmp_path, values))

    def test_nan_of_a_probability_is_written(self, tmp_path):
        picture = self.single(tmp_path, [float("nan")], "sigmoid", ("cat", "dog"))
        assert "output NaN" in texts(panels(picture)["title"])[1]
        assert panels(picture)["gauges"].rows[1].text == "NaN"


def test_each_of_several_outputs_has_its_answer_in_the_title_and_its_numbers_beside_its_block(tmp_path):
    nodes: list[Spec] = [
        ("photo", "InputLayer", (16, 16, 1)),
        ("class", "Dense", (5,)),
        ("box", "Dense", (4,)),
        ("mask", "Conv2D", (16, 16, 1)),
    ]
    graph = with_activation(graph_of(nodes, [("photo", name) for name, _, _ in nodes[1:]]), "class", "softmax")
    arrays = {name: numbers_in(1, *shape) for name, _, shape in nodes}
    arrays["class"][0] = [0.1, 0.2, 0.4, 0.25, 0.05]
    arrays["box"][0] = [0.5, 0.25, 0.75, 1.0]
    arrays["mask"][0, 0, 0], arrays["mask"][0, 0, 1] = 0.0, 1.0
    picture = shown(captures.write(tmp_path / "run.zarr", graph, arrays))
    said = texts(panels(picture)["title"])[1]
    assert "class: predicted class 2 (0.400)" in said
    assert "box: 0.500, 0.250, 0.750, 1.000" in said
    assert "mask: a picture 16 × 16 × 1, 0 … 1" in said
    assert lines(picture, "scores") == [
        ("class 2   0.400", "class 3   0.250", "class 1   0.200", "highest 3 of 5"),
        ("0.500, 0.250, 0.750, 1.000",),
    ]


class TestPictures:
    @staticmethod
    def drawn(tmp_path: Path, values: np.ndarray, activation: str | None = None) -> DrawList:
        graph = two_layers(("out", "Conv2D", values.shape[1:]), ("in", "InputLayer", (*values.shape[1:3], 1)))
        if activation:
            graph = with_activation(graph, "out", activation)
        arrays = {"in": numbers_in(len(values), *values.shape[1:3], 1), "out": values}
        return shown(captures.write(tmp_path / "run.zarr", graph, arrays))

    def test_rebuilt_picture_is_drawn_from_0_to_1(self, tmp_path):
        values = numbers_in(1, 9, 12, 3) * 0.5
        picture = self.drawn(tmp_path, values)
        (image,) = (p for p in picture.primitives if isinstance(p, Image) and p.name == "out")
        assert image.pixels.shape == (9, 12, 3)
        assert np.abs(image.pixels - values[0] * 255).max() <= 0.51
        assert not any(isinstance(p, Voxels) and p.name == "out" for p in picture.primitives)

    def test_picture_of_other_numbers_is_drawn_from_its_smallest_to_its_largest(self, tmp_path):
        values = (numbers_in(1, 9, 12, 1) - 0.5) * 7
        (image,) = (p for p in self.drawn(tmp_path, values).primitives if isinstance(p, Image) and p.name == "out")
        expected = (values[0] - values.min()) / (values.max() - values.min()) * 255
        assert np.abs(image.pixels[..., :1] - expected).max() <= 0.51

    def test_tiny_map_is_drawn_as_numbers(self, tmp_path):
        picture = self.drawn(tmp_path, numbers_in(1, 4, 12, 1))
        assert any(isinstance(p, Voxels) and p.name == "out" for p in picture.primitives)

    def test_segmentation_map_shows_the_class_of_each_pixel_in_its_colour(self, tmp_path):
        classes = np.zeros((8, 10), dtype=int)
        classes[:4, :5] = 2
        values = np.eye(3, dtype=np.float32)[classes][np.newaxis]
        picture = self.drawn(tmp_path, values, "softmax")
        (image,) = (p for p in picture.primitives if isinstance(p, Image) and p.name == "out")
        (row,) = (row for row in panels(picture)["pictures"].rows if isinstance(row, SwatchRow))
        swatches = row.swatches
        assert [text for _, text in swatches] == ["class 0  75%", "class 2  25%"]
        for place, (color, _) in (((7, 9), swatches[0]), ((0, 0), swatches[1])):
            assert image.pixels[place] == pytest.approx(np.array(color) * 255, abs=0.51)
        assert "mostly class 0 (75% of the picture)" in texts(panels(picture)["title"])[1]


class TestTruth:
    """The panel with the input, an output and its truth side by side."""

    @staticmethod
    def compared(tmp_path: Path, values: np.ndarray, truth: np.ndarray, activation: str = "sigmoid") -> Panel:
        graph = two_layers(("out", "Conv2D", values.shape[1:]), ("in", "InputLayer", (*values.shape[1:3], 1)))
        graph = with_activation(graph, "out", activation)
        arrays = {"in": numbers_in(len(values), *values.shape[1:3], 1), "out": values}
        also = [lambda writer: write_truth(writer, graph, truth)]
        return panels(shown(captures.write(tmp_path / "run.zarr", graph, arrays, also=also), len(values) - 1))[
            "pictures"
        ]

    def test_input_output_and_truth_of_the_sample_are_side_by_side(self, tmp_path):
        values = numbers_in(2, 9, 12, 1)
        truth = (values > 0.5).astype(np.uint8)
        truth[1, 0, 0, 0] ^= 1
        row, words = self.compared(tmp_path, values, truth).rows
        assert isinstance(row, PicturesRow)
        assert [name for name, _ in row.pictures] == ["in", "out", "truth"]
        assert np.array_equal(row.pictures[2][1][..., 0], truth[1, ..., 0] * 255)
        assert words.text == f"true for {107 / 108:.1%} of the pixels at the threshold 0.5"

    def test_true_numbers_give_the_mean_difference(self, tmp_path):
        values = numbers_in(1, 9, 12, 3)
        words = self.compared(tmp_path, values, values - 0.25).rows[-1].text
        assert words == "mean |output − truth| 0.25"

    @pytest.mark.parametrize("form", ["classes", "one axis more", "scores"])
    def test_true_classes_in_any_form_have_the_colours_of_the_map(self, tmp_path, form):
        classes = np.random.default_rng(5).integers(0, 3, (1, 8, 10))
        values = np.eye(3, dtype=np.float32)[classes]
        true = classes.copy()
        true[0, :2] = (true[0, :2] + 1) % 3
        given = {"classes": true, "one axis more": true[..., np.newaxis], "scores": np.eye(3)[true]}[form]
        panel = self.compared(tmp_path, values, given, "softmax")
        assert panel.rows[-1].text == "the class is true for 75.0% of the pixels"
        (row,) = (row for row in panel.rows if isinstance(row, SwatchRow))
        assert len(row.swatches) == 3
        (_, found), (_, truth) = panel.rows[0].pictures[1:]
        assert np.array_equal((found == truth).all(axis=-1), classes[0] == true[0])

    def test_class_that_only_the_truth_has_is_in_the_legend(self, tmp_path):
        values = np.zeros((1, 8, 10, 3), np.float32)
        values[..., 1] = 1
        true = np.full((1, 8, 10), 2)
        (row,) = (r for r in self.compared(tmp_path, values, true, "softmax").rows if isinstance(r, SwatchRow))
        assert [text for _, text in row.swatches] == ["class 1  100%", "class 2  0%"]

    def test_truth_of_another_shape_is_left_out(self, tmp_path):
        row, *words = self.compared(tmp_path, numbers_in(1, 9, 12, 1), numbers_in(1, 3, 4, 1)).rows
        assert [name for name, _ in row.pictures] == ["in", "out"]
        assert not words


class TestInputs:
    def test_numbers_of_a_row_are_written_beside_their_cells_left_of_the_block(self, tmp_path):
        graph = two_layers(("out", "Dense", (2,)))
        arrays = {"in": np.array([[-1.5, 0.0, 22.0]], np.float32), "out": numbers_in(1, 2)}
        scene = Scene.build(default_scene(), captures.write(tmp_path / "run.zarr", graph, arrays))
        picture = scene.at(scene.duration)
        assert lines(picture, "columns") == [("−1.5",), ("0",), ("22",)]
        (found,) = (p for p in picture.primitives if isinstance(p, Labels) and p.name == "columns")
        tops = [label.anchor[1] for label in found.labels]
        assert tops == sorted(tops, reverse=True)
        assert {label.align for label in found.labels} == {"left"}

    def test_names_of_columns_are_written_with_their_numbers(self, tmp_path):
        graph = two_layers(("out", "Dense", (2,)))
        arrays = {"in": np.array([[-1.5, 0.0, 22.0]], np.float32), "out": numbers_in(1, 2)}
        capture = captures.write(
            tmp_path / "run.zarr",
            graph,
            arrays,
            also=[lambda writer: write_unit_names(writer, "in", ("age", "rooms", "price"))],
        )
        assert lines(shown(capture), "columns") == [("age   −1.5",), ("rooms   0",), ("price   22",)]

    def test_title_has_the_range_of_an_array_and_of_each_of_several(self, tmp_path):
        graph = graph_of(
            [("a", "InputLayer", (2,)), ("b", "InputLayer", (2,)), ("o", "Add", (2,))], [("a", "o"), ("b", "o")]
        )
        arrays = {"a": np.array([[-2.0, 3]], np.float32), "b": np.array([[4.0, 4]], np.float32), "o": numbers_in(1, 2)}
        said = texts(panels(shown(captures.write(tmp_path / "run.zarr", graph, arrays)))["title"])[2]
        assert "numbers of a −2 … 3 · numbers of b 4" in said

    def test_title_leaves_out_notes_that_the_legend_or_a_block_tells(self, tmp_path):
        graph = graph_of([("a", "InputLayer", (2,)), ("o", "Dense", (2,))], [("a", "o")])
        notes = (
            f"{NO_CONNECTIONS}o (Dense).",
            "The model draws random numbers.",
            f"{TEXT_NOT_STORED}a.",
            f"{CADENCE}a.",
        )
        capture = captures.write(
            tmp_path / "run.zarr", graph, {"a": numbers_in(1, 2), "o": numbers_in(1, 2)}, notes=notes
        )
        assert texts(panels(shown(capture))["title"])[2].endswith("· The model draws random numbers")

    def test_title_of_words_says_nothing_about_preprocessing(self, tmp_path):
        rows = texts(panels(shown(encoder_capture(tmp_path / "run.zarr", blocks=1)))["title"])
        assert len(rows) == 2
        assert "preprocessing" not in " ".join(rows)

    def test_gray_array_says_how_it_is_drawn(self, small_capture):
        assert "drawn from black to white" in texts(panels(shown(small_capture))["title"])[2]
