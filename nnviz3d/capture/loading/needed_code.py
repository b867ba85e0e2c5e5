"""Find the code that a model needs besides Keras: code inside its file, and classes and functions that the file names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import keras

from nnviz3d.capture.loading.keras_2_settings import own_layer
from nnviz3d.capture.loading.model_archive import Config, is_of_keras_2, objects

_NO_CODE = {
    "AddLoss", "AddMetric", "ClassMethod", "CuDNNGRU", "CuDNNLSTM", "DenseFeatures", "Functional", "Highway",
    "InstanceMethod", "InstanceProperty", "MaxoutDense", "Merge", "Model", "RandomFourierFeatures", "Sequential",
    "SlicingOpLambda", "TensorFlowOpLayer", "TFOpLambda", "TimeDistributedDense",
}  # fmt: skip
"""Classes of Keras that are not in `keras.layers`: those of models, and layers that only Keras 1 and 2 have."""
_NOT_LAYERS = {"Policy", "PolicyV1", "DTypePolicy", "QuantizedDTypePolicy"}
"""Classes that have a name among their settings, as layers do."""
_LIBRARIES = ("keras_hub", "keras_nlp", "keras_cv")
"""Libraries of layers by Keras' own authors, which Keras itself imports for a file that names them."""
_FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "optimizers", "regularizers", "ops")
"""Modules of Keras in which it looks for a function of which it knows only the name."""
_NAMED = {"activation": keras.activations, "initializer": keras.initializers}
"""Last words of the settings that name a function, each with the module in which Keras finds it."""


@dataclass(frozen=True)
class NeededCode:
    """Code that a model needs besides Keras.

    Attributes
    ----------
    label
        Its name in a sentence: ``Lambda 'scale'`` or ``my_module.MyLayer``.
    name
        Name of the class or function; `None` for code that the file itself contains.
    module
        The module that the file names for it; `None` if it names none that can be imported.
    keys
        The names by which Keras looks it up.
    """

    label: str
    name: str | None = None
    module: str | None = None
    keys: tuple[str, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether the file contains the code; of most classes and functions it contains only the names."""
        return self.name is None


def needed_code(config: Config) -> tuple[NeededCode, ...]:
    """Return all code that the model of an architecture needs besides Keras, each once."""
    found = (code for item in objects(config) for code in _of(item, is_model=item is config))
    return tuple({code.label: code for code in found}.values())


def _of(item: Config, *, is_model: bool) -> Iterator[NeededCode]:
    kind, module, registered = item["class_name"], item.get("module"), item.get("registered_name")
    settings = item["config"] if isinstance(item.get("config"), dict) else {}
    if kind == "__lambda__":
        yield NeededCode("a lambda function")
    elif kind == "function":
        yield from _function(item.get("config"), module)
    elif kind == "Lambda":
        yield from _of_lambda(settings)
    elif kind == "TFSMLayer":
        yield NeededCode(_labelled(kind, settings))
    elif _is_own_class(item, is_model=is_model):
        keys = tuple(dict.fromkeys(key for key in (registered, kind) if isinstance(key, str)))
        name = kind if isinstance(module, str) and module else keys[0]
        yield _named(name, module, keys)
    else:
        for key, value in settings.items():
            yield from _named_in_setting(key, value)


def _of_lambda(settings: Config) -> Iterator[NeededCode]:
    """Return the code of a Lambda layer, whose function is in the file or is only named there."""
    function = settings.get("function")
    if isinstance(function, str):  # Keras 2
        yield _named(function, settings.get("module"), (function,))
    elif not isinstance(function, dict) or function.get("class_name") != "function":
        yield NeededCode(_labelled("Lambda", settings))


def _labelled(kind: str, settings: Config) -> str:
    return f"{kind} {settings['name']!r}" if settings.get("name") else kind


def _is_own_class(item: Config, *, is_model: bool) -> bool:
    """Whether the class of a configuration is no part of Keras."""
    kind, module, settings = item["class_name"], item.get("module"), item.get("config")
    if isinstance(module, str) and module:
        return module != "builtins" and not _is_keras(module)
    if item.get("registered_name"):
        return True
    if own_layer(item) is not None:
        return False
    if kind.partition(">")[0] in _LIBRARIES:
        return False
    if "module" in item or kind in _NO_CODE or kind in _NOT_LAYERS or hasattr(keras.layers, kind):
        return False
    # An .h5 file has only the name of a layer's class.
    is_layer = is_model or (isinstance(settings, dict) and isinstance(settings.get("name"), str))
    return is_layer and keras.saving.get_registered_object(kind) is None


def _function(name: Any, module: Any) -> Iterator[NeededCode]:
    """Return a function that is named in the form of Keras 3, unless it is one of Keras."""
    if not isinstance(name, str) or (isinstance(module, str) and _is_keras(module)):
        return
    if not any(hasattr(getattr(keras, place), name) for place in _FUNCTIONS):
        yield _named(name, module, (name,))


def _named_in_setting(key: str, value: Any) -> Iterator[NeededCode]:
    """Return a function that a layer's setting names, as in an ``.h5`` file, unless it is one of Keras."""
    place = _NAMED.get(key.rpartition("_")[2]) if isinstance(key, str) else None
    if place is None or not isinstance(value, str):
        return
    try:
        place.get(value)
    except ValueError:
        yield _named(value, None, (value,))


def _named(name: str, module: Any, keys: tuple[str, ...]) -> NeededCode:
    """Return code that the file names, without the package under which it may be registered."""
    told = module if isinstance(module, str) and module not in {"", "builtins"} else None
    short = name.rpartition(">")[2]
    return NeededCode(f"{told}.{short}" if told else name, short, None if told == "__main__" else told, (*keys, short))


def _is_keras(module: str) -> bool:
    if module.partition(".")[0] in _LIBRARIES:
        return True
    return is_of_keras_2(module) or f"{module}.".startswith("keras.")


def needed_libraries(config: Config) -> tuple[str, ...]:
    """Return the libraries of Keras layers that a model needs: packages that are installed, and no code of the file."""
    named = (
        name for item in objects(config) for name in (item.get("module"), item["class_name"]) if isinstance(name, str)
    )
    packages = (name.partition(">")[0].partition(".")[0] for name in named)
    return tuple(dict.fromkeys(name for name in packages if name in _LIBRARIES))


def live_objects(model: Any) -> dict[str, Any]:
    """Return the classes of a live model's layers, and the functions that the layers were given, by name."""
    found: dict[str, Any] = {}
    for layer in model._flatten_layers():
        found[type(layer).__name__] = type(layer)
        found.update((value.__name__, value) for value in vars(layer).values() if isinstance(value, FunctionType))
    return found
