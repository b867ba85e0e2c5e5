"""Checks of a request that need no TensorFlow, which takes seconds to import: mistyped names and missing files."""

from __future__ import annotations

from pathlib import Path

from nnviz3d.capture.inputs.class_files import read_classes
from nnviz3d.data.files.model_files import CONFIG, ENDINGS, WEIGHTS, is_saved_model, is_unpacked
from nnviz3d.data.files.paths import PathKind, kind_of, quoted, refuse_special, user_path
from nnviz3d.data.request import CaptureRequest
from nnviz3d.data.sample_sources import locate
from nnviz3d.data.storage.capture_writer import check_destination
from nnviz3d.errors import ModelError


def refuse_early(request: CaptureRequest) -> None:
    """Check the files and names in a request.

    Raises
    ------
    UserError
        If the capture cannot be written at its destination, or the model or a sample does not exist.
    """
    check_destination(request.out)
    check_model_source(request.model)
    for source in request.inputs:
        locate(source)
    if request.classes is not None:
        read_classes(request.classes)


def check_model_source(source: str) -> Path | None:
    """Return the path of a model; `None` for one of keras.applications.

    Raises
    ------
    ModelError
        If the path does not exist, or its name is not that of a model.
    """
    if source.startswith("keras:"):
        return None
    if not source:  # as a path it would be the current folder
        raise ModelError("The model's name is empty; expected a .keras or .h5 file, a SavedModel folder or keras:NAME.")
    path = user_path(source)
    kind = kind_of(path, ModelError)
    if kind is None:
        raise ModelError(
            f"There is no model at {quoted(source)}; expected a .keras or .h5 file, a SavedModel folder or keras:NAME."
        )
    refuse_special(path, ModelError)
    if kind is PathKind.FOLDER:
        if not is_saved_model(path, ModelError) and not is_unpacked(path, ModelError):
            raise ModelError(
                f"The folder {path.name} is no SavedModel (it holds no saved_model.pb) and no unpacked .keras file, which "
                f"holds {CONFIG} and {WEIGHTS}."
            )
    elif path.suffix.lower() not in ENDINGS:
        raise ModelError(
            f"{path.name} is no model that nnviz3d knows by its name; expected one that ends in .keras or .h5, a "
            f"SavedModel "
            "folder or keras:NAME."
        )
    return path
