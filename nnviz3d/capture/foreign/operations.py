"""Make a `ModelGraph` of the operations in a model file, as ONNX and TFLite list them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from nnviz3d.capture.connections.linear_settings import LinearSettings
from nnviz3d.capture.programs.node_paths import safe_part
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph

_SIZES = frozenset({"Shape", "Size", "Rank"})
"""Operations that read only the sizes of a tensor."""
_PLUMBING = frozenset({"Identity", "Cast", "Quantize", "Dequantize", "QuantizeLinear", "DequantizeLinear"})
"""Operations that change at most the type of a tensor."""


@dataclass(frozen=True)
class Operation:
    """One operation of a model file.

    Parameters
    ----------
    name
        Its name in the file, with slashes between scopes; empty if it has none.
    inputs, outputs
        Names of tensors; an omitted one is empty.
    weights
        The trained numbers among its inputs, by their usual name in Keras' arrangement: ``kernel``, ``bias``.
    trained
        Number of elements of each tensor of trained numbers, by the tensor's name.
    linear
        The operation as connections need it, if it is a dense layer or a convolution.
    hidden
        Words for what runs inside it and is not shown, such as ``loop``; empty if nothing does.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    details: Mapping[str, Any] = field(default_factory=dict)
    activation: str | None = None
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    trained: Mapping[str, int] = field(default_factory=dict)
    linear: LinearSettings | None = None
    hidden: str = ""

    @property
    def plumbing(self) -> bool:
        """Whether the operation gets no node in the graph, because it changes nothing but perhaps the type of a tensor."""
        return self.kind in _PLUMBING


