"""Find the channel axis of each tensor in a file whose convolutions take channels first."""

from __future__ import annotations

from collections.abc import Mapping

from nnviz3d.capture.foreign.operations import Operation, OperationList
from nnviz3d.data.axes import Axes, axes_of, named_axes

_FIRST = ("Conv", "Pool", "BatchNorm", "InstanceNorm", "GroupNorm", "LRN", "DepthToSpace", "SpaceToDepth", "Upsample")
"""Parts of the kinds that read and write channels first."""
_HEADS_RANK = 3
"""Number of axes, without the batch, of a tensor with heads."""
_RESHAPING = frozenset(
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile", "Gather", "MatMul", "Gemm", "Einsum", "Transpose"}
    | {"LSTM", "GRU", "RNN"}
)
"""Kinds whose output has other axes than the input."""


def axes_of_tensors(listing: OperationList, ranks: Mapping[str, int]) -> dict[str, Axes]:
    """Name the axes of the tensors whose channels are not last, by the tensor's name.

    Convolutions, poolings and normalizations over channels, and products of tensors with heads, determine the axes of
    their input and output; the other operations pass them on, forwards and then backwards.

    Parameters
    ----------
    ranks
        Number of axes of each tensor without the batch axis, where known.
    """
    found: dict[str, int] = {}
    for operation in listing.operations:
        _forwards(operation, ranks, found)
    for operation in reversed(listing.operations):
        _backwards(operation, ranks, found)
    for operation in listing.operations:
        _forwards(operation, ranks, found)
    named = {name: named_axes(ranks[name], at) for name, at in found.items() if at < ranks.get(name, 0)}
    return {name: axes for name, axes in named.items() if axes != axes_of((None,) * len(axes))}


def _tells_first(operation: Operation, name: str, ranks: Mapping[str, int]) -> bool:
    if operation.kind == "MatMul" and not operation.trained:  # of attention: heads, queries, keys or features
        return ranks.get(name) == _HEADS_RANK
    return any(part in operation.kind for part in _FIRST) and ranks.get(name, 0) > 1


def _forwards(operation: Operation, ranks: Mapping[str, int], found: dict[str, int]) -> None:
    for made in operation.outputs:
        if made in found or made not in ranks:
            continue
        if _tells_first(operation, made, ranks):
            found[made] = 0
            continue
        source = next((name for name in operation.inputs if name in found), None)
        if source is None:
            continue
        order = _order(operation, ranks[made])
        if order is not None:
            if found[source] in order:
                found[made] = order.index(found[source])
        elif _passes(operation, source, made, ranks):
            found[made] = found[source]


def _backwards(operation: Operation, ranks: Mapping[str, int], found: dict[str, int]) -> None:
    made = next((name for name in operation.outputs if name), "")
    for k, name in enumerate(operation.inputs):
        if not name or name in found or name not in ranks:
            continue
        if (k == 0 or operation.kind == "MatMul") and _tells_first(operation, name, ranks):
            found[name] = 0
        elif made in found:
            order = _order(operation, ranks[name])
            if order is not None:
                found[name] = order[found[made]]
            elif _passes(operation, name, made, ranks):
                found[name] = found[made]


def _order(operation: Operation, rank: int) -> tuple[int, ...] | None:
    """Return the input axis of each output axis of a transposition, without the batch; `None` for other operations."""
    given = operation.details.get("perm")
    if operation.kind != "Transpose" or given is None or len(given) != rank + 1 or given[0] != 0:
        return None
    return tuple(axis - 1 for axis in given[1:])


def _passes(operation: Operation, source: str, made: str, ranks: Mapping[str, int]) -> bool:
    return operation.kind not in _RESHAPING and ranks.get(source) == ranks.get(made)
