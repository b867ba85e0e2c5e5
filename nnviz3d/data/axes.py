"""Names of a tensor's axes, and the arrangement with channels last that computations on maps share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Axes = tuple[str, ...]
"""Names of the axes of one sample's tensor, such as ``("row", "column", "channel")``."""

CHANNEL = "channel"
_PLACES: dict[int, Axes] = {
    0: (),
    1: ("step",),
    2: ("row", "column"),
    3: ("plane", "row", "column"),
}


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
        How many axes there are, the sample's left out.
    channel
        Which of them is that of channels; `None` if every number is a place of its own.
    """
    if rank == 0:
        return ()
    count = rank if channel is None else rank - 1
    places = _PLACES.get(count, tuple(f"axis{i}" for i in range(count)))
    return places if channel is None else (*places[:channel], CHANNEL, *places[channel:])


def is_named(axes: Axes) -> bool:
    """Whether `named_axes` gives axes such names."""
    return axes == named_axes(len(axes), channel_axis(axes))


def channel_axis(axes: Axes) -> int | None:
    """Return which axis is that of channels; `None` if there is none."""
    return axes.index(CHANNEL) if CHANNEL in axes else None


def places_in(shape: Sequence[Any], axes: Axes) -> tuple[Any, ...]:
    """Return the lengths of a shape, without that of the channels."""
    at = channel_axis(axes)
    return tuple(n for i, n in enumerate(shape) if i != at)


def channels_in(shape: Sequence[Any], axes: Axes) -> Any:
    """Return how many channels a shape has: 1 if every number is a place of its own."""
    at = channel_axis(axes)
    return 1 if at is None else shape[at]


def batch_places(axes: Axes, rank: int) -> tuple[int, ...]:
    """Return which axes of a batch, ``(n, *shape)``, are those of places; of vectors there is none.

    Parameters
    ----------
    axes
        What the axes of ``shape`` are called. Where it turns out to have others, its channels are taken to stand last.
    rank
        How many axes the batch has.
    """
    axes = axes if rank == 1 + len(axes) else named_axes(rank - 1, rank - 2)
    return tuple(1 + i for i in range(len(axes)) if i != channel_axis(axes))


def channels_last(values: NDArray[Any], axes: Axes) -> NDArray[Any]:
    """View a tensor with its channels last.

    Parameters
    ----------
    values
        ``(..., *shape)`` with any number of axes in front of those that are named.
    axes
        What the axes of ``shape`` are called.

    Returns
    -------
    ``(..., *places, channels)``: an axis of one channel is added if there is none. Numbers alone have no axes to move.
    """
    if not axes:
        return values
    at = channel_axis(axes)
    if at is None:
        return values[..., np.newaxis]
    return np.moveaxis(values, values.ndim - len(axes) + at, -1)


def as_arranged(values: NDArray[Any], axes: Axes) -> NDArray[Any]:
    """View ``(..., *places, channels)`` as the axes say: the inverse of `channels_last`."""
    if not axes:
        return values
    at = channel_axis(axes)
    return values[..., 0] if at is None else np.moveaxis(values, -1, values.ndim - len(axes) + at)
