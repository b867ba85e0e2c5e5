"""HDF5 files: whole models, or weights alone, which are joined with an architecture from another file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py

from nnviz3d.capture.loading import keras_2
from nnviz3d.capture.loading.custom_objects import import_custom
from nnviz3d.capture.loading.keras_file import load_file, load_keras_file
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.loading.model_archive import ModelFile, WeightsLayout, read_architecture, weights_layout
from nnviz3d.data.files.digest import sha256_of
from nnviz3d.data.files.model_files import CONFIG, METADATA, WEIGHTS
from nnviz3d.data.files.paths import user_path
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.model_sources import ModelSource
from nnviz3d.errors import ModelError

_NOT_OF_LAYERS = ("optimizer", "metrics", "loss", "compile")
"""Words in the names of the groups that only training needs."""


_ADVICE = "Give the architecture of the model whose weights they are."


def load_h5_file(source: ModelSource) -> LoadedModel:
    """Load a model from an HDF5 file, with the architecture of `LoadOptions.architecture` if one is given.

    Raises
    ------
    ModelError
        As `load_keras_file`; or if the weights do not fit the architecture, or the file has one of its own.
    """
    given = source.options.architecture
    if given is None:
        return load_keras_file(source)
    weights, layout = source.file, weights_layout(source.file)
    if layout is WeightsLayout.WHOLE_MODEL:
        raise ModelError(
            f"{weights.name} holds an architecture of its own, so it opens without --architecture; that option goes with a "
            "file of weights alone."
        )
    with _joined(weights, layout, read_architecture(user_path(given))) as file:
        custom = import_custom(source.options.custom, weights)
        loaded = load_file(file, trust=source.options.trust, custom=custom, beside=weights)
    _check_complete(weights, layout, loaded, given)
    return replace(
        loaded,
        name=weights.name,
        sha256=sha256_of(weights),
        notes=(f"The architecture is that of {Path(given).name}.", *loaded.notes),
    )


@contextmanager
def _joined(weights: Path, layout: WeightsLayout, architecture: ModelFile) -> Iterator[ModelFile]:
    """Context with a temporary model file that has the weights of one file and the architecture of another."""
    label = f"{weights.name} with the architecture of {architecture.name}"
    with temporary_folder() as folder:
        if layout is WeightsLayout.BY_LAYER:
            path = folder / "model.h5"
            with h5py.File(weights, "r") as stored, h5py.File(path, "w") as joined:
                stored.copy(stored.get("model_weights", stored), joined, "model_weights")
                joined.attrs["model_config"] = json.dumps(architecture.config).encode()
                version = stored.attrs.get("keras_version")
            version = version.decode() if isinstance(version, bytes) else version
            yield replace(architecture, path=path, version=architecture.version or version, label=label, advice=_ADVICE)
            return
        path = folder / "model"
        path.mkdir()
        shutil.copyfile(weights, path / WEIGHTS)
        config = keras_2.with_modules(architecture.config) if architecture.is_h5 else architecture.config
        (path / CONFIG).write_text(json.dumps(config))
        (path / METADATA).write_text(json.dumps({"keras_version": architecture.version}))
        yield replace(architecture, path=path, config=config, label=label, advice=_ADVICE)


def _check_complete(weights: Path, layout: WeightsLayout, loaded: LoadedModel, architecture: str) -> None:
    """Refuse weights of which Keras left some out without an error: those of layers that the architecture does not have."""
    if layout is WeightsLayout.BY_LAYER:  # Keras itself compares the numbers of layers and of their arrays
        return
    stored = 0

    def count(name: str, item: object) -> None:
        nonlocal stored
        stored += isinstance(item, h5py.Dataset) and not any(word in name.split("/")[0] for word in _NOT_OF_LAYERS)

    with h5py.File(weights, "r") as file:
        file.visititems(count)
    taken = len(loaded.model.variables)
    if stored > taken:
        raise ModelError(
            f"{weights.name} holds {stored} arrays, but the model in {Path(architecture).name} has {taken}, so the weights "
            "are of another model; give the architecture of the model whose weights they are."
        )
