"""Names of model files and of the parts of an unpacked model."""

from __future__ import annotations

from pathlib import Path

from nnviz3d.data.files.paths import is_file
from nnviz3d.errors import UserError

ENDINGS = (".keras", ".h5", ".hdf5")
CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"


def is_saved_model(path: Path, error: type[UserError] = UserError) -> bool:
    """Whether a folder is a SavedModel of TensorFlow; raises as `kind_of`."""
    return is_file(path / "saved_model.pb", error)


def is_unpacked(path: Path, error: type[UserError] = UserError) -> bool:
    """Whether a folder holds the parts of a ``.keras`` archive; raises as `kind_of`."""
    return is_file(path / CONFIG, error) and is_file(path / WEIGHTS, error)
