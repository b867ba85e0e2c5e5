"""What stands for "nothing there" in an input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.pixels import place_axes
from nnviz3d.capture.programs.describe import DescribedModel

_BLUR = 0.08
"""Standard deviation of the blur, as a share of the longest side: 18 pixels of 224, which leaves no object to be seen."""


def make_baselines(
    described: DescribedModel, arrays: Sequence[NDArray[Any]], layer: str, kind: str, seed: int
) -> list[NDArray[Any]]:
    """Make what each sample is compared to, for each input ``(N, *shape)``.

    Inputs other than the one that is explained stay as they are, so that the map tells all that it changes.

    Parameters
    ----------
    arrays
        The samples as the model takes them.
    layer
        Node id of the input that is explained.
    kind
        ``zero``, the number 0 where the model reads it, which preprocessing may have made of black or of grey;
        ``mean``, of the sample's own places, channel by channel; ``blur``, the sample out of focus; ``noise``, uniform
        between the sample's extremes (the choices of Sturmfels et al. 2020, doi:10.23915/distill.00022).
    seed
        Of the noise, which is the same for a sample whatever others there are.
    """
    position = described.graph.inputs.index(layer)
    made = list(arrays)
    values = np.asarray(arrays[position])
    made[position] = _MAKERS[kind](values, place_axes(described, layer), seed).astype(values.dtype)
    return made


def _zero(values: NDArray[Any], _axes: Sequence[int], _seed: int) -> NDArray[Any]:
    return np.zeros_like(values)


def _mean(values: NDArray[Any], axes: Sequence[int], _seed: int) -> NDArray[Any]:
    mean = values.mean(axis=tuple(axes), keepdims=True, dtype=np.float64)
    return np.broadcast_to(mean, values.shape)


def _blur(values: NDArray[Any], axes: Sequence[int], _seed: int) -> NDArray[Any]:
    sigma = max(_BLUR * max(values.shape[axis] for axis in axes), 1e-6)
    blurred = values.astype(np.float64)
    for axis in axes:
        count = values.shape[axis]
        distance = np.arange(count)[:, None] - np.arange(count)[None, :]
        # Cut off at the border and brought back to 1, so that no edge is dark.
        weights = np.exp(-0.5 * (distance / sigma) ** 2)
        weights /= weights.sum(axis=1, keepdims=True)
        blurred = np.moveaxis(np.tensordot(weights, blurred, (1, axis)), 0, axis)
    return blurred


def _noise(values: NDArray[Any], _axes: Sequence[int], seed: int) -> NDArray[Any]:
    each = tuple(range(1, values.ndim))
    low, high = values.min(axis=each, keepdims=True), values.max(axis=each, keepdims=True)
    share = np.random.default_rng(seed).random(math.prod(values.shape[1:])).reshape(values.shape[1:])
    return np.asarray(low + (high - low) * share)


_MAKERS: Mapping[str, Callable[[NDArray[Any], Sequence[int], int], NDArray[Any]]] = {
    "zero": _zero,
    "mean": _mean,
    "blur": _blur,
    "noise": _noise,
}
