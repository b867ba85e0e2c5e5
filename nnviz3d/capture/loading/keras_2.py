"""Rewrite the configuration of a Keras 2 model file for Keras 3, so that the model's numbers stay the same.

Keras 3 reads most files of Keras 2, but it refuses some of their keys, and it silently computes ``hard_sigmoid`` in
another way. The changes made here change no number; parts that cannot be rewritten stay, and Keras refuses them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras

from nnviz3d.capture.loading.model_archive import Config, is_object, is_of_keras_2, objects

Rule = Callable[[Config], Config]
NO_NAMES: Mapping[str, str] = MappingProxyType({})

_NEUTRAL: dict[str, object] = {
    "time_major": False,
    "groups": 1,
    "noise_shape": None,
    "rng_type": "stateful",
    "softmax_robust_masking": False,
    "score_mode": "dot",
}
"""Keys that some Keras 3 layers refuse, each with its default value in the layers that accept it."""

_SEPARABLE = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_WITHOUT_EFFECT = {
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
}
"""Keys that Keras 3 refuses, by class: shapes that it infers itself, and settings of kernels that do not exist."""

_ACTIVATIONS = ("activation", "recurrent_activation")
_RECURRENT = ("RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional")
"""Layers that get their initial states as further inputs in Keras 2."""
_REFERENCES = ("name", "inbound_nodes", "input_layers", "output_layers", "keras_history")
"""Keys under which a configuration holds names of layers."""

_MODELS = {"Functional": "keras.src.models.functional", "Sequential": "keras", "Model": "keras"}
"""Classes of models, each with its module in Keras 3."""


@keras.saving.register_keras_serializable(package="nnviz3d")  # type: ignore[untyped-decorator]  # Keras has no types
def hard_sigmoid(x: Any) -> Any:
    """Compute ``hard_sigmoid`` as Keras 2 does: ``clip(0.2 x + 0.5, 0, 1)``; in Keras 3 its slope is 1/6."""
    return keras.ops.clip(keras.ops.add(keras.ops.multiply(x, 0.2), 0.5), 0.0, 1.0)


@dataclass(frozen=True)
class Rewritten:
    """A configuration that Keras 3 reads.

    Parameters
    ----------
    notes
        Sentences about changes that a user may notice.
    """

    config: Config
    notes: tuple[str, ...] = ()


def is_keras_2(config: Config, version: str | None) -> bool:
    """Whether Keras 2 or an earlier version wrote a configuration.

    Parameters
    ----------
    version
        The version that the file names. Some files name no version, or that of a later Keras that only copied them.
        Keys and modules that Keras 3 never writes are therefore checked too.
    """
    major = (version or "").partition(".")[0]
    if major.isdecimal() and int(major) < 3:
        return True
    return any(
        isinstance(item.get("config"), list)
        or "batch_input_shape" in _settings(item)
        or is_of_keras_2(item.get("module"))
        for item in objects(config)
    )


def rewrite(config: Config) -> Rewritten:
    """Rewrite the configuration of a model of Keras 2.

    Parameters
    ----------
    config
        The configuration in the file; it is not changed.
    """
    names = _without_slashes(config)
    notes = [
        f"The layer {old} is called {new}, because Keras 3 allows no slash in names." for old, new in names.items()
    ]
    found = list(objects(config))
    if any(_is_hard_sigmoid(_settings(item).get(key)) for item in found for key in _ACTIVATIONS):
        notes.append("hard_sigmoid is computed as in Keras 2, which wrote the file: clip(0.2 x + 0.5, 0, 1).")
    if any(isinstance(item.get("config"), list) for item in found):
        notes.append("The file is of Keras 2.1 or earlier; its list of layers was wrapped so that Keras 3 can read it.")
    return Rewritten(_changed(config, _RULES, names), tuple(notes))


def other_arithmetic(config: Config) -> str | None:
    """Name a layer that computes other numbers in Keras 3 than in Keras 2 and cannot be rewritten, if there is one."""
    for item in objects(config):
        name = f"its layer {_settings(item).get('name', '')!r} ({item['class_name']})"
        if item["class_name"] == "RandomCrop":
            return f"{name} resizes its input to its size when Keras 2 predicts, and does nothing when Keras 3 does."
        calls = item.get("inbound_nodes")
        if isinstance(calls, list) and any(_is_in_training(call) for call in calls):
            return f"{name} is called with training=True; Keras 2 uses that when it predicts, and Keras 3 ignores it."
    return None


def _is_in_training(call: Any) -> bool:
    given = call if isinstance(call, list) else []
    return any(
        isinstance(one, list) and isinstance(one[-1], dict) and one[-1].get("training") is True for one in given if one
    )


def is_known(class_name: str) -> bool:
    """Whether Keras 3 has a layer or a model of this class."""
    return class_name in _MODELS or hasattr(keras.layers, class_name)


def loses_axes(config: Config) -> bool:
    """Whether Keras 3 would misread the axis in an ``.h5`` file: it drops an axis that is a list or `None`."""
    return any("axis" in _settings(item) and not isinstance(item["config"]["axis"], int) for item in objects(config))


def with_modules(value: Any) -> Any:
    """Add every layer's module to the configuration of an ``.h5`` file, so that Keras reads it as a newer one."""
    return _changed(value, (_with_module,))


