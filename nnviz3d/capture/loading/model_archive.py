"""Inspect a model file without Keras or TensorFlow: whether it is valid, and whether it contains code."""

from __future__ import annotations

import json
import re
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import IO, Any, TypeVar

import h5py

from nnviz3d.data.files.file_content import Content, content_of
from nnviz3d.data.files.memory_limit import TEXT, check_size
from nnviz3d.data.files.model_files import CONFIG, METADATA, WEIGHTS
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError, UserError

Config = dict[str, Any]
Read = TypeVar("Read")

_LONGEST = 10.0
"""Seconds of processor time for reading the structure of an HDF5 file; thousands of arrays take a tenth of a second."""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_OF_WEIGHTS = {"layers", "_layer_checkpoint_dependencies", "vars"}
"""Groups of which each file of weights, .weights.h5, has one."""
_VERSION = re.compile(r"\d[\w.+-]{0,20}")
_OF_KERAS_2 = (
    *("tf_keras", "tensorflow.python.keras", "tensorflow.keras", "keras.engine", "keras.src.engine"),
    *("tensorflow.python.ops.init_ops", "tensorflow.python.ops.init_ops_v2"),
)
"""Packages of Keras 2's own classes, some of which are missing in Keras 3, and of TensorFlow's initializers."""


@dataclass(frozen=True)
class ModelFile:
    """A model file, or an unpacked one, as far as it can be read without Keras.

    Parameters
    ----------
    config
        The architecture.
    version
        Version of the Keras that wrote the file; `None` if the file does not say.
    compile_config
        The arguments of `Model.compile`, such as ``loss``; empty if the model was not compiled.
    label
        Its name in sentences; by default the name of the file or folder.
    advice
        The sentence that says what to do if Keras cannot load it; by default it depends on the file's version.
    """

    path: Path
    config: Config
    version: str | None = None
    compile_config: Config = field(default_factory=dict)
    label: str = ""
    advice: str = ""

    @property
    def name(self) -> str:
        """Its name in sentences."""
        return self.label or self.path.name or str(self.path.absolute())

    @property
    def is_h5(self) -> bool:
        """Whether the file is an HDF5 file that holds the architecture."""
        return not self.path.is_dir() and self.path.suffix.lower() in {".h5", ".hdf5"}


def read_model_file(path: Path) -> ModelFile:
    """Read a model's architecture, and check the rest of its file without loading it.

    Parameters
    ----------
    path
        A ``.keras`` archive, a folder into which one was unpacked, or an ``.h5`` file.

    Raises
    ------
    ModelError
        If it is damaged, takes too much memory, or holds no model.
    """
    return _checked(
        path, _read_folder if path.is_dir() else _read_keras if path.suffix.lower() == ".keras" else _read_h5
    )


def _checked(path: Path, read: Callable[[Path], Read]) -> Read:
    """Read a file, with one sentence for any damage."""
    try:
        found = read(path)
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib, json and h5py may raise any error for a damaged file
        raise ModelError(f"{path.name} is damaged or cut short ({reason(error)}); copy or save it again.") from error
    if isinstance(found, ModelFile) and not is_object(found.config):
        raise ModelError(
            f"{path.name} holds an architecture that is not a Keras model; expected a class_name and its config."
        )
    return found


def _read_keras(path: Path) -> ModelFile:
    _check_zip(path)
    with zipfile.ZipFile(path) as archive:
        parts = {info.filename: info for info in archive.infolist()}
        _check_sizes(path, {name: info.file_size for name, info in parts.items()})
        broken = archive.testzip()
        if broken is not None:
            raise ModelError(
                f"{path.name} is damaged: its part {broken} does not match its checksum; copy or save it again."
            )
        if CONFIG not in parts:
            raise ModelError(
                f"{path.name} is a zip archive without a {CONFIG}, so it is not a Keras model; {_way_of(content_of(path))}."
            )
        if WEIGHTS in parts:
            with archive.open(WEIGHTS) as weights:
                _check_arrays(path, weights)
        metadata = archive.read(METADATA) if METADATA in parts else b"{}"
        config = _architecture(path, archive.read(CONFIG))
        return ModelFile(path, config, _keras_version(json.loads(metadata)), _object(config.get("compile_config")))


