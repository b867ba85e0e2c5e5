"""Run a model once and return the output of every node."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework import op_def_registry

from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.capture.programs.frozen import Compiled, frozen, operations
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.printable import reason
from nnviz3d.data.storage.rows_writer import as_stored
from nnviz3d.errors import ModelError

MEMORY = 256 * 2**20
"""Bytes of activations that one batch may hold."""
LARGEST_BATCH = 32
"""Batch size of `predict`; the same batch size gives bit-identical results."""
TOGETHER = 1024
"""Largest batch of a model whose layers give all samples of a batch the length of the longest."""
_BAD_NAME = re.compile(r"'(.+)' is not a valid (?:root )?scope name")
"""TensorFlow's message about a layer name that it cannot compile; the error is a plain `ValueError`."""


@dataclass(frozen=True)
class Batch:
    """The outputs of every node for ``count`` samples from ``start`` on.

    Parameters
    ----------
    outputs
        TensorFlow tensors or NumPy arrays, by node id.
    per_sample, constant
        Outputs, by node id and position, that have a row for each sample, and outputs that are equal for all samples.
    count
        Number of samples.
    ran
        Number of rows in the model's input: more than `count` if the model takes only one batch size.
    gates
        Gates and states of recurrent layers, ``(batch, time, *shape)`` each, by node id and name.
    """

    outputs: Mapping[str, tuple[Any, ...]]
    per_sample: frozenset[tuple[str, int]]
    constant: frozenset[tuple[str, int]]
    start: int
    count: int
    ran: int
    gates: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for node_id, tensors in self.outputs.items():
            yield from ((node_id, k) for k in range(len(tensors)))

    def numbers(self, node_id: str, output: int = 0) -> NDArray[Any] | None:
        """Return one output of a node as ``(count, *shape)``; `None` if it holds no numbers for each sample.

        Windows that a model folds into the batch axis, ``(count * w, ...)``, are unfolded to ``(count, w, ...)``.
        """
        key = (node_id, output)
        values = _to_numpy(self.outputs[node_id][output])
        if values is None:
            return None
        if key in self.constant:
            return np.broadcast_to(values, (self.count, *values.shape))
        if key not in self.per_sample:
            return None
        return self._rows(values)

    def gate_numbers(self, node_id: str) -> dict[str, NDArray[Any]]:
        """Return the gates of a recurrent layer as ``(count, time, *shape)`` each, by name; empty if there are none."""
        found = {name: _to_numpy(tensor) for name, tensor in self.gates.get(node_id, {}).items()}
        rows = {name: None if values is None else self._rows(values) for name, values in found.items()}
        return {name: values for name, values in rows.items() if values is not None}

    def _rows(self, values: NDArray[Any]) -> NDArray[Any] | None:
        if values.ndim == 0 or values.shape[0] % self.ran:
            return None
        if values.shape[0] != self.ran:
            values = values.reshape(self.ran, values.shape[0] // self.ran, *values.shape[1:])
        return values[: self.count]


_PURE = frozenset(
    {
        "ReadVariableOp",
        "ResourceGather",
        "ResourceGatherNd",
        "LookupTableFindV2",
        "PartitionedCall",
        "StatefulPartitionedCall",
        "If",
        "While",
        "Placeholder",
        "Assert",
    }
)
"""Operations that TensorFlow counts as stateful although they only read, or only run other operations."""


class Forward:
    """A model's program as one compiled TensorFlow function, with results that are bit-identical to those of the model.

    Parameters
    ----------
    specs
        The model's inputs, with the sizes of the samples.
    gates
        Whether the gates of recurrent layers are computed too.
    """

    def __init__(self, described: DescribedModel, specs: Sequence[InputSpec], *, gates: bool = False) -> None:
        self._described = described
        self._specs = tuple(specs)
        wanted = described.calls

        def run(*inputs: Any) -> tuple[dict[str, tuple[Any, ...]], dict[str, dict[str, Any]]]:
            found: dict[int, dict[str, Any]] = {}
            # Keras runs a layer inside its model's scope, where a name may be `_hidden`; at the root it must not.
            with tf.name_scope("model"), frozen() as scope:
                results = described.program.run(inputs, found if gates else None)
            self._drew = scope.drew
            named = {node_id: found[i] for node_id, i in wanted.items() if i in found}
            return {node_id: results[i] for node_id, i in wanted.items()}, named

        self._drew = False
        self._function = Compiled(run, signature_of(specs))
        self._batch = only_batch(specs)
        self._per_sample, self._constant = rows_per_sample(described, self._batch)

    @cached_property
    def repeatable(self) -> bool:
        """Whether the results of the compiled program depend on its inputs and the weights alone.

        Programs that draw random numbers or count do not: each run continues from the state of the previous one.
        """
        return all(name in _PURE or not _is_stateful(name) for name in operations(self._function.graph))

    @property
    def draws(self) -> bool:
        """Whether the model draws random numbers; the states of its generators stay unchanged."""
        self._function.graph  # noqa: B018 - known once it is compiled
        return self._drew

    def batches(self, arrays: Sequence[Rows]) -> Iterator[Batch]:
        """Run all samples, in batches that fit into memory.

        Parameters
        ----------
        arrays
            ``(N, *shape)`` for each input, after preprocessing.

        Raises
        ------
        ModelError
            If the model fails on these numbers.
        """
        size = batch_size(self._described, len(arrays[0]))
        for start, count, parts in portions(arrays, size, self._batch):
            outputs, gates = self._run(parts)
            yield Batch(outputs, self._per_sample, self._constant, start, count, len(parts[0]), gates)

    def _run(self, parts: Sequence[NDArray[Any]]) -> tuple[dict[str, tuple[Any, ...]], Mapping[str, Mapping[str, Any]]]:
        tensors = [tf.convert_to_tensor(p, dtype=s.dtype) for p, s in zip(parts, self._specs, strict=True)]
        try:
            outputs, gates = self._function(*tensors)
        except tf.errors.OpError as error:
            raise ModelError(f"The model failed on this input: {reason(error)}") from error
        except Exception as error:
            # Any error may be raised when TensorFlow compiles a layer, whose path is the note. A `ValueError` is mostly one
            # of the layer's own code.
            name = _BAD_NAME.search(str(error)) if isinstance(error, ValueError) else None
            paths: list[str] = getattr(error, "__notes__", [])
            if name is None and (isinstance(error, ValueError) or not paths):
                raise
            raise ModelError(
                f"TensorFlow cannot compile {paths[0]}, nor can Keras' own predict(): {reason(error)}"
                if name is None
                else f"TensorFlow cannot compile a layer named {name[1]!r}, nor can Keras' own predict(); expected a name "
                "of the letters a to z, digits, and the signs _ . - only."
            ) from error
        return {node_id: outputs[node_id] for node_id in self._described.calls}, gates


def _is_stateful(operation: str) -> bool:
    definition = op_def_registry.get(operation)
    return definition is None or bool(definition.is_stateful)


def batch_size(described: DescribedModel, samples: int) -> int:
    """Choose the number of samples of a batch: a power of two, or all samples.

    So batches have the same boundaries when the samples are captured in parts of `LARGEST_BATCH`.
    If lengths depend on the batch, as those of texts do that a layer fills up to the longest, all samples are one batch.
    """
    most = TOGETHER if any(None in shape for node in described.graph for shape in node.shapes) else LARGEST_BATCH
    gates = sum(call.gates_size for call in map(described.call, described.calls) if call.gates)
    fitting = max(1, MEMORY // max(memory_of_sample(described.graph) + gates, 1))
    return max(1, min(samples, most, 1 << (fitting.bit_length() - 1)))


def memory_of_sample(graph: ModelGraph) -> int:
    """Return the size of one sample's activations in bytes; unknown lengths count as 1."""
    return 4 * sum(math.prod(n or 1 for n in shape) for node in graph for shape in node.shapes)


def rows_per_sample(
    described: DescribedModel, only: int | None
) -> tuple[frozenset[tuple[str, int]], frozenset[tuple[str, int]]]:
    """Find the outputs, by node id and position, that have a row for each sample, and those equal for all samples.

    Parameters
    ----------
    only
        The only batch size that the model takes.
    """
    constants = described.program.constants()
    outputs = [
        (node_id, k, tensor) for node_id in described.calls for k, tensor in enumerate(described.call(node_id).outputs)
    ]
    rows = described.program.rows
    return (
        frozenset(
            (node_id, k)
            for node_id, k, tensor in outputs
            # Windows may be folded into a batch size that was chosen for the trace.
            if tensor.shape and (tensor.shape[0] in (None, only) or (rows and tensor.shape[0] % rows == 0))
        ),
        frozenset((node_id, k) for node_id, k, _ in outputs if described.calls[node_id] in constants),
    )


def portions(arrays: Sequence[Rows], size: int, only: int | None) -> Iterator[tuple[int, int, list[NDArray[Any]]]]:
    """Split samples into batches; yields the first sample's number, the number of samples, and each input's array.

    Parameters
    ----------
    arrays
        ``(N, *shape)`` for each input.
    size
        Number of samples of a batch.
    only
        The only batch size that the model takes, if any; the last batch is filled with copies of its last sample.
    """
    size = only or size
    for start in range(0, len(arrays[0]), size):
        parts = [array[start : start + size] for array in arrays]
        yield start, len(parts[0]), [filled(part, only) for part in parts]


def filled(rows: NDArray[Any], only: int | None) -> NDArray[Any]:
    """Repeat the last row up to the only batch size of the model, if it has one."""
    if only is None or len(rows) >= only:
        return rows
    return np.concatenate([rows, np.repeat(rows[-1:], only - len(rows), axis=0)])


def only_batch(specs: Sequence[InputSpec]) -> int | None:
    """Return the only batch size that a model takes; `None` (nearly always) if it takes any."""
    return next((spec.batch for spec in specs if spec.batch is not None), None)


def signature_of(specs: Sequence[InputSpec]) -> list[tf.TensorSpec]:
    """Return the types of a compiled function's arguments: samples for each input."""
    return [tf.TensorSpec((spec.batch, *spec.shape), spec.dtype) for spec in specs]


def viewed(tensor: Any) -> NDArray[Any]:
    """Return a read-only view of a tensor's numbers; copies of large tensors cost time and memory."""
    if np.dtype(tensor.dtype.as_numpy_dtype).kind not in "biuf":
        return np.asarray(tensor)  # NumPy buffers do not support bfloat16
    return np.asarray(memoryview(tensor))


def _to_numpy(tensor: Any) -> NDArray[Any] | None:
    if isinstance(tensor, np.ndarray):
        return as_stored(tensor) if tensor.dtype.kind in "biuf" else None
    if not isinstance(tensor, tf.Tensor) or tensor.dtype in (tf.string, tf.complex64, tf.complex128):
        return None
    return as_stored(viewed(tensor))
