"""Model files of Keras 2 and 3, packed and unpacked, loaded in Keras' safe mode unless the user trusts the file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from nnviz3d.capture.loading import keras_2
from nnviz3d.capture.loading import model_archive as archive
from nnviz3d.capture.loading.custom_objects import import_custom, import_libraries, importable_from
from nnviz3d.capture.loading.load_failure import load_failure, needs_code, refusal
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.loading.model_archive import Config, ModelFile
from nnviz3d.capture.loading.model_kind import keras_2_package
from nnviz3d.capture.loading.needed_code import NeededCode, needed_code, needed_libraries
from nnviz3d.capture.loading.variable_limit import variables_within_limit
from nnviz3d.data.files.digest import sha256_of
from nnviz3d.data.files.model_files import WEIGHTS
from nnviz3d.data.model_sources import ModelSource
from nnviz3d.errors import ModelError, UserError


def load_keras_file(source: ModelSource) -> LoadedModel:
    """Load a model file of Keras, or an unpacked one.

    Raises
    ------
    ModelError
        As `load_file`; or if the file is damaged.
    """
    file, options = archive.read_model_file(source.file), source.options
    custom = import_custom(options.custom, source.file)
    return load_file(file, trust=options.trust, custom=custom, beside=source.file)


def load_file(file: ModelFile, *, trust: bool, custom: Mapping[str, Any], beside: Path) -> LoadedModel:
    """Load a model file whose architecture was read.

    Parameters
    ----------
    trust
        Whether to run code that the file contains.
    custom
        Classes and functions of the user, by name.
    beside
        The path in whose folder the modules of a trusted file are found.

    Raises
    ------
    ModelError
        If Keras cannot load it, or it needs code that is neither named by the user nor trusted.
    """
    code = needed_code(file.config)
    unknown = [one for one in code if one.name not in custom]
    if unknown and not trust:
        raise ModelError(needs_code(file, unknown))
    import_libraries(needed_libraries(file.config), file.name)
    try:
        config, notes = _for_keras_3(file)
        scope = {**(_trusted_objects(beside, code) if trust else {}), **_by_key(custom, code)}
        with archive.readable_by_keras(file, config) as path, variables_within_limit(file.name):
            model = keras.saving.load_model(path, custom_objects=scope, compile=False, safe_mode=not trust)
    except UserError:
        raise
    except Exception as error:  # Keras may raise any error for a foreign architecture
        raise ModelError(load_failure(file, unknown, error)) from error
    if not isinstance(model, keras.Model):
        raise ModelError(
            f"{file.name} holds a {type(model).__name__}; expected a whole model, as model.save() writes it."
        )
    if unknown:
        notes = (f"The file was trusted with its own code: {', '.join(one.label for one in unknown)}.", *notes)
    weights = file.path / WEIGHTS if file.path.is_dir() else file.path
    return LoadedModel(model, file.name, sha256_of(weights), notes=notes, compile_config=file.compile_config)


def _by_key(custom: Mapping[str, Any], code: Sequence[NeededCode]) -> dict[str, Any]:
    """Return the user's objects by all names by which Keras looks them up."""
    return {**custom, **{key: custom[one.name] for one in code if one.name and one.name in custom for key in one.keys}}


def _for_keras_3(file: ModelFile) -> tuple[Config, tuple[str, ...]]:
    """Return the architecture in a form that Keras 3 reads correctly, and notes on the changes."""
    if keras_2.is_keras_2(file.config, file.version):
        obstacle = keras_2.obstacle(file.config)
        if obstacle is not None:
            raise ModelError(refusal(file, obstacle))
        rewritten = keras_2.rewrite(file.config)
        return rewritten.config, rewritten.notes
    if file.is_h5 and keras_2.loses_axes(file.config):
        return keras_2.with_modules(file.config), ()
    return file.config, ()


def _trusted_objects(path: Path, code: Sequence[NeededCode]) -> dict[str, Any]:
    """Import the modules that a trusted file names, from the working folder, Python's path or the file's folder."""
    found: dict[str, Any] = {}
    with importable_from(Path(), path.absolute().parent):
        for name in dict.fromkeys(one.module for one in code if one.module is not None):
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue  # another module may register the class; otherwise Keras reports which class is missing
            found.update(
                (key, value)
                for key, value in vars(module).items()
                if isinstance(value, type) and keras_2_package(value) is None
            )
    return found
