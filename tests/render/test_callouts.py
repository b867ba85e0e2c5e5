"""Tests of the placement of brackets, of a callout's words and of boards."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.render.callouts import PlacedCallout, board_places, corners_of, marked_at, place_callout
from nnviz3d.render.label_placement import Rect
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Callout, Panel, Span
from tests.render.conftest import SIZE
from tests.support.blocks import block, center_of, looking, picture_of, told_apart
from tests.support.pinhole import pixel_at

# World x and y are pixels of the screen, and nothing is farther away than anything else.
SCREEN = (400, 300)
FLAT = np.array([[2 / SCREEN[0], 0, 0, -1], [0, 2 / SCREEN[1], 0, -1], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=float)
NO_BLOCKS = np.empty((0, 4))
WORDS = (90, 50)
ROWS = (TextRow("words"),)


def mark(x: float, y: float, size: float = 4.0) -> Span:
    return Span((x, y, 0.0), (size, size, 0.0))


def callout(*marks: Span, path: list[tuple[float, float]] | None = None) -> Callout:
    points = np.array([(x, y, 0.0) for x, y in path or []], dtype=np.float32).reshape(-1, 3)
    return Callout("pick", marks, ROWS, points)


def placed(what: Callout, occupied: list[Rect] | None = None, blocks: np.ndarray = NO_BLOCKS) -> PlacedCallout:
    return place_callout(what, FLAT, SCREEN, 1.0, WORDS, occupied or [], blocks)


@pytest.mark.parametrize("where", [(200, 150), (2, 2), (395, 2), (2, 295), (395, 295), (200, 297), (396, 150)])
@pytest.mark.parametrize("size", [0.2, 4.0, 40.0])
def test_words_of_a_callout_are_in_the_picture_and_beside_the_mark(where, size):
    found = placed(callout(mark(*where, size)))
    assert found.words is not None
    assert found.words.left >= 0
    assert found.words.bottom >= 0
    assert found.words.left + found.words.width <= SCREEN[0]
    assert found.words.bottom + found.words.height <= SCREEN[1]
    assert not found.words.overlaps(found.marks[0])


@pytest.mark.parametrize("size", [0.01, 3.0, 60.0])
def test_brackets_enclose_a_mark_of_any_size(size):
    (around,) = placed(callout(mark(200, 150, size))).marks
    assert around.width >= max(size, 12)
    assert around.height >= max(size, 12)
    assert around.left + around.width / 2 == pytest.approx(200 + size / 2)
    corners = list(corners_of(around, 1.0))
    assert len({id(corner.sprite) for corner in corners}) == 4
    assert min(corner.left for corner in corners) == around.left
    assert max(c.bottom + c.sprite.shape[0] for c in corners) == around.bottom + around.height
    again = list(corners_of(around, 1.0))
    assert all(a.sprite is b.sprite for a, b in zip(corners, again, strict=True)), (
        "the renderer uploads every new object"
    )


def test_words_cover_no_panel_no_mark_and_no_line():
    ends = (mark(100, 150), mark(220, 150))
    path = [(102, 152), (160, 180), (222, 152)]
    panel = Rect(180, 190, 200, 100)
    found = placed(callout(*ends, path=path), [panel])
    assert found.words is not None
    assert not found.words.overlaps(panel)
    assert not any(found.words.overlaps(m) for m in found.marks)
    for x, y in path:
        assert not found.words.overlaps(Rect(x, y, 1, 1))


def test_words_stand_beside_blocks_if_there_is_room():
    block_right = np.array([[210.0, 0.0, 400.0, 300.0], [np.nan] * 4])
    found = placed(callout(mark(204, 150)), blocks=block_right)
    assert found.words is not None
    assert found.words.left + found.words.width < 210


def test_callout_out_of_sight_has_no_words():
    assert placed(callout(mark(900, 150))).words is None
    behind = FLAT.copy()
    behind[3] = (0, 0, 0, -1)
    found = place_callout(callout(mark(200, 150)), behind, SCREEN, 1.0, WORDS, [], NO_BLOCKS)
    assert found == PlacedCallout((), None)


def test_bottom_board_rises_above_occupied_rectangles_and_middle_board_does_not():
    low, middle = Panel("status", "bottom", ROWS), Panel("help", "middle", ROWS)
    (free,) = board_places([low], SCREEN, 1.0, [])
    (risen,) = board_places([low], SCREEN, 1.0, [Rect(0, 0, 400, 40), Rect(190, 30, 30, 30)])
    assert free.bottom < 40
    assert risen.bottom >= 60
    (center,) = board_places([middle], SCREEN, 1.0, [Rect(0, 0, 400, 300)])
    assert center.left + center.sprite.shape[1] / 2 == pytest.approx(SCREEN[0] / 2, abs=1)
    assert center.bottom + center.sprite.shape[0] / 2 == pytest.approx(SCREEN[1] / 2, abs=1)


def test_picture_has_white_brackets_around_the_marked_cell(shoot):
    voxels = told_apart(np.full((5, 5, 5), 30.0))
    pose = looking((-20.0, 15.0), 22.0)
    cell = (2, 3, 4)
    low = np.array(voxels.origin) + np.array(cell) * voxels.cell
    around = Callout("pick", (Span(tuple(low), voxels.cell),), ROWS, np.empty((0, 3), dtype=np.float32))
    without, marked = (shoot(picture_of(*what), pose) for what in ((voxels,), (voxels, around)))
    row, column = pixel_at(center_of(voxels, cell), pose, SIZE)
    white = np.argwhere((marked.min(axis=2) > 245) & (without.min(axis=2) <= 245))
    near = white[(np.abs(white - (row, column)) <= 16).all(axis=1)]
    assert len(near) >= 12
    assert (near.min(axis=0) < (row, column)).all()
    assert (near.max(axis=0) > (row, column)).all()
    assert np.array_equal(marked[row, column], without[row, column]), "the marked cell stays visible"
    assert np.array_equal(shoot(picture_of(voxels), pose), without)


def test_words_are_drawn_if_a_single_cell_fills_the_picture(shoot):
    voxels = block(np.ones((1, 1, 1)))
    around = Callout("pick", (Span(voxels.origin, voxels.cell),), ROWS, np.empty((0, 3), dtype=np.float32))
    close = looking((0.0, 0.0), 1.2)
    without, marked = (shoot(picture_of(*what), close) for what in ((voxels,), (voxels, around)))
    assert (without != marked).any()


@pytest.mark.parametrize(("x", "at_left"), [(60, False), (340, True), (None, False)])
def test_board_at_a_side_leaves_the_marks_free_and_callouts_avoid_it(x, at_left):
    marks = [] if x is None else [callout(mark(x, 150))]
    occupied: list[Rect] = []
    where = marked_at(marks, FLAT, SCREEN, 1.0)
    assert where is None if x is None else where == pytest.approx(x + 2)
    (board,) = board_places([Panel("sum", "side", ROWS)], SCREEN, 1.0, occupied, where)
    assert (board.left < SCREEN[0] / 4) == at_left
    assert board.left + board.sprite.shape[1] <= SCREEN[0]
    assert len(occupied) == 1
    assert not any(placed(one, occupied).words.overlaps(occupied[0]) for one in marks)
