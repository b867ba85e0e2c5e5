"""Choose and apply the preprocessing of pictures for a model, with a sentence that reports the choice."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import keras
import numpy as np
from keras.applications import imagenet_utils
from numpy.typing import NDArray

from nnviz3d.capture.inputs.pixel_scaling import PixelScaling
from nnviz3d.capture.inputs.rows import Rows, converted
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.data.axes import Axes, as_arranged, channels_in, channels_last, named_axes
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.preprocessing_words import MEANING, REQUESTED
from nnviz3d.data.request import Preprocessing
from nnviz3d.errors import SampleError

LAST = named_axes(3, 2)
"""The axes of a picture with channels last."""
_KERAS_MODES: tuple[Preprocessing, ...] = ("tf", "torch", "caffe")
_BRIGHT, _DARK = 100, -0.5
"""A quantized input that holds larger numbers takes bytes; one that holds smaller ones takes pixels of -1..1."""


class ModelInputs(Protocol):
    """The facts about a model from which its preprocessing is chosen."""

    @property
    def graph(self) -> ModelGraph:
        """The graph, whose inputs are nodes."""

    def input_type(self, position: int) -> str:
        """Return the type of numbers that an input takes, such as ``float32``."""

    def scaling(self, position: int) -> PixelScaling:
        """Return the scaling that the model applies to the pixels of an input; a `ModelError` if it fails on them."""


@dataclass(frozen=True)
class Decision:
    """A preprocessing mode and the reason for it."""

    mode: Preprocessing
    reason: str

    @property
    def sentence(self) -> str:
        """The mode, its meaning and the reason, for the terminal and the picture."""
        return f"Preprocessing {self.mode}: {MEANING[self.mode]}. {self.reason}"


def decide(
    *,
    asked: Preprocessing | None,
    family: tuple[str, Preprocessing] | None,
    picture: bool,
    model: ModelInputs,
    position: int = 0,
) -> Decision:
    """Choose the preprocessing of one input's samples.

    Parameters
    ----------
    asked
        The user's choice, if any.
    family
        For ``keras:NAME``, the name and the mode of this family.
    picture
        Whether the samples are pictures, 0..255; otherwise they are arrays that the user has prepared.
    model
        The model, which may scale its input.
    position
        Position of the input.
    """
    if asked is not None:
        return Decision(asked, REQUESTED)
    if not picture:
        return Decision("none", "Samples that are no pictures are used as they are.")
    if family is not None:
        name, mode = family
        return Decision(mode, f"The training pictures of {name} were preprocessed in this way.")
    dtype = model.input_type(position)
    if not dtype.startswith(("float", "bfloat")):
        return Decision("none", f"The model takes whole numbers ({dtype}), like pixels.")
    scaling = model.scaling(position)
    if scaling.takes is not None:
        return _for_range(*scaling.takes)
    scalers = " and ".join(scaling.nodes)
    if scaling.nodes and scaling.bytes_in:
        return Decision("none", f"The model scales its input itself, in {scalers}.")
    if scaling.nodes:
        return Decision("unit", f"The model scales pixels of 0..1 itself, in {scalers}.")
    before = "" if scaling.first is None else f"Nothing scales the picture before {scaling.first}. "
    return Decision("unit", f"{before}This is the usual choice for a model without scaling; --preprocess sets another.")


def _for_range(low: float, high: float) -> Decision:
    """Choose the preprocessing for an input that can hold the numbers of a range only, because it is quantized."""
    why = f"The model's quantized input holds numbers from {low:.3g} to {high:.3g}."
    if high > _BRIGHT:
        return Decision("none", why)
    return Decision("tf" if low < _DARK else "unit", why)


@dataclass(frozen=True)
class Preparation:
    """The preprocessing of the samples of each input.

    Parameters
    ----------
    model
        The model.
    pictures
        For each input, whether the captured samples are pictures.
    asked, family
        As for `decide`.
    """

    model: ModelInputs
    pictures: tuple[bool, ...]
    asked: Preprocessing | None
    family: tuple[str, Preprocessing] | None

    def __call__(self, samples: Samples) -> list[Rows]:
        """Preprocess pictures; arrays of real numbers only if the user chose a mode."""
        return [
            converted(array, partial(apply, self._decision(i, picture).mode, axes=self._axes(i)))
            if picture or (self.asked and array.dtype.kind == "f")
            else array
            for i, (array, picture) in enumerate(zip(samples.arrays, samples.is_picture, strict=True))
        ]

    def _axes(self, position: int) -> Axes:
        graph = self.model.graph
        return graph.node(graph.inputs[position]).axes

    def _decision(self, position: int, picture: bool) -> Decision:
        return decide(asked=self.asked, family=self.family, picture=picture, model=self.model, position=position)

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """The decisions to report, by their inputs: only those for pictures if there are any; equal ones once."""
        kept = {
            name: self._decision(i, picture)
            for i, (name, picture) in enumerate(zip(self.model.graph.inputs, self.pictures, strict=True))
            if picture or not any(self.pictures)
        }
        return kept if len(set(kept.values())) > 1 else dict([next(iter(kept.items()))])

    @property
    def sentences(self) -> list[str]:
        """Sentences that report the preprocessing."""
        several = len(self.decisions) > 1
        return [f"{name}: {d.sentence}" if several else d.sentence for name, d in self.decisions.items()]

    @property
    def mode(self) -> str:
        """The mode for the provenance; if inputs differ, the mode of each: ``left none, right unit``."""
        modes = {name: decision.mode for name, decision in self.decisions.items()}
        if len(set(modes.values())) == 1:
            return next(iter(modes.values()))
        return ", ".join(f"{name} {mode}" for name, mode in modes.items())

    @property
    def reason(self) -> str:
        """The reason for the provenance."""
        several = len(self.decisions) > 1
        return " ".join(f"{name}: {d.reason}" if several else d.reason for name, d in self.decisions.items())


def apply(mode: Preprocessing, values: NDArray[Any], axes: Axes = LAST) -> NDArray[np.float32]:
    """Preprocess pictures.

    Parameters
    ----------
    mode
        One of Keras' modes, ``unit`` or ``none``.
    values
        ``(N, H, W, C)`` in 0..255, or any shape for ``unit``, ``tf`` and ``none``.
    axes
        Names of one sample's axes; by default those of channels last.

    Raises
    ------
    SampleError
        If the mode needs three channels and the pictures have a different number.
    """
    numbers = np.asarray(values, dtype=np.float32)
    if mode == "none":
        return numbers
    if mode == "unit":
        return numbers / np.float32(255)
    if mode != "tf" and (numbers.ndim != 4 or channels_in(numbers.shape[1:], axes) != 3):
        raise SampleError(
            f"--preprocess {mode} is for pictures with 3 channels; this model takes {numbers.shape[1:]}. Use unit or "
            f"none."
        )
    if mode == "tf":
        return np.asarray(imagenet_utils.preprocess_input(numbers.copy(), mode=mode), dtype=np.float32)
    last = np.ascontiguousarray(channels_last(numbers, axes))
    prepared = imagenet_utils.preprocess_input(last.copy(), data_format="channels_last", mode=mode)
    return np.ascontiguousarray(as_arranged(np.asarray(prepared, dtype=np.float32), axes))


def family_of(name: str, mode: Preprocessing | None) -> tuple[str, Preprocessing] | None:
    """Return the family of a model for `decide`; `None` if the model is not of keras.applications.

    Parameters
    ----------
    name
        The model's name, ``keras:NAME`` for one of keras.applications.
    mode
        The mode of its family, if it has one.
    """
    return None if mode is None else (name.removeprefix("keras:"), mode)


def family_mode(name: str) -> Preprocessing:
    """Find the mode of a model of keras.applications from the results of its own `preprocess_input`."""
    builder = getattr(keras.applications, name)
    module = importlib.import_module(f"keras.applications.{builder.__module__.rpartition('.')[2]}")
    probe = np.array([[[[0.0, 100.0, 255.0]]]], dtype=np.float32)
    given = np.asarray(module.preprocess_input(probe.copy()))
    for mode in (*_KERAS_MODES, "none"):
        if np.allclose(given, apply(mode, probe)):
            return mode
    raise RuntimeError(f"preprocess_input of {module.__name__} does none of what Keras' modes do.")
