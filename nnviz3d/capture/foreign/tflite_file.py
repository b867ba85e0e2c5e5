"""Read TFLite files: the list of their operations, and the values of all tensors by the interpreter of LiteRT."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.foreign.model import ForeignInput, ForeignModel, ForeignOrigin, Values
from nnviz3d.capture.foreign.operations import Operation, OperationList
from nnviz3d.capture.foreign.tflite_options import activation_of, details_of, kind_of_code, linear_of, weights_of
from nnviz3d.data.files.digest import sha256_of
from nnviz3d.data.model_sources import ModelSource
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError

try:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
except ModuleNotFoundError as _missing:
    raise ModelError(
        f"Opening .tflite files needs {_missing.name}, which is not installed; install it with: "
        "pip install 'nnviz3d[tflite]'."
    ) from None

_INSIDE = {"While": "loop", "If": "branches", "CallOnce": "function", "StablehloComposite": "composite"}
_GENERATED = ("StatefulPartitionedCall", "serving_default", "PartitionedCall")
"""Names that TensorFlow makes up for inputs and outputs."""
_MAIN = ("conv", "matmul", "dense", "pool")
"""Words in the name of the operation after which a fused one is named."""


def load_tflite(source: ModelSource) -> ForeignModel:
    """Load a TFLite file. It holds no code, so it needs no trust.

    Raises
    ------
    ModelError
        If the file is damaged, or needs operations that the interpreter does not have.
    """
    path = source.file
    content = path.read_bytes()
    try:
        runtime = TFLiteRuntime(path.name, content)
        file = TFLiteGraph(schema.ModelT.InitFromPackedBuf(content, 0))
    except Exception as error:  # the interpreter raises ValueError and RuntimeError, flatbuffers any error
        why = reason(error)
        advice = (
            "Convert the model again with operations of TFLite alone (TFLITE_BUILTINS)."
            if "Flex" in why or "custom op" in why
            else "Copy the file again, or convert the model again."
        )
        raise ModelError(f"{path.name} cannot be opened as TFLite: {why} {advice}") from error
    runtime.outputs = file.flowing
    return ForeignModel(
        ForeignOrigin(path.name, sha256_of(path), tuple(file.notes)),
        file.listing(path.stem),
        runtime,
        tuple(_input(details, file) for details in runtime.inputs),
        {},
        {"ai-edge-litert": version("ai-edge-litert")},
    )


class TFLiteRuntime:
    """An interpreter that keeps all tensors; no delegate fuses operations.

    Attributes
    ----------
    outputs
        Positions of the tensors to return.
    inputs
        The interpreter's description of each input.

    Raises
    ------
    ValueError, RuntimeError
        If the interpreter refuses the file.
    """

    ending = ".tflite"
    channels_first = False

    def __init__(self, name: str, content: bytes) -> None:
        self._name = name
        self._interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self.inputs = self._interpreter.get_input_details()
        self.outputs: tuple[int, ...] = ()

    def run(self, inputs: Values) -> Values:
        """Run the model; see `Runtime`."""
        interpreter = self._interpreter
        try:
            for details in self.inputs:
                given = inputs[name_of(details["index"])]
                if tuple(details["shape"]) != given.shape:
                    interpreter.resize_tensor_input(details["index"], given.shape)
            interpreter.allocate_tensors()
            for details in self.inputs:
                given = inputs[name_of(details["index"])]
                interpreter.set_tensor(details["index"], _quantized(given, details["dtype"], *details["quantization"]))
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            shapes = ", ".join(str(array.shape) for array in inputs.values())
            raise ModelError(f"{self._name} failed on an input of {shapes}: {reason(error)}") from error
        self.inputs = interpreter.get_input_details()
        details = {one["index"]: one for one in interpreter.get_tensor_details()}
        wanted = [*(one["index"] for one in self.inputs), *self.outputs]
        return {name_of(i): _real(interpreter.get_tensor(i), details[i]["quantization_parameters"]) for i in wanted}


def name_of(position: int) -> str:
    """Return the name of a tensor in the list of operations; names in the file need not be unique."""
    return f"tensor {position}"


def _quantized(values: NDArray[Any], dtype: Any, scale: float, zero: int) -> NDArray[Any]:
    if not scale:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(dtype)


def _real(values: NDArray[Any], quantization: Mapping[str, Any]) -> NDArray[Any]:
    """Return the real numbers that quantized ones stand for; other numbers are returned as they are."""
    return dequantized(values, quantization["scales"], quantization["zero_points"], quantization["quantized_dimension"])


def dequantized(values: NDArray[Any], scales: Any, zeros: Any, axis: int) -> NDArray[Any]:
    """Return ``scale * (value - zero)``, with one scale, or with one for each position along an axis."""
    scale, zero = np.asarray(scales, dtype=np.float32), np.asarray(zeros, dtype=np.float32)
    if not scale.size:
        return values
    if scale.size > 1:
        shape = tuple(-1 if i == axis else 1 for i in range(values.ndim))
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((values.astype(np.float32) - zero) * scale, dtype=np.float32)


@dataclass(frozen=True)
class TFLiteGraph:
    """The main graph of a file, as flatbuffers unpacks it."""

    model: Any

    @property
    def _main(self) -> Any:
        return self.model.subgraphs[0]

    @cached_property
    def _codes(self) -> list[str]:
        return [kind_of_code(code) for code in self.model.operatorCodes]

    @cached_property
    def flowing(self) -> tuple[int, ...]:
        """Positions of the tensors that operations make."""
        return tuple(int(i) for one in self._main.operators for i in _positions(one.outputs))

    def scale(self, position: int) -> Any:
        """Return the quantization of a tensor; `None` if it holds real numbers."""
        found = self._main.tensors[position].quantization
        return None if found is None or found.scale is None or not len(found.scale) else found

    def constant(self, position: int) -> NDArray[Any] | None:
        """Return the numbers of a tensor in the file, of quantized ones those that they stand for; `None` for others."""
        if position < 0:
            return None
        tensor = self._main.tensors[position]
        data = self.model.buffers[tensor.buffer].data
        if data is None or not len(data):
            made = self._unpacked.get(position)
            return None if made is None else self.constant(made)
        dtype = _TYPES.get(tensor.type)
        shape = () if tensor.shape is None else tuple(int(n) for n in tensor.shape)
        if dtype is None or len(data) != math.prod(shape) * np.dtype(dtype).itemsize:
            return None  # packed 4-bit numbers and text
        values: NDArray[Any] = np.asarray(data, dtype=np.uint8).view(dtype).reshape(shape)
        found = self.scale(position)
        if found is None:
            return values.astype(np.float32) if dtype == np.float16 else values
        return dequantized(values, found.scale, found.zeroPoint, int(found.quantizedDimension))

    @cached_property
    def _unpacked(self) -> dict[int, int]:
        """Positions of tensors that only dequantize a constant, and of this constant."""
        return {
            int(one.outputs[0]): int(one.inputs[0])
            for one in self._main.operators
            if self._codes[one.opcodeIndex] == "Dequantize"
        }

    @property
    def notes(self) -> Iterator[str]:
        """Sentences about what conversion to TFLite changed."""
        flowing = any(self.scale(i) is not None for i in self.flowing)
        if flowing or any(self.scale(i) is not None for i in range(len(self._main.tensors))):
            what = "Weights and activations" if flowing else "Weights"
            yield f"{what} are quantized; the real numbers that they stand for are shown."
        if any(activation_of(one.builtinOptions) for one in self._main.operators):
            yield "Activation functions are fused into the operations before them, whose numbers before them do not exist."

    def listing(self, name: str) -> OperationList:
        """Return the list of operations."""
        stored = [i for i in range(len(self._main.tensors)) if self._is_stored(i)]
        return OperationList(
            name,
            tuple(self._operation(one) for one in self._main.operators),
            tuple(name_of(i) for i in self._main.inputs),
            tuple(name_of(i) for i in self._main.outputs),
            frozenset(name_of(i) for i in stored),
            {name_of(i): self._input_name(i) for i in self._main.inputs},
        )

    def _is_stored(self, position: int) -> bool:
        data = self.model.buffers[self._main.tensors[position].buffer].data
        return data is not None and len(data) > 0

    def _input_name(self, position: int) -> str:
        text = self._main.tensors[position].name.decode("utf-8", "replace").split(":")[0]
        return text.removeprefix("serving_default_") or "input"

    def _operation(self, one: Any) -> Operation:
        kind = self._codes[one.opcodeIndex]
        inputs = [int(i) for i in _positions(one.inputs)]
        arrays = [self.constant(i) for i in inputs]
        trained = {
            name_of(self._unpacked.get(i, i)): array.size
            for i, array in zip(inputs, arrays, strict=True)
            if array is not None and array.dtype.kind == "f" and array.size > 1
        }
        weights = weights_of(kind, one.builtinOptions, arrays) if trained else {}
        details = details_of(kind, one.builtinOptions, arrays)
        return Operation(
            self._name(one, kind),
            kind,
            tuple(name_of(i) if i >= 0 else "" for i in inputs),
            tuple(name_of(int(i)) for i in _positions(one.outputs)),
            details,
            activation_of(one.builtinOptions),
            weights,
            trained,
            linear_of(kind, details, weights.get("kernel")),
            _INSIDE.get(kind, ""),
        )

    def _name(self, one: Any, kind: str) -> str:
        """Return the name of an operation: TFLite names only tensors, a fused one by all operations in it."""
        text = self._main.tensors[int(one.outputs[0])].name.decode("utf-8", "replace")
        names: list[str] = [part.split(":")[0] for part in text.split(";") if part]
        names = [part for part in names if not part.startswith(_GENERATED) and not part.endswith("ReadVariableOp")]
        if not names:
            return ""
        return next(
            (part for part in names if any(word in part.rsplit("/", 1)[-1].lower() for word in _MAIN)), names[0]
        )


def _positions(found: Any) -> list[int]:
    return [] if found is None else [int(i) for i in found]


_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.FLOAT64: np.float64,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
    schema.TensorType.BOOL: np.bool_,
}


def _input(details: Mapping[str, Any], file: TFLiteGraph) -> ForeignInput:
    """Describe an input: its first axis holds samples, unless it is a vector of a fixed length."""
    signature = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    shape = tuple(None if n < 0 else int(n) for n in signature)
    scale, zero = details["quantization"]
    dtype, takes = np.dtype(details["dtype"]), None
    if scale and dtype.kind in "iu":
        limits = np.iinfo(dtype)
        takes = (float(scale * (limits.min - zero)), float(scale * (limits.max - zero)))
    name = "float32" if takes else "string" if dtype.kind in "SO" else dtype.name
    tensor = name_of(details["index"])
    if not shape or (len(shape) == 1 and shape[0] not in (None, 1)):
        return ForeignInput(tensor, shape, name, None, takes)
    return ForeignInput(tensor, shape[1:], name, shape[0] or 1, takes)
