"""Load a model from a file or keras.applications, in Keras' safe mode unless the user trusts the file."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from nnviz3d.capture.inputs.preprocess import family_mode
from nnviz3d.capture.loading import keras_2
from nnviz3d.capture.loading import model_archive as archive
from nnviz3d.capture.loading.load_failure import load_failure, needs_code, refusal
from nnviz3d.capture.loading.model_archive import Config, ModelFile
from nnviz3d.capture.loading.variable_limit import variables_within_limit
from nnviz3d.capture.preflight import check_model_source
from nnviz3d.data.files.model_files import WEIGHTS, is_saved_model
from nnviz3d.data.files.paths import is_file, user_path
from nnviz3d.data.printable import reason
from nnviz3d.data.request import Preprocessing
from nnviz3d.errors import ModelError, UserError


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
    compile_config: Config = field(default_factory=dict)


def load_model(source: str, *, weights: str | None = None, trust: bool = False) -> LoadedModel:
    """Load a model.

    Parameters
    ----------
    source
        A ``.keras`` file, packed or unpacked, an ``.h5`` file, a SavedModel folder, or ``keras:NAME``.
    weights
        For ``keras:NAME`` only: ``imagenet`` (also the default), ``none``, or a file.
    trust
        Whether to run code that the file contains.

    Raises
    ------
    ModelError
        If there is no model, it is damaged, or it contains code and is not trusted.
    """
    path = check_model_source(source)
    if path is None:
        return _application(source.removeprefix("keras:"), weights or "imagenet")
    if weights is not None:
        raise ModelError(f"--weights goes with keras:NAME only; {source} brings its own.")
    if path.is_dir() and is_saved_model(path):
        return _saved_model(path, trust)
    return _file(archive.read_model_file(path), trust)


def application_names() -> list[str]:
    """List the models of keras.applications."""
    return sorted(n for n, v in vars(keras.applications).items() if n[0].isupper() and callable(v))


def _application(name: str, weights: str) -> LoadedModel:
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
        notes.append("The weights are random, not trained (--weights none).")
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
        raise ModelError(f"{weights} does not fit {name}: {why}") from error
    head = tuple(model.output_shape)
    return LoadedModel(
        model,
        f"keras:{name}",
        sha256=_sha256(Path(argument)) if argument not in {None, "imagenet"} else None,
        family=family_mode(name),
        imagenet=len(head) == 2 and head[-1] == 1000,
        notes=tuple(notes),
    )


def _file(file: ModelFile, trust: bool) -> LoadedModel:
    """Load a model after checking its configuration."""
    code = archive.carried_code(file.config)
    if code and not trust:
        raise ModelError(needs_code(file, code))
    try:
        config, notes = _for_keras_3(file)
        scope = _custom_objects(file.path, file.config) if trust else {}
        with archive.readable_by_keras(file, config) as path, variables_within_limit(file.name):
            model = keras.saving.load_model(path, custom_objects=scope, compile=False, safe_mode=not trust)
    except UserError:
        raise
    except Exception as error:  # Keras may raise any error for a foreign architecture
        raise ModelError(load_failure(file, code, error)) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{file.name} holds a {type(model).__name__}; expected a whole model.")
    if code:
        notes = (f"The file was trusted with its own code: {_listed(code)}.", *notes)
    weights = file.path / WEIGHTS if file.path.is_dir() else file.path
    return LoadedModel(model, file.name, _sha256(weights), notes=notes, compile_config=file.compile_config)


def _for_keras_3(file: ModelFile) -> tuple[Config, tuple[str, ...]]:
    """Return the architecture in a form that Keras 3 reads correctly, and notes on the changes."""
    if keras_2.is_keras_2(file.config, file.version):
        otherwise = keras_2.other_arithmetic(file.config)
        if otherwise is not None:
            raise ModelError(refusal(file, otherwise))
        rewritten = keras_2.rewrite(file.config)
        return rewritten.config, rewritten.notes
    if file.is_h5 and keras_2.loses_axes(file.config):
        return keras_2.with_modules(file.config), ()
    return file.config, ()


def _custom_objects(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Import the modules that a trusted file names, from Python's path or from the file's folder."""
    found: dict[str, Any] = {}
    sys.path.append(str(path.absolute().parent))
    try:
        for name in archive.custom_modules(config):
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue  # another module may register the class; otherwise Keras reports which class is missing
            found.update((key, value) for key, value in vars(module).items() if isinstance(value, type))
    finally:
        sys.path.remove(str(path.absolute().parent))
    return found


def _saved_model(path: Path, trust: bool) -> LoadedModel:
    if not trust:
        raise ModelError(
            f"{path.name} is a SavedModel, which is TensorFlow code. Loading it can run anything; if you know where "
            f"it comes "
            "from, add --trust."
        )
    try:
        model = _wrapped(path)
    except UserError:
        raise
    except Exception as error:  # TensorFlow may raise any error for a damaged folder
        raise ModelError(f"The SavedModel {path.name} cannot be loaded: {reason(error)}") from error
    note = "A SavedModel keeps no layers, so the whole of it is one block."
    return LoadedModel(model, path.name, _sha256(path / "saved_model.pb"), notes=(note,))


def _wrapped(path: Path) -> keras.Model:
    """Wrap a SavedModel in a model of one layer."""
    signatures = tf.saved_model.load(str(path)).signatures
    if "serving_default" not in signatures:
        others = _listed(list(signatures)) or "none"
        raise ModelError(f"The SavedModel {path.name} has no signature serving_default; it has {others}.")
    _, wanted = signatures["serving_default"].structured_input_signature
    inputs = {
        name: keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=name)
        for name, spec in wanted.items()
    }
    layer = SavedModel(str(path), call_endpoint="serving_default", name="saved_model")
    return keras.Model(inputs, layer(inputs), name=path.name)


class SavedModel(keras.layers.TFSMLayer):  # type: ignore[misc]
    """A SavedModel's signature, which takes its inputs by name; the class name is the kind that the graph shows."""

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Run the signature."""
        return self.call_endpoint_fn(**inputs)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
