"""Texts as samples: as they are for an input of text, or as token numbers by the model's own vocabulary."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.files.text_files import named_by
from nnviz3d.errors import SampleError

Encoder = Callable[[Sequence[str]], list[NDArray[Any]]]
"""Function from N texts to N vectors of token numbers."""


def text_samples(
    texts: Sequence[str],
    specs: Sequence[InputSpec],
    names: Sequence[str] | None = None,
    *,
    file: str | None = None,
    encoders: Mapping[int, Encoder],
    taken: Sequence[tuple[int, ...]] = (),
) -> Samples:
    """Make samples of texts.

    Parameters
    ----------
    names
        Their names; by default their beginnings.
    file
        The file that they come from, if they do, for sentences.
    encoders
        The functions that make token numbers for inputs of numbers, by the input's position.
    taken
        A shape for each input, if other samples have set it.

    Raises
    ------
    SampleError
        If the model takes no text, or its vocabulary is unknown.
    """
    if len(specs) != 1:
        listed = ", ".join(spec.name for spec in specs)
        raise SampleError(
            f"A text is for one input, but the model has {len(specs)} ({listed}); give a .csv with a column of each name, "
            "or say which one takes the text: NAME=text:WORDS."
        )
    spec, told = specs[0], named_by(texts[0])
    length = (taken[0] if taken else spec.shape)[:1]
    if spec.dtype == "string":
        rows = (
            [np.array(text.split()) for text in texts] if _takes_words(spec) else [np.array([text]) for text in texts]
        )
        filler: Any = ""
    elif 0 in encoders:
        rows, filler = encoders[0](texts), 0
    elif (values := _numbers(texts, spec)) is not None:
        return Samples((values,), tuple(names or map(named_by, texts)), (False,))
    else:
        raise SampleError(_refusal(told if file is None else file, spec, file is not None))
    most = max(len(row) for row in rows)
    size = 1 if not spec.shape else most if not length or length[0] is None else length[0]
    array = np.array([[*row[:size], *[filler] * (size - len(row))] for row in rows])
    notes = [_noted(named_by(text), len(row), size, filler) for text, row in zip(texts, rows, strict=True)]
    array = array if filler == "" else array.astype(spec.dtype)
    array = array.reshape(len(texts), *([] if not spec.shape else [size]))
    return Samples((array,), tuple(names or map(named_by, texts)), (False,), notes=tuple(notes))


def _numbers(texts: Sequence[str], spec: InputSpec) -> NDArray[Any] | None:
    """Return texts that are the numbers of samples, such as ``5.1, 3.5``, ``(N, *shape)``; `None` if they are not."""
    size = None if None in spec.shape else math.prod(n or 1 for n in spec.shape)
    try:
        values = np.array([[float(word) for word in re.split(r"[,;\s]+", text.strip())] for text in texts])
    except ValueError:  # no numbers, or texts of different lengths
        return None
    whole = "int" not in spec.dtype or (values == np.floor(values)).all()
    if values.shape[1] != size or not whole or not np.isfinite(values).all():
        return None
    shape = (len(texts), *(n or 1 for n in spec.shape))
    return values.reshape(shape).astype(spec.dtype if "int" in spec.dtype else np.float32)


def _refusal(told: str, spec: InputSpec, is_file: bool) -> str:
    """Return the sentence that refuses a text for a model that takes none."""
    what = f"{told} holds text" if is_file else f"{told!r} is a text"
    takes = f"{what}, but the model's input {spec.name!r} takes numbers of the shape {spec.accepted}"
    if len(spec.shape) == 1:
        return (
            f"{takes}, and the model holds no vocabulary (no TextVectorization or StringLookup layer) that would "
            "turn text to numbers; give the numbers in a .npy file."
        )
    return f"{takes}." if is_file else f"{takes}; there is no file of this name either."


def _noted(text: str, count: int, size: int, filler: Any) -> tuple[str, ...]:
    """Return a sentence if the tokens of a text were cut, or words that the model sees were added."""
    if count > size:
        return (f"{text!r} was cut after {size:,} of {count:,} tokens, which are as many as the model takes.",)
    if count < size and filler == "":
        words = f"{count:,} word{'s' * (count != 1)}"
        return (f"{text!r} has {words} and was filled up with empty words to {size:,}, which the model sees too.",)
    return ()


def _takes_words(spec: InputSpec) -> bool:
    """Whether an input of text takes several words of each sample, not one text."""
    return len(spec.shape) == 1 and spec.shape[0] != 1