def _changed(value: Any, rules: Sequence[Rule], names: Mapping[str, str] = NO_NAMES, key: str = "") -> Any:
    """Apply rewriting rules to every object in a part of a configuration, and replace old names by new ones."""
    if isinstance(value, list):
        return [_changed(item, rules, names, key) for item in value]
    if isinstance(value, str):
        return names.get(value, value) if key in _REFERENCES else value
    if not isinstance(value, dict):
        return value
    if is_object(value):
        for rule in rules:
            value = rule(value)
    return {name: _changed(item, rules, names, name) for name, item in value.items()}


def _with_list_wrapped(item: Config) -> Config:
    """Wrap the configuration of a Sequential that is a bare list of layers in a dictionary."""
    if not isinstance(item["config"], list):
        return item
    return {**item, "config": {"name": item.get("name", "sequential"), "layers": item["config"]}}


def _with_module(item: Config) -> Config:
    """Set the module of a class to its module in Keras 3, if it names none or one of Keras 2."""
    name = item["class_name"]
    if name == "Lambda" or not is_known(name) or not ("module" not in item or is_of_keras_2(item["module"])):
        return item
    return {**item, "module": _MODELS.get(name, "keras.layers"), "registered_name": None}


def _with_nodes_counted_anew(item: Config) -> Config:
    """Count the calls of models inside a model from 0: in Keras 2, call 0 was the construction of that model."""
    inner = {
        layer.get("name"): layer["class_name"]
        for layer in _layers(item)
        if layer["class_name"] in _MODELS and _begins_with_input(layer)
    }
    if not _is_functional(item) or not inner:
        return item
    layers = [{**layer, "inbound_nodes": _earlier(layer.get("inbound_nodes"), inner)} for layer in _layers(item)]
    # For the outputs of a Functional, Keras 3 does this itself.
    sequential = {name: kind for name, kind in inner.items() if kind == "Sequential"}
    outputs = _earlier(item["config"].get("output_layers"), sequential)
    return {**item, "config": {**item["config"], "layers": layers, "output_layers": outputs}}


def _earlier(value: Any, names: dict[Any, str]) -> Any:
    """Lower the call's number by one in every ``[name, call, output]`` of some names."""
    if isinstance(value, dict):
        return {key: _earlier(inner, names) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [value[0], max(value[1] - 1, 0), *value[2:]] if value[0] in names else value
    return [_earlier(inner, names) for inner in value]


def _with_single_ends(item: Config) -> Config:
    """Unwrap a single input or output from its list; otherwise the model returns a list in Keras 3."""
    if not _is_functional(item):
        return item
    ends = {key: item["config"].get(key) for key in ("input_layers", "output_layers")}
    single = {key: end[0] for key, end in ends.items() if isinstance(end, list) and len(end) == 1}
    return {**item, "config": {**item["config"], **single}}


def _with_calls(item: Config) -> Config:
    """Rewrite calls that pass tensors by name, or states besides the input, in the form of Keras 3."""
    if not _is_functional(item):
        return item
    layers = [_with_own_calls(layer) for layer in _layers(item)]
    return {**item, "config": {**item["config"], "layers": layers}}


def _with_own_calls(layer: Config) -> Config:
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list):
        return layer
    recurrent = layer["class_name"] in _RECURRENT
    # The layer is built when it is called; the file's build configuration is in terms of Keras 2.
    called = {key: value for key, value in layer.items() if key != "build_config"}
    return {**called, "inbound_nodes": [_call(node, recurrent) if isinstance(node, list) else node for node in nodes]}


def _call(node: list[Any], recurrent: bool) -> Any:
    """Rewrite one call, ``[[name, call, output, options], ...]``, with tensors by name where Keras 3 needs it."""
    if not all(_is_tensor(given) for given in node):
        return node
    options = {key: value for given in node for key, value in (given[3] if len(given) > 3 else {}).items()}
    states = node[1:] if recurrent else []
    if not states and not any(_is_tensor(value) for value in options.values()):
        return node
    if states:
        options = {key: value for key, value in options.items() if key != "constants" or value is not None}
        options["initial_state"] = [_tensor(state) for state in states]
    inputs = [_tensor(given) for given in (node[:1] if recurrent else node)]
    named = {key: _tensor(value) if _is_tensor(value) else value for key, value in options.items()}
    return {"args": inputs if len(inputs) == 1 else [inputs], "kwargs": named}


def _is_tensor(value: Any) -> bool:
    """Whether a value is ``[name, call, output]`` of a layer, perhaps with options."""
    numbers = isinstance(value, list) and len(value) in {3, 4} and all(isinstance(part, int) for part in value[1:3])
    return numbers and isinstance(value[0], str) and isinstance(value[-1], int | dict)


def _tensor(reference: list[Any]) -> Config:
    """Rewrite a tensor in the form of Keras 3, which then looks up its shape."""
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [], "dtype": "float32", "keras_history": reference[:3]},
    }


