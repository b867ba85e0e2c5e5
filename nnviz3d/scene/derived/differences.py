"""The places at which two samples, or two models on one sample, differ most: layers, channels, cells and weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.differences import TensorDifference, tensor_difference
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.compared import counterpart_activation, counterpart_of, has_counterpart
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.grouped_capture import without_groups
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.selection import Selection

MOST = 12
"""Most places in each list."""
_OF_ONE = 4
"""Most channels, and most cells, of one layer in a list, so that one layer does not fill it."""


@dataclass(frozen=True)
class DifferingPlace:
    """A place at which the numbers differ.

    Attributes
    ----------
    size
        Size of the difference as a share of the scale of the layer's numbers, or of the variable's; see
        `nnviz3d.analysis.differences`.
    layer
        Node id.
    unit
        The channel, of a channel.
    index
        Index of a number: of a cell in one sample's tensor, of a weight in its variable.
    variable
        Name of the variable, of weights.
    here, there
        Both numbers, of a cell or a weight.
    unlike
        Number of places in the layer or variable that are NaN or infinite on one side.
    """

    size: float
    layer: str
    unit: int | None = None
    index: tuple[int, ...] | None = None
    variable: str = ""
    here: float = math.nan
    there: float = math.nan
    unlike: int = 0


@dataclass(frozen=True)
class Differences:
    """The places with the largest differences, each list by falling size.

    Attributes
    ----------
    layers, units, cells
        Places in the numbers of layers.
    variables, weights
        Whole variables, and single weights; none for two samples of one model.
    equal
        Number of layers whose numbers are equal.
    without_weights
        Layers with weights that one of the captures lacks, or that have other shapes.
    """

    layers: tuple[DifferingPlace, ...]
    units: tuple[DifferingPlace, ...]
    cells: tuple[DifferingPlace, ...]
    variables: tuple[DifferingPlace, ...] = ()
    weights: tuple[DifferingPlace, ...] = ()
    equal: int = 0
    without_weights: tuple[str, ...] = ()


def differences_of(context: SceneContext, selection: Selection) -> Differences | None:
    """Return where the shown numbers of a difference are largest; `None` if nothing is compared with the sample.

    Layers inside closed groups are compared, too. Layers that only pass on the numbers of another one, such as a Flatten,
    count as layers, but their channels and cells are not listed again. Repeated calls return the same object.
    """
    if not context.compares(selection):
        return None
    capture = without_groups(context.capture)
    key = ("differences", selection.sample, selection.against)
    return context.memo.get(capture, key, lambda: _differences(capture, selection))


def _differences(capture: CaptureReader, selection: Selection) -> Differences:
    layers: list[DifferingPlace] = []
    units: list[DifferingPlace] = []
    cells: list[DifferingPlace] = []
    equal = 0
    before, last = "", (np.empty(0, np.float32),) * 2
    for node, here, there in _pairs(capture, selection):
        axis = channel_axis(node.axes)
        channel = axis if axis is not None and axis < here.ndim and here.ndim > 1 else None
        found = tensor_difference(here, there, channel, _OF_ONE)
        equal += not found.size and not found.unlike
        if found.size or found.unlike:
            layers.append(DifferingPlace(found.size, node.id, unlike=found.unlike))
        flat = here.reshape(-1), there.reshape(-1)
        passed = capture.graph.sources(node.id) == (before,) and all(map(np.array_equal, last, flat))
        before, last = node.id, flat
        if passed:
            continue
        units += _units(node, found)
        cells += _cells(node.id, found, here, there)
    variables, weights, without = ([], [], ()) if selection.against is not None else _of_weights(capture)
    return Differences(
        _ranked(layers), _ranked(units), _ranked(cells), _ranked(variables), _ranked(weights), equal, without
    )


def _pairs(
    capture: CaptureReader, selection: Selection
) -> Iterator[tuple[LayerNode, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield the nodes with their numbers on both sides, if both were captured with one shape."""
    for node in capture.graph:
        if not capture.has_activations(node.id):
            continue
        if selection.against is not None:
            there = capture.activation(node.id, selection.against)
        elif has_counterpart(capture, selection.sample, node.id):
            there = counterpart_activation(capture, node.id, selection.sample)
        else:
            continue
        here = capture.activation(node.id, selection.sample)
        if here.shape == there.shape and here.size:
            yield node, here, there


def _units(node: LayerNode, found: TensorDifference) -> Iterator[DifferingPlace]:
    for unit in np.argsort(-found.units, kind="stable")[:_OF_ONE]:
        if found.units[unit] > 0:
            yield DifferingPlace(float(found.units[unit]), node.id, unit=int(unit))


def _cells(
    layer: str, found: TensorDifference, here: NDArray[Any], there: NDArray[Any], variable: str = ""
) -> Iterator[DifferingPlace]:
    for flat in found.largest:
        index = tuple(int(i) for i in np.unravel_index(int(flat), here.shape))
        a, b = float(here[index]), float(there[index])
        size = abs(a - b) / found.scale if found.scale else 0.0
        yield DifferingPlace(size, layer, index=index, variable=variable, here=a, there=b)


def _of_weights(capture: CaptureReader) -> tuple[list[DifferingPlace], list[DifferingPlace], tuple[str, ...]]:
    """Return the variables and weights that differ from those of the compared model, and the layers that lack them."""
    other = counterpart_of(capture)
    variables: list[DifferingPlace] = []
    weights: list[DifferingPlace] = []
    without: list[str] = []
    for node in capture.graph:
        if other is None or node.call or not node.parameters:
            continue
        mine, theirs = capture.weights(node.path), other.weights(node)
        named = theirs if mine.keys() == theirs.keys() else dict(zip(mine, theirs.values(), strict=False))
        if not mine or any(name not in named or named[name].shape != values.shape for name, values in mine.items()):
            without.append(node.id)
            continue
        for name, values in mine.items():
            found = tensor_difference(values, named[name], None, _OF_ONE)
            if found.size or found.unlike:
                variables.append(DifferingPlace(found.size, node.id, variable=name, unlike=found.unlike))
                weights += _cells(node.id, found, values, named[name], name)
    return variables, weights, tuple(without)


def _ranked(places: Sequence[DifferingPlace]) -> tuple[DifferingPlace, ...]:
    """Return the places with the largest differences; those with NaN or infinite numbers on one side come first."""
    order = sorted(places, key=lambda one: (-bool(one.unlike), -one.size if one.size == one.size else 0.0))
    return tuple(order[:MOST])
