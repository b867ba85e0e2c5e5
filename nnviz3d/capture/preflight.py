"""Checks of a request that need no TensorFlow, which takes seconds to import: mistyped names and missing files."""

from __future__ import annotations

import difflib
from pathlib import Path

from nnviz3d.capture.inputs.class_files import read_classes
from nnviz3d.data.files.file_content import RENAME, content_of
from nnviz3d.data.files.model_files import CONFIG, WEIGHTS
from nnviz3d.data.files.paths import PathKind, is_file, is_folder, kind_of, listed, quoted, refuse_special, user_path
from nnviz3d.data.foreign_models import foreign_model
from nnviz3d.data.model_sources import NO_OPTIONS, LoadOptions, ModelSource, known_sources, source_kind
from nnviz3d.data.printable import listed_or, printable
from nnviz3d.data.request import CaptureRequest
from nnviz3d.data.source_names import check_source
from nnviz3d.data.storage.capture_writer import check_destination
from nnviz3d.errors import ModelError

_GOES_WITH = {
    "weights": "goes with keras:NAME only; {} brings its own.",
    "architecture": "goes with a file of weights, .weights.h5; {} holds its own.",
    "custom": "goes with a model file of Keras; {} takes no code.",
}
"""End of the error for a model that does not take an option of loading, by option."""


def refuse_early(request: CaptureRequest) -> None:
    """Check the files and names in a request.

    Raises
    ------
    UserError
        If the capture cannot be written at its destination, or the model or a sample does not exist.
    """
    check_destination(request.out)
    check_model_source(request.model, request.loading)
    for source in request.inputs:
        check_source(source)
    if request.classes is not None:
        read_classes(request.classes)


def check_model_source(source: str, options: LoadOptions = NO_OPTIONS) -> ModelSource:
    """Return the source of a model with its kind and its path.

    Raises
    ------
    ModelError
        If the path does not exist, its name is not that of a model, or the model does not take the options.
    """
    if not source:  # as a path it would be the current folder
        raise ModelError(f"The model's name is empty; expected {known_sources()}.")
    kind = source_kind(source, ModelError)
    if kind is not None and kind.prefix:
        return _with_options(ModelSource(source, kind, None, options))
    path = user_path(source)
    found = kind_of(path, ModelError)
    if found is None:
        raise ModelError(f"There is no model at {quoted(source)}; {_instead(path, kind is not None)}")
    refuse_special(path, ModelError)
    if kind is not None:
        if found is PathKind.FILE:
            _check_content(path)
        return _with_options(ModelSource(source, kind, path, options))
    foreign = foreign_model(path)
    if foreign is not None:
        raise ModelError(foreign)
    if found is PathKind.FOLDER:
        raise ModelError(
            f"The folder {path.name} is no SavedModel (it holds no saved_model.pb) and no unpacked .keras file (it holds "
            f"no {CONFIG}, or no {WEIGHTS}); give a model file, or the folder that holds these."
        )
    raise ModelError(f"{path.name} is no model that nnviz3d knows by its name; expected {known_sources()}.")


def _instead(path: Path, is_named: bool) -> str:
    """Return what to do about a path where nothing is.

    Parameters
    ----------
    is_named
        Whether the name is that of a model.
    """
    folder = path.absolute().parent
    if is_folder(folder, ModelError):
        names = [entry.name for entry in listed(folder, ModelError) if source_kind(str(entry), ModelError) is not None]
        close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
        if close:
            return f"did you mean {listed_or([quoted(path.with_name(name)) for name in close])}?"
    return "check its path." if is_named else f"expected {known_sources()}."


def _check_content(path: Path) -> None:
    """Refuse a file that has the name of a model and the content of none, such as a web page."""
    try:
        content = content_of(path)
    except OSError as error:
        raise ModelError(
            f"{path.name} cannot be read ({error.strerror or error}); expected a file that you may read."
        ) from None
    if content.strange:
        raise ModelError(f"{path.name} is no model: got {content.words}; {content.advice}.")
    other = content.advice.startswith(RENAME) and not content.advice.endswith(path.suffix.lower())
    if other and path.suffix.lower() in {".onnx", ".tflite"}:
        raise ModelError(f"{path.name} is {content.words} in spite of its name; {content.advice}.")


def _with_options(source: ModelSource) -> ModelSource:
    """Refuse options that the kind of model does not take, and names of custom objects that are none."""
    for name, sentence in _GOES_WITH.items():
        if getattr(source.options, name) and name not in source.kind.options:
            raise ModelError(f"--{name} {sentence.format(printable(source.text))}")
    for name in source.options.custom:
        _check_custom(name)
    if source.options.architecture is not None:
        _check_architecture(source.options.architecture)
    return source


def _check_custom(name: str) -> None:
    module, _, attribute = name.partition(":")
    if module.endswith(".py"):
        hint = f"{module.removesuffix('.py').replace('/', '.')}:{attribute or 'NAME'}"
        raise ModelError(
            f"--custom takes a module as Python imports it, without .py, such as {hint}; got {printable(name)}."
        )
    if not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        raise ModelError(
            f"--custom takes MODULE:NAME, such as layers:Attention for the class Attention of layers.py; got "
            f"{printable(name)!r}."
        )


def _check_architecture(name: str) -> None:
    path = user_path(name)
    unpacked = is_folder(path, ModelError) and all(is_file(path / part, ModelError) for part in (CONFIG, WEIGHTS))
    if not unpacked and path.suffix.lower() not in {".json", ".keras", ".h5", ".hdf5"}:
        raise ModelError(
            f"--architecture {quoted(name)}: expected a .json file from model.to_json(), or a .keras file."
        )
    refuse_special(path, ModelError)
    if not unpacked and not is_file(path, ModelError):
        raise ModelError(f"--architecture: there is no file {quoted(name)}.")
