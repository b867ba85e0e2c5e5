"""Divide the graph of a SavedModel into segments, each of which becomes a layer: by the scopes in the operations' names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

import tensorflow as tf

_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?|Func")
"""Parts of names that stand for a call of a function."""
_FUNCTIONS = frozenset(
    {
        *("batchnorm", "moments", "Tensordot", "einsum", "Conv1D", "Conv2D", "MatMul", "BiasAdd", "embedding_lookup"),
        *("while", "cond", "TensorArrayUnstack", "TensorArrayV2Stack", "zeros_like", "ones_like"),
        *("Reshape", "Cast", "strided_slice"),
    }
)
"""Scopes that TensorFlow's own functions open inside a layer. A scope named as the one around it is one of these too."""
_NUMBERS = re.compile(r"(_\d+)+$")
_SIZES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
_SAME = frozenset({"Identity", "PreventGradient", "Snapshot"})
"""Operations that return their input."""
_LOOPS = frozenset({"While", "StatelessWhile"})
_HEAVY = _LOOPS | {
    *("Conv2D", "Conv3D", "Conv2DBackpropInput", "MatMul", "BatchMatMul", "BatchMatMulV2", "Einsum", "GatherV2"),
    *("FusedBatchNormV3", "FusedBatchNormV2", "FusedBatchNorm"),
}
"""Operations of which a layer has one; loops hold any number."""


@dataclass(frozen=True)
class Segment:
    """Operations that become one layer.

    Attributes
    ----------
    parts
        The parts of its path.
    operations
        The operations on values that depend on the model's inputs.
    sources
        Tensors of other segments, or inputs of the model, that it takes.
    variables
        Placeholders of the values of variables, and of constants outside of the graph.
    resources
        Placeholders of variables and tables that are passed on as such, for example into a loop.
    results
        Tensors that other segments take, or that are outputs of the model.
    prepared
        The operations on sizes, constants and variables alone that run before, and those that return their input.
    """

    parts: tuple[str, ...]
    operations: tuple[Any, ...]
    sources: tuple[Any, ...]
    variables: tuple[Any, ...]
    resources: tuple[Any, ...]
    results: tuple[Any, ...]
    prepared: tuple[Any, ...] = ()

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of the operations."""
        return frozenset(operation.type for operation in self.operations)

    @property
    def loops(self) -> bool:
        """Whether a loop or a branch runs inside."""
        return bool(self.kinds & (_LOOPS | {"If", "StatelessIf", "Case"}))


class Segmentation:
    """The segments of a graph without calls of functions, in executable order.

    Parameters
    ----------
    inputs, outputs
        Tensors of the graph.
    """

    def __init__(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._inputs = {tensor.ref(): tensor for tensor in inputs}
        self.outputs = tuple(same(tensor) for tensor in outputs)
        self._order = tuple(_ancestors([tensor.op for tensor in outputs]))
        self._flows = self._classified()

    def _classified(self) -> set[str]:
        """Return the names of the operations whose results depend on the numbers of an input, not only on its sizes."""
        flowing: set[str] = set()
        for operation in self._order:
            given = [tensor.ref() in self._inputs or tensor.op.name in flowing for tensor in operation.inputs]
            if operation.type not in _SIZES and any(given):
                flowing.add(operation.name)
        return flowing

    def _flowing(self, tensor: Any) -> bool:
        return tensor.ref() in self._inputs or tensor.op.name in self._flows

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments."""
        loose: set[str] = set()
        while True:
            groups = self._groups(loose)
            key_of = {operation.name: key for key, members in groups.items() for operation in members}
            sources = {key: self._sources(members) for key, members in groups.items()}
            needs = {
                key: {key_of[tensor.op.name] for tensor in taken if tensor.op.name in key_of} - {key}
                for key, taken in sources.items()
            }
            try:
                order = list(TopologicalSorter(needs).static_order())
            except CycleError as error:
                # Operations between those of other scopes: such a scope is no layer, so its operations are drawn singly.
                scopes = {key for key in error.args[1] if key in self._scopes}
                if not scopes <= loose and scopes:
                    loose |= scopes
                    continue
                raise
            paths = self._paths(groups)
            used = {tensor.name for tensor in (*self.outputs, *(t for taken in sources.values() for t in taken))}
            return tuple(self._segment(paths[key], groups[key], used) for key in order)

    @cached_property
    def _compute(self) -> tuple[Any, ...]:
        """The operations that compute values that depend on an input."""
        return tuple(one for one in self._order if one.name in self._flows and one.type not in _SAME)

    @cached_property
    def _scopes(self) -> frozenset[str]:
        return frozenset("/".join(scope_of(one)[0]) for one in self._compute)

    def _groups(self, loose: set[str]) -> dict[str, list[Any]]:
        """Return the operations of each layer, by its scope; single operations by their name after a slash."""
        members: dict[str, list[Any]] = defaultdict(list)
        for operation in self._compute:
            members["/".join(scope_of(operation)[0])].append(operation)
        inner = {scope for one in members for scope in _above(one)}
        found: dict[str, str] = {}
        for scope, operations in members.items():
            heavy = [one.type for one in operations if one.type in _HEAVY]
            layer = scope and scope not in inner and scope not in loose and (len(heavy) < 2 or _LOOPS & set(heavy))
            found.update({one.name: scope if layer else f"/{one.name}" for one in operations})
        groups: dict[str, list[Any]] = defaultdict(list)
        joined = self._joined(found)
        for operation in self._compute:
            groups[joined[operation.name]].append(operation)
        return dict(groups)

    def _joined(self, key_of: Mapping[str, str]) -> dict[str, str]:
        """Join groups between which something is passed that has no row of numbers for each sample."""
        leader: dict[str, str] = {}

        def first(key: str) -> str:
            while key in leader:
                key = leader[key]
            return key

        for operation in self._compute:
            for tensor in operation.inputs:
                before = key_of.get(same(tensor).op.name)
                if before is not None and _is_inner(tensor, operation):
                    one, other = first(before), first(key_of[operation.name])
                    if one != other:
                        leader[one] = other
        return {name: first(key) for name, key in key_of.items()}

    def _sources(self, operations: Sequence[Any]) -> list[Any]:
        """Return the tensors that operations take from outside, through operations on sizes and constants."""
        return [tensor for tensor in self._reached(operations)[0] if self._flowing(tensor)]

    def _reached(self, operations: Sequence[Any]) -> tuple[list[Any], tuple[Any, ...]]:
        """Return flowing tensors, read variables and resources from which a group is computed.

        Returns
        -------
        tensors
            In the order of the graph.
        prepared
            The operations between those and the group.
        """
        inside = {one.name for one in operations}
        found: dict[str, Any] = {}
        seen: set[str] = set()
        prepared: dict[str, Any] = {}
        pending = [tensor for one in operations for tensor in one.inputs]
        while pending:
            tensor = pending.pop()
            if tensor.name in seen or tensor.op.name in inside:
                continue
            seen.add(tensor.name)
            between = tensor.op.type in _SAME
            if not between and (self._flowing(tensor) or tensor.op.type == "Placeholder"):
                found[tensor.name] = tensor
            else:
                prepared[tensor.op.name] = tensor.op
                pending.extend(tensor.op.inputs)
        ordered = sorted(found.values(), key=lambda tensor: (self._position.get(tensor.op.name, -1), tensor.name))
        return ordered, tuple(prepared.values())

    @cached_property
    def _position(self) -> dict[str, int]:
        return {one.name: i for i, one in enumerate(self._order)}

    def _segment(self, parts: tuple[str, ...], operations: Sequence[Any], used: set[str]) -> Segment:
        reached, prepared = self._reached(operations)
        held = [tensor for tensor in reached if not self._flowing(tensor)]
        results = [tensor for one in operations for tensor in one.outputs if tensor.name in used]
        return Segment(
            parts,
            tuple(operations),
            tuple(t for t in reached if self._flowing(t)),
            tuple(t for t in held if t.dtype != tf.resource),
            tuple(t for t in held if t.dtype == tf.resource),
            tuple(results),
            prepared,
        )

    def _paths(self, groups: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str, ...]]:
        """Return the parts of each group's path, without those that all begin with."""
        found: dict[str, tuple[str, ...]] = {}
        for key, members in groups.items():
            if key.startswith("/"):
                one = next(one for one in members if f"/{one.name}" == key)
                scope, rest = scope_of(one)
                found[key] = (*scope, rest)
            else:
                found[key] = tuple(key.split("/"))
        inside = Counter(parts[:n] for parts in found.values() for n in range(1, len(parts)))
        for key, members in groups.items():
            scopes = {scope_of(one)[0] for one in members}
            shared = _common(list(scopes))
            if len(scopes) > 1 and shared and inside[shared] == 1:  # joined, and all of their scope
                found[key] = shared
        while len(found) > 1 and len({parts[0] for parts in found.values()}) == 1 and min(map(len, found.values())) > 1:
            found = {key: parts[1:] for key, parts in found.items()}
        return found


