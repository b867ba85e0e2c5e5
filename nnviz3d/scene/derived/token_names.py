"""Names of the tokens of a sequence, for labels beside its sheets and for descriptions of picks."""

from __future__ import annotations

import numpy as np

from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.layout.sequences import FLIP

_LONGEST = 12
"""Number of characters after which a name is cut."""
_PADDING = "·"
"""Name of a padded position."""


def sequence_of(context: SceneContext, node_id: str) -> str | None:
    """Return the node that holds the tokens of a sheet's rows: a vector of token numbers, one for each row.

    Returns
    -------
    `None` if the node is no sheet of tokens, or its rows are not those of a vector of tokens: after a pooling or a strided
    convolution a row belongs to several tokens, after a flip the axis that was reversed is not known, and patches of a
    picture have no token numbers.
    """
    placements, graph = context.plan.placements, context.graph
    name = node_id
    while placements[name].grid.tokens:
        grid = placements[name].grid
        before = [s for s in graph.sources(name) if placements[s].grid.tokens and _rows(context, s) == grid.shape[0]]
        if len(grid.shape) == 1 and (not before or context.capture.tokens(0, name) is not None):
            return name
        turned = graph.node(name).kind == FLIP and not any(placements[s].grid.backwards for s in before)
        if not before or turned:
            return None
        # The first source of an attention layer is its query, whose tokens its rows are.
        name = before[0]
    return None


def tokens_of(context: SceneContext, node_id: str, sample: int) -> tuple[str, ...] | None:
    """Return the name of each row of a sheet of tokens: its word, or its token number if the words are not known.

    Returns
    -------
    tuple or None
        As many names as the sheet has rows; a padded position is an empty string.
    """
    held = sequence_of(context, node_id)
    if held is None:
        return None
    words = context.capture.tokens(sample, held)
    if words is None and context.capture.has_activations(held):
        numbers = np.asarray(context.capture.activation(held, sample))
        words = tuple(f"{number:g}" for number in numbers.reshape(-1))
    if words is None or len(words) != _rows(context, node_id):
        return None
    return words[::-1] if context.placement(node_id).grid.backwards else words


def token_words(context: SceneContext, node_id: str, position: int, sample: int) -> str:
    """Describe a row of a sheet: ``token 3 “film”``, or ``position 3`` if its token is not known."""
    words = tokens_of(context, node_id, sample)
    if words is None or position >= len(words):
        return f"position {position}"
    return f"token {position} “{words[position]}”" if words[position] else f"token {position}, padding"


def shortened(word: str) -> str:
    """Return a token's name as a label shows it: long ones cut, a padded position as a dot."""
    return word if 0 < len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…" if word else _PADDING


def _rows(context: SceneContext, node_id: str) -> int:
    return context.plan.placements[node_id].grid.shape[0]
