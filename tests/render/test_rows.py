"""Tests of rows of panels: wrapped text, and gauges."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.render.fonts import font, wrap
from nnviz3d.render.panels import MOST_OF_HEIGHT
from nnviz3d.render.rows import _rooms
from nnviz3d.render.text import panel_sprite
from nnviz3d.scene.panel_rows import GaugeRow, PicturesRow, SwatchRow, TextRow, text_height
from nnviz3d.scene.primitives import Panel
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.support.captures import write
from tests.support.graphs import GRAPHS
from tests.support.pinhole import to_pixels

NOTE = "No connections are captured for conv2d_transpose (Conv2DTranspose), conv2d_transpose_1 (Conv2DTranspose), mask"


class TestWrapping:
    @pytest.mark.parametrize("width", [150, 260, 400])
    def test_long_note_keeps_all_words_in_lines_that_fit(self, width):
        f = font("", "quiet", 1.0)
        lines = wrap(NOTE, f, width, 9)
        assert " ".join(lines) == NOTE
        assert all(f.getlength(line) <= width for line in lines)
        assert len(lines) >= f.getlength(NOTE) / width

    def test_text_of_too_many_lines_ends_in_an_ellipsis(self):
        lines = wrap(NOTE, font("", "quiet", 1.0), 150, 2)
        assert len(lines) == 2
        assert lines[1].endswith("…")

    @pytest.mark.parametrize("width", [300, 600, 1200])
    def test_estimated_height_of_a_title_is_about_that_of_its_panel(self, width):
        rows = (TextRow("network", "title"), TextRow("input cat.jpg"), TextRow(" ".join([NOTE] * 3), "quiet"))
        real = panel_sprite(Panel("title", "top-left", rows), 1.0, width).shape[0] - 28
        assert real - 16 <= text_height(rows, width) <= real + 17, "at most a line more or less"

    def test_network_is_below_a_long_title(self, tmp_path):
        graph = GRAPHS["9 nodes"]()
        values = {name: np.zeros((1, *graph.node(name).shape), np.float32) for name in graph.inputs}
        for aspect in (16 / 9, 1.0):
            capture = write(
                tmp_path / f"{aspect}.zarr", graph, values, notes=tuple(f"{k}: {NOTE[3:]}" for k in range(4))
            )
            scene = Scene.build(default_scene(), capture, aspect=aspect)
            size = (round(720 * aspect), 720)
            (title,) = (p for p in scene.at(0.0).primitives if isinstance(p, Panel) and p.name == "title")
            height = panel_sprite(title, 1.0, 0.7 * size[0] - 6).shape[0]
            assert height > 120
            _, rows = to_pixels(scene.extent(), scene.camera(0.0, aspect=aspect), size).T
            assert rows.min() >= height

    def test_word_wider_than_a_line_is_cut(self):
        f = font("", "quiet", 1.0)
        assert all(f.getlength(line) <= 60 for line in wrap("global_average_pooling2d_1 x", f, 60, 3))

    def test_panel_of_a_long_note_is_higher_and_never_wider_than_allowed(self):
        short, long = (panel_sprite(Panel("p", "top-left", (TextRow(t, "quiet"),)), 1.0, 300) for t in ("No", NOTE))
        assert long.shape[0] > short.shape[0]
        assert long.shape[1] <= 300 + 28

    def test_swatches_are_cut_only_if_the_short_ones_leave_too_little_room(self):
        assert _rooms([10, 60, 20], 100) == [10, 60, 20]
        assert _rooms([10, 60, 80], 100) == [10, 45, 45]


def gauge(value: float, threshold: float | None = 0.5, low: float = 0.0) -> np.ndarray:
    row = GaugeRow(value, low, 1.0, str(value), ("cat 0", "1 dog"), threshold)
    return panel_sprite(Panel("g", "top-left", (row,)), 2.0, 900)


def lit(sprite: np.ndarray) -> np.ndarray:
    """Return the columns that have the colour of the bar."""
    return np.flatnonzero((np.abs(sprite[..., :3].astype(int) - (255, 176, 74)).max(axis=2) < 12).any(axis=0))


class TestGauge:
    def test_bar_leads_from_the_threshold_to_the_number_on_its_side(self):
        middle = gauge(0.9).shape[1] / 2
        assert lit(gauge(0.9)).min() >= middle - 4
        assert lit(gauge(0.1)).max() <= middle + 4
        assert len(lit(gauge(0.9))) > len(lit(gauge(0.7))) > len(lit(gauge(0.55)))

    def test_bar_of_a_signed_range_begins_at_zero(self):
        middle = gauge(0.8).shape[1] / 2
        assert lit(gauge(0.8, None, -1.0)).min() == pytest.approx(middle, abs=6)
        assert lit(gauge(-0.8, None, -1.0)).max() == pytest.approx(middle, abs=6)

    def test_nan_has_no_bar(self):
        assert not len(lit(gauge(float("nan"))))

    def test_number_beyond_an_end_stays_inside_the_panel(self):
        assert np.array_equal(lit(gauge(3.0)), lit(gauge(1.0)))


def test_pictures_with_three_rows_below_are_low_enough_to_be_shown():
    square = np.zeros((8, 8, 3), np.uint8)
    words = [
        TextRow("3 of 21 classes in the picture", "quiet"),
        TextRow("the class is true for 90% of the pixels", "quiet"),
    ]
    swatches = SwatchRow(tuple(((1.0, 0.5, 0.2), f"class {k}  20%") for k in range(3)))
    rows = (PicturesRow((("photo", square), ("classes", square), ("truth", square))), swatches, *words)
    for scale in (1.0, 1.25, 1.5, 2.0):
        sprite = panel_sprite(Panel("pictures", "top-right", rows), scale, 0.27 * 1280 * scale)
        assert sprite.shape[0] <= MOST_OF_HEIGHT * 720 * scale
        assert sprite.shape[1] <= 0.27 * 1280 * scale + 28 * scale
