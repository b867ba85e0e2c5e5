"""Sentences that say why Keras cannot load a model file, which layer is the cause, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import keras

from nnviz3d.capture.loading import keras_2
from nnviz3d.capture.loading.model_archive import ModelFile, objects
from nnviz3d.capture.loading.needed_code import NeededCode, needed_code
from nnviz3d.data.printable import printable, reason

_CLASS = re.compile(r"(?:deserializing class '|keras[\w.]*\.)(\w+)'(?:>| using| could)")
_NAME = re.compile(r"'name': '([^']{1,60})'")
_CAUSE = re.compile(r".*Exception encountered: ", re.DOTALL)
_MISFIT = re.compile(r"for object <(?P<kind>\w+) name=(?P<name>[^,>]{1,60})[^>]*>:\s")
_SHAPES = re.compile(r"variable\.shape=(\([\d, ]*\)).*?value\.shape=(\([\d, ]*\))", re.DOTALL)
_COUNTS = re.compile(r"expected (\d+) variables, but received (\d+) variables")
_NOT_LAYERS = {"Policy", "PolicyV1", "DTypePolicy", "QuantizedDTypePolicy"}


def load_failure(file: ModelFile, code: Sequence[NeededCode], error: Exception) -> str:
    """Return the sentence for an error that Keras raised.

    Parameters
    ----------
    code
        The code that the model needs and that the user did not name, but trusted.
    """
    why = reason(error, 160)
    if code:
        where = (
            f"{_named(code)} Or load the model in Python, and capture it there"
            if _named(code)
            else "Capture it in Python"
        )
        return (
            f"{file.name} needs {_listed(code)}, which could not be loaded ({why}). {where}: nnviz3d.capture(model, x)."
        )
    if isinstance(error, RecursionError):
        return (
            f"{_start(file)}: its chain or nesting of layers is deeper than Python's limit on "
            "recursion. Load it in Python after sys.setrecursionlimit(20_000), and pass it on: "
            "nnviz3d.capture(model, x)."
        )
    return refusal(file, _culprit(file, error))


def needs_code(file: ModelFile, code: Sequence[NeededCode]) -> str:
    """Return the sentence for a model whose code is not trusted: `--trust` is advised only for code inside the file.

    Parameters
    ----------
    code
        The code that the model needs and that the user did not name.
    """
    held, named = [one for one in code if one.is_held], [one for one in code if not one.is_held]
    if not held:
        return f"{file.name} needs {_listed(named)}, which the file does not hold. {_named(named)}"
    more = f" It also needs {_listed(named)}. {_named(named)}" if named else ""
    return (
        f"{file.name} carries code of its own: {_listed(held)}. Loading it can run anything; if you know where the file "
        f"comes from, add --trust.{more}"
    )


def _listed(code: Sequence[NeededCode]) -> str:
    return printable(", ".join(one.label for one in code), 200)


def _named(code: Sequence[NeededCode]) -> str:
    """Return the sentence that says how the user names classes and functions; empty if there are none to name."""
    named = [one for one in code if not one.is_held]
    if not named:
        return ""
    options = " ".join(f"--custom {one.module or 'MODULE'}:{one.name}" for one in named[:4])
    more = " and so on" if len(named) > 4 else ""
    where = "" if all(one.module for one in named) else ", where MODULE is the Python file that defines it, without .py"
    return f"Add {options}{more}{where}; the module is imported from the working folder or from beside the model."


def refusal(file: ModelFile, why: str) -> str:
    """Return the sentence for a reason: the file and its Keras version, the reason, and what to do."""
    return f"{_start(file)}: {why} {_advice(file)}"


def _start(file: ModelFile) -> str:
    written = f", which Keras {file.version} wrote" if file.version not in {None, keras.__version__} else ""
    return f"Keras {keras.__version__} cannot load {file.name}{written}"


def _culprit(file: ModelFile, error: Exception) -> str:
    """Return the reason, with the layer that Keras cannot load if the file or the error names it."""
    unknown = list(_unknown_layers(file))
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        return f"its layer {unknown[0]}{more} is of a class that Keras 3 does not have."
    if file.is_h5 and any(one.name == file.config["class_name"] for one in needed_code(file.config)):
        return (
            "its model is of a class of its own, and an .h5 file does not hold the shapes by which Keras builds such a "
            "model; save it with model.save('model.keras')."
        )
    if isinstance(error, KeyError):
        return f"a part of it is missing, {printable(str(error), 80)}, so it is damaged or not whole."
    text = str(error)
    misfit = _misfit(text)
    if misfit is not None:
        return misfit
    cause = reason(ValueError(_CAUSE.sub("", text)), 200)
    found = list(_CLASS.finditer(text))
    if not found or "Exception encountered: " not in text:
        return cause
    name = _NAME.search(text, found[-1].end())
    return f"its layer {repr(name[1]) + ' ' if name else ''}({found[-1][1]}) does not fit: {cause}"


def _misfit(text: str) -> str | None:
    """Return the layer that Keras names first if weights do not fit, and how they differ; `None` for another error."""
    layer = _MISFIT.search(text)
    if layer is None:
        return None
    what, why = f"the weights of its layer {layer['name']!r} ({layer['kind']}) do not fit: ", text[layer.end() :]
    shapes, counts = _SHAPES.search(why), _COUNTS.search(why)
    if shapes is not None:
        return f"{what}the layer has an array of shape {shapes[1]}, the file one of {shapes[2]}."
    if counts is not None:
        return f"{what}the layer has {counts[1]} arrays, the file {counts[2]}."
    return what + reason(ValueError(why), 160)


def _unknown_layers(file: ModelFile) -> Iterator[str]:
    """Name the layers whose class is neither in Keras 3 nor registered, with TensorFlow's name for it."""
    for item in objects(file.config):
        settings, kind = item.get("config"), item["class_name"]
        if not isinstance(settings, dict) or not isinstance(settings.get("name"), str) or kind in _NOT_LAYERS:
            continue
        if not keras_2.is_known(kind) and keras.saving.get_registered_object(kind) is None:
            yield f"{settings['name'][:60]!r} ({kind[:60]})"


def _advice(file: ModelFile) -> str:
    """Return a sentence that says what the user can do with the file."""
    if file.advice:
        return file.advice
    if any(item["class_name"] in {"CuDNNGRU", "CuDNNLSTM"} for item in objects(file.config)):
        return (
            "Its numbers are in an order of cuDNN. Build the same model with tf_keras and its GRU or LSTM layers, read the "
            f"numbers with model.load_weights({file.name!r}), which changes the order, and save it with "
            "model.save('model.h5')."
        )
    if keras_2.is_keras_2(file.config, file.version):
        return (
            f"Build the same model with layers of Keras 3, read the numbers with model.load_weights({file.name!r}), and "
            "save it with model.save('model.keras')."
        )
    if file.version is not None and _numbers(file.version) > _numbers(keras.__version__):
        return f"Install that version of Keras or a newer one: pip install -U 'keras>={file.version}'."
    return (
        "If the file is intact, load it in Python where it was made, and capture it there: nnviz3d.capture(model, x)."
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version)[:3])
