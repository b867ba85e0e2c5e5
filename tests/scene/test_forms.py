"""Tests of the forms of blocks: curves of signals, names of axes, and words for odd numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.storage.axis_names import write_texts, write_unit_names
from nnviz3d.scene.colors import statistics_of
from nnviz3d.scene.context import LayerValues
from nnviz3d.scene.hits import BoxHit
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.layout.signals import is_signal
from nnviz3d.scene.primitives import Box, DrawList, Labels, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.views.curves import shortened
from nnviz3d.scene.views.forms import axis_words, oddity
from tests.support import captures
from tests.support.graphs import Spec, chain
from tests.support.pinhole import to_pixels

SIZE = (1600, 900)


def built(tmp_path: Path, nodes: list[Spec], values: dict[str, np.ndarray]) -> Scene:
    return Scene.build(default_scene(), captures.write(tmp_path / "run.zarr", chain(nodes), values), aspect=16 / 9)


def labels(picture: DrawList, name: str) -> list[tuple[str, ...]]:
    (found,) = (p for p in picture.primitives if isinstance(p, Labels) and p.name == name)
    return [label.lines for label in found.labels]


def signal_scene(tmp_path: Path, signal: np.ndarray) -> Scene:
    nodes: list[Spec] = [("ecg", "InputLayer", signal.shape), ("dense", "Dense", (3,))]
    return built(tmp_path, nodes, {"ecg": signal[np.newaxis], "dense": np.ones((1, 3), np.float32)})


def curve_of(picture: DrawList) -> Lines:
    (found,) = (p for p in picture.primitives if isinstance(p, Lines) and p.name == "ecg (curve)")
    return found


class TestCurves:
    @pytest.mark.parametrize("channels", [1, 3])
    def test_curve_has_the_numbers_of_the_signal_inside_its_block(self, tmp_path, channels):
        signal = np.random.default_rng(0).normal(size=(40, channels)).astype(np.float32)
        scene = signal_scene(tmp_path, signal)
        points = curve_of(scene.at(9.0)).points.reshape(channels, 39, 2, 3)
        placement = scene.context.placement("ecg")
        low, high = np.array(placement.origin), np.array(placement.origin) + placement.size
        assert (points[..., :2] >= low[:2] - 1e-4).all()
        assert (points[..., :2] <= high[:2] + 1e-4).all()
        assert (points[..., 2] > high[2]).all()
        heights = np.concatenate([points[:, :, 0, 1], points[:, -1:, 1, 1]], axis=1).T
        for channel in range(channels):  # a straight line leads from the numbers to the heights
            assert np.corrcoef(heights[:, channel], signal[:, channel])[0, 1] == pytest.approx(1.0)
        assert (np.diff(heights.mean(axis=0)) < 0).all(), "the first channel is on top"
        slopes = np.ptp(heights, axis=0) / np.ptp(signal, axis=0)
        assert slopes == pytest.approx(slopes[0], rel=1e-4)

    def test_curve_has_a_gap_at_nan_and_infinite_numbers(self, tmp_path):
        signal = np.arange(20, dtype=np.float32)[:, np.newaxis]
        signal[4], signal[11] = np.nan, np.inf
        found = curve_of(signal_scene(tmp_path, signal).at(9.0)).points
        assert len(found) == 19 - 4
        assert np.isfinite(found).all()

    def test_line_at_zero_is_where_the_curve_crosses_zero(self, tmp_path):
        picture = signal_scene(tmp_path, np.linspace(-1, 1, 21, dtype=np.float32)[:, np.newaxis]).at(9.0)
        (zero,) = (p for p in picture.primitives if isinstance(p, Lines) and p.name == "ecg (zero)")
        assert zero.points[0, :, 1] == pytest.approx(curve_of(picture).points[10, 0, 1], abs=1e-5)

    def test_signal_without_zero_and_constant_signal_are_drawn(self, tmp_path):
        picture = signal_scene(tmp_path, np.full((9, 1), 7.0, np.float32)).at(9.0)
        assert len(curve_of(picture).points) == 8
        assert not any(isinstance(p, Lines) and p.name == "ecg (zero)" for p in picture.primitives)

    def test_cells_behind_the_curve_are_dimmer_and_can_be_picked(self, tmp_path):
        picture = signal_scene(tmp_path, np.ones((9, 1), np.float32)).at(9.0)
        (block,) = (p for p in picture.primitives if isinstance(p, Voxels) and p.name == "ecg")
        assert block.emphasis < 0.6
        assert block.values.shape == (9, 1, 1)

    def test_forward_pass_draws_the_curve_from_left_to_right(self, tmp_path):
        scene = signal_scene(tmp_path, np.ones((50, 1), np.float32))
        counts = [len(curve_of(scene.at(t)).points) for t in np.linspace(0, scene.duration, 12)]
        assert counts == sorted(counts)
        assert counts[0] < 10 < counts[-1] == 49

    def test_long_signal_keeps_its_extremes_in_order(self):
        values = np.random.default_rng(1).normal(size=100_000).astype(np.float32)
        values[777], values[55_555] = 9.0, -9.0
        at, numbers = shortened(values)
        assert len(at) <= 2000
        assert (np.diff(at) > 0).all()
        assert numbers == pytest.approx(values[at.astype(int)])
        assert (numbers.max(), numbers.min()) == (9.0, -9.0)

    @pytest.mark.parametrize(
        ("shape", "found"), [((256, 1), True), ((256, 4), True), ((256, 5), False), ((4, 1), False), ((9, 9, 1), False)]
    )
    def test_curves_are_for_few_channels_over_time(self, shape, found):
        assert is_signal(grid_for(shape)) is found

    def test_vector_of_time_steps_is_one_row_of_cells_and_a_curve(self):
        grid = grid_for((50,), ("time step",))
        assert is_signal(grid)
        assert grid.size == (50, 1, 1)
        values = np.arange(50, dtype=np.float32)
        cells = grid.cells(np.arange(50))
        assert grid.arrange(values)[tuple(cells.T)].tolist() == values.tolist()
        assert [grid.index(tuple(cell)) for cell in cells] == [(i,) for i in range(50)]
        assert not is_signal(grid_for((50,)))
        assert not is_signal(grid_for((50, 20), ("time step", "frequency")))

    def test_block_of_a_signal_is_high_enough_and_inside_the_frame(self, tmp_path):
        scene = signal_scene(tmp_path, np.ones((400, 1), np.float32))
        pixels = to_pixels(scene.context.plan.corners(["ecg"]), scene.camera(9.0, aspect=16 / 9), SIZE)
        assert (pixels >= 0).all()
        assert (pixels <= SIZE).all()
        assert np.ptp(pixels[:, 1]) > 0.08 * SIZE[1]


class TestAxes:
    @pytest.mark.parametrize(
        ("shape", "words"),
        [
            ((), ""),
            ((8,), ""),
            ((20, 1), "time step →"),
            ((20, 5), "time step →  channel ↓"),
            ((9, 9, 1), "column →  row ↓"),
            ((9, 9, 4), "column →  row ↓  channel: front to back"),
            ((5, 9, 9, 1), "column →  row ↓  plane: front to back"),
            ((5, 9, 9, 2), "column →  row ↓  channel, plane: front to back"),
            ((2, 3, 4, 5, 6), "axis 3 →  axis 2 ↓  channel, axis 0, axis 1: front to back  (rank 5)"),
        ],
    )
    def test_words_name_the_axes_as_they_lie_on_the_screen(self, shape, words):
        assert axis_words(grid_for(shape)) == words

    @pytest.mark.parametrize("shape", [(5, 4, 3, 2), (2, 3, 4, 5, 6)])
    def test_words_agree_with_the_cells(self, shape):
        """The first named axis grows along x, the second down y, the others from the front to the back."""
        grid = grid_for(shape)
        names = (
            axis_words(grid).partition(":")[0].replace("→", ",").replace("↓", ",").replace("axis ", "axis").split(",")
        )
        steps = {}
        for i, name in enumerate(grid.axes):
            unit = np.ravel_multi_index([int(k == i) for k in range(len(shape))], shape)
            steps[name] = (grid.cells(np.array([unit])) - grid.cells(np.array([0])))[0]
        across, down, *deep = (steps[name.strip()] for name in names)
        assert across.tolist() == [1, 0, 0]
        assert down.tolist() == [0, -1, 0]
        assert all(step[2] < 0 and not step[:2].any() for step in deep)
        assert [step[2] for step in deep] == sorted(step[2] for step in deep), "the slowest axis is named first"

    def test_axes_are_named_once_for_each_kind_of_block_and_for_the_chosen_one(self, tmp_path):
        nodes: list[Spec] = [("a", "InputLayer", (30, 9)), ("b", "Conv1D", (28, 7)), ("c", "Reshape", (7, 7, 4))]
        rng = np.random.default_rng(2)
        scene = built(tmp_path, nodes, {n: rng.random((1, *s), dtype=np.float32) for n, _, s in nodes})
        assert labels(scene.at(9.0), "axes") == [
            ("time step →  channel ↓",),
            ("column →  row ↓  channel: front to back",),
        ]
        assert labels(scene.at(9.0, Selection(layer="b")), "axes") == [("time step →  channel ↓",)]

    @pytest.mark.parametrize(
        ("kind", "name"), [("Dense", "position"), ("LSTM", "time step"), ("MaxPooling1D", "time step")]
    )
    def test_axis_is_time_only_if_a_layer_reads_its_steps_in_order(self, tmp_path, kind, name):
        nodes: list[Spec] = [("nodes", "InputLayer", (20, 12)), ("layer", kind, (20, 16))]
        rng = np.random.default_rng(2)
        scene = built(tmp_path, nodes, {n: rng.random((1, *s), dtype=np.float32) for n, _, s in nodes})
        assert labels(scene.at(9.0), "axes") == [(f"{name} →  channel ↓",)]
        assert f"{name} 3" in str(scene.describe(CellPick("nodes", (3, 4)), Selection()))


class TestWords:
    """Words about a single number: the name of its column, and the colour of its channel."""

    @pytest.mark.parametrize(("mode", "color"), [("caffe", "blue"), ("torch", "red")])
    def test_channel_of_a_photo_has_its_colour_in_the_order_of_the_preprocessing(self, tmp_path, mode, color):
        nodes: list[Spec] = [("photo", "InputLayer", (9, 9, 3)), ("out", "Dense", (2,))]
        values = {"photo": np.zeros((1, 9, 9, 3), np.float32), "out": np.zeros((1, 2), np.float32)}
        pixels = np.full((1, 9, 9, 3), (10, 20, 30), np.uint8)
        capture = captures.write(
            tmp_path / "run.zarr", chain(nodes), values, pictures={"photo": pixels}, preprocessing=mode
        )
        scene = Scene.build(default_scene(), capture)
        facts = scene.describe(CellPick("photo", (1, 2, 0)), Selection())
        assert f"channel 0 is {color}; pixel red 10, green 20, blue 30" in facts.more
        order = "BGR" if mode == "caffe" else "ImageNet's mean"
        (title,) = (p for p in scene.at(0.0).primitives if isinstance(p, Panel) and p.name == "title")
        assert order in title.rows[2].text

    def test_number_of_a_table_has_the_name_of_its_column(self, tmp_path):
        nodes: list[Spec] = [("row", "InputLayer", (2,)), ("out", "Dense", (2,))]
        values = {"row": np.array([[3.5, 4]], np.float32), "out": np.zeros((1, 2), np.float32)}
        names = [lambda writer: write_unit_names(writer, "row", ("age", "rooms"))]
        capture = captures.write(tmp_path / "run.zarr", chain(nodes), values, also=names)
        facts = Scene.build(default_scene(), capture).describe(CellPick("row", (1,)), Selection())
        assert "number 1: rooms" in facts.more


class TestOddNumbers:
    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ([1, 2, 3], ""),
            ([4], ""),
            ([], "no numbers: an axis has length 0"),
            ([2, 2, 2], "all numbers are 2"),
            ([1, np.nan, np.nan], "2 of 3 NaN"),
            ([np.nan, np.nan], "all NaN"),
            ([1, np.nan, np.inf, -np.inf], "1 of 4 NaN, 2 of 4 infinite"),
        ],
    )
    def test_words_say_what_is_odd(self, values, words):
        array = np.array(values, np.float32)
        grid = grid_for(array.shape)
        assert oddity(LayerValues(grid, array, array, statistics_of(array))) == words

    def test_odd_blocks_and_blocks_without_numbers_are_labelled(self, tmp_path):
        nodes: list[Spec] = [("text", "InputLayer", (1,)), ("map", "Conv2D", (4, 4, 2)), ("out", "Dense", (3,))]
        values = {"map": np.full((1, 4, 4, 2), 0.5, np.float32), "out": np.array([[1, np.nan, 3]], np.float32)}
        picture = built(tmp_path, nodes, values).at(9.0)
        assert labels(picture, "odd numbers") == [
            ("all numbers are 0.5",),
            ("1 of 3 NaN",),
            ("no numbers were captured",),
        ]

    def test_output_is_marked_as_output(self, small_capture):
        scene = Scene.build(default_scene(), small_capture)
        marked = [lines for lines in labels(scene.at(9.0), "names") if lines[1].endswith(" · output")]
        assert [lines[0] for lines in marked] == [small_capture.graph.node(n).name for n in small_capture.graph.outputs]

    def test_text_of_an_input_is_shown_at_its_body_which_can_be_picked(self, tmp_path):
        nodes: list[Spec] = [
            ("review", "InputLayer", (1,)),
            ("vector", "TextVectorization", (4,)),
            ("out", "Dense", (2,)),
        ]
        values = {"vector": np.arange(8.0, dtype=np.float32).reshape(2, 4), "out": np.eye(2, dtype=np.float32)}
        texts = np.array([["a good film"], ["a long and rather boring film that nobody needs"]])
        capture = captures.write(
            tmp_path / "run.zarr", chain(nodes), values, also=[lambda writer: write_texts(writer, "review", texts)]
        )
        scene = Scene.build(default_scene(), capture)
        assert labels(scene.at(9.0), "odd numbers") == [("“a good film”",)]
        (long,) = labels(scene.at(9.0, Selection(sample=1)), "odd numbers")[0]
        assert long.startswith("“a long and rather boring")
        assert long.endswith("…")
        (body,) = (p for p in scene.at(9.0).primitives if isinstance(p, Box) and p.name == "review")
        assert body.fill > 0.5
        assert scene.pick(BoxHit(body), Selection()) == LayerPick("review")
