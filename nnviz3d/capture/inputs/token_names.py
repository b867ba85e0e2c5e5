"""Words for the tokens of a run: from the model's own vocabulary, at the layer that makes tokens or takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from numpy.typing import NDArray

from nnviz3d.capture.inputs.vocabulary import is_lookup, makes_token_numbers, spare_vocabulary, words_of
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.describe import DescribedModel, through
from nnviz3d.data.storage.axis_names import write_tokens
from nnviz3d.data.storage.capture_writer import CaptureWriter

Words = Callable[[int], str]
"""Function from the number of a token to its word."""


class TokenNames:
    """Collects the tokens of all samples, batch by batch.

    Parameters
    ----------
    words
        The function from number to word of each node of tokens, as `nodes_of_tokens` returns them.
    """

    def __init__(self, words: Mapping[str, Words]) -> None:
        self._words = dict(words)
        self._found: dict[str, list[tuple[str, ...]]] = {node_id: [] for node_id in self._words}

    def add(self, batch: Batch) -> None:
        """Add the tokens of a batch's samples."""
        for node_id, word in self._words.items():
            numbers = batch.numbers(node_id)
            if numbers is not None:
                self._found[node_id].extend(worded(numbers, word))

    def write(self, writer: CaptureWriter) -> None:
        """Write the tokens of each node for which every sample has some."""
        for node_id, rows in self._found.items():
            if len(rows) == writer.samples:
                write_tokens(writer, node_id, rows)


def worded(numbers: NDArray[Any], word: Words) -> list[tuple[str, ...]]:
    """Return the words of token numbers ``(N, T)``, row by row."""
    return [tuple(word(int(number)) for number in row) for row in numbers]


def nodes_of_tokens(described: DescribedModel, model: keras.Model) -> Mapping[str, Words]:
    """Find the nodes whose output is ``(T,)`` numbers of tokens, and the function from number to word of each.

    Parameters
    ----------
    described
        The model with the real shapes of all outputs.
    model
        The Keras model, which may hold a vocabulary that its graph does not use.
    """
    program, found = described.program, {}
    looked_up = {
        through(program, source)[0] for call in program.calls if is_lookup(call.operation) for source in call.sources
    }
    embedded = {
        through(program, call.sources[0])[0]: int(call.operation.input_dim)
        for call in program.calls
        if isinstance(call.operation, keras.layers.Embedding) and call.sources
    }
    for node in described.graph:
        position = described.calls[node.id]
        call = program.calls[position]
        if len(node.shapes) != 1 or len(node.shape) != 1 or node.shape[0] in (None, 0):
            continue
        if makes_token_numbers(call.operation) and (node.shape[0] or 0) > 1:
            found[node.id] = _by(words_of(call.operation))
        elif call.is_input and position in embedded and position not in looked_up:
            spare = spare_vocabulary(model, program, embedded[position])
            found[node.id] = str if spare is None else _by(words_of(spare))
    return found


def _by(words: Sequence[str]) -> Words:
    """Return the function from a number to its word; a number outside the vocabulary is shown itself."""
    return lambda number: words[number] if 0 <= number < len(words) else str(number)