@dataclass(frozen=True)
class OperationList:
    """The operations of a file in executable order.

    Parameters
    ----------
    inputs, outputs
        Names of tensors.
    constants
        Names of the tensors whose numbers are in the file.
    called
        Names of inputs for people, where they are not those of their tensors.
    """

    name: str
    operations: tuple[Operation, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: frozenset[str]
    called: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def drawn(self) -> tuple[int, ...]:
        """Positions of the operations that get a node.

        Left out are operations on constants alone, on the sizes of tensors, and those that change only a type; and those
        that affect no output.
        """
        fixed, sizes = set(self.constants), set[str]()
        flowing: list[int] = []
        for i, operation in enumerate(self.operations):
            given = [name for name in operation.inputs if name]
            random = operation.kind.startswith(("Random", "Multinomial", "Bernoulli"))
            if not random and all(name in fixed for name in given):
                fixed.update(operation.outputs)
            elif operation.kind in _SIZES or self._computes_sizes(operation, fixed, sizes):
                sizes.update(operation.outputs)
            else:
                flowing.append(i)
        needed, kept = set(self.outputs), []
        for i in reversed(flowing):
            operation = self.operations[i]
            if needed.isdisjoint(operation.outputs):
                continue
            needed.update(operation.inputs)
            if not operation.plumbing:
                kept.append(i)
        return tuple(reversed(kept))

    def _computes_sizes(self, operation: Operation, fixed: set[str], sizes: set[str]) -> bool:
        """Whether an operation only computes sizes: all its inputs are sizes or constants, and none is trained."""
        given = [name for name in operation.inputs if name]
        return not operation.trained and bool(given) and all(name in fixed or name in sizes for name in given)

    @cached_property
    def paths(self) -> dict[int, str]:
        """The path of each drawn operation, by position.

        The part that all names begin with is left out, and the last part of an operation that is alone in its scope.
        """
        split = {i: _parts(self.operations[i]) for i in self.drawn}
        named = [parts for parts in split.values() if len(parts) > 1]
        while named and len(named) > 1 and len({parts[0] for parts in named}) == 1 and min(map(len, named)) > 2:
            first = named[0][0]
            split = {i: parts[1:] if len(parts) > 1 and parts[0] == first else parts for i, parts in split.items()}
            named = [parts for parts in split.values() if len(parts) > 1]
        inside = Counter(parts[:n] for parts in split.values() for n in range(1, len(parts)))
        taken = {self._input_path(name) for name in self.inputs}
        found = {}
        for i, parts in split.items():
            alone = len(parts) > 1 and inside[parts[:-1]] == 1
            path = _free("/".join(parts[:-1] if alone else parts), taken)
            taken.add(path)
            found[i] = path
        return found

    def graph(self, shapes: Mapping[str, tuple[int, ...]], axes: Mapping[str, tuple[str, ...]]) -> ModelGraph:
        """Return the graph.

        Parameters
        ----------
        shapes
            Shape of each tensor without the batch axis, where known.
        axes
            Names of the axes of tensors, where they are not those of channels last.
        """
        maker: dict[str, tuple[str, int]] = {}
        nodes: list[LayerNode] = []
        edges: list[Edge] = []
        for name in self.inputs:
            path = self._input_path(name)
            maker[name] = (path, 0)
            nodes.append(LayerNode(path, 0, "Input", (shapes.get(name, ()),), named_axes=axes.get(name, ())))
        counted: set[str] = set()
        drawn = set(self.drawn)
        for i, operation in enumerate(self.operations):
            given = [maker[name] for name in operation.inputs if name in maker]
            if i not in drawn:
                if operation.plumbing and given:
                    maker.update((name, given[0]) for name in operation.outputs)
                continue
            path = self.paths[i]
            made = self.made(i)
            maker.update((name, (path, k)) for k, name in enumerate(made))
            node = LayerNode(
                path,
                0,
                operation.kind,
                tuple(shapes.get(name, ()) for name in made),
                sum(size for name, size in operation.trained.items() if name not in counted),
                operation.activation,
                operation.details,
                axes.get(made[0], ()) if made else (),
            )
            counted.update(operation.trained)
            nodes.append(node)
            edges.extend(Edge(source, path, k) for source, k in dict.fromkeys(given))
        ends = dict.fromkeys(maker[name][0] for name in self.outputs if name in maker)
        inputs = tuple(self._input_path(name) for name in self.inputs)
        return ModelGraph(self.name, tuple(nodes), tuple(edges), inputs, tuple(ends))

    def made(self, position: int) -> tuple[str, ...]:
        """Return the names of the tensors that an operation makes, without omitted ones."""
        return tuple(name for name in self.operations[position].outputs if name)

    @cached_property
    def tensors(self) -> dict[str, tuple[str, ...]]:
        """Names of the output tensors of each node, by node id."""
        inputs = {self._input_path(name): (name,) for name in self.inputs}
        return {**inputs, **{path: self.made(i) for i, path in self.paths.items()}}

    @cached_property
    def operation_of(self) -> dict[str, Operation]:
        """The operation of each node that is no input, by node id."""
        return {path: self.operations[i] for i, path in self.paths.items()}

    @cached_property
    def _input_paths(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in self.inputs:
            found[name] = _free(safe_part(self.called.get(name, name).replace("/", "_")), set(found.values()))
        return found

    def _input_path(self, name: str) -> str:
        return self._input_paths[name]

    @property
    def notes(self) -> list[str]:
        """Sentences about what the graph does not show."""
        left = len(self.operations) - len(self.drawn)
        notes = []
        if left:
            notes.append(
                f"{left} of {len(self.operations)} operations are not drawn: they work on constants or on the sizes of "
                "tensors, change only a type, or affect no output."
            )
        notes.extend(
            f"{path} is shown as one block: what runs inside its {operation.hidden} is not shown."
            for path, operation in self.operation_of.items()
            if operation.hidden
        )
        return notes


def _parts(operation: Operation) -> tuple[str, ...]:
    parts = tuple(safe_part(part) for part in operation.name.split("/") if part)
    return parts or (safe_part(operation.kind.lower()),)


def _free(path: str, taken: set[str]) -> str:
    if path not in taken:
        return path
    number = 1
    while f"{path}_{number}" in taken:
        number += 1
    return f"{path}_{number}"
