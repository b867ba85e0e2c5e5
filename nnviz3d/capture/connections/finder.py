"""Find the strongest connections between layers for each sample, while the model runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.acting_weights import acting_kernel
from nnviz3d.capture.connections.linear_settings import LinearSettings
from nnviz3d.capture.connections.receptive_field import (
    Convolution,
    EachStep,
    Fan,
    Pointwise,
    is_convolution,
    is_dense,
    rule_of,
)
from nnviz3d.capture.connections.top_k import KernelMatrix, Picked, pick
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.data.graph import LayerNode, ModelGraph, connecting_nodes
from nnviz3d.data.note_words import NO_CONNECTIONS
from nnviz3d.data.records import RANKINGS, Connections, Ranking
from nnviz3d.data.storage.packed_connections import write_packed
from nnviz3d.data.storage.rows_writer import RowsWriter

_NAMED = 4
"""Most layers without connections that a note names."""


class _Pair(Protocol):
    """A source and a target with individual connections."""

    source: str
    target: str

    def find(self, before: NDArray[np.float32], after: NDArray[np.float32], k: int) -> dict[Ranking, Connections]:
        """Pick the strongest k for one sample, from the values of source (``before``) and target (``after``)."""

    def most(self, k: int) -> int:
        """Return the greatest number of connections that `find` returned or could return for another sample."""


class Pairs:
    """Every pair of layers with individual connections, and results from its weights that need to be computed only once.

    The pairs are: vector to Dense (all weights compete), and any layer to a convolution, or a sequence or map to Dense
    (for each sample, the weights into the most active cell).

    Attributes
    ----------
    skipped
        Sentences about layers whose connections are not captured.
    """

    def __init__(self, pairs: Sequence[_Pair], skipped: Sequence[str]) -> None:
        self._pairs = pairs
        self.skipped = skipped

    @classmethod
    def of(cls, described: DescribedModel) -> Pairs:
        """Return the pairs of a Keras model."""
        return cls(*_pairs(described))

    def between(self, nodes: Collection[str]) -> Pairs:
        """Return the pairs whose ends are among some nodes."""
        return Pairs([pair for pair in self._pairs if pair.source in nodes and pair.target in nodes], self.skipped)

    def __iter__(self) -> Iterator[_Pair]:
        return iter(self._pairs)


class ConnectionFinder:
    """Finds the strongest k connections of every pair, batch by batch.

    Parameters
    ----------
    k
        Number of connections for each pair and ranking.
    kept
        Whether the connections of all samples stay in memory, in `found`.
    """

    def __init__(self, pairs: Pairs, k: int, *, kept: bool = False) -> None:
        self._k = k
        self._kept = kept
        self._pairs = pairs
        self._found: dict[tuple[str, str], dict[Ranking, list[Connections]]] = {}

    def add(self, batch: Batch, writer: RowsWriter) -> None:
        """Find the connections for one more batch, and write them."""
        found = self.found_in(batch)
        most = {(pair.source, pair.target): pair.most(self._k) for pair in self._pairs}
        write_packed(writer, batch.start, found, most)
        for key, records in found.items() if self._kept else ():
            before_them = self._found.setdefault(key, {ranking: [] for ranking in RANKINGS})
            for ranking, column in records.items():
                before_them[ranking].extend(column)

    def found_in(self, batch: Batch) -> dict[tuple[str, str], dict[Ranking, list[Connections]]]:
        """Return the connections for one batch: for each pair and each ranking those of each sample."""
        found: dict[tuple[str, str], dict[Ranking, list[Connections]]] = {}
        for pair in self._pairs:
            before, after = batch.numbers(pair.source), batch.numbers(pair.target)
            if before is None or after is None:
                continue
            records = found.setdefault((pair.source, pair.target), {ranking: [] for ranking in RANKINGS})
            for i in range(batch.count):
                for ranking, one in pair.find(before[i], after[i], self._k).items():
                    records[ranking].append(one)
        return found

    @property
    def found(self) -> Mapping[tuple[str, str], Mapping[Ranking, Sequence[Connections]]]:
        """The connections of each sample so far, for each pair of nodes and each ranking, if they are kept."""
        return self._found


class _Dense:
    """All entries of a Dense layer's kernel."""

    def __init__(self, source: str, target: str, layer: Any) -> None:
        self.source = source
        self.target = target
        self._matrix = KernelMatrix(acting_kernel(layer))
        self._by_weight: dict[int, Any] = {}

    def most(self, k: int) -> int:
        return min(k, math.prod(self._matrix.shape))

    def find(self, before: NDArray[np.float32], after: NDArray[np.float32], k: int) -> dict[Ranking, Connections]:
        k = self.most(k)
        # The weights are the same for every sample; only the contributions differ.
        if k not in self._by_weight:
            self._by_weight[k] = self._matrix.strongest(k)
        strongest = self._matrix.strongest(k, np.asarray(before, dtype=np.float32))
        return {
            "weight": self._picked(self._by_weight[k], before, "weight"),
            "contribution": self._picked(strongest, before, "contribution"),
        }

    def _picked(self, picked: Picked, before: NDArray[np.float32], ranking: Ranking) -> Connections:
        rows, columns = self._matrix.shape
        index = np.stack([picked.row, picked.column], axis=1)
        values = picked.weight * before[picked.row]
        return Connections(
            self.source, self.target, "dense", ranking, rows * columns, index, picked.weight, values.astype(np.float32)
        )


