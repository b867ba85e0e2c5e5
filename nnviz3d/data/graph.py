"""The graph of a model as plain values: its nodes in order, and the edges between them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from nnviz3d.data.axes import TIME, Axes, axes_of, channels_in, is_named, location_shape, score_axes
from nnviz3d.data.printable import printable
from nnviz3d.errors import CaptureError

_DEPTH = 3
"""Deepest nesting of lists in a layer's details."""
_DEFAULT_NAME = re.compile(r"(functional|sequential|model)(_\d+)?")
"""Names that Keras gives to models whose authors gave none."""
_ENDING = re.compile(r"\.(keras|h5|hdf5)$", re.IGNORECASE)
"""Ending of a model's file."""
_Count = Annotated[int, Field(ge=0, lt=2**63)]
MEMBERS = "layers"
"""Detail of the node of a closed group: the number of nodes that it stands for."""
_STORED_TIME = "step"
"""Name of the time step axis in captures."""
Shape = tuple[_Count | None, ...]
"""A tensor's shape without the batch axis; `None` where the length varies from sample to sample."""


@dataclass(frozen=True)
class LayerNode:
    """One call of one layer, or of one operation without a layer, such as ``Add`` from ``x + y``.

    Parameters
    ----------
    path
        The layer's path in the model; slashes separate nested models and composite layers: ``block1/conv``.
    call
        0 for the first call of the layer, 1 for its second, and so on.
    kind
        The class name: ``Conv2D``, ``Dense``, ``Add``.
    shapes
        The shape of each output, without the batch axis.
    parameters
        Number of the layer's weights, counted only at its first call.
    activation
        The name of the layer's activation function, if it has one: ``relu``, ``softmax``.
    details
        Settings of the layer for drawing and for its description: ``kernel_size``, ``strides``,
        ``padding``, ``dilation_rate``, ``units``, ``filters``, ``rate``, ``self_attention`` (whether query, value and key
        of an attention layer are one tensor), ``scores`` (which output of an attention layer holds its scores),
        ``gates`` (names of a recurrent layer's gates and states); numbers, strings and lists of them only.
    named_axes
        Names of the first output's axes, if they are not those of channels last.
    """

    path: str
    call: _Count
    kind: str
    shapes: tuple[Shape, ...]
    parameters: _Count = 0
    activation: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    named_axes: Axes = ()

    def __post_init__(self) -> None:
        if not self.path or not self.path.isprintable():
            raise CaptureError(
                f"The graph has a node {printable(self.path)!r}; expected a path of printable characters."
            )
        object.__setattr__(self, "named_axes", tuple(TIME if a == _STORED_TIME else a for a in self.named_axes))
        if self.named_axes and not is_named(self.named_axes):
            raise CaptureError(f"The graph has a node {self.path!r} whose axes have unknown names.")
        # Names of classes and functions, and a layer's details, can hold any characters.
        object.__setattr__(self, "kind", printable(self.kind))
        object.__setattr__(self, "activation", None if self.activation is None else printable(self.activation))
        object.__setattr__(self, "details", {printable(key): _cleaned(value) for key, value in self.details.items()})

    @cached_property
    def id(self) -> str:
        """The node's name: its path, and ``@k`` behind it from the second call on."""
        return self.path if self.call == 0 else f"{self.path}@{self.call}"

    @property
    def name(self) -> str:
        """The last part of the path, with the call: what a label shows."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def members(self) -> int:
        """The number of nodes that a closed group stands for; 0 for a node that is no group."""
        count = self.details.get(MEMBERS, 0)
        return count if isinstance(count, int) else 0

    @property
    def group(self) -> str:
        """Path of the nested model or composite layer that contains the node; empty at the top level."""
        return self.path.rpartition("/")[0]

    @property
    def shape(self) -> Shape:
        """The shape of the first output."""
        return self.shapes[0] if self.shapes else ()

    @property
    def axes(self) -> Axes:
        """Names of the axes of the first output, without the sample axis."""
        return self.named_axes if len(self.named_axes) == len(self.shape) else axes_of(self.shape)

    def named_axes_of(self, output: int) -> Axes:
        """Return the names of an output's axes, if they are not those of channels last."""
        if output == 0:
            return self.named_axes
        return score_axes(self.shapes[output]) if output == self.details.get("scores") else ()

    @property
    def location_shape(self) -> Shape:
        """Shape of the first output without the channel axis."""
        return location_shape(self.shape, self.axes)

    @property
    def channels(self) -> int | None:
        """Number of channels of the first output: 1 if each number has its own location; `None` if it varies."""
        count: int | None = channels_in(self.shape, self.axes)
        return count

    @property
    def size(self) -> int:
        """Number of elements of the first output for one sample; 0 if a length varies."""
        return math.prod(n or 0 for n in self.shape)


@dataclass(frozen=True)
class Edge:
    """Data flow from one node's output to another node."""

    source: str
    target: str
    output: _Count = 0
    """Index of the source's output."""


