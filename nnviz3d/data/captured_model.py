"""The model that a capture was made of: find out whether a source is this model, before it is loaded."""

from __future__ import annotations

from pathlib import Path

from nnviz3d.data.files.digest import sha256_of
from nnviz3d.data.files.model_files import CONFIG, WEIGHTS
from nnviz3d.data.files.paths import exists, is_file, is_folder, user_path
from nnviz3d.data.model_sources import NO_OPTIONS, LoadOptions, has_prefix, known_sources, names_model
from nnviz3d.data.note_words import RANDOM_WEIGHTS
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import UserError

_SAVED = "saved_model.pb"
_SHOWN = 12
"""Digits of a SHA-256 that a sentence shows."""


def check_model_of(capture: CaptureReader, model: str, loading: LoadOptions = NO_OPTIONS) -> None:
    """Check that a model is the one that a capture was made of.

    Parameters
    ----------
    model
        A file, a folder or a name of one of the kinds in `SOURCES`.
    loading
        How it is loaded.

    Raises
    ------
    UserError
        If it is another model, or there is none, or the capture does not tell which one it was made of.
    """
    origin, name = capture.provenance, capture.path.name
    if not names_model(model) and not is_folder(user_path(model)):
        raise UserError(f"--model {model}: a model is {known_sources()}.")
    if not has_prefix(model) and not exists(user_path(model)):
        raise UserError(f"--model {model}: there is no such model.")
    found = _sha256_of(model, loading)
    if origin.sha256 is None and not has_prefix(origin.model):
        raise UserError(
            f"{name} tells no SHA-256 of its model {origin.model}, so it is not known whether --model {model} is the same; "
            f"show the model itself: nnviz3d serve {model}."
        )
    if origin.sha256 is None and found is None and origin.model == model:
        random = [loading.weights == "none", RANDOM_WEIGHTS in origin.notes]
        if random[0] == random[1]:
            return
        raise UserError(
            f"The weights of {model} were {'random' if random[1] else 'trained'} when {name} was captured; "
            f"{'add' if random[1] else 'leave out'} --weights none."
        )
    if origin.sha256 is None or found is None:
        raise UserError(f"{name} was captured from {origin.model}, and --model names {model}.")
    if found != origin.sha256:
        raise UserError(
            f"--model {model} is not the model of {name}: its SHA-256 begins with {found[:_SHOWN]}, and that of the "
            f"captured {origin.model} with {origin.sha256[:_SHOWN]}."
        )


def _sha256_of(model: str, loading: LoadOptions) -> str | None:
    """Return the SHA-256 that the provenance of a model's capture has; `None` if it has none."""
    if has_prefix(model):
        weights = loading.weights
        file = user_path(weights) if weights not in (None, "imagenet", "none") else None
    else:
        file = _hashed_file(user_path(model))
    return None if file is None or not is_file(file) else sha256_of(file)


def _hashed_file(path: Path) -> Path | None:
    """Return the file of a model whose SHA-256 is that of the model; `None` for a preset of KerasHub."""
    if not is_folder(path):
        return path
    if is_file(path / _SAVED):
        return path / _SAVED
    return path / WEIGHTS if is_file(path / CONFIG) and is_file(path / WEIGHTS) else None
