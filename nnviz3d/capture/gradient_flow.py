"""Flow of a score's gradient back through a model: along every edge, and by every captured connection.

Several layers may use the output of a layer. Its gradient is the sum of the gradients along each of these edges (the
chain rule; Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors"). Here each of
these shares is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.programs.activations import portions, rows_per_sample
from nnviz3d.capture.programs.describe import through
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Place, numbers_at
from nnviz3d.capture.programs.frozen import Compiled
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.targets import Slot
from nnviz3d.capture.work import Work, share_of
from nnviz3d.data.capabilities.gradients import write_connection_gradient, write_flow
from nnviz3d.data.printable import reason
from nnviz3d.data.records import RANKINGS, Connections
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError

_HOLDS = 4
"""Copies of the activations in memory at once: themselves, their gradients, those of each use, and the numbers between."""


def write_flows(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Write the shares of all edges and the gradients by all captured connections, for every explained target."""
    tell = share_of(report, "flow")
    for number, slot in enumerate(work.slots):
        norms: list[NDArray[np.float32]] = []
        slopes: dict[tuple[str, str], list[list[NDArray[np.float32]]]] = {pair: [] for pair in work.connections}
        for start, shares, before, deltas in _flows(work.model, work.arrays, slot, list(work.connections)):
            norms.append(shares)
            for pair, records in work.connections.items():
                for i in range(len(shares)):
                    columns = [records[ranking][start + i] for ranking in RANKINGS]
                    slopes[pair].append(_by_connection(columns, before[pair[0]][i], deltas[pair[1]][i]))
            tell((number + (start + len(shares)) / len(slot.index)) / len(work.slots))
        write_flow(writer, slot.name, np.concatenate(norms))
        for (source, target), found in slopes.items():
            write_connection_gradient(writer, slot.name, source, target, found)


def _by_connection(
    columns: Sequence[Connections], before: NDArray[Any], delta: NDArray[Any]
) -> list[NDArray[np.float32]]:
    """Return the gradient of the score by each connection: the source's activation times the gradient at the target."""
    x, d = before.ravel(), delta.ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        return [x[c.index[:, 0]] * d[c.index[:, 1]] for c in columns]


def _flows(model: DifferentiableModel, arrays: Sequence[Rows], slot: Slot, pairs: Sequence[tuple[str, str]]) -> Any:
    sources, targets = sorted({a for a, _ in pairs}), sorted({b for _, b in pairs})

    def build() -> Compiled:
        signature = [tf.TensorSpec((model.only_batch,), tf.int64), *model.signature]
        return Compiled(lambda y, *x: _flow(model, slot.place, sources, targets, x, y), signature)

    function = model.compiled(("flow", slot.place, tuple(sources), tuple(targets)), build)
    size = model.batch_size(len(slot.index), _HOLDS)
    for start, count, (y, *x) in portions([slot.asked, *arrays], size, model.only_batch):
        try:
            shares, before, deltas = function(tf.constant(y), *model.tensors(x))
        except (LookupError, tf.errors.OpError) as error:
            raise ModelError(f"The model cannot be differentiated: {reason(error)}") from error
        yield (
            start,
            np.asarray(shares)[:count],
            {name: np.asarray(t)[:count] for name, t in zip(sources, before, strict=True)},
            {name: np.asarray(t)[:count] for name, t in zip(targets, deltas, strict=True)},
        )


def _flow(
    model: DifferentiableModel, place: Place, sources: Sequence[str], targets: Sequence[str], x: Sequence[Any], y: Any
) -> tuple[Any, list[Any], list[Any]]:
    uses: dict[tuple[int, tuple[int, int]], Any] = {}
    values = model(x, uses)
    rows = place.rows(values.scores(place.output))
    total = tf.reduce_sum(numbers_at(rows, y))
    used = [uses.get(use) for use in _edges(model)]
    raw = [values.raw(name) for name in targets]
    real = [t for t in (*used, *raw) if t is not None and t.dtype.is_floating]
    found = dict(zip(map(id, real), tf.gradients(total, real, unconnected_gradients="zero"), strict=True))
    count = tf.shape(rows)[0]
    each, constant = rows_per_sample(model.described, model.only_batch)
    edges = model.described.graph.edges
    shares = [
        _norm(found.get(id(t)), count, each=(e.source, e.output) in each - constant)
        for e, t in zip(edges, used, strict=True)
    ]
    before = [tf.cast(values[name], tf.float32) for name in sources]
    stacked = tf.stack(shares, axis=1) if shares else tf.zeros((count, 0))
    return stacked, before, [tf.cast(found[id(t)], tf.float32) for t in raw]


def _edges(model: DifferentiableModel) -> list[tuple[int, tuple[int, int]]]:
    """Return, for each edge of the graph, the call at its end and the tensor that it takes there.

    If a call on the way only changes the tensor's type, it is the tensor after that call.
    """
    described, program = model.described, model.described.program
    found = []
    for edge in described.graph.edges:
        end, begin = described.calls[edge.target], (described.calls[edge.source], edge.output)
        found.append((end, next(s for s in program.calls[end].sources if through(program, s) == begin)))
    return found


def _norm(slope: Any, count: Any, *, each: bool) -> Any:
    """Return the Euclidean norm for each sample, ``(n,)``; 0 if there is no gradient.

    Parameters
    ----------
    each
        Whether there is a row for each sample.
    """
    if slope is None:
        return tf.zeros((count,))
    slope = tf.cast(tf.convert_to_tensor(slope), tf.float32)
    if not each:
        # All samples share the tensor, so its gradient belongs to all of them.
        return tf.fill((count,), tf.norm(slope))
    return tf.norm(tf.reshape(slope, (count, -1)), axis=1)
