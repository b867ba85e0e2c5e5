"""Find the scaling of pixels that a model applies itself, before its first layers with weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.flat_program import Program
from nnviz3d.capture.programs.frozen import frozen
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError

_TOP = 255
_ANY_SIZE = 16
"""Length in pixels of a side of variable length, for reading the model's constants."""
_FRACTION = 2.0
"""A larger mean belongs to pixels of 0..255: means of pixels of 0..1, even of a single channel, are smaller."""


@dataclass(frozen=True)
class PixelScaling:
    """The path of pixels to the first layers with weights.

    Attributes
    ----------
    nodes
        The calls that change numbers on the path, in order, by kind and name; empty if none does.
    first
        The first call with weights on the path; `None` if there is none.
    bytes_in
        Whether `nodes` expect pixels of 0..255; otherwise they expect pixels of 0..1.
    takes
        The least and the greatest number that the input can hold, if it is quantized.
    """

    nodes: tuple[str, ...]
    first: str | None
    bytes_in: bool
    takes: tuple[float, float] | None = None


@dataclass(frozen=True)
class PixelPath:
    """A tensor that depends on the picture only.

    Attributes
    ----------
    ends
        The last different results for pixels of 0 and of 255.
    nodes
        Positions or names of the calls that changed numbers so far.
    """

    ends: tuple[float, float]
    nodes: tuple[Any, ...]

    @property
    def bytes_in(self) -> bool:
        """Whether the calls expect pixels of 0..255: they scale pixels down, or subtract a mean of such pixels."""
        low, high = self.ends
        slope = (high - low) / _TOP
        return abs(slope) < 1 or abs(low / slope) > _FRACTION


def pixel_scaling(program: Program, position: int) -> PixelScaling:
    """Follow a picture through the calls without weights, and find the scaling from their results.

    The calls run on a black and on a white picture, so scaling by layers, operators and custom functions is found.

    Parameters
    ----------
    position
        Position of the program's input that takes the picture.

    Raises
    ------
    ModelError
        If a call fails on pictures.
    """
    paths, met = _followed(program, position)
    reached = [paths[source] for call in met for source, _ in call.sources if source in paths] or list(paths.values())[
        -1:
    ]
    chosen = chosen_path(reached)
    names = tuple(_named(program.calls[i]) for i in chosen.nodes)
    return PixelScaling(names, _named(met[0]) if met else None, chosen.bytes_in)


def chosen_path(reached: Sequence[PixelPath]) -> PixelPath:
    """Return the path that tells which pixels a model takes: one that scales bytes, or any that scales, or the first."""
    scaled = [path for path in reached if path.nodes]
    return next((path for path in scaled if path.bytes_in), scaled[0] if scaled else reached[0])


def _named(call: Call) -> str:
    return f"{type(call.operation).__name__} {call.path.rpartition('/')[2]!r}"


def _followed(program: Program, position: int) -> tuple[dict[int, PixelPath], list[Call]]:
    """Run the calls without weights that depend on this input alone; also return the calls with weights after them."""
    symbol = program.inputs[position]
    shape = [symbol.shape[0] or 1, *(n or _ANY_SIZE for n in symbol.shape[1:])]
    values: list[dict[int, object]] = [{id(symbol): tf.cast(tf.fill(shape, n), symbol.dtype)} for n in (0, _TOP)]
    paths = {position: PixelPath((0.0, float(_TOP)), ())}
    met: list[Call] = []
    with frozen():
        for i, call in enumerate(program.calls):
            sources = tuple(source for source, _ in call.sources)
            if not any(source in paths for source in sources):
                continue
            if _has_weights(call):
                met.append(call)
            elif all(source in paths for source in sources):
                paths[i] = _extended(i, call, paths, values)
    return paths, met


def _extended(i: int, call: Call, paths: dict[int, PixelPath], values: list[dict[int, object]]) -> PixelPath:
    try:
        for each in values:
            call(each)
    except tf.errors.OpError as error:
        raise ModelError(f"The model failed on a picture, in {call.path}: {reason(error)}") from error
    low, high = (np.asarray(tf.cast(each[id(call.outputs[0])], tf.float64)) for each in values)
    before = [paths[source] for source, _ in call.sources]
    ends = ends_of(low, high) or before[0].ends
    nodes = tuple(dict.fromkeys(k for path in before for k in path.nodes))
    changed = not np.allclose(ends, before[0].ends, rtol=1e-6, atol=1e-6)
    # A Normalization that was never adapted changes no number, but it is where the model's author scales pixels.
    scales = changed or isinstance(call.operation, keras.layers.Normalization)
    return PixelPath(ends, (*nodes, i) if scales else nodes)


def ends_of(low: NDArray[np.floating], high: NDArray[np.floating]) -> tuple[float, float] | None:
    """Return the median results for 0 and 255 over all cells where they differ; `None` if no cell differs."""
    moves = np.isfinite(low) & np.isfinite(high) & (low != high) if low.shape == high.shape else np.False_
    return (float(np.median(low[moves])), float(np.median(high[moves]))) if np.any(moves) else None


def _has_weights(call: Call) -> bool:
    """Whether a call has trained numbers; the statistics of a Normalization are constants of the data."""
    if isinstance(call.operation, keras.layers.Normalization):
        return False
    return bool(call.variables) or (isinstance(call.operation, keras.Layer) and bool(call.operation.weights))