def same(tensor: Any) -> Any:
    """Follow a tensor back through operations that return their input."""
    while tensor.op.type in _SAME:
        tensor = tensor.op.inputs[0]
    return tensor


def _common(scopes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the parts with which all scopes begin."""
    count = next(
        (i for i, parts in enumerate(zip(*scopes, strict=False)) if len(set(parts)) > 1), min(map(len, scopes))
    )
    return scopes[0][:count]


def _is_inner(tensor: Any, reader: Any) -> bool:
    """Whether a tensor has no row for each sample: lists, resources, words of all texts, values of ragged tensors."""
    inner = tensor.dtype in (tf.variant, tf.resource, tf.string) or tensor.shape.rank is None
    return inner or reader.type.startswith("Ragged")


def scope_of(operation: Any) -> tuple[tuple[str, ...], str]:
    """Return the scope of an operation's layer, and the operation's name in it.

    The scopes that TensorFlow's functions open are left out: ``block/dense/Tensordot/MatMul`` is ``MatMul`` of
    ``block/dense``.
    """
    parts = [part for part in operation.name.split("/") if not _CALL.fullmatch(part)] or [operation.type]
    scope = parts[:-1]
    bases = [_NUMBERS.sub("", part) for part in scope]
    for i, base in enumerate(bases):
        if base in _FUNCTIONS or (i and base == bases[i - 1]):
            return tuple(scope[:i]), scope[i]
    return tuple(scope), parts[-1]


def _above(scope: str) -> Iterator[str]:
    """Yield the scopes around a scope, without itself."""
    parts = scope.split("/")
    yield from ("/".join(parts[:n]) for n in range(len(parts)) if n)


def _ancestors(operations: Iterable[Any]) -> list[Any]:
    """Return the operations that others are computed from, and themselves, each after those that it takes."""
    found: dict[str, Any] = {}
    pending = [(one, False) for one in operations]
    seen: set[str] = set()
    while pending:
        operation, done = pending.pop()
        if done:
            found[operation.name] = operation
        elif operation.name not in seen:
            seen.add(operation.name)
            pending.append((operation, True))
            pending.extend((tensor.op, False) for tensor in reversed(operation.inputs))
    return list(found.values())
