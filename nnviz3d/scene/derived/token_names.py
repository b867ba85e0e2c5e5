"""Names of the tokens of a sequence, for labels beside its sheets and for descriptions of picks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnviz3d.data.minus_sign import with_minus
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.layout.sequences import Sequences

_LONGEST = 12
"""Number of characters after which a name is cut."""
_PADDING = "·"
"""Name of a padded position."""


def tokens_of(context: SceneContext, node_id: str, sample: int) -> tuple[str, ...] | None:
    """Return the name of each row of a sheet of tokens: its word, or its token number if the words are not known.

    Returns
    -------
    tuple or None
        As many names as the sheet has rows; a padded position is an empty string. `None` if the node is no sheet of
        tokens, or its rows are not those of a vector of tokens.
    """
    grid = context.placement(node_id).grid
    words = row_tokens(context.capture, context.sequences, node_id, sample) if grid.tokens else None
    return None if words is None or len(words) != grid.shape[0] else words


def row_tokens(capture: CaptureReader, sequences: Sequences, node_id: str, sample: int) -> tuple[str, ...] | None:
    """Return the name of the token that each row of a node's tensor belongs to, as `tokens_of` does.

    Parameters
    ----------
    sequences
        The sequences in the capture's graph.
    """
    vectors = sequences.vectors.get(node_id, ())
    words = next((found for name in vectors if (found := capture.tokens(sample, name)) is not None), None)
    held = next((name for name in vectors if capture.has_activations(name)), None)
    if words is None and held is not None:
        words = tuple(with_minus(f"{number:g}") for number in np.asarray(capture.activation(held, sample)).reshape(-1))
    return words[::-1] if words is not None and node_id in sequences.backwards else words


def token_words(context: SceneContext, node_id: str, position: int, sample: int) -> str:
    """Describe a row of a sheet: ``token 3 “film”``, or ``position 3`` if its token is not known.

    The token's number is its position in the text, even if the sheet has the tokens in reverse order.
    """
    words = tokens_of(context, node_id, sample)
    return token_at(words, position, backwards=context.placement(node_id).grid.backwards)


def token_at(words: Sequence[str] | None, position: int, *, backwards: bool) -> str:
    """Describe a row by its token: ``token 3 “film”``; ``position 3`` if the tokens are not known.

    Parameters
    ----------
    words
        The name of each row's token.
    backwards
        Whether the rows are in reverse order.
    """
    if words is None or position >= len(words):
        return f"position {position}"
    number = len(words) - 1 - position if backwards else position
    return f"token {number} “{words[position]}”" if words[position] else f"token {number}, padding"


def shortened(word: str) -> str:
    """Return a token's name as a label shows it: long ones cut, a padded position as a dot."""
    return word if 0 < len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…" if word else _PADDING
