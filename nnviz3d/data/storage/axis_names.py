"""Names of positions along an axis, as stored in a capture: tokens of a sample, and names of a vector's units.

Tokens of a node are a group with the attribute ``words``, the distinct tokens, and an array ``index`` of ``(N, T)``: for
each sample and position the number of its word. Texts of an input are stored like
tokens. Unit names of a node are a group with the attribute ``names``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.printable import printable
from nnviz3d.data.storage import schema

MOST_TEXTS, LONGEST_TEXT = 16, 80
"""Greatest number of texts of one sample that are stored, and their greatest length in characters."""

if TYPE_CHECKING:
    from nnviz3d.data.storage.array_writer import ArrayWriter, GroupWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays


def write_tokens(writer: ArrayWriter, node_id: str, tokens: Sequence[Sequence[str]]) -> None:
    """Write the token at each position of a node's time axis.

    Parameters
    ----------
    tokens
        For each of the N samples T tokens; a padded position is an empty string.
    """
    write_words(writer, schema.token_path(node_id), tokens)


def write_texts(writer: ArrayWriter, node_id: str, texts: NDArray[Any]) -> None:
    """Write the texts that an input of text was given.

    Parameters
    ----------
    texts
        ``(N, *shape)`` of strings or bytes; of each sample the first `MOST_TEXTS` are written, each shortened to
        `LONGEST_TEXT` characters.
    """
    rows = texts.reshape(len(texts), -1)[:, :MOST_TEXTS]
    write_words(writer, schema.text_path(node_id), [[_readable(text) for text in row] for row in rows])


def read_tokens(stored: StoredArrays, node_id: str | None, sample: int) -> tuple[str, ...] | None:
    """Read the tokens along a node's time axis for one sample; `None` if it has none.

    Parameters
    ----------
    node_id
        `None` for the first node that has tokens.

    Raises
    ------
    CaptureError
        If there is no such sample, or the tokens are damaged.
    """
    stored.checked(sample)
    if not stored.has_group(schema.TOKENS):
        return None
    every = [node.id for node in stored.graph] if node_id is None else [node_id]
    found = (_read_words(stored, schema.token_path(one), sample) for one in every)
    return next((words for words in found if words is not None), None)


def read_texts(stored: StoredArrays, node_id: str, sample: int) -> tuple[str, ...] | None:
    """Read the texts that an input was given for one sample; `None` for an input of numbers, and in older captures.

    Raises
    ------
    CaptureError
        If there is no such sample, or the texts are damaged.
    """
    stored.checked(sample)
    return _read_words(stored, schema.text_path(node_id), sample) if stored.has_group(schema.TEXTS) else None


def write_words(writer: GroupWriter, path: str, rows: Sequence[Sequence[str]]) -> None:
    """Write the words of each sample, equally many, at the path of their group."""
    words = list(dict.fromkeys(word for row in rows for word in row))
    numbers = {word: i for i, word in enumerate(words)}
    writer.group(path, {"words": words})
    writer.whole(f"{path}/index", np.array([[numbers[word] for word in row] for row in rows], dtype=np.int32))


def _read_words(stored: StoredArrays, path: str, sample: int) -> tuple[str, ...] | None:
    array = stored.find(f"{path}/index", (None, None), "iu")
    if array is None:
        return None
    words = read_names(stored, path, "words")
    index = stored.sample(array, sample)
    if index.size and not (index.min() >= 0 and index.max() < len(words)):
        raise stored.damaged(f"{path} names {path.partition('/')[0]} that it does not hold")
    return tuple(words[i] for i in index)


def _readable(text: Any) -> str:
    """Return a text as one short printable line."""
    whole = printable(text.decode(errors="replace") if isinstance(text, bytes) else str(text))
    return whole if len(whole) <= LONGEST_TEXT else f"{whole[: LONGEST_TEXT - 1]}…"


def write_unit_names(writer: ArrayWriter, node_id: str, names: Sequence[str]) -> None:
    """Write the name of each unit of a node, in order: of a table, the names of its columns."""
    writer.group(schema.unit_path(node_id), {"names": list(names)})


def read_unit_names(stored: StoredArrays, node_id: str) -> tuple[str, ...] | None:
    """Read the names of a node's units; `None` if they are not known.

    Raises
    ------
    CaptureError
        If the names are damaged or their number is not that of the units.
    """
    path = schema.unit_path(node_id)
    if node_id not in stored.graph or not stored.has_group(path):
        return None
    names = read_names(stored, path, "names")
    count = stored.graph.node(node_id).channels
    if count is not None and len(names) != count:
        raise stored.damaged(f"{path} names {len(names):,} units of {count:,}")
    return names


def read_names(stored: StoredArrays, path: str, key: str) -> tuple[str, ...]:
    """Read a list of names from the attributes of a group; damage is a `CaptureError`."""
    names: Any = stored.attributes(path).get(key)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise stored.damaged(f"{path} has no list of {key}")
    return tuple(map(printable, names))
