"""Curves of signals over time, in front of their blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import repeated
from nnviz3d.scene.context import LayerValues
from nnviz3d.scene.layout.plan import Placement
from nnviz3d.scene.primitives import Lines, Source

_INK, _BAND, _ZERO = (0.93, 0.97, 1.0), (0.36, 0.53, 0.80), (0.55, 0.60, 0.70)
_FILLED = 0.84
"""Share of a lane's height that its curve takes."""
_BEFORE = 0.02
"""World distance of the curves from the front of their block."""
_MOST_POINTS = 2000
"""Maximum number of points of a curve; of a longer signal the extremes of each stretch of time are drawn."""

_DENSE = 400
"""Number of points from which on the segments of a curve fill a band on the screen, which has a quieter colour."""


def curves(name: str, layer: LayerValues, placement: Placement, seen: float) -> tuple[Lines, ...]:
    """Return one curve for each channel, the first one on top, and a line at zero below each if there is a zero.

    All channels of a block have one scale, from the smallest to the largest number. A curve has a gap at NaN and at
    infinite numbers.

    Parameters
    ----------
    name
        The node's id.
    layer
        Values of a signal, ``(T,)`` or ``(T, C)``.
    seen
        Opacity of the curves.
    """
    values = layer.grid.last(layer.values).reshape(-1, layer.grid.channels)
    low, high = layer.statistics.low, layer.statistics.high
    if low == high:
        low, high = low - 1.0, high + 1.0
    steps, channels = values.shape
    (left, bottom, back), (width, height, depth) = placement.origin, placement.size
    front, lane = back + depth + _BEFORE, height / channels
    parts, zeros = [], []
    for channel in range(channels):
        floor = bottom + (channels - 1 - channel) * lane + lane * (1 - _FILLED) / 2
        at, numbers = shortened(values[:, channel])
        x = left + (at + 0.5) / steps * width
        y = floor + (numbers - low) / (high - low) * _FILLED * lane
        points = np.stack([x, y, np.full(len(x), front)], axis=1)
        segments = np.stack([points[:-1], points[1:]], axis=1)
        parts.append(segments[np.isfinite(segments).all(axis=(1, 2))])
        if low <= 0 <= high:
            level = floor - low / (high - low) * _FILLED * lane
            zeros.append([[left, level, front], [left + width, level, front]])
    segments = np.concatenate(parts).astype(np.float32)
    found = []
    source = Source("activations", name, part="curves")
    if zeros:
        ground = np.array(zeros, dtype=np.float32)
        paint = repeated(_ZERO, 0.5 * seen, len(ground))
        found.append(Lines(f"{name} (zero)", ground, paint, width=1.0, source=source))
    if len(segments):
        ink, width = (_INK, 1.8) if len(segments) <= _DENSE * channels else (_BAND, 1.0)
        paint = repeated(ink, seen, len(segments))
        found.append(Lines(f"{name} (curve)", segments, paint, width=width, source=source))
    return tuple(found)


def shortened(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions and numbers of a curve with at most `_MOST_POINTS` points.

    Parameters
    ----------
    values
        ``(T,)``.

    Returns
    -------
    Positions along the time axis, rising, and the numbers there: all of them, or of each stretch of time the smallest
    and the largest number, in their order. A stretch without finite numbers is NaN.
    """
    numbers = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    if len(numbers) <= _MOST_POINTS:
        return np.arange(len(numbers), dtype=np.float64), numbers
    at: list[int] = []
    for stretch in np.array_split(np.arange(len(numbers)), _MOST_POINTS // 2):
        if np.isnan(numbers[stretch]).all():
            at.append(int(stretch[0]))
        else:
            ends = {int(stretch[np.nanargmin(numbers[stretch])]), int(stretch[np.nanargmax(numbers[stretch])])}
            at += sorted(ends)
    return np.array(at, dtype=np.float64), numbers[at]
