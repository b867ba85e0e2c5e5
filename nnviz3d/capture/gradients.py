"""Gradients of a target's score with respect to the activations of every layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.gradient_flow import write_flows
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.programs.activations import Batch, portions, rows_per_sample
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Place, numbers_at
from nnviz3d.capture.programs.frozen import Compiled
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work, share_of
from nnviz3d.data.capabilities.gradients import write_gradient
from nnviz3d.data.printable import reason
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError

_HOLDS = 3
"""Copies of the activations in memory at once: themselves, their gradients, and the numbers between."""


def write_gradients(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Write the gradient of every explained target by every layer, along every edge, and by the strongest connections.

    Raises
    ------
    ModelError
        If the model cannot be differentiated.
    """
    tell = share_of(report, "gradients")
    tell(0)
    for number, slot in enumerate(work.slots):
        for batch in gradients(work.model, work.arrays, slot.place, slot.asked):
            for node_id, output in batch:
                numbers = batch.numbers(node_id, output) if writer.keeps(node_id) else None
                if numbers is not None:
                    write_gradient(writer, slot.name, node_id, output, batch.start, numbers)
            tell((number + (batch.start + batch.count) / len(slot.index)) / len(work.slots))
    write_flows(writer, work, report)


def gradients(
    model: DifferentiableModel, arrays: Sequence[Rows], output: str | Place, index: NDArray[np.int64]
) -> Iterator[Batch]:
    """Yield the gradients of a score by every output of every node, as many samples at a time as memory allows.

    They are signed, and 0 if the score does not depend on a number. Tokens and masks, which are no real numbers, have no
    gradient. The score is before softmax and sigmoid and does not depend on them, so an output that ends in one has the
    gradient by the scores themselves: 1 at the target, or equal shares over a region, else 0.

    Parameters
    ----------
    arrays
        ``(N, *shape)`` for each input, ready for the model.
    output
        Node id of the output, or a part of it whose mean is explained.
    index
        ``(N,)``: the explained number of the output for each sample; ``~i`` means the negation of number ``i``.

    Raises
    ------
    ModelError
        If the model cannot be differentiated.
    """
    place = Place.of(output)

    def build() -> Compiled:
        signature = [tf.TensorSpec((model.only_batch,), tf.int64), *model.signature]
        return Compiled(lambda y, *x: _every_gradient(model, place, x, y), signature)

    function = model.compiled(("gradients", output), build)
    per_sample, constant = rows_per_sample(model.described, model.only_batch)
    size = model.batch_size(len(index), _HOLDS)
    if constant and model.only_batch is None and not model.draws:
        size = 1  # activations that samples share would get the sum of their gradients
    for start, count, (y, *x) in portions([index, *arrays], size, model.only_batch):
        try:
            found = function(tf.constant(y), *model.tensors(x))
        except (LookupError, tf.errors.OpError) as error:
            raise ModelError(f"The model cannot be differentiated: {reason(error)}") from error
        yield Batch(found, per_sample, constant if size == 1 else frozenset(), start, count, len(y))


def _every_gradient(model: DifferentiableModel, place: Place, x: Sequence[Any], y: Any) -> dict[str, tuple[Any, ...]]:
    values = model(x)
    output, scores = place.output, values.scores(place.output)
    total = tf.reduce_sum(numbers_at(place.rows(scores), y))
    nodes = model.described.calls
    keys = [(node, k) for node in nodes for k, t in enumerate(values.every(node)) if _is_real(t)]
    tensors = [values.output(node, k) for node, k in keys]
    # A gradient tape would leave out activations that follow from frozen weights alone, such as embeddings of positions.
    slopes = dict(zip(keys, tf.gradients(total, tensors, unconnected_gradients="zero"), strict=True))
    if model.squashes(output):
        slopes[output, 0] = tf.gradients(total, scores)[0]
    slopes = {key: tf.convert_to_tensor(slope) for key, slope in slopes.items()}  # an embedding's are sparse
    return {node: tuple(slopes.get((node, k)) for k in range(len(values.every(node)))) for node in nodes}


def _is_real(tensor: Any) -> bool:
    return isinstance(tensor, tf.Tensor) and tensor.dtype.is_floating
