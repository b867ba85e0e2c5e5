"""Sentences that say why Keras cannot load a model file, which layer is the cause, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import keras

from nnviz3d.capture.loading import keras_2
from nnviz3d.capture.loading.model_archive import ModelFile, custom_modules, holds_functions, objects
from nnviz3d.data.printable import reason

_CLASS = re.compile(r"(?:deserializing class '|keras[\w.]*\.)(\w+)'(?:>| using| could)")
_NAME = re.compile(r"'name': '([^']{1,60})'")
_CAUSE = re.compile(r".*Exception encountered: ", re.DOTALL)
_NOT_LAYERS = {"Policy", "PolicyV1", "DTypePolicy", "QuantizedDTypePolicy"}


def load_failure(file: ModelFile, code: Sequence[str], error: Exception) -> str:
    """Return the sentence for an error that Keras raised.

    Parameters
    ----------
    code
        Names of the file's own code, which the user trusted.
    """
    why = reason(error, 160)
    if code:
        return (
            f"{file.name} needs {', '.join(code)[:200]}, which could not be loaded ({why}). Run where its module can be "
            "imported, or capture in Python with nnviz3d.capture(model, x)."
        )
    if isinstance(error, RecursionError):
        return (
            f"{_start(file)}: its chain or nesting of layers is deeper than Python's limit on "
            "recursion. Load it in Python after sys.setrecursionlimit(20_000), and pass it on: "
            "nnviz3d.capture(model, x)."
        )
    return refusal(file, _culprit(file, error))


def needs_code(file: ModelFile, code: Sequence[str]) -> str:
    """Return the sentence for a model with code that is not trusted: `--trust` is advised only where it can help.

    Parameters
    ----------
    code
        Names of the code: functions that the file contains, and classes that it only names.
    """
    listed = ", ".join(code)[:300]
    if holds_functions(file.config):
        return (
            f"{file.name} carries code of its own: {listed}. Loading it can run anything; if you know where the file comes "
            "from, add --trust."
        )
    modules = [name for name in custom_modules(file.config) if name != "__main__"]
    if modules:
        return (
            f"{file.name} needs {listed}, which the file does not hold. --trust imports {', '.join(modules)[:200]} from "
            "beside the file or from where Python looks, which can run anything; add it if you know where they come from."
        )
    return (
        f"{file.name} needs {listed}, which neither the file nor Keras holds. Load the model in Python, where your code "
        "defines it, and hand it over: nnviz3d.capture(model, x)."
    )


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
    text = str(error)
    cause = reason(ValueError(_CAUSE.sub("", text)), 200)
    found = list(_CLASS.finditer(text))
    if not found or "Exception encountered: " not in text:
        return cause
    name = _NAME.search(text, found[-1].end())
    return f"its layer {repr(name[1]) + ' ' if name else ''}({found[-1][1]}) does not fit: {cause}"


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
