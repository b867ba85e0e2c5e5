"""Sentences for files and folders that hold models in forms that nnviz3d does not open, with a step that works."""

from __future__ import annotations

import json
from pathlib import Path

from nnviz3d.data.files.file_content import RENAME, content_of
from nnviz3d.data.files.model_files import CONFIG, WEIGHTS
from nnviz3d.data.files.paths import PathKind, kind_of, listed
from nnviz3d.data.model_sources import SOURCES
from nnviz3d.data.printable import printable
from nnviz3d.errors import ModelError

_ONNX = "export the model to ONNX where it was trained, and open the .onnx file"
_SAVE = "save the whole model there with model.save('model.keras')"
_CHECKPOINT = (
    "a checkpoint of TensorFlow, which holds weights without an architecture; load it in the program that made it, and "
    f"{_SAVE}"
)
_PICKLE = (
    "a pickle, which can run any code when it is read, so nnviz3d opens none; load it in a program that you trust, and "
    f"{_SAVE}, or pass the model: nnviz3d.capture(model, x)"
)
_TORCH = (
    "a file of PyTorch, which nnviz3d does not run; export the model in Python, torch.onnx.export(model, example, "
    "'model.onnx'), and open that file"
)
_ARRAYS = "a file of samples, not a model; it is given with --input, after the model"
_ARCHIVE = "an archive; unpack it, and give the model file or folder in it"
_PROGRAM = (
    "a program, not a model; let it save the model with model.save('model.keras'), or call nnviz3d.capture(model, x)"
)

_ENDINGS = {
    **dict.fromkeys((".pt", ".pth", ".torch", ".ptl", ".mar"), _TORCH),
    **dict.fromkeys((".pkl", ".pickle", ".dill"), _PICKLE),
    **dict.fromkeys((".npy", ".npz", ".csv", ".png", ".jpg", ".jpeg", ".wav"), _ARRAYS),
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"), _ARCHIVE),
    **dict.fromkeys((".py", ".ipynb"), _PROGRAM),
    **dict.fromkeys((".ckpt", ".index", ".meta"), _CHECKPOINT),
    **dict.fromkeys(
        (".mlmodel", ".mlpackage", ".mlmodelc"), f"a model of Core ML, which nnviz3d does not run; {_ONNX}"
    ),
    **dict.fromkeys((".caffemodel", ".prototxt"), f"a model of Caffe, which nnviz3d does not run; {_ONNX}"),
    **dict.fromkeys((".weights", ".cfg"), f"a file of Darknet, which nnviz3d does not run; {_ONNX}"),
    **dict.fromkeys((".engine", ".trt", ".plan"), f"an engine of TensorRT, which holds no layers; {_ONNX}"),
    ".safetensors": f"a file of weights without an architecture (safetensors); {_ONNX}",
    ".bin": f"a file of weights without an architecture; {_ONNX}",
    ".gguf": f"a language model of llama.cpp, which nnviz3d does not run; {_ONNX}",
    ".pdmodel": f"a model of PaddlePaddle, which nnviz3d does not run; {_ONNX}",
    ".xml": f"a model of OpenVINO, if it is one, which nnviz3d does not run; {_ONNX}",
    ".pb": (
        "a graph of TensorFlow alone; give the folder of a SavedModel, or convert a frozen graph with tf2onnx (python -m "
        "tf2onnx.convert --graphdef FILE --inputs NAME:0 --outputs NAME:0 --output model.onnx), and open the .onnx file"
    ),
    ".toml": "a scene, not a model; give a model file",
    ".zarr": "a capture, not a model; it is shown by: nnviz3d serve CAPTURE",
    **dict.fromkeys(
        (".yaml", ".yml"),
        "an architecture without weights, if it is one; load it in the program that made it, and " + _SAVE,
    ),
}

_OF_FOLDERS = (".mlpackage", ".mlmodelc", ".zarr")
"""Endings in `_ENDINGS` that belong to folders."""


def foreign_model(path: Path) -> str | None:
    """Return the sentence for a file or folder that nnviz3d opens as no model; `None` if its form is unknown.

    Raises
    ------
    ModelError
        If the system refuses to look at it.
    """
    name = printable(path.name or str(path.absolute()))
    if kind_of(path, ModelError) is PathKind.FOLDER:
        return _folder(path, name)
    if path.name.endswith(".zarr.zip"):
        return f"{name} is {_ENDINGS['.zarr']}."
    if path.name == "saved_model.pb":
        return f"{name} is a part of a SavedModel; give its folder, {printable(str(path.parent.absolute().name))}."
    if ".ckpt." in path.name or ".data-00" in path.name:
        return f"{name} is {_CHECKPOINT}."
    if path.suffix.lower() == ".json":
        return _json(path, name)
    content = content_of(path)
    if content.strange:
        return f"{name} is {content.words}; {content.advice}."
    if content.advice.startswith(RENAME):
        return f"{name} is {content.words}; {content.advice}."
    if path.suffix.lower() == ".ckpt" and content.words == "a file of PyTorch":
        return f"{name} is {_TORCH}."
    if path.suffix.lower() == ".zip" and content.advice:
        return f"{name} is {content.words}; {content.advice}."
    what = _ENDINGS.get(path.suffix.lower(), _PICKLE if content.is_pickle else None)
    return None if what is None else f"{name} is {what}."


def _json(path: Path, name: str) -> str | None:
    try:
        held = json.loads(path.read_bytes()) if path.stat().st_size < 2**24 else {}
    except (OSError, ValueError, RecursionError):
        return None
    keys = set(held) if isinstance(held, dict) else set()
    if {"modelTopology", "weightsManifest"} & keys:
        return (
            f"{name} is a model of TensorFlow.js; convert it with tensorflowjs_converter --input_format=tfjs_layers_model "
            "--output_format=keras, and open the .h5 file."
        )
    if "class_name" in keys:
        return (
            f"{name} holds an architecture without weights; give the file of weights as the model, and add --architecture "
            f"{name}."
        )
    return None


def _folder(path: Path, name: str) -> str | None:
    entries = listed(path, ModelError)
    names = {entry.name for entry in entries}
    if path.suffix.lower() in _OF_FOLDERS:
        return f"{name} is {_ENDINGS[path.suffix.lower()]}."
    endings = tuple(ending for kind in SOURCES for ending in kind.endings)
    models = [entry.name for entry in entries if entry.name.lower().endswith(endings) and entry.name != WEIGHTS]
    if models:
        more = f" (it holds {len(models)} models)" if len(models) > 1 else ""
        return f"The folder {name} is no model itself; give the file in it{more}: {printable(str(path / models[0]))}."
    if "checkpoint" in names or any(one.endswith(".index") for one in names):
        return f"The folder {name} holds {_CHECKPOINT}."
    if {"_METADATA", "_CHECKPOINT_METADATA", "manifest.ocdbt"} & names:
        return f"The folder {name} is a checkpoint of Orbax (JAX); load it in the program that made it, and {_SAVE}."
    if any(one.endswith((".safetensors", ".bin", ".pt", ".pth")) for one in names):
        return (
            f"The folder {name} holds weights of PyTorch, as those of Transformers; export the model to ONNX, optimum-cli "
            "export onnx --model FOLDER OUTPUT, and open the .onnx file."
        )
    if "variables" in names:
        return f"The folder {name} is a SavedModel without its saved_model.pb; copy the whole folder."
    if CONFIG in names or WEIGHTS in names:
        missing = WEIGHTS if CONFIG in names else CONFIG
        return f"The folder {name} is an unpacked .keras file without its {missing}; unpack all of it again."
    return None
