"""Words about weights and about numbers of gates, for all cells of their blocks."""

from __future__ import annotations

from nnviz3d.client.pick_records import SheetWords
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.kernels import KernelPick, kernel_of
from nnviz3d.scene.selection import Pick
from nnviz3d.scene.views.gates import GatePick, step_words


def sheet_words(context: SceneContext, pick: KernelPick | GatePick, sample: int) -> SheetWords:
    """Return the words about all numbers of the tensor that a pick belongs to, as the views describe one."""
    if isinstance(pick, GatePick):
        steps, units = dict(context.capture.gates(pick.layer, sample))[pick.gate].shape
        named = tuple(step_words(context, pick.layer, step, sample) for step in range(steps))
        return SheetWords((steps, units), (f"{pick.layer}: {pick.gate} [", 0, ", ", 1, "]"), ((0, named), ", unit ", 1))
    kernel = kernel_of(context, context.graph.node(pick.layer))
    if kernel is None:
        raise LookupError(f"{pick.layer} has no kernel.")
    title: list[str | int] = [f"{pick.layer}: kernel ["]
    more: list[str | int] = []
    for axis, name in enumerate(kernel.axes):
        title += [", ", axis] if axis else [axis]
        more += [f"{', ' if axis else ''}{name} ", axis]
    return SheetWords(kernel.values.shape, (*title, "]"), tuple(more))


def index_in_sheet(pick: Pick) -> tuple[int, ...]:
    """Return the index of a weight, or of a number of a gate."""
    if isinstance(pick, GatePick):
        return pick.step, pick.unit
    if isinstance(pick, KernelPick):
        return pick.index
    raise TypeError(f"A {type(pick).__name__} is no pick of a sheet.")
