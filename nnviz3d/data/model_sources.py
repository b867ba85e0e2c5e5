"""Kinds of model sources: how each is recognized, and the name of the function that loads it.

To add a kind, add an entry to `SOURCES` and write its loader, a module of `nnviz3d.capture.loading`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nnviz3d.data.files.model_files import CONFIG, WEIGHTS
from nnviz3d.data.files.paths import PathKind, is_file, kind_of, user_path
from nnviz3d.data.printable import listed_or
from nnviz3d.errors import UserError


@dataclass(frozen=True)
class SourceKind:
    """A kind of model source, recognized by one of prefix, endings and parts.

    Attributes
    ----------
    words
        Its words in a list of what may be given, such as ``a .keras file``.
    load
        The function that loads it, ``module:function``; it takes a `ModelSource` and returns a `LoadedModel`. Its module
        is imported only when a source of this kind is loaded.
    prefix
        The start of its name, for a source that is no path.
    endings
        The endings of its files, in lower case.
    parts
        The files that mark a folder of this kind.
    options
        The fields of `LoadOptions` that it takes, besides `trust`.
    gradients
        Whether gradients of its numbers can be computed.
    """

    words: str
    load: str
    prefix: str = ""
    endings: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    gradients: bool = True


@dataclass(frozen=True)
class LoadOptions:
    """The options of a request that say how its model is loaded; the names and meanings are those of `CaptureRequest`."""

    weights: str | None = None
    trust: bool = False
    custom: tuple[str, ...] = ()
    architecture: str | None = None


NO_OPTIONS = LoadOptions()


@dataclass(frozen=True)
class ModelSource:
    """A model that was asked for, before it is loaded.

    Attributes
    ----------
    text
        The source as the user wrote it.
    path
        The file or folder; `None` for a source with a prefix.
    """

    text: str
    kind: SourceKind
    path: Path | None
    options: LoadOptions = NO_OPTIONS

    @property
    def name(self) -> str:
        """The text after the prefix."""
        return self.text.removeprefix(self.kind.prefix)

    @property
    def file(self) -> Path:
        """The path of a source that has no prefix."""
        if self.path is None:
            raise ValueError(f"{self.text} has no path")
        return self.path


_LOADING = "nnviz3d.capture.loading"
_FOREIGN = "nnviz3d.capture.foreign"
"""Loaders of models that are no Keras models; they return a `ForeignModel`."""

SOURCES = (
    SourceKind(
        "keras:NAME for one of keras.applications",
        f"{_LOADING}.application:load_application",
        prefix="keras:",
        options=("weights",),
    ),
    SourceKind("hub:NAME for a preset of KerasHub", f"{_LOADING}.hub:load_preset", prefix="hub:"),
    SourceKind(
        "hf://USER/NAME for a model on Hugging Face",
        f"{_LOADING}.hub:load_from_hugging_face",
        prefix="hf://",
        options=("custom",),
    ),
    SourceKind("a .keras file", f"{_LOADING}.keras_file:load_keras_file", endings=(".keras",), options=("custom",)),
    SourceKind(
        "an .h5 file",
        f"{_LOADING}.weights_file:load_h5_file",
        endings=(".h5", ".hdf5"),
        options=("custom", "architecture"),
    ),
    SourceKind("a .tflite file", f"{_FOREIGN}.tflite_file:load_tflite", endings=(".tflite",), gradients=False),
    SourceKind("a .onnx file", f"{_FOREIGN}.onnx_file:load_onnx", endings=(".onnx",), gradients=False),
    SourceKind("a SavedModel folder", f"{_LOADING}.saved_model:load_saved_model", parts=("saved_model.pb",)),
    SourceKind("a preset folder of KerasHub", f"{_LOADING}.hub:load_preset", parts=(CONFIG, "task.json")),
    SourceKind("a preset folder of KerasHub", f"{_LOADING}.hub:load_preset", parts=(CONFIG, "model.weights.json")),
    SourceKind(
        "an unpacked .keras file",
        f"{_LOADING}.keras_file:load_keras_file",
        parts=(CONFIG, WEIGHTS),
        options=("custom",),
    ),
)
"""All kinds, in the order in which a source is compared with them."""


def without_gradients(name: str) -> str:
    """Return the words for a file of this name if its kind has no gradients, as in ``a .onnx file``; else nothing."""
    kinds = (kind for kind in SOURCES if not kind.gradients and name.lower().endswith(kind.endings))
    return next((kind.words for kind in kinds), "")


def known_sources() -> str:
    """Return the words of all kinds, as in ``a .keras file or keras:NAME``."""
    return listed_or(list(dict.fromkeys(kind.words for kind in SOURCES)))


def source_kind(text: str, error: type[UserError] = UserError) -> SourceKind | None:
    """Return the kind of a source; `None` if it is of none, or is a path where nothing is.

    Raises
    ------
    UserError
        If the system refuses to look at the path, as `kind_of`.
    """
    for kind in SOURCES:
        if kind.prefix and text.startswith(kind.prefix):
            return kind
    path = user_path(text)
    if not text or kind_of(path, error) is not PathKind.FOLDER:
        return next((kind for kind in SOURCES if kind.endings and text.lower().endswith(kind.endings)), None)
    marked = (kind for kind in SOURCES if kind.parts)
    return next((kind for kind in marked if all(is_file(path / part, error) for part in kind.parts)), None)


def names_model(text: str) -> bool:
    """Whether a command's target names a model: it is of a known kind, or has the ending of one."""
    return source_kind(text) is not None or any(text.lower().endswith(kind.endings) for kind in SOURCES if kind.endings)


def has_prefix(text: str) -> bool:
    """Whether a source is a name with the prefix of its kind, and so no path."""
    return any(kind.prefix and text.startswith(kind.prefix) for kind in SOURCES)
