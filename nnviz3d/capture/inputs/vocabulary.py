"""Vocabularies of a model: its text vectorization and lookup layers, and the words of their numbers."""

from __future__ import annotations

from typing import Any

import keras

from nnviz3d.capture.programs.flat_program import Program
from nnviz3d.capture.programs.tracer import layers_inside

_LOOKUPS = (keras.layers.TextVectorization, keras.layers.StringLookup, keras.layers.IntegerLookup)


def is_lookup(operation: Any) -> bool:
    """Whether an operation looks up words or whole numbers in a vocabulary."""
    return isinstance(operation, _LOOKUPS)


def makes_token_numbers(operation: Any) -> bool:
    """Whether an operation turns text or whole numbers to the numbers of tokens, one number for each token."""
    return is_lookup(operation) and output_mode(operation) == "int" and not getattr(operation, "invert", False)


def output_mode(layer: Any) -> str | None:
    """Return the output mode of a layer that looks up or encodes, such as ``int`` or ``one_hot``; `None` for others."""
    # TextVectorization has only a private attribute.
    mode = getattr(layer, "output_mode", None) or getattr(layer, "_output_mode", None)
    return mode if isinstance(mode, str) else None


def words_of(lookup: Any) -> tuple[str, ...]:
    """Return the words of a lookup layer by number: the padding is empty, unknown words are ``[UNK]``."""
    return tuple(str(word) for word in lookup.get_vocabulary())


def spare_vocabulary(model: keras.Model, program: Program, size: int) -> Any:
    """Return the layer with the vocabulary of a model that takes token numbers; `None` if there is none, or several.

    Such a model keeps the layer as an attribute without calling it: the user calls it on text before the model.

    Parameters
    ----------
    size
        Number of tokens of the model's embedding.
    """
    called = {id(call.operation) for call in program.calls}
    texts = [
        layer
        for layer in layers_inside(model)
        if isinstance(layer, keras.layers.TextVectorization | keras.layers.StringLookup)
        and id(layer) not in called
        and layer.vocabulary_size() <= size
    ]
    parts = {id(part) for layer in texts for part in layers_inside(layer)}  # a TextVectorization has a StringLookup
    texts = [layer for layer in texts if id(layer) not in parts]
    return texts[0] if len(texts) == 1 else None
