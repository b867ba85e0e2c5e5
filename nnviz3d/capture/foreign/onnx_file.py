"""Read ONNX files: the listing of their operations, and the values of all tensors by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.foreign.model import ForeignInput, ForeignModel, ForeignOrigin, Values
from nnviz3d.capture.foreign.onnx_weights import details_of, linear_of, weights_of
from nnviz3d.capture.foreign.operations import Operation, OperationList
from nnviz3d.data.files.digest import sha256_of
from nnviz3d.data.model_sources import ModelSource
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError

try:
    import onnx
    import onnx.inliner
    import onnxruntime
    from onnx import numpy_helper
except ModuleNotFoundError as _missing:
    raise ModelError(
        f"Opening .onnx files needs {_missing.name}, which is not installed; install it with: pip install 'nnviz3d[onnx]'."
    ) from None

_LOOPS = {"Loop": "loop", "Scan": "loop", "If": "branches"}


def load_onnx(source: ModelSource) -> ForeignModel:
    """Load an ONNX file. It holds no code, so it needs no trust.

    Raises
    ------
    ModelError
        If the file is damaged, or ONNX Runtime cannot run it.
    """
    path = source.file
    try:
        model = onnx.inliner.inline_local_functions(onnx.load(str(path)))
        model = onnx.shape_inference.infer_shapes(model)
        runtime = OnnxRuntime(path.name, model)
    except Exception as error:  # protobuf and ONNX Runtime may raise any error for a damaged file
        raise ModelError(
            f"{path.name} cannot be opened as ONNX: {reason(error)} Copy the file again, or export the model again; the "
            f"fault is told by: check-model {path.name}"
        ) from error
    graph = model.graph
    tables = {name: _token_table(graph, name) for name in runtime.inputs}
    inputs = tuple(_input(value, tables[value.name]) for value in graph.input if value.name in runtime.inputs)
    return ForeignModel(
        ForeignOrigin(path.name, sha256_of(path)),
        _listing(model, path.stem),
        runtime,
        inputs,
        _ranks(graph),
        {"onnxruntime": onnxruntime.__version__},
    )


class OnnxRuntime:
    """A session of ONNX Runtime that returns every tensor; nothing is fused or optimized.

    Raises
    ------
    Exception
        Any error of ONNX Runtime for operations that it does not have.
    """

    ending = ".onnx"
    channels_first = True

    def __init__(self, name: str, model: Any) -> None:
        self._name = name
        every = onnx.ModelProto()
        every.CopyFrom(model)
        known = {value.name for value in every.graph.output}
        stored = {tensor.name for tensor in every.graph.initializer}
        for node in every.graph.node:
            for tensor in node.output:
                if tensor and tensor not in known:
                    known.add(tensor)
                    every.graph.output.append(onnx.ValueInfoProto(name=tensor))
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(
            every.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = tuple(value.name for value in model.graph.input if value.name not in stored)
        self._outputs = [value.name for value in self._session.get_outputs()]

    def run(self, inputs: Values) -> Values:
        """Run the model; see `Runtime`."""
        try:
            found = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # ONNX Runtime has no common class of errors
            shapes = ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
            raise ModelError(f"{self._name} failed on {shapes}: {reason(error)}") from error
        values = {
            name: value for name, value in zip(self._outputs, found, strict=True) if isinstance(value, np.ndarray)
        }
        return {**inputs, **{name: value for name, value in values.items() if value.dtype.kind in "biuf"}}


def _listing(model: Any, name: str) -> OperationList:
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    constants = _Constants(stored)
    operations = tuple(_operation(node, constants) for node in graph.node)
    return OperationList(
        name,
        operations,
        tuple(value.name for value in graph.input if value.name not in stored),
        tuple(value.name for value in graph.output),
        frozenset(stored),
    )


class _Constants:
    """The numbers stored in a file, and those that follow from them."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._stored = stored
        self._made: dict[str, Any] = {}

    def see(self, node: Any) -> None:
        """Remember an operation on constants alone, such as the dequantization of weights."""
        given = [name for name in (*node.input, *_taken_inside(node)) if name]
        if given and all(name in self for name in given):
            self._made.update(dict.fromkeys(node.output, node))

    def __contains__(self, name: str) -> bool:
        return name in self._stored or name in self._made

    def size(self, name: str) -> int:
        """Return the number of trained elements behind a constant: those of its first input's."""
        return sum(int(np.prod(self._stored[origin].dims)) for origin in self.origins(name))

    def origins(self, name: str) -> Iterator[str]:
        """Yield the stored tensors of real numbers or quantized weights with more than one element behind a constant."""
        if name in self._stored:
            tensor = self._stored[name]
            kinds = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL, onnx.TensorProto.STRING)
            if tensor.data_type not in kinds and int(np.prod(tensor.dims)) > 1:
                yield name
        elif name in self._made:
            yield from self.origins(self._made[name].input[0])

    def values(self, name: str) -> NDArray[Any] | None:
        """Return the numbers of a constant, of quantized weights those that they stand for; `None` if unknown."""
        if name in self._stored:
            return np.asarray(numpy_helper.to_array(self._stored[name]))
        node = self._made.get(name)
        if node is None:
            return None
        given = [self.values(one) for one in node.input if one]
        if any(array is None for array in given):
            return None
        if node.op_type in ("Identity", "Cast"):
            return given[0]
        if node.op_type == "Transpose":
            return np.transpose(given[0], _attributes(node).get("perm"))  # type: ignore[arg-type]
        return _dequantized(node, given) if node.op_type == "DequantizeLinear" else None


