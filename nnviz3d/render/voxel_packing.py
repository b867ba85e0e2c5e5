"""Packing of many grids of one shape at once, with the same results as `voxels.pack` of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.render.voxels import LEVELS, Packed, atlas_tiles, larger_of_pairs, pack

_MOST = 254
"""Most numbers among which each one gets a rank of its own."""
_LEAST = np.finfo(np.float32).smallest_subnormal
_AXES = (1, 2, 3)


def pack_all(grids: Sequence[NDArray[np.float32]]) -> list[Packed]:
    """Pack grids ``(X, Y, Z)``; those of one shape together."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for k, grid in enumerate(grids):
        alike.setdefault(grid.shape, []).append(k)
    found: dict[int, Packed] = {}
    for shape, places in alike.items():
        few = math.prod(-(-n // 2) for n in shape) <= _MOST
        some = [grids[k] for k in places]
        found.update(zip(places, _pack_alike(np.stack(some)) if few else map(pack, some), strict=True))
    return [found[k] for k in range(len(grids))]


def _pack_alike(grids: NDArray[np.float32]) -> Iterable[Packed]:
    """Pack grids ``(n, X, Y, Z)`` with at most `_MOST` cubes of two cells a side."""
    levels, bounds = _rank_levels(grids)
    numbers, across = _side_by_side(grids)
    texels, levels_across = _side_by_side(levels.view(np.uint32)[..., 0])
    pixels = texels.view(np.uint8).reshape(*texels.shape, LEVELS)
    x, y, z = levels.shape[1:4]
    for k in range(len(grids)):
        yield Packed(numbers[k], across, pixels[k], levels_across, (x, y, z), bounds[k])


def _rank_levels(grids: NDArray[np.float32]) -> tuple[NDArray[np.uint8], list[NDArray[np.float32]]]:
    """Return what `voxels.rank_levels` returns for each grid: ranks ``(n, X / 2, Y / 2, Z / 2, LEVELS)`` and bounds."""
    maxima = np.abs(grids)
    for axis in _AXES:
        maxima = larger_of_pairs(maxima, axis)
    maxima[np.isnan(maxima)] = np.inf
    flat = maxima.reshape(len(grids), -1)
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    # Each different number is a bound, and so is the smallest number above zero.
    new = np.isfinite(ordered) & (ordered > _LEAST)
    new[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    ranks = new.cumsum(axis=1) + (ordered >= _LEAST)
    placed = np.empty(flat.shape, dtype=np.uint8)
    np.put_along_axis(placed, order, ranks.astype(np.uint8), axis=1)
    level: NDArray[np.uint8] = placed.reshape(maxima.shape)
    levels = np.empty((*maxima.shape, LEVELS), dtype=np.uint8)
    for k in range(LEVELS):
        spread = level
        for axis in _AXES:
            spread = np.repeat(spread, 2**k, axis=axis).take(range(maxima.shape[axis]), axis=axis)
            level = larger_of_pairs(level, axis)
        levels[..., k] = spread
    return levels, [np.append(_LEAST, row[which]) for row, which in zip(ordered, new, strict=True)]


def _side_by_side(grids: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Return what `voxels.pack_atlas` returns for each grid ``(n, X, Y, Z)``; the pictures are ``(n, H, W)``."""
    n, x, y, z = grids.shape
    across, rows = atlas_tiles((x, y, z))
    atlas = np.zeros((n, rows, y, across, x), dtype=grids.dtype)
    for k in range(z):
        atlas[:, k // across, :, k % across, :] = grids[:, :, :, k].transpose(0, 2, 1)
    return atlas.reshape(n, rows * y, across * x), across