@dataclass(frozen=True)
class ModelGraph:
    """Nodes in topological order, the edges between them, and the inputs and outputs of the model.

    Parameters
    ----------
    name
        The model's name for users.
    nodes
        In topological order.
    edges
        Real edges: skips, merges, several inputs and outputs.
    inputs, outputs
        Node ids.
    own_name
        The model's own name, which is stored, if `name` is another one; otherwise empty.
    """

    name: str
    nodes: tuple[LayerNode, ...]
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    own_name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", printable(self.name))
        seen: set[str] = set()
        for node in self.nodes:
            if node.id in seen:
                raise CaptureError(f"The graph names node {node.id!r} twice; node ids must be unique.")
            seen.add(node.id)
        order = {node.id: i for i, node in enumerate(self.nodes)}
        for edge in self.edges:
            if edge.source not in order or edge.target not in order:
                raise CaptureError(f"The graph has an edge {edge.source!r} -> {edge.target!r} to a node it lacks.")
            if order[edge.source] >= order[edge.target]:
                raise CaptureError(
                    f"The graph's nodes are out of order: {edge.source!r} must come before {edge.target!r}."
                )
        for name in (*self.inputs, *self.outputs):
            if name not in order:
                raise CaptureError(f"The graph names {name!r} as an input or output, but has no such node.")

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """The shape of one sample for each input, by name."""
        return {name: self.node(name).shape for name in self.inputs}

    def __iter__(self) -> Iterator[LayerNode]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __contains__(self, node_id: str) -> bool:
        return node_id in self._by_id

    @cached_property
    def _by_id(self) -> dict[str, LayerNode]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _sources(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            found[edge.target].append(edge.source)
        return {key: tuple(value) for key, value in found.items()}

    @cached_property
    def _edges_from(self) -> dict[str, tuple[Edge, ...]]:
        found: dict[str, list[Edge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            found[edge.source].append(edge)
        return {key: tuple(value) for key, value in found.items()}

    @cached_property
    def _edges_to(self) -> dict[str, tuple[Edge, ...]]:
        found: dict[str, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge)
        return {key: tuple(value) for key, value in found.items()}

    def node(self, node_id: str) -> LayerNode:
        """Return the node with this id; an unknown id is a `KeyError`."""
        return self._by_id[node_id]

    def sources(self, node_id: str) -> tuple[str, ...]:
        """Return the ids of the nodes whose outputs a node takes, in the order of its arguments."""
        return self._sources[node_id]

    def edges_from(self, node_id: str) -> tuple[Edge, ...]:
        """Return the edges that begin at a node, in the graph's order."""
        return self._edges_from[node_id]

    def edges_to(self, node_id: str) -> tuple[Edge, ...]:
        """Return the edges that end at a node, in the order of its arguments."""
        return self._edges_to.get(node_id, ())

    def ancestors(self, node_id: str) -> frozenset[str]:
        """Return the ids of all nodes that a node depends on, without itself."""
        found: set[str] = set()
        pending = list(self.sources(node_id))
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self.sources(name))
        return frozenset(found)

    @property
    def parameters(self) -> int:
        """Number of weights of the whole model."""
        return sum(node.parameters for node in self.nodes)

    def of_file(self, file: str) -> ModelGraph:
        """Return the graph with the name of its model's file, if the model's own name is only Keras' default."""
        if _DEFAULT_NAME.fullmatch(self.name) is None:
            return self
        return replace(self, name=_ENDING.sub("", file) or self.name, own_name=self.name)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and dictionaries for the capture's attribute ``graph``."""
        data: dict[str, Any] = _ADAPTER.dump_python(self, mode="json", exclude={"own_name"})
        data["name"] = self.own_name or self.name
        for node in data["nodes"]:
            node["named_axes"] = [_STORED_TIME if axis == TIME else axis for axis in node["named_axes"]]
        return data

    @staticmethod
    def from_json(data: Any) -> ModelGraph:
        """Check the result of `to_json` and rebuild the graph.

        Raises
        ------
        CaptureError
            If anything is missing or of the wrong type.
        """
        try:
            graph = _ADAPTER.validate_python(data)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CaptureError(f"The capture's graph is damaged at {where or 'its top'}: {first['msg']}.") from None
        for node in graph:
            if not all(_is_plain(value) for value in node.details.values()):
                raise CaptureError(f"The capture's graph is damaged: its details of {node.id!r} are nested too deep.")
        return graph


def _cleaned(value: Any, depth: int = _DEPTH) -> Any:
    if isinstance(value, list) and depth:
        return [_cleaned(item, depth - 1) for item in value]
    return printable(value) if isinstance(value, str) else value


def _is_plain(value: Any, depth: int = _DEPTH) -> bool:
    """Whether a value is a number, a string or a list of them, as a layer's details must be."""
    if isinstance(value, list):
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    return value is None or isinstance(value, str | int | float)


_SCALING = ("Norm", "PReLU", "Rescaling")
"""Kinds of layers whose weights only scale numbers or channels."""
_ADAPTER: TypeAdapter[ModelGraph] = TypeAdapter(ModelGraph)


def connecting_nodes(graph: ModelGraph) -> tuple[str, ...]:
    """Return the nodes whose weights connect units, without layers that only scale numbers or channels, and groups."""
    weighted = {node.path: node for node in graph if node.parameters and not node.members}
    return tuple(node.id for node in graph if node.path in weighted and not any(k in node.kind for k in _SCALING))


def vector_outputs(graph: ModelGraph) -> tuple[str, ...]:
    """Return the outputs that are vectors or single numbers."""
    return tuple(name for name in graph.outputs if len(graph.node(name).shape) <= 1 and graph.node(name).size)


def head_of(graph: ModelGraph) -> str | None:
    """Return the main output: the last one that is a vector of more than one number, else the last number."""
    found = vector_outputs(graph)
    return next((name for name in reversed(found) if graph.node(name).size > 1), found[-1] if found else None)


def deciding_nodes(graph: ModelGraph) -> frozenset[str]:
    """Return for each output the last node with weights, if only nodes without weights that take one tensor follow it."""
    weighted = {node.path for node in graph if node.parameters and not node.members}
    found = set()
    for name in graph.outputs:
        while graph.node(name).path not in weighted and len(graph.sources(name)) == 1:
            (name,) = graph.sources(name)
        if graph.node(name).path in weighted:
            found.add(name)
    return frozenset(found)