def _with_input_layer(item: Config) -> Config:
    """Move the input shape in a Sequential's first layer to an `InputLayer`.

    Keras 3 would read it as a shape without the batch axis.
    """
    layers = _layers(item)
    if item["class_name"] != "Sequential" or not layers or layers[0]["class_name"] == "InputLayer":
        return item
    first = layers[0]
    settings = _settings(first)
    if settings.get("batch_input_shape") is None:
        return item
    dtype = settings.get("dtype")
    opening = {
        "batch_shape": settings["batch_input_shape"],
        "dtype": dtype if isinstance(dtype, str) and "_" not in dtype else "float32",  # not a mixed policy
        "name": f"{settings.get('name', 'first')}_input",
    }
    layer = {**first, "class_name": "InputLayer", "config": opening, "name": opening["name"]}
    for key in ("build_config", "inbound_nodes"):
        layer.pop(key, None)
    return {**item, "config": {**item["config"], "layers": [layer, *layers]}}


def _without_shape_of_batch(item: Config) -> Config:
    """Drop the input shape from layers that follow an `InputLayer`."""
    if item["class_name"] == "InputLayer":
        return item
    return {**item, "config": {key: value for key, value in item["config"].items() if key != "batch_input_shape"}}


def _without_neutral_keys(item: Config) -> Config:
    idle = {*_WITHOUT_EFFECT.get(item["class_name"], ()), *_training_keys(item["class_name"])}
    kept = {key: value for key, value in item["config"].items() if not _is_neutral(key, value) and key not in idle}
    return {**item, "config": kept}


def _is_neutral(key: str, value: object) -> bool:
    return key in _NEUTRAL and type(value) is type(_NEUTRAL[key]) and value == _NEUTRAL[key]


def _training_keys(class_name: str) -> tuple[str, ...]:
    """Return ``("trainable",)`` for a class whose Keras 3 constructor refuses that key; otherwise nothing."""
    kind = getattr(keras.layers, class_name, None)
    taken = inspect.signature(kind).parameters.values() if kind is not None else ()
    if not taken or any(one.name == "trainable" or one.kind is one.VAR_KEYWORD for one in taken):
        return ()
    return ("trainable",)


def _with_plain_values(item: Config) -> Config:
    """Rewrite an axis and a type of numbers in the form of Keras 3."""
    changed = dict(item["config"])
    axis, dtype = changed.get("axis"), changed.get("dtype")
    if isinstance(axis, list) and len(axis) == 1:
        changed["axis"] = axis[0]
    if isinstance(dtype, dict) and dtype.get("class_name") in {"Policy", "PolicyV1"}:
        changed["dtype"] = _settings(dtype).get("name", dtype)
    return {**item, "config": changed}


def _with_defaults(item: Config) -> Config:
    """Add settings that older files leave out because they had only one possible value."""
    if item["class_name"] not in {"GRU", "GRUCell"}:
        return item
    return {**item, "config": {"reset_after": False, **item["config"]}}


def _with_hard_sigmoid(item: Config) -> Config:
    name = keras.saving.get_registered_name(hard_sigmoid)
    ours = {"module": __name__, "class_name": "function", "config": name, "registered_name": name}
    changed = {key: ours for key in _ACTIVATIONS if _is_hard_sigmoid(item["config"].get(key))}
    return {**item, "config": {**item["config"], **changed}}


_RULES = (
    _with_list_wrapped,
    _with_module,
    _with_nodes_counted_anew,
    _with_single_ends,
    _with_calls,
    _with_input_layer,
    _without_shape_of_batch,
    _without_neutral_keys,
    _with_plain_values,
    _with_defaults,
    _with_hard_sigmoid,
)
"""Rewriting rules, in order: each takes an object of a configuration with all its keys and returns a changed copy."""


def _is_hard_sigmoid(value: object) -> bool:
    return value == "hard_sigmoid" or (isinstance(value, dict) and value.get("config") == "hard_sigmoid")


def _is_functional(item: Config) -> bool:
    return item["class_name"] != "Sequential" and "output_layers" in item["config"] and bool(_layers(item))


def _begins_with_input(model: Config) -> bool:
    layers = _layers(model)
    return bool(layers) and (layers[0]["class_name"] == "InputLayer" or "batch_input_shape" in _settings(layers[0]))


def _layers(model: Config) -> list[Config]:
    """List the layers of a model; the list is empty for any other object."""
    config = model["config"]
    layers = config if isinstance(config, list) else config.get("layers")
    return layers if isinstance(layers, list) and all(is_object(layer) for layer in layers) else []


def _settings(item: Config) -> Config:
    config = item.get("config")
    return config if isinstance(config, dict) else {}


def _without_slashes(config: Config) -> dict[str, str]:
    """Choose a new name for every layer whose name has a slash: a map from old to new names."""
    taken = {name for item in objects(config) if isinstance(name := _settings(item).get("name"), str)}
    found: dict[str, str] = {}
    for old in sorted(name for name in taken if "/" in name):
        new = old.replace("/", "_")
        while new in taken:
            new += "_"
        taken.add(new)
        found[old] = new
    return found
