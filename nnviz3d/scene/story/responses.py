"""The channel of a layer that answers a sample strongest, its place, and the number of silent channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import Axes, channel_axis, channels_last


@dataclass(frozen=True)
class Response:
    """The strongest channel of a layer.

    Attributes
    ----------
    channel
        Its index: that of the largest mean of absolute values over all locations.
    channels, silent
        The number of channels, and of those whose numbers are all 0.
    mean
        That mean.
    peak
        The number of the channel with the largest absolute value.
    index
        The index of that number in the layer's tensor, in the tensor's own order of axes.
    signed
        Whether the layer has negative numbers.
    odd
        How many of the layer's numbers are NaN or infinite; the other fields do not count them.
    """

    channel: int
    channels: int
    silent: int
    mean: float
    peak: float
    index: tuple[int, ...]
    signed: bool
    odd: int


def strongest_channel(values: NDArray[np.float32], axes: Axes) -> Response | None:
    """Find the channel that answers strongest; of equal ones the first.

    Parameters
    ----------
    values
        One sample's tensor, ``shape``.
    axes
        Names of its axes.

    Returns
    -------
    Response or None
        `None` if the tensor has no channels, or no finite number.
    """
    at = channel_axis(axes)
    if at is None or not values.size or len(axes) != values.ndim:
        return None
    last = channels_last(values, axes)
    finite = np.isfinite(last)
    if not finite.any():
        return None
    sizes = np.where(finite, np.abs(last, dtype=np.float64), 0.0).reshape(-1, last.shape[-1])
    counts = finite.reshape(sizes.shape).sum(axis=0)
    means = sizes.sum(axis=0) / np.maximum(counts, 1)
    channel = int(means.argmax())
    place = np.unravel_index(int(sizes[:, channel].argmax()), last.shape[:-1])
    location = tuple(int(i) for i in place)
    return Response(
        channel,
        last.shape[-1],
        int(((sizes.max(axis=0) == 0) & (counts == len(sizes))).sum()),
        float(means[channel]),
        float(last[(*location, channel)]),
        (*location[:at], channel, *location[at:]),
        bool((last[finite] < 0).any()),
        int(finite.size - finite.sum()),
    )
