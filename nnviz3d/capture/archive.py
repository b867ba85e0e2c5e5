"""Looks into a model file before Keras does: is it one, and does it carry code? Needs neither TensorFlow nor Keras."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from nnviz3d.data.words import reason
from nnviz3d.errors import ModelError

_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_keras_config(path: Path) -> dict[str, Any]:
    """Read the architecture out of a ``.keras`` archive.

    Raises
    ------
    ModelError
        If the file is no whole archive with a model in it.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if head == _HDF5:
        raise ModelError(f"{path.name} is an HDF5 file in spite of its name; rename it to end in .h5.")
    if not head.startswith(b"PK"):
        what = "an empty file" if not head else "a text file" if _is_text(path) else "some other kind of file"
        raise ModelError(
            f"{path.name} is not a Keras model: expected the zip archive that model.save() writes, got {what}."
        )
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            names = archive.namelist()
            config = json.loads(archive.read("config.json")) if "config.json" in names and broken is None else None
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise ModelError(f"{path.name} is damaged or cut short ({reason(error)}); copy or save it again.") from None
    if broken is not None:
        raise ModelError(
            f"{path.name} is damaged: its part {broken} does not match its checksum; copy or save it again."
        )
    if not isinstance(config, dict):
        raise ModelError(
            f"{path.name} is a zip archive without a config.json, so no Keras model; save one with model.save()."
        )
    return config


def read_h5_config(path: Path) -> dict[str, Any]:
    """Read the architecture out of an ``.h5`` file.

    Raises
    ------
    ModelError
        If the file is no whole HDF5 file, or holds weights without an architecture.
    """
    with path.open("rb") as file:
        if file.read(8) != _HDF5:
            raise ModelError(
                f"{path.name} is not a Keras model: expected the HDF5 file that model.save() writes, got something "
                f"else."
            )
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
            # Touch every array: a file cut short opens well and fails only there.
            file.visititems(lambda _name, item: getattr(item, "shape", None) and None)
    except OSError as error:
        raise ModelError(f"{path.name} is damaged or cut short ({reason(error)}); copy or save it again.") from None
    if text is None:
        raise ModelError(
            f"{path.name} holds weights but no architecture: save the whole model with model.save('model.keras'), or, "
            f"for "
            "one of keras.applications, name it and give the file: keras:NAME --weights FILE."
        )
    config = json.loads(text)
    if not isinstance(config, dict):
        raise ModelError(f"{path.name} has a model_config that is no dictionary, so no Keras model.")
    return config


def carried_code(config: Any) -> list[str]:
    """Name what a model would run or need besides Keras' own layers, each once.

    A name is ``Lambda 'scale'`` or ``my_module.MyLayer``.

    Parameters
    ----------
    config
        What `read_keras_config` or `read_h5_config` gave.
    """
    return list(dict.fromkeys(_walk(config)))


def custom_modules(config: Any) -> list[str]:
    """List the modules that a model's own classes say they come from, each once."""
    found = []
    for item in _objects(config):
        module = item.get("module")
        if isinstance(module, str) and module and module != "builtins" and not _is_keras(module):
            found.append(module)
    return list(dict.fromkeys(found))


def _walk(config: Any) -> Iterator[str]:
    for item in _objects(config):
        kind = item["class_name"]
        inner = item.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        module, registered = item.get("module"), item.get("registered_name")
        if kind in {"Lambda", "TFSMLayer"}:
            yield f"{kind} {name!r}" if name else kind
        elif kind == "__lambda__":
            yield "a lambda function"
        elif registered and not _is_keras(module) and module != "builtins":
            yield f"{module}.{kind}" if isinstance(module, str) and module else str(registered)
        elif isinstance(module, str) and module and module != "builtins" and not _is_keras(module):
            yield f"{module}.{kind}"


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Walk over everything in a configuration that stands for an object; what only training needs is passed over."""
    if isinstance(config, dict):
        if isinstance(config.get("class_name"), str):
            yield config
        for key, value in config.items():
            if key not in {"compile_config", "build_config"}:
                yield from _objects(value)
    elif isinstance(config, list):
        for value in config:
            yield from _objects(value)


def _is_keras(module: Any) -> bool:
    return isinstance(module, str) and (module == "keras" or module.startswith("keras."))


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(512)
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > 500
    return b"\0" not in start
