"""Attention scores: each attention layer's weights from every query to every key.

Vaswani et al. 2017, arXiv:1706.03762. The scores are Keras' own, after masks and softmax. A layer that computes them in a
fused operation and does not return them is called a second time on the same tensors, with the option to return them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.programs.activations import MEMORY, batch_size, only_batch, portions, signature_of, viewed
from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.capture.programs.frozen import Compiled, frozen
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work
from nnviz3d.data.capabilities.attention import write_attention
from nnviz3d.data.request import Notice, Progress
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.rows_writer import as_stored
from nnviz3d.errors import ModelError


def write_attention_scores(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Compute and write the scores of every call of every attention layer.

    Each is stored as ``(N, heads, T, S)`` float32. `Attention` and `AdditiveAttention` have one head. Several axes of
    queries are flattened into T, as are axes over which the layer does not attend, and windows that the model folds into
    the batch; several axes of keys into S. So each row, over S, adds up to 1; if a mask hides all keys, Keras gives a row
    of zeros.

    Raises
    ------
    ModelError
        If the model has no attention layer.
    """
    described, specs, arrays = work.model.described, work.model.specs, work.arrays
    wanted = attention_nodes(described)
    hidden = hidden_attention(described)
    if hidden and not wanted:
        raise ModelError(
            f"{described.graph.name} has attention only inside {_listed(described, hidden)}, whose scores cannot be asked "
            "for; call the attention layer outside of it, or leave attention out."
        )
    if hidden:
        report(
            Notice(
                text=f"Attention inside {_listed(described, hidden)} is not captured, because it is shown as one block."
            )
        )
    if not wanted:
        raise ModelError(
            f"{described.graph.name} has no attention layer that could tell its scores; expected MultiHeadAttention, "
            "GroupQueryAttention, Attention or AdditiveAttention. Leave attention out, or choose another scene or model."
        )
    constants = described.program.constants()
    function = _compiled(described, specs, wanted)
    total = len(arrays[0])
    for start, count, parts in portions(arrays, _batch_size(described, wanted, total), only_batch(specs)):
        report(Progress(stage="attention", done=start, total=total))
        tensors = [tf.convert_to_tensor(p, dtype=s.dtype) for p, s in zip(parts, specs, strict=True)]
        for node_id, scores in function(*tensors).items():
            found = in_sheets(described.call(node_id), as_stored(viewed(scores)))
            if described.calls[node_id] in constants:
                found = np.broadcast_to(found[:1], (count, *found.shape[1:]))
            write_attention(writer, node_id, start, _by_sample(found, len(parts[0]))[:count])
    report(Progress(stage="attention", done=total, total=total))


def attention_nodes(described: DescribedModel) -> tuple[str, ...]:
    """Return the ids of the attention layers' calls, in the graph's order."""
    return tuple(node_id for node_id in described.calls if described.call(node_id).attends)


def hidden_attention(described: DescribedModel) -> tuple[str, ...]:
    """Return the ids of the calls that contain attention layers whose scores cannot be computed."""
    return tuple(node_id for node_id in described.calls if described.call(node_id).hides_attention)


def _listed(described: DescribedModel, hidden: Sequence[str]) -> str:
    return ", ".join(f"{node_id} ({described.graph.node(node_id).kind})" for node_id in hidden)


def _compiled(described: DescribedModel, specs: Sequence[InputSpec], wanted: Sequence[str]) -> Compiled:
    asked = {described.calls[node_id]: node_id for node_id in wanted}
    program = described.program

    def run(*inputs: Any) -> dict[str, Any]:
        values = {id(symbol): value for symbol, value in zip(program.inputs, inputs, strict=True)}
        scores = {}
        # The name scope is Keras' own: names may begin in it as they may not at the root.
        with tf.name_scope("model"), frozen():
            for i, call in enumerate(program.calls):
                if i in asked:
                    scores[asked[i]] = call.attention_scores(values)
                call(values)
        return scores

    return Compiled(run, signature_of(specs))


def in_sheets(call: Call, scores: NDArray[Any]) -> NDArray[Any]:
    """Arrange the scores that a layer returned as ``(batch, heads, T, S)``.

    Parameters
    ----------
    scores
        ``(batch, *free, T, S)`` of a layer without heads; otherwise ``(batch, *free, heads, *T, *S)``, with as many axes
        for the keys as for the queries.
    """
    if isinstance(call.operation, keras.layers.Attention):
        return scores.reshape(scores.shape[0], 1, -1, scores.shape[-1])
    axes = scores.ndim - len(call.query.shape)
    sheets = np.moveaxis(scores, scores.ndim - 2 * axes - 1, 1)
    return sheets.reshape(*sheets.shape[:2], -1, math.prod(sheets.shape[-axes:]))


def _by_sample(sheets: NDArray[Any], ran: int) -> NDArray[Any]:
    """Unfold windows from the batch axis, ``(ran * w, heads, T, S)``, into the queries, ``(ran, heads, w * T, S)``."""
    if len(sheets) <= ran:
        return sheets
    folded = sheets.reshape(ran, -1, *sheets.shape[1:])
    return np.moveaxis(folded, 1, 2).reshape(ran, sheets.shape[1], -1, sheets.shape[-1])


def _batch_size(described: DescribedModel, wanted: Sequence[str], samples: int) -> int:
    """Return the number of samples to run at once: scores grow with the square of a sequence's length."""
    one = 0
    for node_id in wanted:
        call = described.call(node_id)
        positions = math.prod(n or 1 for n in call.query.shape[1:-1])
        steps = math.prod(n or 1 for n in call.outputs[0].shape[1 : 1 + len(call.loops)])
        heads = getattr(call.operation, "num_heads", getattr(call.operation, "num_query_heads", 1))
        one += 4 * heads * positions * positions * steps
    return max(1, min(batch_size(described, samples), MEMORY // max(one, 1)))
