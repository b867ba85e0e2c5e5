"""Decides whether a scene's title is true of a sample: it was written for the scene's own source."""

from __future__ import annotations

from pathlib import Path

from nnviz3d.data.sources import digit_numbers
from nnviz3d.scene.spec import SceneSpec, Source

_DIGITS = "digits:"
_BUILT_IN = (_DIGITS, "sklearn:", "random")
"""Beginnings of inputs that are in no file of a person's."""


def headline(spec: SceneSpec, model: str, sample: str) -> str:
    """Return a scene's title where it is true of a sample, and else the model's name.

    Parameters
    ----------
    model, sample
        What the model and the sample are called.
    """
    if not spec.title or (spec.source is not None and not spec.embeds and not _true_of(spec.source, sample)):
        return model
    return spec.title


def among(name: str, own: tuple[str, ...]) -> bool:
    """Whether an input is one of others by its name: itself, or one of a range of the bundled digits."""
    if name in own:
        return True
    if name.startswith(_DIGITS):
        numbers = [digit_numbers(other) for other in own if other.startswith(_DIGITS)]
        return all(any(number in some for some in numbers) for number in digit_numbers(name))
    return name in {Path(other.removeprefix("sklearn:")).name for other in own}


def _true_of(source: Source, sample: str) -> bool:
    """Whether a sample is one of the scene's own; of files, which may have been chosen among many, that is not known."""
    own = source.inputs
    return not own or any(not other.startswith(_BUILT_IN) for other in own) or among(sample, own)
