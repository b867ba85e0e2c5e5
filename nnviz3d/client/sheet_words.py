"""Words about weights, numbers of gates and scores of attention, for all cells of their blocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nnviz3d.client.pick_records import SheetWords
from nnviz3d.scene.derived.cell_facts import Words
from nnviz3d.scene.derived.kernels import KernelPick, kernel_of
from nnviz3d.scene.layout.attention import ScorePick
from nnviz3d.scene.primitives import Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Pick, Selection
from nnviz3d.scene.views.blocks import flat_index
from nnviz3d.scene.views.gates import GatePick, step_words

SheetPick = KernelPick | GatePick | ScorePick
"""Picks of numbers whose words depend on each axis of the index alone."""


def sheet_of(pick: SheetPick) -> tuple[object, ...]:
    """Return a key that is the same for the picks of one tensor."""
    match pick:
        case KernelPick():
            return KernelPick, pick.layer
        case GatePick():
            return GatePick, pick.layer, pick.gate
    return ScorePick, pick.layer, pick.head


def sheet_words(scene: Scene, pick: SheetPick, block: Voxels, selection: Selection) -> SheetWords:
    """Return the words about all numbers of the tensor that a pick belongs to, as the views describe one.

    Parameters
    ----------
    block
        The block that was picked.
    """
    match pick:
        case KernelPick():
            return _of_kernel(scene, pick)
        case GatePick():
            return _of_gate(scene, pick, selection.sample)
    return _of_scores(scene, pick, (block.values.shape[1], block.values.shape[0]), selection)


def sheet_cells(words: SheetWords, block: Voxels, picks: Iterable[Pick | None]) -> NDArray[np.int64]:
    """Return the flat index of the number in each cell ``(Z, Y, X)``; -1 for a spare cell.

    Parameters
    ----------
    picks
        The picks of all cells in this order.
    """
    flat = [-1 if pick is None else flat_index(_index(pick), words.shape) for pick in picks]
    return np.array(flat, dtype=np.int64).reshape(block.values.shape[::-1])


def _index(pick: Pick) -> tuple[int, ...]:
    match pick:
        case KernelPick():
            return pick.index
        case GatePick():
            return pick.step, pick.unit
        case ScorePick():
            return pick.query, pick.key
    raise TypeError(f"A {type(pick).__name__} is no pick of a sheet.")


def _of_kernel(scene: Scene, pick: KernelPick) -> SheetWords:
    kernel = kernel_of(scene.context, scene.context.graph.node(pick.layer))
    if kernel is None:
        raise LookupError(f"{pick.layer} has no kernel.")
    title: list[str | int] = [f"{pick.layer}: kernel ["]
    more: list[str | int] = []
    for axis, name in enumerate(kernel.axes):
        title += [", ", axis] if axis else [axis]
        more += [f"{', ' if axis else ''}{name} ", axis]
    return SheetWords(kernel.values.shape, (*title, "]"), (tuple(more),))


def _of_gate(scene: Scene, pick: GatePick, sample: int) -> SheetWords:
    steps, units = dict(scene.context.capture.gates(pick.layer, sample))[pick.gate].shape
    named = tuple(step_words(scene.context, pick.layer, step, sample) for step in range(steps))
    title: Words = (f"{pick.layer}: {pick.gate} [", 0, ", ", 1, "]")
    return SheetWords((steps, units), title, (((0, named), ", unit ", 1),))


def _of_scores(scene: Scene, pick: ScorePick, shape: tuple[int, int], selection: Selection) -> SheetWords:
    """Return the words about the scores of a head: its name, and the tokens of the query and of the key."""

    def told(query: int, key: int) -> tuple[str, tuple[str, ...]]:
        facts = scene.describe(ScorePick(pick.layer, pick.head, query, key), selection)
        if facts is None:
            raise LookupError(f"{pick} has no description.")
        return facts.title, facts.more

    title, more = told(0, 0)
    whose = title.removesuffix(", query 0, key 0")
    words: list[Words] = []
    if more:
        words.append(((0, tuple(told(query, 0)[1][0] for query in range(shape[0]))),))
        words.append(((1, tuple(told(0, key)[1][1] for key in range(shape[1]))),))
    return SheetWords(shape, (f"{whose}, query ", 0, ", key ", 1), tuple(words))
