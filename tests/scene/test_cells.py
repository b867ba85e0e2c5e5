"""The mapping between the numbers of a tensor of any rank and the cells of its block."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnviz3d.scene.layout.cells import grid_for

SHAPES = [
    (),
    (1,),
    (10,),
    (16,),
    (17,),
    (64,),
    (576,),
    (1000,),
    (1009,),
    (25088,),
    (6, 4),
    (1, 7),
    (5, 1),
    (4, 6, 3),
    (5, 7, 1),
    (1, 1, 8),
    (2, 3, 4, 5),
    (3, 4, 5, 1),
    (2, 2, 3, 4, 5),
    (0,),
    (6, 0),
    (6, 0, 4),
    (6, 7, 0),
    (0, 3, 4, 5),
]
WRAPPED_WITH_SPARES = (1009,)


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
class TestEveryShape:
    def test_cells_contain_all_numbers(self, shape):
        grid = grid_for(shape)
        arranged = grid.arrange(numbered(shape))
        assert arranged.shape == grid.size
        assert arranged.dtype == np.float32
        spare = math.prod(grid.size) - grid.count
        expected = np.concatenate([np.zeros(spare, dtype=np.float32), numbered(shape).ravel()])
        assert np.array_equal(np.sort(arranged.ravel()), np.sort(expected))

    def test_cells_returns_the_cell_of_every_number(self, shape):
        grid = grid_for(shape)
        values = numbered(shape)
        index = np.arange(values.size)
        x, y, z = grid.cells(index).T
        assert np.array_equal(grid.arrange(values)[x, y, z], values.ravel())

    def test_index_is_the_inverse_of_cells(self, shape):
        grid = grid_for(shape)
        values = numbered(shape)
        step = max(1, values.size // 3000)
        for flat in range(0, values.size, step):
            cell = tuple(int(n) for n in grid.cells(np.array([flat]))[0])
            found = grid.index(cell)
            assert found is not None
            assert values[found] == flat

    def test_index_outside_the_grid_is_none(self, shape):
        grid = grid_for(shape)
        x, y, z = grid.size
        for outside in ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (x, 0, 0), (0, y, 0), (0, 0, z)):
            assert grid.index(outside) is None

    def test_only_spare_cells_have_no_index(self, shape):
        grid = grid_for(shape)
        cells = np.ndindex(grid.size)
        spare = sum(grid.index(cell) is None for cell in cells)
        assert spare == math.prod(grid.size) - grid.count


@pytest.mark.parametrize(
    "shape", [s for s in SHAPES if len(s) not in (4, 5) and s != WRAPPED_WITH_SPARES and 0 not in s], ids=str
)
def test_arrange_returns_a_view(shape):
    values = numbered(shape)
    assert np.shares_memory(grid_for(shape).arrange(values), values)


def test_vector_of_prime_length_has_spare_cells():
    grid = grid_for(WRAPPED_WITH_SPARES)
    assert math.prod(grid.size) > grid.count == 1009


def test_maps_face_the_viewer():
    """Columns to the right, the first row on top, the first channel in front."""
    arranged = grid_for((4, 6, 3)).arrange(numbered((4, 6, 3)))
    values = numbered((4, 6, 3))
    assert arranged[0, -1, -1] == values[0, 0, 0]
    assert arranged[5, -1, -1] == values[0, 5, 0]
    assert arranged[0, 0, -1] == values[3, 0, 0]
    assert arranged[0, -1, 0] == values[0, 0, 2]


def test_sequence_is_a_sheet_with_time_steps_along_x():
    arranged = grid_for((6, 4)).arrange(numbered((6, 4)))
    values = numbered((6, 4))
    assert arranged.shape == (6, 4, 1)
    assert arranged[5, -1, 0] == values[5, 0]
    assert arranged[0, 0, 0] == values[0, 3]


def test_planes_of_one_channel_are_adjacent():
    values = numbered((2, 3, 4, 5))
    arranged = grid_for((2, 3, 4, 5)).arrange(values)
    front_to_back = arranged[0, -1, ::-1]
    assert np.array_equal(front_to_back, values[:, 0, 0, :].T.ravel())


def test_short_vector_is_one_column_from_top_to_bottom():
    assert grid_for((10,)).size == (1, 10, 1)
    assert np.array_equal(grid_for((10,)).arrange(numbered((10,)))[0, ::-1, 0], np.arange(10))


@pytest.mark.parametrize("length", [64, 576, 1000, 4096, 25088])
def test_long_vector_is_higher_than_wide_within_a_limit(length):
    x, y, _ = grid_for((length,)).size
    assert 1 <= y / x <= 8