def _check_zip(path: Path) -> None:
    head = _head(path)
    if head == _HDF5:
        raise ModelError(f"{path.name} is an HDF5 file in spite of its name; rename it to end in .h5.")
    if not head.startswith(b"PK"):
        raise ModelError(_not_keras(path, "the zip archive", content_of(path)))


def _not_keras(path: Path, expected: str, content: Content) -> str:
    got = f"got {content.words}; {_way_of(content)}"
    return f"{path.name} is not a Keras model: expected {expected} that model.save() writes, {got}."


def _way_of(content: Content) -> str:
    return content.advice or "give the file that model.save() wrote"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def _read_folder(path: Path) -> ModelFile:
    _check_sizes(path, {name: (path / name).stat().st_size for name in (CONFIG, WEIGHTS)})
    _check_arrays(path, path / WEIGHTS)
    metadata = (path / METADATA).read_bytes() if (path / METADATA).is_file() else b"{}"
    config = _architecture(path, (path / CONFIG).read_bytes())
    return ModelFile(path, config, _keras_version(json.loads(metadata)), _object(config.get("compile_config")))


def read_architecture(path: Path) -> ModelFile:
    """Read an architecture without its weights, from a ``.json`` file or from a file as in `read_model_file`.

    Raises
    ------
    ModelError
        If it is damaged, takes too much memory, or holds no model.
    """
    if path.suffix.lower() != ".json":
        return read_model_file(path)
    return _checked(path, _read_json)


def _read_json(path: Path) -> ModelFile:
    check_size(f"The architecture in {path.name}", path.stat().st_size * TEXT, ModelError)
    config = _architecture(path, path.read_bytes())
    return ModelFile(path, config, _keras_version(config), _object(config.get("compile_config")))


class WeightsLayout(Enum):
    """The content of an HDF5 file of Keras, by the layout of its groups."""

    WHOLE_MODEL = "a whole model"
    BY_LAYER = "weights by the names of layers, as Keras 2 saves them in .h5"
    BY_PATH = "weights by the paths of objects, as in .weights.h5"


def weights_layout(path: Path) -> WeightsLayout:
    """Return what an HDF5 file holds.

    Raises
    ------
    ModelError
        If it is damaged, takes too much memory, or is no file of weights.
    """
    return _checked(path, _read_layout)


def _read_layout(path: Path) -> WeightsLayout:
    _check_hdf5(path)
    with _ends(), h5py.File(path, "r") as file:
        if "model_config" in file.attrs:
            return WeightsLayout.WHOLE_MODEL
        by_layer = "layer_names" in file.attrs or "layer_names" in getattr(file.get("model_weights"), "attrs", ())
        return WeightsLayout.BY_LAYER if by_layer else WeightsLayout.BY_PATH


def _read_h5(path: Path) -> ModelFile:
    _check_hdf5(path)
    with _ends(), h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
        version = file.attrs.get("keras_version")
        training = file.attrs.get("training_config")
        held = [str(name) for name in file]
        is_weights = "layer_names" in file.attrs or "model_weights" in held or bool(_OF_WEIGHTS & set(held))
    if text is None and not is_weights:
        raise ModelError(
            f"{path.name} is an HDF5 file without a Keras model: it holds {', '.join(held)[:120] or 'nothing'}; give the "
            "file that model.save() wrote."
        )
    if text is None:
        raise ModelError(
            f"{path.name} holds weights but no architecture: add --architecture FILE, a .json file from model.to_json() or "
            "the .keras file of a model with the same layers; for one of keras.applications, name it and give the file: "
            "keras:NAME --weights FILE."
        )
    version = version.decode() if isinstance(version, bytes) else version
    compiled = {} if training is None else _object(json.loads(training))
    return ModelFile(path, _architecture(path, text), _keras_version({"keras_version": version}), compiled)


def _check_hdf5(path: Path) -> None:
    if _head(path) != _HDF5:
        raise ModelError(_not_keras(path, "the HDF5 file", content_of(path)))
    _check_arrays(path, path)