def _dequantized(node: Any, given: Sequence[Any]) -> NDArray[Any] | None:
    values, scale = given[0].astype(np.float32), np.asarray(given[1], dtype=np.float32)
    zero = np.zeros_like(scale) if len(given) < 3 else given[2].astype(np.float32)
    if scale.ndim > 1:
        return None
    axis = int(_attributes(node).get("axis", 1)) % max(values.ndim, 1)
    shape = tuple(-1 if i == axis else 1 for i in range(values.ndim)) if scale.ndim else ()
    return np.asarray((values - zero.reshape(shape)) * scale.reshape(shape), dtype=np.float32)


def _operation(node: Any, constants: _Constants) -> Operation:
    constants.see(node)
    attributes = _attributes(node)
    trained = {origin: 0 for name in node.input if name in constants for origin in constants.origins(name)}
    trained = {name: constants.size(name) for name in trained}
    arrays = [constants.values(name) if name in constants else None for name in node.input]
    weights = weights_of(node.op_type, attributes, arrays) if trained else {}
    return Operation(
        node.name,
        node.op_type,
        (*node.input, *_taken_inside(node)),
        tuple(node.output),
        details_of(node.op_type, attributes, arrays),
        None,
        weights,
        trained,
        linear_of(node.op_type, attributes, weights.get("kernel")),
        _LOOPS.get(node.op_type, ""),
    )


def _taken_inside(node: Any) -> tuple[str, ...]:
    """Return the tensors from outside that the loops and branches inside an operation take, besides its inputs."""
    taken: dict[str, None] = {}
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            made = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
            made.update(name for inner in graph.node for name in inner.output)
            used = [name for inner in graph.node for name in (*inner.input, *_taken_inside(inner))]
            used.extend(value.name for value in graph.output)
            taken.update((name, None) for name in used if name and name not in made)
    return tuple(name for name in taken if name not in node.input)


def _attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of an operation that are numbers, strings or lists of them."""
    found = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, int | float | str) or (
            isinstance(value, list) and all(isinstance(one, int | float) for one in value)
        ):
            found[attribute.name] = value
    return found


def _sizes(value: Any) -> tuple[int | None, ...]:
    """Return the shape of a value with its first axis; `None` for a length that varies."""
    return tuple(d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim)


def _input(value: Any, vocabulary: int | None) -> ForeignInput:
    """Describe an input: its first axis holds samples, unless it is a vector of a fixed length."""
    shape = _sizes(value)
    kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    dtype = "string" if kind.hasobject else kind.name
    batched = bool(shape) and not (len(shape) == 1 and shape[0] not in (None, 1))
    if not batched:
        return ForeignInput(value.name, shape, dtype, None, vocabulary=vocabulary)
    return ForeignInput(value.name, shape[1:], dtype, shape[0] or 1, vocabulary=vocabulary)


def _token_table(graph: Any, name: str) -> int | None:
    """Return the number of rows of the table in which an input's numbers are looked up; `None` if they are not."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    same = {name}
    for node in graph.node:
        if node.op_type in ("Cast", "Identity") and node.input[0] in same:
            same.update(node.output)
        if node.op_type == "Gather" and node.input[1] in same and node.input[0] in stored:
            return int(stored[node.input[0]].dims[0])
    return None


def _ranks(graph: Any) -> dict[str, int]:
    """Return the number of axes of each tensor, without the first, as far as it is known."""
    known = [*graph.input, *graph.value_info, *graph.output]
    return {
        value.name: max(len(value.type.tensor_type.shape.dim) - 1, 0)
        for value in known
        if value.type.tensor_type.HasField("shape")
    }
