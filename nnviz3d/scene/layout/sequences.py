"""Nodes whose tensors have one row for each token of a sequence.

Their blocks show tokens from top to bottom and units from left to right, so that a token has the same height in all of
them. Embeddings and attention layers show where tokens are; nodes that pass a sequence on are in the same group. A signal
or another measured series has its time from left to right instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from nnviz3d.data.axes import CHANNEL, TIME
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.primitives import Vector

_DEPTH, _WIDEST_VECTOR = 0.16, 0.36
"""World thickness of a sheet, and the greatest width of a vector of tokens."""
_UNITS_POWER, _NARROWEST = 0.38, 0.3
"""Exponent of widths below 1, so that few and many units both look like sheets; least share of the greatest width."""
_FLIP = "Flip"
"""Kind of the operation that reverses an axis."""
_UNKNOWN = 16
"""Length in place of a variable length."""
_WITH_TOKENS = ("Embedding", "Attention")
_PASSED_ON = ("InputLayer", "Vectorization", "Lookup", "Hashing", "Masking", "Cast", "Equal")
"""Kinds of nodes that hold or make a vector of tokens, or of one number for each token."""


@dataclass(frozen=True)
class Sequences:
    """The sequences of tokens in a network.

    Attributes
    ----------
    tokens
        The nodes with one row of numbers, or one number, for each token.
    backwards
        Those whose tokens are in reverse order.
    vectors
        For each of these nodes the vectors of token numbers that its rows belong to, the nearest one first. None if they
        are not known: after a pooling or a strided convolution a row belongs to several tokens, after a flip the axis
        that was reversed is not known, and patches of a picture have no token numbers.
    """

    tokens: frozenset[str] = frozenset()
    backwards: frozenset[str] = frozenset()
    vectors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def of(graph: ModelGraph) -> Sequences:
        """Find the sequences of tokens in a graph; a variable length has a default in its place."""
        shapes = {node.id: tuple(_UNKNOWN if n is None else n for n in node.shape) for node in graph}
        tokens = _token_nodes(graph, shapes)
        backwards = _backward_nodes(graph, tokens)
        vectors: dict[str, tuple[str, ...]] = {}
        for node in graph:
            if node.id in tokens:
                rows = shapes[node.id][0]
                # The first source of an attention layer is its query, whose tokens its rows are.
                before = next((s for s in graph.sources(node.id) if s in tokens and shapes[s][0] == rows), "")
                turned = node.kind == _FLIP and before not in backwards
                known = () if turned else vectors.get(before, ())
                vectors[node.id] = (node.id, *known) if len(shapes[node.id]) == 1 else known
        return Sequences(tokens, backwards, vectors)

    def shown(self, originals: Mapping[str, str]) -> Sequences:
        """Return the sequences of the nodes that are shown.

        Parameters
        ----------
        originals
            For each of them the node whose numbers it shows.
        """
        return Sequences(
            frozenset(name for name, original in originals.items() if original in self.tokens),
            frozenset(name for name, original in originals.items() if original in self.backwards),
            {name: self.vectors[original] for name, original in originals.items() if original in self.vectors},
        )


def _token_nodes(graph: ModelGraph, shapes: Mapping[str, tuple[int, ...]]) -> frozenset[str]:
    sheets = {node.id for node in graph if node.axes == (TIME, CHANNEL) and shapes[node.id][0] > 1}
    near: dict[str, list[str]] = {name: [] for name in sheets}
    for edge in graph.edges:
        if edge.source in sheets and edge.target in sheets:
            near[edge.source].append(edge.target)
            near[edge.target].append(edge.source)
    pending = [name for name in sheets if any(word in graph.node(name).kind for word in _WITH_TOKENS)]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(near[name])
    return frozenset(found | _token_vectors(graph, shapes, found))


def _backward_nodes(graph: ModelGraph, tokens: Collection[str]) -> frozenset[str]:
    """Return the sheets whose tokens are in reverse order: a recurrent layer's that goes backwards, until a flip."""
    found: set[str] = set()
    for node in graph:
        if node.id in tokens and len(node.shape) == 2:
            before = next((source for source in graph.sources(node.id) if source in tokens), None)
            turned = bool(node.details.get("go_backwards")) or (node.kind == _FLIP and before in found)
            if turned != (before in found):
                found.add(node.id)
    return frozenset(found)


def sheet_size(grid: CellGrid, sheets: Sequence[CellGrid], width: float, height: float) -> Vector:
    """Return the world extent of a sheet of tokens: a token is equally high in all sheets.

    A sequence that was shortened to a half or less by pooling or strides keeps its height, so its rows are higher.

    Parameters
    ----------
    sheets
        All sheets of the network.
    width
        Width over height of the widest sheet.
    height
        World height of the longest sequence.
    """
    units, tokens, _ = grid.size
    longest, most = max(g.size[1] for g in sheets), max(g.size[0] for g in sheets)
    high = height * (tokens / longest if 2 * tokens > longest else 1.0)
    if len(grid.shape) == 1:
        return min(max(high / tokens, _DEPTH), _WIDEST_VECTOR), high, _DEPTH
    return height * width * max((units / most) ** _UNITS_POWER, _NARROWEST), high, _DEPTH


def _token_vectors(graph: ModelGraph, shapes: Mapping[str, tuple[int, ...]], found: set[str]) -> set[str]:
    """Return the vectors of token numbers, which embeddings take, and the nodes that make them from other tokens."""
    vectors = {
        edge.source
        for edge in graph.edges
        if edge.target in found
        and "Embedding" in graph.node(edge.target).kind
        and len(shapes[edge.source]) == 1
        and shapes[edge.source][0] == shapes[edge.target][0]
    }
    for node in reversed(graph.nodes):
        if node.id in vectors:
            vectors.update(
                s for s in graph.sources(node.id) if shapes[s] == shapes[node.id] and _holds_tokens(graph, s)
            )
    return vectors


def _holds_tokens(graph: ModelGraph, name: str) -> bool:
    node: LayerNode = graph.node(name)
    return any(word in node.kind for word in _PASSED_ON)
