"""Tests of the placement of labels, and of the text of labels and panels."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.render.fonts import font, shorten
from nnviz3d.render.label_placement import Rect, corners_of, outlines, place_labels, project
from nnviz3d.render.label_ways import LabelWays
from nnviz3d.render.text import label_sprite, panel_sprite
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.panel_rows import BarRow, ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Label, Panel
from tests.support.blocks import looking
from tests.support.pinhole import axes, to_pixels

SIZE = (400, 300)


def measure(label: Label, lines: tuple[str, ...]) -> tuple[int, int]:
    return 60, 12 * len(lines)


def placed(labels, around, occupied=()):
    return place_labels(LabelWays(labels, measure), np.array(around, dtype=float).reshape(-1, 4), SIZE, 1.0, occupied)


def at(x: float, y: float) -> tuple[float, ...]:
    return x, y, x, y


def name(priority: float = 0.0, **kwargs) -> Label:
    return Label((0, 0, 0), ("name", "detail"), priority=priority, **kwargs)


class TestPlacing:
    def test_label_is_centered_below_its_block(self):
        (one,) = placed([name()], [(100, 100, 160, 150)])
        assert one.lines == ("name", "detail")
        assert one.rect == Rect(100, 100 - 3 - 24, 60, 24)

    @pytest.mark.parametrize(
        ("align", "rect"),
        [
            ("above", Rect(100, 153, 60, 24)),
            ("right", Rect(163, 113, 60, 24)),
            ("left", Rect(37, 113, 60, 24)),
        ],
    )
    def test_label_is_placed_on_the_side_of_its_alignment(self, align, rect):
        (one,) = placed([name(align=align)], [(100, 100, 160, 150)])
        assert one.rect == rect

    def test_more_important_of_two_overlapping_labels_is_shown(self):
        for first, second, stays in ((1.0, 2.0, 1), (2.0, 1.0, 0)):
            found = placed([name(first), name(second)], [at(200, 100), at(230, 100)])
            assert [p.index for p in found] == [stays]

    def test_brief_labels_get_further_lines_after_all_have_their_first_one(self):
        # The second label stands where the detail of the first one would be.
        ends = [at(200, 100), at(200, 87), at(100, 100)]
        shown = {
            p.index: p.lines for p in placed([name(2.0, brief=True), name(1.0, brief=True), name(brief=True)], ends)
        }
        assert shown == {0: ("name",), 1: ("name", "detail"), 2: ("name", "detail")}
        assert placed([name(2.0), name(1.0)], ends[:2])[0].lines == ("name", "detail")

    def test_label_is_reduced_to_its_first_line_if_there_is_little_room(self):
        found = placed([name(2.0), name(1.0)], [at(200, 100), at(200, 120)])
        assert [(p.index, p.lines) for p in found] == [(0, ("name", "detail")), (1, ("name",))]

    def test_name_without_room_below_its_block_is_at_its_side_where_no_other_block_is_near(self):
        upper, lower = (150, 150, 210, 200), (150, 90, 210, 148)
        span = (1.0, 1.0, 0.0)
        names, above = [name(span=span), name(1.0, span=span)], [Rect(150, 203, 60, 24)]
        assert {p.index: p.rect for p in placed(names, [upper, lower], above)} == {
            0: Rect(150 - 3 - 60, 163, 60, 24),
            1: Rect(150, 90 - 3 - 24, 60, 24),
        }
        beside = (40, 150, 80, 200)
        assert placed([*names, name(span=span)], [upper, lower, beside], above)[-1].rect.left == 210 + 3
        fixed = [name(span=span, fixed=True), name(1.0, span=span)]
        assert [p.index for p in placed(fixed, [upper, lower], above)] == [1]

    def test_no_label_covers_a_panel(self):
        assert placed([name()], [at(200, 100)], [Rect(180, 70, 20, 20)]) == []

    def test_no_label_leaves_the_picture(self):
        assert placed([name()] * 4, [at(5, 150), at(395, 150), at(200, 5), at(200, 310)]) == []

    def test_no_label_covers_another_block(self):
        assert [p.index for p in placed([name(), name(1.0)], [at(200, 120), (180, 80, 220, 120)])] == [1]

    def test_label_over_another_block_stands_on_the_other_side_of_its_own(self):
        under_it = (80, 60, 180, 97)
        found = placed([name(1.0), name(0.0)], [(100, 100, 160, 150), under_it])
        assert found[0].rect == Rect(100, 153, 60, 24)
        assert [p.index for p in found] == [0, 1]

    def test_label_of_a_block_between_two_others_stands_on_its_left(self):
        found = placed(
            [name(span=(1, 1, 1)), name(2.0), name(1.0)],
            [(100, 100, 160, 150), (100, 155, 160, 200), (100, 50, 160, 95)],
        )
        assert next(p.rect for p in found if p.index == 0) == Rect(37, 113, 60, 24)

    def test_label_never_stands_on_the_other_side_of_its_block_near_another_one(self):
        found = placed([name(), name()], [(100, 60, 160, 110), (100, 140, 160, 190)], [Rect(0, 0, 400, 60)])
        assert 0 not in [p.index for p in found if p.rect.bottom > 110]

    def test_small_label_may_cover_a_block(self):
        found = placed([name(small=True), name(1.0)], [at(200, 120), (150, 100, 250, 120)])
        assert {p.index for p in found} == {0, 1}

    def test_no_label_for_a_block_behind_the_camera(self):
        assert placed([name()], [at(float("nan"), 100)]) == []

    def test_placement_of_no_labels_is_empty(self):
        assert placed([], np.empty((0, 4))) == []
        assert outlines(corners_of([]), np.eye(4), SIZE).shape == (0, 4)

    @pytest.mark.parametrize("seed", range(5))
    def test_many_labels_do_not_overlap(self, seed):
        random = np.random.default_rng(seed)
        labels = [name(float(p)) for p in random.random(80)]
        corners = random.uniform(0, 300, (80, 2))
        around = np.concatenate([corners, corners + random.uniform(0, 60, (80, 2))], axis=1)
        rects = [p.rect for p in placed(labels, around, [Rect(0, 0, 90, 90)])] + [Rect(0, 0, 90, 90)]
        assert len(rects) > 3
        assert not any(a.overlaps(b) for i, a in enumerate(rects) for b in rects[:i])

    def test_touching_rectangles_do_not_overlap(self):
        assert not Rect(0, 0, 10, 10).overlaps(Rect(10, 0, 10, 10))
        assert Rect(0, 0, 10, 10).overlaps(Rect(9, 9, 10, 10))


def matrix_of(pose, aspect: float) -> np.ndarray:
    """Return the matrix from world to clip coordinates, as in OpenGL."""
    eye, ahead, right, up = axes(pose)
    view = np.eye(4)
    view[:3, :3] = right, up, -ahead
    view[:3, 3] = -view[:3, :3] @ eye
    f = 1 / np.tan(np.radians(pose.field_of_view / 2))
    return np.array([[f / aspect, 0, 0, 0], [0, f, 0, 0], [0, 0, -1.002, -0.2], [0, 0, -1, 0]]) @ view


def test_projection_equals_that_of_a_pinhole_camera():
    pose = looking((-30.0, 20.0), 9.0)
    points = np.random.default_rng(1).normal(size=(20, 3))
    found = project(points, matrix_of(pose, SIZE[0] / SIZE[1]), SIZE)
    expected = to_pixels(points, pose, SIZE)
    assert np.allclose(found[:, 0], expected[:, 0])
    assert np.allclose(SIZE[1] - found[:, 1], expected[:, 1])


def test_projection_behind_the_camera_is_nan():
    pose = looking((0.0, 0.0), 9.0)
    assert np.isnan(project(np.array([[0.0, 0.0, 12.0]]), matrix_of(pose, 1.0), SIZE)).all()


class TestText:
    def test_short_text_is_not_cut(self):
        assert shorten("short", font("", "text", 1.0), 200) == "short"

    @pytest.mark.parametrize("width", [20, 60, 100])
    def test_long_text_is_cut_to_fit(self, width):
        f = font("", "text", 1.0)
        cut = shorten("a very long text that nobody wants to read to its end", f, width)
        assert cut.endswith("…")
        assert f.getlength(cut) <= width
        assert "a very long text".startswith(cut[:-1]) or cut.startswith("a very long text")

    def test_label_sprite_grows_with_lines_and_scale(self):
        one, two = label_sprite(("name",), 1.0, 1.0), label_sprite(("name", "detail"), 1.0, 1.0)
        double = label_sprite(("name",), 1.0, 2.0)
        assert two.shape[0] > one.shape[0]
        assert double.shape[0] == pytest.approx(2 * one.shape[0], abs=2)
        assert one.shape[2] == 4

    def test_label_with_less_emphasis_is_fainter(self):
        strong, faint = (label_sprite(("name",), e, 2.0)[..., :3].max() for e in (1.0, 0.2))
        assert strong > faint

    def test_panel_is_as_high_as_its_rows_and_at_most_as_wide_as_allowed(self):
        rows = (
            TextRow("A title that is much too long for any panel of this width", "title"),
            TextRow("words", "quiet"),
            BarRow("a class with a long name", "0.999", 0.999, strong=True),
            SwatchRow((((1.0, 0.0, 0.0), "red"), ((0.0, 0.0, 1.0), "blue"))),
        )
        sprite = panel_sprite(Panel("p", "top-left", rows), 1.0, 200.0)
        around = 2 * 14
        assert sprite.shape[1] <= 200 + around + 4
        heights = [panel_sprite(Panel("p", "top-left", (row,)), 1.0, 200.0).shape[0] - around for row in rows]
        assert sprite.shape[0] - around == sum(heights)

    def test_bar_is_as_long_as_its_share(self):
        def lit(share: float) -> int:
            sprite = panel_sprite(Panel("p", "top-left", (BarRow("x", "y", share, strong=True),)), 1.0, 400.0).astype(
                int
            )
            orange = (sprite[..., 0] > 200) & (sprite[..., 2] < 120) & (sprite[..., 3] > 200)
            return int(orange.any(axis=0).sum())

        assert lit(0.0) == 0
        assert lit(0.5) == pytest.approx(lit(1.0) / 2, abs=2)
        assert lit(1.7) == lit(1.0)

    def test_scale_shows_its_colours_except_those_below_the_threshold(self):
        plain = ScaleRow(colormap("viridis"), ((0.0, "0"), (1.0, "1")))
        cut = ScaleRow(colormap("viridis"), ((0.0, "0"), (1.0, "1")), hidden=((0.0, 0.5),))
        a, b = (panel_sprite(Panel("p", "top-left", (row,)), 1.0, 400.0).astype(int) for row in (plain, cut))
        assert a.shape == b.shape
        changed = np.flatnonzero((a != b).any(axis=(0, 2)))
        assert changed.max() < a.shape[1] * 0.55
        assert len(changed) > a.shape[1] * 0.4
        table = colormap("viridis").table
        for color in (table[10], table[128], table[245]):
            assert np.abs(a[..., :3] - color).max(axis=2).min() <= 2
