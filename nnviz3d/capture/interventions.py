"""Interventions: the numbers of all layers in a second run, in which some are muted, scaled, frozen or painted over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.painted import PaintedNumbers, painted_input, with_digest
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.changed_run import Change, ChangedRun, Site
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work, share_of
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capabilities.interventions import Intervention, write_changed, write_interventions
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError

Paint = Callable[[Intervention], PaintedNumbers]
"""Reads the picture of an intervention."""
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
    changes_of(model, work.insights.interventions, painter(work))


def painter(work: Work) -> Paint:
    """Return the function that reads the picture of an intervention for the samples of some work."""
    return lambda one: painted_input(one, work.program.graph.inputs, work.program.specs, work.samples, work.prepare)


def compute_interventions(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Run the model again with the interventions, and write the outputs of all nodes that may change.

    Raises
    ------
    ModelError
        As `check_interventions`.
    """
    tell = share_of(report, "interventions")
    tell(0)
    write_interventions(writer, tuple(map(with_digest, work.insights.interventions)))
    for batch in changed_batches(work, work.program.batches(work.arrays)):
        for node_id, output in batch:
            numbers = batch.numbers(node_id, output) if writer.keeps(node_id) else None
            if numbers is not None:
                write_changed(writer, node_id, output, batch.start, numbers)
        tell((batch.start + batch.count) / len(work.arrays[0]))


def changed_batches(work: Work, unchanged: Iterator[Batch]) -> Iterator[Batch]:
    """Run the model with the interventions, from the outputs of all nodes in a run without them.

    Raises
    ------
    ModelError
        As `check_interventions`.
    """
    model = _model_of(work)
    changes = changes_of(model, work.insights.interventions, painter(work))
    return ChangedRun(model, tuple(changes)).batches(unchanged, changes)


def _model_of(work: Work) -> DifferentiableModel:
    try:
        return work.model
    except ModelError:
        raise ModelError(
            "The runtime of this model cannot change numbers during a run; capture the Keras model that the file was made "
            "from."
        ) from None


def changes_of(
    model: DifferentiableModel, interventions: Sequence[Intervention], paint: Paint
) -> Mapping[Site, Change]:
    """Return the change of each output that interventions change, the last intervention on each number counting.

    Parameters
    ----------
    paint
        Reads the picture of an intervention that paints.

    Raises
    ------
    ModelError
        If there is no such layer, unit, number or edge.
    """
    graph, found = model.described.graph, dict[Site, Change]()
    parts: dict[tuple[str, str, tuple[int, ...]], int] = {}
    for one in interventions:
        node = _node(graph, one)
        shape = tuple(n or 1 for n in node.shape)
        if one.action == "scale" and not str(model.described.call(node.id).outputs[0].dtype).startswith(
            ("float", "bfloat")
        ):
            raise ModelError(
                f"{node.id} gives whole numbers, which cannot be scaled; mute them, or scale a later layer."
            )
        of_reader = (one.layer, one.reader, one.of_reader)
        number = parts.setdefault(of_reader, len(parts) + 1) if one.of_reader else 0
        change = found.setdefault(Site(node.id, one.reader, number), Change.none(shape))
        if number:
            change.read_by = _read_by(graph.node(one.reader), one)
        if one.picture:
            made = paint(one)
            change.painted, change.paint = made.mask, made.values
        at = _part(node, one, one.unit, one.index)
        change.factor[at] = one.factor if one.action == "scale" else 1.0
        change.muted[at] = one.action == "mute"
        change.frozen[at] = one.action == "freeze"
        if change.painted.shape and not one.picture:
            change.painted[at] = False
    return found


def _read_by(reader: LayerNode, one: Intervention) -> NDArray[np.bool_]:
    """Return which numbers of a reader's output get a change: one of its units, or one number."""
    found = np.zeros(tuple(n or 1 for n in reader.shape), bool)
    found[_part(reader, one, one.reader_unit, one.reader_index)] = True
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
    for name in filter(None, (one.layer, one.reader)):
        if not graph.node(name).shapes:
            raise ModelError(f"{one.text}: {name} has no numbers.")
    return graph.node(one.layer)


def _part(node: LayerNode, one: Intervention, unit: int | None, index: tuple[int, ...]) -> tuple[int | slice, ...]:
    """Return the index of a unit's numbers, of one number, or of all, in the output of one sample."""
    shape, whole = node.shape, (slice(None),) * len(node.shape)
    dims = " × ".join("?" if n is None else str(n) for n in shape) or "one number"
    if index:
        inside = len(index) == len(shape) and all(n is None or i < n for i, n in zip(index, shape, strict=True))
        if not inside or None in shape:
            raise ModelError(
                f"{one.text}: there is no such number in {node.id}, whose output is {dims}, counted from 0."
            )
        return index
    if unit is None:
        return whole
    axis = channel_axis(node.axes)
    count = None if axis is None else shape[axis]
    if axis is None or count is None or unit >= count:
        units = "no units" if count is None else f"units 0 to {count - 1}"
        raise ModelError(f"{one.text}: {node.id} has {units}; its output is {dims}.")
    return (*whole[:axis], unit, *whole[axis + 1 :])