class _Fan:
    """The weights into the most active cell of a convolution, or of a Dense layer over locations."""

    def __init__(self, source: str, target: str, layer: Any, steps: int) -> None:
        self.source = source
        self.target = target
        self._layer = layer
        self._steps = steps
        self._rules: dict[tuple[int, ...], Convolution | Pointwise | EachStep] = {}

    def most(self, k: int) -> int:
        return min(k, max((rule.most for rule in self._rules.values()), default=k))

    def find(self, before: NDArray[np.float32], after: NDArray[np.float32], k: int) -> dict[Ranking, Connections]:
        if before.shape not in self._rules:
            self._rules = {before.shape: rule_of(self._layer, before.shape, self._steps)}
        target = _strongest(after)
        fan = self._rules[before.shape].fan(tuple(int(i) for i in np.unravel_index(target, after.shape)))
        values = fan.weight * before.ravel()[fan.source]
        return {
            "weight": self._picked(fan, values, target, "weight", pick(np.abs(fan.weight), k)),
            "contribution": self._picked(fan, values, target, "contribution", pick(np.abs(values), k)),
        }

    def _picked(
        self, fan: Fan, values: NDArray[np.float32], target: int, ranking: Ranking, chosen: NDArray[np.int64]
    ) -> Connections:
        index = np.stack([fan.source[chosen], np.full(len(chosen), target, dtype=np.int64)], axis=1)
        return Connections(
            self.source,
            self.target,
            "fan",
            ranking,
            len(fan.source),
            index,
            fan.weight[chosen],
            values[chosen].astype(np.float32),
        )


def _strongest(values: NDArray[np.float32]) -> int:
    """Return the flat index of the largest |value|, the first one of equal ones, without a copy of the values."""
    high, low = int(values.argmax()), int(values.argmin())
    above, below = values.flat[high], -values.flat[low]
    if above == below:
        return min(high, low)
    return low if below > above else high


def _pairs(described: DescribedModel) -> tuple[list[_Pair], list[str]]:
    layers = {}
    for node in described.graph:
        call = described.call(node.id)
        layers[node.id] = getattr(call.operation, "linear_settings", None) or call.operation, len(call.loops)
    return pairs_of(described.graph, layers)


def pairs_of(graph: ModelGraph, layers: Mapping[str, tuple[Any, int]]) -> tuple[list[_Pair], list[str]]:
    """Return the pairs, and sentences about layers without.

    Parameters
    ----------
    layers
        For each node, its layer or its `LinearSettings`, and the number of loops over time around it.
    """
    pairs: list[_Pair] = []
    for edge in graph.edges:
        layer, steps = layers.get(edge.target, (None, 0))
        source = graph.node(edge.source)
        if edge.output != 0 or len(graph.sources(edge.target)) != 1:
            continue
        if isinstance(layer, LinearSettings) and not layer.takes(source.shape):
            continue
        if is_dense(layer):
            alone = len(source.shape) == 1
            pairs.append(
                _Dense(edge.source, edge.target, layer) if alone else _Fan(edge.source, edge.target, layer, steps)
            )
        elif is_convolution(layer):
            pairs.append(_Fan(edge.source, edge.target, layer, steps))
    joined = {pair.target for pair in pairs}
    left_out = [graph.node(name) for name in connecting_nodes(graph) if name not in joined]
    return pairs, [_said(left_out)] if left_out else []


def _said(nodes: Sequence[LayerNode]) -> str:
    """Name the layers whose connections are not captured, in one sentence."""
    named = [f"{node.id} ({node.kind})" for node in nodes[:_NAMED]]
    more = len(nodes) - len(named)
    return f"{NO_CONNECTIONS}{', '.join(named)}{f' and {more} more' if more else ''}."
