"""Choose the heading for a sample: the scene's title if it describes the sample, otherwise the model's name."""

from __future__ import annotations

from pathlib import Path

from nnviz3d.data.source_names import digit_numbers
from nnviz3d.scene.spec import SceneSource, SceneSpec

_DIGITS = "digits:"
_BUILT_IN = (_DIGITS, "sklearn:", "random")
"""Prefixes of inputs that are not files of the user."""


def headline(spec: SceneSpec, model: str, sample: str) -> str:
    """Return a scene's title if it describes a sample, otherwise the model's name.

    Parameters
    ----------
    model, sample
        Names of the model and the sample.
    """
    if not spec.title or (spec.source is not None and not spec.embeds and not _true_of(spec.source, sample)):
        return model
    return spec.title


def among(name: str, own: tuple[str, ...]) -> bool:
    """Whether a list of inputs contains an input: by name, or as one of a range such as ``digits:0-9``."""
    if name in own:
        return True
    if name.startswith(_DIGITS):
        numbers = [digit_numbers(other) for other in own if other.startswith(_DIGITS)]
        return all(any(number in some for some in numbers) for number in digit_numbers(name))
    return name in {Path(other.removeprefix("sklearn:")).name for other in own}


def _true_of(source: SceneSource, sample: str) -> bool:
    """Whether a title may describe a sample; with files in the scene this is unknown, and the answer is yes."""
    own = source.inputs
    return not own or any(not other.startswith(_BUILT_IN) for other in own) or among(sample, own)
