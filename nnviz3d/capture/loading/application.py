"""Models of keras.applications, by name."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

import keras

from nnviz3d.capture.inputs.preprocess import family_mode
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.data.files.digest import sha256_of
from nnviz3d.data.files.paths import is_file, user_path
from nnviz3d.data.model_sources import ModelSource
from nnviz3d.data.note_words import RANDOM_WEIGHTS
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError


def application_names() -> list[str]:
    """List the models of keras.applications."""
    return sorted(n for n, v in vars(keras.applications).items() if n[0].isupper() and callable(v))


def load_application(source: ModelSource) -> LoadedModel:
    """Build a model of keras.applications, with the weights of `LoadOptions.weights`.

    Raises
    ------
    ModelError
        If it has no such model, or the weights cannot be had or do not fit.
    """
    name, weights = source.name, source.options.weights or "imagenet"
    names = application_names()
    if name not in names:
        folded = {n.casefold(): n for n in names}
        close = [folded[n] for n in difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.5)]
        hint = f" Did you mean {' or '.join(close)}?" if close else f" It has {', '.join(names)}."
        raise ModelError(f"keras.applications has no model {name!r}.{hint}")
    build = getattr(keras.applications, name)
    notes: list[str] = []
    argument: str | None = weights
    if weights == "none":
        argument = None
        notes.append(RANDOM_WEIGHTS)
    elif weights != "imagenet":
        if not is_file(user_path(weights), ModelError):
            raise ModelError(f"There is no weights file {weights}; --weights takes imagenet, none or a file.")
        argument = str(user_path(weights))
    try:
        model = build(weights=argument)
    except Exception as error:
        why = reason(error)
        if weights == "imagenet":
            # Keras writes the address and an error number before the reason.
            what = re.sub(r"^\[Errno -?\d+\] ", "", why.rpartition(" -- ")[2]).removesuffix(".")
            raise ModelError(
                f"The ImageNet weights of {name} could not be downloaded ({what}); give a file with --weights FILE, or "
                "draw the untrained network with --weights none."
            ) from error
        raise ModelError(
            f"{weights} does not fit {name}: {why} Give weights that save_weights() wrote for the whole of it."
        ) from error
    head = tuple(model.output_shape)
    return LoadedModel(
        model,
        source.text,
        sha256=sha256_of(Path(argument)) if argument not in {None, "imagenet"} else None,
        family=family_mode(name),
        imagenet=len(head) == 2 and head[-1] == 1000,
        notes=tuple(notes),
    )
