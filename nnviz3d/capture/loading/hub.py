"""Models by name from KerasHub and Hugging Face, and preset folders of KerasHub."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import keras

from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.programs.runnable import RunnableModel
from nnviz3d.data.model_sources import SOURCES, ModelSource
from nnviz3d.data.printable import listed_or, reason
from nnviz3d.errors import ModelError, UserError

_INSTALL = "install it with: pip install 'nnviz3d[hub]'."
_FILES = ("*.json", "*.h5", "*.txt", "*.spm", "*.pb", "assets/*", "variables/*")
"""Files of an unpacked model that are downloaded; weights of PyTorch are not among them."""
_UNPACKED = {"config.json": {"model.weights.h5", "model.weights.json"}, "saved_model.pb": {"saved_model.pb"}}
"""The file that marks an unpacked model, with those of which it holds one."""
_NO_SUCH = {"RepositoryNotFoundError", "HFValidationError", "RevisionNotFoundError", "EntryNotFoundError"}
_PROTECTED = {"GatedRepoError", "KaggleApiHTTPError"}


def load_preset(source: ModelSource) -> LoadedModel:
    """Load a preset of KerasHub by its name, ``hub:NAME``, or from its folder.

    Raises
    ------
    ModelError
        If KerasHub is not installed, there is no such preset, or it cannot be downloaded or loaded.
    """
    hub = _package("keras_hub", source.text)
    preset = source.name if source.path is None else str(source.path)
    known = _known_presets(hub)
    if source.path is None and "://" not in preset and preset not in known:
        close = difflib.get_close_matches(preset, known, n=3, cutoff=0.5)
        hint = f"Did you mean {listed_or(close)}?" if close else "keras.io/keras_hub/presets lists them all."
        raise ModelError(f"KerasHub has no preset {preset!r}. {hint}")
    try:
        model = _preset(hub, preset)
    except UserError:
        raise
    except Exception as error:  # KerasHub and its downloads may raise any error
        raise ModelError(_refusal(source.text, error)) from error
    label = source.text if source.path is None else source.path.name
    return LoadedModel(model, label, notes=("The preset's own preprocessing, such as its tokenizer, is not applied.",))


def _known_presets(hub: ModuleType) -> list[str]:
    return sorted(getattr(hub.models.Backbone, "presets", {}))


def _preset(hub: ModuleType, preset: str) -> keras.Model:
    """Return the task of a preset, such as a classifier; its backbone if it has no task."""
    get_file = importlib.import_module("keras_hub.src.utils.preset_utils").get_file
    try:
        task = json.loads(Path(get_file(preset, "task.json")).read_text())
    except FileNotFoundError:
        return hub.models.Backbone.from_preset(preset)
    kind = getattr(hub.models, str(task.get("class_name")), None)
    if kind is None:
        raise ModelError(
            f"The preset {preset} is of the class {task.get('class_name')}, which KerasHub {hub.__version__} does not "
            "have; update it: pip install -U keras-hub."
        )
    return kind.from_preset(preset, preprocessor=None)


def load_from_hugging_face(source: ModelSource) -> LoadedModel | RunnableModel:
    """Download a model from Hugging Face, ``hf://USER/NAME`` or ``hf://USER/NAME/FILE``, and load its file or folder.

    Raises
    ------
    ModelError
        If there is no such model, it cannot be downloaded, or it holds no file that nnviz3d opens.
    """
    hub = _package("huggingface_hub", source.text)
    parts = source.name.strip("/").split("/")
    if len(parts) < 2 or not all(parts):
        raise ModelError(
            f"{source.text} is incomplete; expected hf://USER/NAME, as in the address of the model's page."
        )
    repository, file = "/".join(parts[:2]), "/".join(parts[2:])
    try:
        path = _downloaded(hub, repository, file, source.text)
    except UserError:
        raise
    except Exception as error:  # the download may raise any error
        raise ModelError(_refusal(source.text, error)) from error
    loaded = load_model(str(path), source.options)
    return replace(loaded, name=source.text) if isinstance(loaded, LoadedModel) else loaded


def _downloaded(hub: ModuleType, repository: str, file: str, name: str) -> Path:
    """Download the model file of a repository, or the folder of an unpacked model."""
    held = [file] if file else hub.list_repo_files(repository)
    chosen = file or _chosen(held)
    if chosen is not None:
        return Path(hub.hf_hub_download(repository, chosen))
    if not any(mark in held and parts & set(held) for mark, parts in _UNPACKED.items()):
        raise ModelError(_nothing(name, held))
    return Path(hub.snapshot_download(repository, allow_patterns=list(_FILES)))


def _chosen(held: Sequence[str]) -> str | None:
    """Return the one file of a repository that is a model by itself, in the order of the kinds of sources."""
    for kind in SOURCES:
        found = [name for name in held if kind.endings and name.lower().endswith(kind.endings)]
        whole = [name for name in found if not name.lower().endswith(".weights.h5")]
        if whole:
            return min(whole, key=lambda name: (name.count("/"), name))
    return None


def _nothing(name: str, held: Sequence[str]) -> str:
    listed = ", ".join(sorted(held)[:6])
    torch = any(name.endswith((".safetensors", ".bin", ".pt", ".pth")) for name in held)
    way = (
        "Its weights are those of PyTorch; export it to ONNX (optimum-cli export onnx --model NAME FOLDER), and open the "
        ".onnx file."
        if torch
        else "Ask its author for a .keras file."
    )
    return f"{name} holds no file that nnviz3d opens; it holds {listed}. {way}"


def _package(name: str, text: str) -> ModuleType:
    """Import a package of the extra `hub`."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = "keras-hub" if name == "keras_hub" else "huggingface_hub"
        missing = "" if error.name == name else f" ({error.name} is missing)"
        raise ModelError(f"{text} needs the package {package}, which is not installed{missing}; {_INSTALL}") from error


def _refusal(text: str, error: Exception) -> str:
    """Return the sentence for a model that cannot be had: it does not exist, is protected, or is not reachable."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & _PROTECTED:
        return (
            f"{text} needs its owner's permission ({reason(error, 120).rstrip('.')}); accept its terms on its page, log "
            "in with: hf auth login."
        )
    if kinds & _NO_SUCH and "LocalEntryNotFoundError" not in kinds:  # that one says that a cache is empty
        return f"There is no model {text}; expected the user and the name as in the address of its page."
    if isinstance(error, OSError) or any("Connect" in kind or "Timeout" in kind or "HTTP" in kind for kind in kinds):
        return (
            f"{text} could not be downloaded ({reason(error, 160).rstrip('.')}); try again when its server can be reached, "
            "or download the files elsewhere and give their folder."
        )
    return f"{text} cannot be loaded: {reason(error)} Update its package with: pip install -U keras-hub."
