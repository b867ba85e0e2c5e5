"""Facts about a model's inputs besides their shapes: vocabularies for text, and sampling rates of sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.texts import Encoder
from nnviz3d.capture.inputs.vocabulary import spare_vocabulary
from nnviz3d.capture.programs.batch_axis import open_with_rows
from nnviz3d.capture.programs.flat_program import Inputs, Program
from nnviz3d.capture.programs.tracer import layers_inside


@dataclass(frozen=True)
class Aids:
    """Facts about inputs, by the input's position.

    Attributes
    ----------
    vocabulary
        Number of tokens of each input that takes tokens; needed for random samples.
    encoders
        The functions that turn texts to token numbers.
    rates
        Frames per second of the sounds that an input takes.
    """

    vocabulary: Mapping[int, int] = field(default_factory=dict)
    encoders: Mapping[int, Encoder] = field(default_factory=dict)
    rates: Mapping[int, int] = field(default_factory=dict)

    def of(self, position: int) -> Aids:
        """Return the facts about one input, as the first."""
        return Aids(_first(self.vocabulary, position), _first(self.encoders, position), _first(self.rates, position))


NO_AIDS = Aids()


def _first(facts: Mapping[int, Any], position: int) -> dict[int, Any]:
    return {0: facts[position]} if position in facts else {}


def aids_of(model: keras.Model, inputs: Inputs, vocabulary: Mapping[int, int]) -> Aids:
    """Find encoders and rates in a model's layers. The model is traced only if it has such layers.

    Parameters
    ----------
    vocabulary
        The number of tokens of each input that takes tokens.
    """
    telling = (keras.layers.MelSpectrogram, keras.layers.TextVectorization, keras.layers.StringLookup)
    if not any(isinstance(layer, telling) for layer in layers_inside(model)):
        return Aids(vocabulary)
    program, _ = open_with_rows(model, inputs)
    encoders = {
        position: _encoder(layer)
        for position, size in vocabulary.items()
        if (layer := spare_vocabulary(model, program, size)) is not None
    }
    return Aids(vocabulary, encoders, _rates(program))


def _encoder(layer: Any) -> Encoder:
    """Return the function that turns texts to token numbers by a layer, without the padding at the end."""

    def encode(texts: Sequence[str]) -> list[NDArray[Any]]:
        if isinstance(layer, keras.layers.TextVectorization):
            return [np.trim_zeros(np.asarray(layer(np.array([text])))[0], "b") for text in texts]
        return [np.asarray(layer(np.array(text.split() or [""]))) for text in texts]

    return encode


def _rates(program: Program) -> dict[int, int]:
    """Return the sampling rate of each input from which a MelSpectrogram is computed."""
    found: dict[int, int] = {}
    for call in program.calls:
        if isinstance(call.operation, keras.layers.MelSpectrogram):
            for position in _inputs_of(program, call.sources):
                found.setdefault(position, int(call.operation.sampling_rate))
    return found


def _inputs_of(program: Program, sources: Sequence[tuple[int, int]]) -> set[int]:
    """Return the positions of the inputs that some tensors are computed from."""
    pending, seen = [source for source, _ in sources], set()
    while pending:
        position = pending.pop()
        if position not in seen:
            seen.add(position)
            pending.extend(source for source, _ in program.calls[position].sources)
    return {position for position in seen if position < len(program.inputs)}
