"""Compiled loops of the t-SNE on a grid: forces along neighbours, points to the grid, the grid to points.

Numba compiles each function once per machine and keeps the result beside this file. The functions release the interpreter,
so that threads run them on ranges of points or of the grid. What they compute does not depend on the ranges.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def compiled(function: Any) -> Any:
    """Compile a function that runs beside others; sums may be reordered, in the same way at each call.

    Loops become vector instructions only if no division checks for zero, and if no index may be negative: so inner loops
    count from zero, over slices.
    """
    fast = {"contract", "reassoc", "arcp", "nsz"}
    return numba.njit(function, nogil=True, cache=True, error_model="numpy", fastmath=fast)


@compiled
def attract(indptr: Any, indices: Any, values: Any, points: Floats, pull: Floats, start: int, stop: int) -> None:
    """Add up the attractive forces on the points ``start:stop``.

    Parameters
    ----------
    indptr, indices, values
        Rows of the symmetric affinities p.
    points
        ``(N, 3)``.
    pull
        ``(N, 3)``: the sums of p q (y_i - y_j) are written here, q = 1 / (1 + |y_i - y_j|^2).
    """
    for i in range(start, stop):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        fx, fy, fz = np.float32(0), np.float32(0), np.float32(0)
        row = slice(indptr[i], indptr[i + 1])
        others, shares = indices[row], values[row]
        for k in range(len(others)):
            j = others[k]
            dx, dy, dz = x - points[j, 0], y - points[j, 1], z - points[j, 2]
            force = shares[k] / (np.float32(1) + dx * dx + dy * dy + dz * dz)
            fx += force * dx
            fy += force * dy
            fz += force * dz
        pull[i, 0], pull[i, 1], pull[i, 2] = fx, fy, fz


@compiled
def divergence(indptr: Any, indices: Any, values: Any, points: Floats, start: int, stop: int) -> float:
    """Return the sum of p log(p (1 + |y_i - y_j|^2)) over some rows of the affinities; see `attract`."""
    total = 0.0
    for i in range(start, stop):
        for at in range(indptr[i], indptr[i + 1]):
            j = indices[at]
            far = 1.0
            for axis in range(3):
                far += float(points[i, axis] - points[j, axis]) ** 2
            if values[at] > 0:
                total += values[at] * np.log(values[at] * far)
    return float(total)


# All constants are exact in single precision, so that the same code computes in either precision.
@compiled
def weights(u: Any) -> Any:
    """Return the values of the cubic B-spline at four neighbouring grid lines, for a place u in [0, 1) between them."""
    v = np.float32(1) - u
    uu, vv, six = u * u, v * v, np.float32(6)
    return (
        v * vv / six,
        (np.float32(4) + uu * (np.float32(3) * u - six)) / six,
        (np.float32(4) + vv * (np.float32(3) * v - six)) / six,
        u * uu / six,
    )


@compiled
def slopes(u: Any) -> Any:
    """Return the derivatives of `weights`."""
    v = np.float32(1) - u
    half, three, four = np.float32(0.5), np.float32(3), np.float32(4)
    return -half * v * v, half * u * (three * u - four), -half * v * (three * v - four), half * u * u


@compiled
def spread(places: Floats, grid: Floats, first: int, last: int) -> None:
    """Add each point to the grid, in the planes ``first:last`` of its first axis.

    Parameters
    ----------
    places
        ``(N, 3)``: the points in units of the grid, at least 0.
    grid
        ``(n0, n1, n2)``, with three lines more along each axis than the largest place.
    """
    for plane in range(first, last):
        grid[plane] = 0
    for i in range(len(places)):
        a, b, c = int(places[i, 0]), int(places[i, 1]), int(places[i, 2])
        if a + 3 < first or a >= last:
            continue
        wx = weights(places[i, 0] - np.float32(a))
        wy = weights(places[i, 1] - np.float32(b))
        wz = weights(places[i, 2] - np.float32(c))
        for p in range(max(first - a, 0), min(4, last - a)):
            for q in range(4):
                w = wx[p] * wy[q]
                for r in range(4):
                    grid[a + p, b + q, c + r] += w * wz[r]


@compiled
def gather(places: Floats, potential: Floats, push: Floats, start: int, stop: int) -> float:
    """Interpolate the potential's gradient at the points ``start:stop``; return the sum of the potential there.

    Parameters
    ----------
    places
        ``(N, 3)``: as in `spread`.
    potential
        On the grid.
    push
        ``(N, 3)``: the gradient, in units of the grid, is written here.
    """
    total = 0.0
    for i in range(start, stop):
        a, b, c = int(places[i, 0]), int(places[i, 1]), int(places[i, 2])
        u, v, w = places[i, 0] - np.float32(a), places[i, 1] - np.float32(b), places[i, 2] - np.float32(c)
        wx, wy, wz = weights(u), weights(v), weights(w)
        sx, sy, sz = slopes(u), slopes(v), slopes(w)
        fx, fy, fz, value = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for p in range(4):
            gy, gz, line = np.float32(0), np.float32(0), np.float32(0)
            for q in range(4):
                flat, slope = np.float32(0), np.float32(0)
                for r in range(4):
                    number = potential[a + p, b + q, c + r]
                    flat += wz[r] * number
                    slope += sz[r] * number
                line += wy[q] * flat
                gy += sy[q] * flat
                gz += wy[q] * slope
            fx += sx[p] * line
            fy += wx[p] * gy
            fz += wx[p] * gz
            value += wx[p] * line
        push[i, 0], push[i, 1], push[i, 2] = fx, fy, fz
        total += float(value)
    return float(total)


@compiled
def sort_by_cell(places: Floats, side: float, counts: Any, starts: Any, order: Any) -> None:
    """Sort points by the cell of a coarse grid that they are in.

    Parameters
    ----------
    places
        ``(N, 3)``, at least 0.
    side
        Side of a cell.
    counts
        ``(n0, n1, n2)``: numbers of cells along each axis.
    starts
        ``(n0 * n1 * n2 + 1,)``: the start of each cell in the order is written here.
    order
        ``(N,)``: the indices of the points are written here.
    """
    starts[:] = 0
    for i in range(len(places)):
        a, b, c = int(places[i, 0] / side), int(places[i, 1] / side), int(places[i, 2] / side)
        starts[(a * counts[1] + b) * counts[2] + c + 1] += 1
    for cell in range(1, len(starts)):
        starts[cell] += starts[cell - 1]
    for i in range(len(places) - 1, -1, -1):
        a, b, c = int(places[i, 0] / side), int(places[i, 1] / side), int(places[i, 2] / side)
        cell = (a * counts[1] + b) * counts[2] + c + 1
        # The end of a cell moves down to its start, and then is the end of the cell before.
        starts[cell] -= 1
        order[starts[cell]] = i
    for cell in range(len(starts) - 1):
        starts[cell] = starts[cell + 1]
    starts[-1] = len(places)


@compiled
def add_near(
    x: Floats, y: Floats, z: Floats, order: Any, starts: Any, counts: Any, side: float, scale: float,
    push: Floats, start: int, stop: int,
) -> float:  # fmt: skip
    """Add the short-range part of the repulsion to the sorted points ``start:stop``; see `Repulsion`.

    Parameters
    ----------
    x, y, z
        ``(N,)``: the points in the order of `sort_by_cell`, in units of the grid.
    side
        Side of a cell, which is the range, in units of the grid.
    scale
        Square of the grid's unit.
    push
        ``(N, 3)``: the gradient, in units of the grid, is added here, at the points' own indices.

    Returns
    -------
    The sum of the short-range potential at these points.
    """
    total = 0.0
    one, three = np.float32(1), np.float32(3)
    share = one / (one + np.float32(side * side * scale))
    ox, oy, oz = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    at = start
    while at < stop:
        # All points of a cell have the same others within reach, which are put side by side.
        a, b, c = int(x[at] / side), int(y[at] / side), int(z[at] / side)
        last = min(starts[(a * counts[1] + b) * counts[2] + c + 1], stop)
        many = 0
        for p in range(max(a - 1, 0), min(a + 2, counts[0])):
            for q in range(max(b - 1, 0), min(b + 2, counts[1])):
                row = (p * counts[1] + q) * counts[2]
                others = slice(starts[row + max(c - 1, 0)], starts[row + min(c + 2, counts[2])])
                there = slice(many, many + others.stop - others.start)
                ox[there], oy[there], oz[there] = x[others], y[others], z[others]
                many = there.stop
        for k in range(at, last):
            px, py, pz = x[k], y[k], z[k]
            fx, fy, fz, value = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for j in range(many):
                dx, dy, dz = px - ox[j], py - oy[j], pz - oz[j]
                far = one + scale * (dx * dx + dy * dy + dz * dz)
                near = max(one - share * far, np.float32(0))
                potential, cubed = one / far, near * near * near
                value += cubed * (potential - share)  # K w = K - share
                force = potential * cubed * (potential + three * share)
                fx += force * dx
                fy += force * dy
                fz += force * dz
            slope = np.float32(-2) * scale
            i = order[k]
            push[i, 0] += slope * fx
            push[i, 1] += slope * fy
            push[i, 2] += slope * fz
            total += float(value)
        at = max(last, at + 1)
    return float(total)


@compiled
def move(
    points: Doubles, moves: Doubles, gains: Doubles, pull: Floats, push: Any, factors: Any, start: int, stop: int
) -> None:
    """Move the points ``start:stop`` by the gradient, with momentum and gains as in openTSNE.

    Parameters
    ----------
    points, moves, gains
        ``(N, 3)``: replaced by the new points, by how far they have moved, and by the factors of their rates.
    pull, push
        ``(N, 3)``: sums of `attract` and of the repulsion.
    factors
        ``(6,)``: the exaggeration, the factor of `push`, the learning rate, the momentum, the least gain, the longest move.
    """
    exaggeration, share, rate, momentum, least, longest = factors
    for i in range(start, stop):
        length = 0.0
        for axis in range(3):
            gradient = exaggeration * pull[i, axis] - share * push[i, axis]
            if np.sign(moves[i, axis]) == np.sign(gradient):
                gains[i, axis] = gains[i, axis] * 0.8 + least
            else:
                gains[i, axis] += 0.2
            moves[i, axis] = momentum * moves[i, axis] - rate * gains[i, axis] * gradient
            length += moves[i, axis] ** 2
        short = min(1.0, longest / max(np.sqrt(length), longest))
        for axis in range(3):
            moves[i, axis] *= short
            points[i, axis] += moves[i, axis]
