"""Baselines: values of an input that stand for the absence of content."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.input_axes import location_axes
from nnviz3d.capture.programs.describe import DescribedModel

_BLUR = 0.08
"""Standard deviation of the blur, as a share of the longest side: 18 pixels of 224, so that no object is visible."""


def make_baselines(
    described: DescribedModel, arrays: Sequence[NDArray[Any]], layer: str, kind: str, seed: int
) -> list[NDArray[Any]]:
    """Make the baseline of each sample, ``(N, *shape)`` for each input.

    Only the explained input is replaced, so its map accounts for the whole change of the score.

    Parameters
    ----------
    arrays
        The samples as the model takes them.
    layer
        Node id of the explained input.
    kind
        ``zero``, the number 0 after preprocessing, which may be black or grey; ``mean``, the mean over the sample's
        locations for each channel; ``blur``, the blurred sample; ``noise``, uniform between the sample's extremes (the
        choices of Sturmfels et al. 2020, doi:10.23915/distill.00022).
    seed
        Seed of the noise, which does not depend on the other samples.
    """
    position = described.graph.inputs.index(layer)
    made = list(arrays)
    values = np.asarray(arrays[position])
    made[position] = _MAKERS[kind](values, location_axes(described, layer), seed).astype(values.dtype)
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
        # Weights are cut off at the border and normalized to a sum of 1, so that no edge is dark.
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
