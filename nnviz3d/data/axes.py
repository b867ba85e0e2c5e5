"""Names of a tensor's axes, and conversion to and from channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Axes = tuple[str, ...]
"""Names of the axes of one sample's tensor, such as ``("row", "column", "channel")``."""

CHANNEL = "channel"
TIME = "time step"
FREQUENCY = "frequency"
TOKEN = "token"  # noqa: S105
"""The one axis of a row of token numbers."""
OUTER_TIME = "outer time step"
"""The first axis of a sequence of sequences."""
_LOCATIONS: dict[int, Axes] = {
    0: (),
    1: (TIME,),
    2: ("row", "column"),
    3: ("plane", "row", "column"),
}
_KNOWN = frozenset({CHANNEL, TIME, OUTER_TIME, FREQUENCY, TOKEN, "plane", "row", "column"})


def axes_of(shape: Sequence[int | None]) -> Axes:
    """Name the axes of one sample's tensor, channels last.

    Parameters
    ----------
    shape
        The shape without the sample axis, of any rank.
    """
    return named_axes(len(shape), len(shape) - 1)


def named_axes(rank: int, channel: int | None) -> Axes:
    """Name the axes of one sample's tensor.

    Parameters
    ----------
    rank
        Number of axes, without the sample axis.
    channel
        Position of the channel axis; `None` if every number has its own location.
    """
    if rank == 0:
        return ()
    count = rank if channel is None else rank - 1
    locations = _LOCATIONS.get(count, tuple(f"axis{i}" for i in range(count)))
    return locations if channel is None else (*locations[:channel], CHANNEL, *locations[channel:])


def axes_over_time(axes: Axes, steps: int) -> Axes:
    """Name the axes of a sequence.

    Parameters
    ----------
    axes
        Names of the axes at one step.
    steps
        Number of time axes before these.
    """
    times = steps + axes.count(TIME)
    if not steps or times > 2 or not all(axis in _KNOWN for axis in axes):
        return axes if not steps else named_axes(steps + len(axes), _behind(channel_axis(axes), steps))
    names = (OUTER_TIME, TIME)[-times:]
    return (*names[:steps], *axes)


def score_axes(shape: Sequence[int | None]) -> Axes:
    """Name the axes of one sample's attention scores: heads, if there are any, queries and keys."""
    names = ("head", "query", "key")[-len(shape) :]
    return names if 2 <= len(shape) <= len(names) else ()


def _behind(channel: int | None, steps: int) -> int | None:
    return None if channel is None else steps + channel


def is_named(axes: Axes) -> bool:
    """Whether the names of axes are valid: those that `named_axes` or `axes_over_time` return."""
    distinct = len(set(axes)) == len(axes)
    return axes == named_axes(len(axes), channel_axis(axes)) or (distinct and all(axis in _KNOWN for axis in axes))


def channel_axis(axes: Axes) -> int | None:
    """Return the position of the channel axis; `None` if there is none."""
    return axes.index(CHANNEL) if CHANNEL in axes else None


def unit_word(axes: Axes) -> str:
    """Return what a unit of a layer is called: channel, or neuron where each is one number."""
    return "neuron" if axes == (CHANNEL,) else "channel"


def strongest_of_channel(values: NDArray[Any], axes: Axes, channel: int) -> tuple[int, ...] | None:
    """Return the index of a channel's number that is farthest from 0; `None` if the array has no such channel."""
    axis = channel_axis(axes)
    if axis is None or axis >= values.ndim or channel >= values.shape[axis]:
        return None
    inside = np.abs(np.nan_to_num(np.take(values, channel, axis=axis)))
    index = [int(i) for i in np.unravel_index(int(inside.argmax()), inside.shape)]
    index.insert(axis, channel)
    return tuple(index)


def location_shape(shape: Sequence[Any], axes: Axes) -> tuple[Any, ...]:
    """Return a shape without its channel axis."""
    at = channel_axis(axes)
    return tuple(n for i, n in enumerate(shape) if i != at)


def channels_in(shape: Sequence[Any], axes: Axes) -> Any:
    """Return the number of channels in a shape: 1 if every number has its own location."""
    at = channel_axis(axes)
    return 1 if at is None else shape[at]


def location_axes(axes: Axes, rank: int) -> tuple[int, ...]:
    """Return the positions of the location axes in a batch, ``(n, *shape)``; vectors have none.

    Parameters
    ----------
    axes
        Names of the axes of ``shape``. If their number is not that of the shape, channels are assumed to come last.
    rank
        Number of axes of the batch.
    """
    axes = axes if rank == 1 + len(axes) else named_axes(rank - 1, rank - 2)
    return tuple(1 + i for i in range(len(axes)) if i != channel_axis(axes))


def channels_last(values: NDArray[Any], axes: Axes) -> NDArray[Any]:
    """View a tensor with its channels last.

    Parameters
    ----------
    values
        ``(..., *shape)`` with any number of axes before the named ones.
    axes
        Names of the axes of ``shape``.

    Returns
    -------
    ``(..., *locations, channels)``: an axis of one channel is added if there is none. Scalars are returned unchanged.
    """
    if not axes:
        return values
    at = channel_axis(axes)
    if at is None:
        return values[..., np.newaxis]
    return np.moveaxis(values, values.ndim - len(axes) + at, -1)


def as_arranged(values: NDArray[Any], axes: Axes) -> NDArray[Any]:
    """View ``(..., *locations, channels)`` in the order of the axes: the inverse of `channels_last`."""
    if not axes:
        return values
    at = channel_axis(axes)
    return values[..., 0] if at is None else np.moveaxis(values, -1, values.ndim - len(axes) + at)
