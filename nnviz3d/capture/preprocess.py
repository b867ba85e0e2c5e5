"""Decides and does what is done to a picture before the model sees it. The decision is always said."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.applications import imagenet_utils
from numpy.typing import NDArray

from nnviz3d.data.request import Preprocessing
from nnviz3d.errors import SampleError

_KERAS_MODES: tuple[Preprocessing, ...] = ("tf", "torch", "caffe")
_MEANING: dict[Preprocessing, str] = {
    "tf": "pixels scaled to -1..1",
    "torch": "pixels scaled to 0..1, then normalized with ImageNet's mean and deviation",
    "caffe": "RGB turned to BGR, then ImageNet's mean subtracted, not scaled",
    "unit": "pixels scaled to 0..1",
    "none": "numbers given as they are",
}


@dataclass(frozen=True)
class Decision:
    """What to do and why."""

    mode: Preprocessing
    reason: str

    @property
    def sentence(self) -> str:
        """Say it: for the terminal and beside the picture."""
        return f"Preprocessing {self.mode}: {_MEANING[self.mode]}. {self.reason}"


def decide(
    *,
    asked: Preprocessing | None,
    family: tuple[str, Preprocessing] | None,
    picture: bool,
    model: keras.Model,
) -> Decision:
    """Decide how samples are prepared.

    Parameters
    ----------
    asked
        What the user wants, if they said.
    family
        For ``keras:NAME``, its name and its own mode.
    picture
        Whether the samples are pictures, 0..255; else arrays that somebody prepared already.
    """
    if asked is not None:
        return Decision(asked, "You asked for it.")
    if not picture:
        return Decision("none", "Arrays are taken as they are.")
    if family is not None:
        name, mode = family
        return Decision(mode, f"It is how the pictures were prepared that {name} was trained on.")
    scaler = next((layer for layer in layers_of(model) if _scales(layer)), None)
    if scaler is not None:
        return Decision("none", f"The model scales its input itself, in {type(scaler).__name__} {scaler.name!r}.")
    return Decision("unit", "It is the usual choice for a model that does not say; --preprocess sets another.")


def apply(mode: Preprocessing, values: NDArray[Any]) -> NDArray[np.float32]:
    """Prepare pictures.

    Parameters
    ----------
    mode
        One of Keras' modes, ``unit`` or ``none``.
    values
        ``(N, H, W, C)`` in 0..255, or any shape for ``unit``, ``tf`` and ``none``.

    Raises
    ------
    SampleError
        If the mode needs three channels and there are not three.
    """
    numbers = np.asarray(values, dtype=np.float32)
    if mode == "none":
        return numbers
    if mode == "unit":
        return numbers / np.float32(255)
    if mode != "tf" and (numbers.ndim != 4 or numbers.shape[-1] != 3):
        raise SampleError(
            f"--preprocess {mode} is for pictures with 3 channels; this model takes {numbers.shape[1:]}. Use unit or "
            f"none."
        )
    prepared = imagenet_utils.preprocess_input(numbers.copy(), data_format="channels_last", mode=mode)
    return np.asarray(prepared, dtype=np.float32)


def family_mode(name: str) -> Preprocessing:
    """Tell how a model of keras.applications wants its pictures, by watching what its own `preprocess_input` does."""
    builder = getattr(keras.applications, name)
    module = importlib.import_module(f"keras.applications.{builder.__module__.rpartition('.')[2]}")
    probe = np.array([[[[0.0, 100.0, 255.0]]]], dtype=np.float32)
    given = np.asarray(module.preprocess_input(probe.copy()))
    for mode in (*_KERAS_MODES, "none"):
        if np.allclose(given, apply(mode, probe)):
            return mode
    raise RuntimeError(f"preprocess_input of {module.__name__} does none of what Keras' modes do.")


def layers_of(layer: Any) -> Iterator[Any]:
    """Walk over a model's layers, however deep."""
    for inner in getattr(layer, "layers", ()):
        yield inner
        yield from layers_of(inner)


def _scales(layer: Any) -> bool:
    return isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