def _architecture(path: Path, text: str | bytes) -> Config:
    check_size(f"The architecture in {path.name}", len(text) * TEXT, ModelError)
    config = json.loads(text)
    if not isinstance(config, dict):
        raise ModelError(f"{path.name} has an architecture that is not a dictionary, so it is not a Keras model.")
    return config


def _object(data: Any) -> Config:
    """Return a JSON object, and an empty one in place of anything else."""
    return data if isinstance(data, dict) else {}


def _keras_version(metadata: Any) -> str | None:
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    found = _VERSION.match(version) if isinstance(version, str) else None
    return found[0] if found else None


def _check_sizes(path: Path, sizes: Mapping[str, int]) -> None:
    """Check the sizes of an archive's parts before they are unpacked."""
    check_size(f"{path.name}, unpacked,", sum(sizes.values()), ModelError)
    check_size(f"The architecture in {path.name}", sizes.get(CONFIG, 0) * TEXT, ModelError)


@contextmanager
def _ends() -> Iterator[None]:
    """Limit the processor time of the HDF5 library, which loops endlessly in some damaged files.

    The library cannot be interrupted, so the limit ends the process with `SIGVTALRM`; `ProcessConnection` explains it.
    """
    limited = hasattr(signal, "setitimer")
    if limited:
        signal.setitimer(signal.ITIMER_VIRTUAL, _LONGEST)
    try:
        yield
    finally:
        if limited:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _check_arrays(path: Path, opened: Path | IO[bytes]) -> None:
    """Check the sizes of the arrays in an HDF5 file; a truncated file opens without an error and fails only here."""
    sizes = []

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith(("optimizer/", "optimizer_weights/")):
            sizes.append(int(item.size or 0) * item.dtype.itemsize)

    with _ends(), h5py.File(opened, "r") as file:
        file.visititems(add)
    check_size(f"The weights in {path.name}", sum(sizes), ModelError)


@contextmanager
def readable_by_keras(file: ModelFile, config: Config) -> Iterator[Path]:
    """Context with a path from which Keras reads a model of this architecture: the file itself or a temporary copy.

    Parameters
    ----------
    config
        The architecture of the file, or its rewritten version.
    """
    path = file.path
    # Keras recognizes only endings in lower case, and reads a folder with the ending .keras as an archive.
    readable = path.suffix != ".keras" if path.is_dir() else path.suffix in {".keras", ".h5", ".hdf5"}
    if config is file.config and readable:
        yield path
        return
    with temporary_folder() as folder:
        if file.is_h5:
            copy = folder / "model.h5"
            shutil.copyfile(path, copy)
            copy.chmod(0o600)
            with h5py.File(copy, "r+") as opened:
                opened.attrs["model_config"] = json.dumps(config).encode()
        else:
            copy = folder / "model"
            if path.is_dir():
                _copy_model(path, copy)
            else:
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(copy)
            (copy / CONFIG).write_text(json.dumps(config))
        yield copy


def _copy_model(folder: Path, copy: Path) -> None:
    """Copy the parts of an unpacked model, without the other files of its folder."""
    copy.mkdir()
    for name in (METADATA, WEIGHTS):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, copy / name)
    if (folder / "assets").is_dir():
        shutil.copytree(folder / "assets", copy / "assets")


def objects(config: Any) -> Iterator[Config]:
    """Yield everything in a configuration that describes an object, except what only training needs."""
    waiting = [config]
    while waiting:  # without recursion, because a file may be nested to any depth
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, dict):
            if isinstance(value.get("class_name"), str):
                yield value
            inside = [inner for key, inner in value.items() if key not in {"compile_config", "build_config"}]
            waiting.extend(reversed(inside))


def is_object(value: Any) -> bool:
    """Whether a part of a configuration describes an object with settings: a layer, a model, an initializer."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("class_name"), str)
        and isinstance(value.get("config"), dict | list)
    )


def is_of_keras_2(module: object) -> bool:
    """Whether a module belongs to Keras 2 only; its classes are not code of the file's author."""
    return isinstance(module, str) and any(f"{module}.".startswith(f"{package}.") for package in _OF_KERAS_2)
