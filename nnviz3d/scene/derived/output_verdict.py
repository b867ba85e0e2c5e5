"""The arithmetic of a number of an output: what speaks for it, what against it, and what for it rather than its rival."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.activation_functions import OVER_UNITS
from nnviz3d.analysis.cell_sums import function_of
from nnviz3d.analysis.sum_terms import CellSum
from nnviz3d.data.grouped_capture import originals, without_groups
from nnviz3d.data.targets import Target
from nnviz3d.scene.class_names import is_classifier, two_classes
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.cell_explanation import CellExplanation, explained_cell
from nnviz3d.scene.selection import CellPick


@dataclass(frozen=True, eq=False)
class OutputVerdict:
    """The products that speak for and against the number of an output.

    Attributes
    ----------
    name, against
        What the number stands for, such as its class; and what a smaller number stands for: "not" the same, or the other
        one of two classes.
    cell
        The cell whose sum decides: that of the output, or of an earlier layer if the output only applies functions to it.
    found
        The arithmetic of that cell.
    rival
        The class with the next larger score, or the best one if this is not the best; empty if classes do not compete.
    difference
        The arithmetic of the score minus that of the rival; `None` without a rival, or if it is not known.
    """

    name: str
    against: str
    cell: CellPick
    found: CellExplanation
    rival: str = ""
    difference: CellSum | None = None


def output_verdict(context: SceneContext, pick: CellPick, sample: int) -> OutputVerdict | None:
    """Return what a number of an output rests on; `None` if the cell belongs to no output or to all its channels."""
    values = context.values(pick.layer, sample).values
    if pick.layer not in context.graph.outputs or len(pick.index) != values.ndim or not values.size:
        return None
    cell, found = _decided(context, pick, sample)
    flat = int(np.ravel_multi_index(pick.index, values.shape)) if values.shape else 0
    name = context.name_of(Target(pick.layer, flat))
    two = two_classes(context.capture, pick.layer)
    verdict = OutputVerdict(name, f"not {name}" if two is None else two[0], cell, found)
    rival = _rival(values, pick.index) if _compete(context, pick.layer) else None
    if rival is None or found.sum is None:
        return verdict
    named = context.name_of(Target(pick.layer, int(np.ravel_multi_index(rival, values.shape))))
    other, theirs = _decided(context, replace(pick, index=rival), sample)
    difference = None if other.layer != cell.layer else _difference(found.sum, theirs.sum)
    return replace(verdict, rival=named, difference=difference)


def _decided(context: SceneContext, pick: CellPick, sample: int) -> tuple[CellPick, CellExplanation]:
    """Follow layers that only apply a function to a single number, back to the cell whose sum decides."""
    found = explained_cell(context, pick, sample)
    while found.sum is not None and len(found.sum.products) == 1 and found.sum.weights[0] == 1 and not found.sum.bias:
        source = found.source(0)
        if source is None or source not in context.graph:
            break
        before = CellPick(source, found.sum.place(0))
        earlier = explained_cell(context, before, sample)
        if earlier.sum is None:
            break
        pick, found = before, earlier
    return pick, found


def _compete(context: SceneContext, layer: str) -> bool:
    """Whether the numbers of an output are scores of classes that exclude each other."""
    node = without_groups(context.capture).graph.node(originals(context.capture).get(layer, layer))
    function = function_of(node)
    return function in OVER_UNITS or (function in (None, "linear") and is_classifier(context.capture, layer))


def _rival(values: NDArray[np.float32], index: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the index of the largest other score at the same location."""
    scores = values[index[:-1]].astype(np.float64)
    if scores.ndim != 1 or len(scores) < 2 or not np.isfinite(scores).all():
        return None
    scores[index[-1]] = -np.inf
    return (*index[:-1], int(scores.argmax()))


def _difference(one: CellSum, other: CellSum | None) -> CellSum | None:
    """Return a sum minus another one of the same numbers; `None` if they take other numbers."""
    if other is None or one.largest or one.index.shape != other.index.shape:
        return None
    if not (np.array_equal(one.index, other.index) and np.array_equal(one.sources, other.sources)):
        return None
    found = replace(one, weights=one.weights - other.weights, bias=one.bias - other.bias, function=None, after=None)
    return replace(found, result=found.total, slope=1.0)
