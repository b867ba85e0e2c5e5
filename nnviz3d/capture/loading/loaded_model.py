"""The record of a loaded model and of where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras

from nnviz3d.data.request import Preprocessing


@dataclass(frozen=True)
class LoadedModel:
    """A model and its origin.

    Parameters
    ----------
    name
        Name for display: the file's name or ``keras:NAME``.
    family
        Preprocessing mode of the model's family in keras.applications, if it is of one.
    imagenet
        Whether its outputs are ImageNet's 1000 classes.
    notes
        Sentences for the provenance.
    compile_config
        The arguments of `Model.compile` in the model's file, as its JSON has them; a loaded model is not compiled.
    """

    model: keras.Model
    name: str
    sha256: str | None = None
    family: Preprocessing | None = None
    imagenet: bool = False
    notes: tuple[str, ...] = ()
    compile_config: dict[str, Any] = field(default_factory=dict)
