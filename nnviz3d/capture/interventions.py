"""Interventions: the numbers of all layers in a second run, in which some numbers are muted, scaled or frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnviz3d.capture.programs.changed_run import Change, ChangedRun, Site
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work, share_of
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capabilities.interventions import Intervention, write_changed, write_interventions
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError

_LISTED = 12
"""Most layers that a message names."""


def check_interventions(work: Work) -> None:
    """Refuse interventions that the model does not allow.

    Raises
    ------
    ModelError
        If there is no such layer, unit, number or edge, or if two runs of the model differ by themselves.
    """
    if not work.insights.interventions:
        return
    model = _model_of(work)
    if not work.program.repeatable:
        raise ModelError(
            f"{model.described.graph.name} gives other numbers at each run, so a change cannot be told from chance; leave "
            "the interventions out."
        )
    changes_of(model, work.insights.interventions)


def compute_interventions(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Run the model again with the interventions, and write the outputs of all nodes that may change.

    Raises
    ------
    ModelError
        As `check_interventions`.
    """
    tell = share_of(report, "interventions")
    tell(0)
    model = _model_of(work)
    changes = changes_of(model, work.insights.interventions)
    run = ChangedRun(model, tuple(changes))
    write_interventions(writer, work.insights.interventions)
    for batch in run.batches(work.program.batches(work.arrays), changes):
        for node_id, output in batch:
            numbers = batch.numbers(node_id, output) if writer.keeps(node_id) else None
            if numbers is not None:
                write_changed(writer, node_id, output, batch.start, numbers)
        tell((batch.start + batch.count) / len(work.arrays[0]))


def _model_of(work: Work) -> DifferentiableModel:
    try:
        return work.model
    except ModelError:
        raise ModelError(
            "The runtime of this model cannot change numbers during a run; capture the Keras model that the file was made "
            "from."
        ) from None


def changes_of(model: DifferentiableModel, interventions: Sequence[Intervention]) -> Mapping[Site, Change]:
    """Return the change of each output that interventions change, the last intervention on each number counting.

    Raises
    ------
    ModelError
        If there is no such layer, unit, number or edge.
    """
    graph, found = model.described.graph, dict[Site, Change]()
    for one in interventions:
        node = _node(graph, one)
        shape = tuple(n or 1 for n in node.shape)
        if one.action == "scale" and not str(model.described.call(node.id).outputs[0].dtype).startswith(
            ("float", "bfloat")
        ):
            raise ModelError(
                f"{node.id} gives whole numbers, which cannot be scaled; mute them, or scale a later layer."
            )
        change = found.setdefault((node.id, one.reader), Change.none(shape))
        at = _part(node, one)
        change.factor[at] = one.factor if one.action == "scale" else 1.0
        change.muted[at] = one.action == "mute"
        change.frozen[at] = one.action == "freeze"
    return found


def _node(graph: ModelGraph, one: Intervention) -> LayerNode:
    """Return the node of an intervention."""
    for name in filter(None, (one.layer, one.reader)):
        if name not in graph:
            names = [node.id for node in graph]
            more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
            raise ModelError(
                f"{one.text}: {graph.name} has no layer {name!r}; it has {', '.join(names[:_LISTED])}{more}."
            )
    if one.reader and one.layer not in graph.sources(one.reader):
        readers = ", ".join(dict.fromkeys(edge.target for edge in graph.edges_from(one.layer))) or "nothing"
        raise ModelError(f"{one.text}: {one.reader} does not read {one.layer}; what reads it is {readers}.")
    node = graph.node(one.layer)
    if not node.shapes:
        raise ModelError(f"{one.text}: {one.layer} has no numbers.")
    return node


def _part(node: LayerNode, one: Intervention) -> tuple[int | slice, ...]:
    """Return the index of the changed numbers in the output of one sample."""
    shape, whole = node.shape, (slice(None),) * len(node.shape)
    dims = " × ".join("?" if n is None else str(n) for n in shape) or "one number"
    if one.index:
        inside = len(one.index) == len(shape) and all(n is None or i < n for i, n in zip(one.index, shape, strict=True))
        if not inside or None in shape:
            raise ModelError(
                f"{one.text}: there is no such number in {node.id}, whose output is {dims}, counted from 0."
            )
        return one.index
    if one.unit is None:
        return whole
    axis = channel_axis(node.axes)
    count = None if axis is None else shape[axis]
    if axis is None or count is None or one.unit >= count:
        units = "no units" if count is None else f"units 0 to {count - 1}"
        raise ModelError(f"{one.text}: {node.id} has {units}; its output is {dims}.")
    return (*whole[:axis], one.unit, *whole[axis + 1 :])
