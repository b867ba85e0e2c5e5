"""Explains targets: finds them, and writes their gradients and the maps of the attribution methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nnviz3d.capture.attributions.run import find_methods, write_attributions
from nnviz3d.capture.gradient_flow import write_flows
from nnviz3d.capture.gradients import gradients
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.targets import Slot, find_slots
from nnviz3d.data.capabilities.gradients import write_gradient
from nnviz3d.data.request import Notice, Progress
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.target_words import find_target

if TYPE_CHECKING:
    from nnviz3d.capture.insights import Work

_PARTS = 100
"""Progress is told in hundredths."""


def check_targets(work: Work) -> None:
    """Refuse a target that the model does not have, when no requested method checks it.

    Raises
    ------
    ModelError
        If there is such a target.
    """
    for word in work.insights.targets:
        find_target(word, work.model.described.graph, work.classes)


def write_explanations(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Find the targets, compute what is wanted of them, and write it.

    Raises
    ------
    ModelError
        If a target or a method is unknown, or the model cannot be explained so.
    """
    find_methods(work.insights.attributions)  # a slip of the pen is told before the work

    def tell(stage: str) -> Callable[[float], None]:
        return lambda share: report(Progress(stage=stage, done=round(_PARTS * share), total=_PARTS))

    slots = find_slots(work.model, work.arrays, work.insights.targets, work.classes)
    for slot in slots:
        slot.write(writer)
    if work.insights.gradients:
        _write_gradients(writer, work, slots, tell("gradients"))
        write_flows(writer, work, slots, tell("flow"))
    if work.insights.attributions:
        tell("explain")(0)
        write_attributions(writer, work, slots, tell("explain"), lambda text: report(Notice(text=text)))


def _write_gradients(writer: CaptureWriter, work: Work, slots: Sequence[Slot], report: Callable[[float], None]) -> None:
    report(0)
    for number, slot in enumerate(slots):
        for batch in gradients(work.model, work.arrays, slot.output, slot.asked):
            for node_id, output in batch:
                numbers = batch.numbers(node_id, output)
                if numbers is not None:
                    write_gradient(writer, slot.name, node_id, output, batch.start, numbers)
            report((number + (batch.start + batch.count) / len(slot.index)) / len(slots))
