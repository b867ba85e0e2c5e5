"""Choice of the layers whose numbers a capture keeps."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from nnviz3d.data.selectors import by_kind, lacks, matching
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    from nnviz3d.data.graph import LayerNode, ModelGraph
    from nnviz3d.data.reader import CaptureReader

NOT_KEPT = "not kept"
"""Note on a layer whose numbers were left out of a capture."""
_NEAR, _FIRST = 3, 8
"""Most names that an error offers: similar ones, or else the first ones of the model."""


def kept_nodes(patterns: Sequence[str], graph: ModelGraph) -> frozenset[str]:
    """Return the nodes whose numbers are kept: those that a pattern fits, and the inputs and outputs of the model.

    Parameters
    ----------
    patterns
        Globs of layer names, of paths or of node ids, such as ``conv*`` or ``block1/*``; kinds, such as
        ``every convolution``; or several of them with commas between. Empty: all nodes are kept.

    Raises
    ------
    UserError
        If a pattern fits no node.
    """
    if not patterns:
        return frozenset(node.id for node in graph)
    kept = {*graph.inputs, *graph.outputs}
    for pattern in _single(patterns):
        found = [node.id for node in graph if _fits(pattern, node)] or matching(pattern, graph)
        if not found:
            raise UserError(_nothing(pattern, graph))
        kept.update(found)
    return frozenset(kept)


def kept_note(patterns: Sequence[str], kept: int, graph: ModelGraph) -> str:
    """Return the note of a capture that holds the numbers of some layers only."""
    return f"Numbers of {kept:,} of {len(graph):,} layers were kept: inputs, outputs, {', '.join(_single(patterns))}."


def was_left_out(capture: CaptureReader, node_id: str) -> bool:
    """Whether the numbers of a node are not in a capture because only those of other layers were kept."""
    ends = (*capture.graph.inputs, *capture.graph.outputs)
    return bool(capture.provenance.kept) and node_id not in ends and not capture.has_activations(node_id)


def _single(patterns: Sequence[str]) -> list[str]:
    return [part.strip() for pattern in patterns for part in pattern.split(",")]


def _fits(pattern: str, node: LayerNode) -> bool:
    return any(fnmatchcase(name, pattern) for name in (node.id, node.path, node.name, node.path.rpartition("/")[2]))


def _nothing(pattern: str, graph: ModelGraph) -> str:
    """Return the sentence about a pattern that fits no node."""
    names = [node.id for node in graph]
    near = difflib.get_close_matches(pattern.strip("*?"), names, n=_NEAR, cutoff=0.5)
    hint = f"similar names are {', '.join(near)}" if near else f"its layers are {', '.join(names[:_FIRST])}"
    hint += ", ..." if not near and len(names) > _FIRST else ""
    if by_kind(pattern):
        return f"--keep {pattern!r}: {lacks(pattern, graph)}; {hint}."
    return f"--keep {pattern!r} fits no layer of {graph.name}; {hint}."
