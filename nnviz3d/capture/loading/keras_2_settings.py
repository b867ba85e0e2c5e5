"""Rewrite the settings of the layers of Keras 2 in the form of Keras 3."""

from __future__ import annotations

import inspect

import keras

from nnviz3d.capture.loading import keras_2_layers
from nnviz3d.capture.loading.keras_2_calls import MODELS, layers_of, settings_of
from nnviz3d.capture.loading.keras_2_functions import FUNCTION_LAYERS
from nnviz3d.capture.loading.keras_2_layers import OWN_LAYERS, SETTINGS_OF_OWN
from nnviz3d.capture.loading.keras_2_nodes import NODE_LAYER
from nnviz3d.capture.loading.model_archive import Config, is_of_keras_2

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
    "Lambda": ("module", "function_type", "output_shape_module", "output_shape_type"),
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
}
"""Keys that Keras 3 refuses, by class: what it finds out itself, and settings of kernels that do not exist."""

ACTIVATIONS = ("activation", "recurrent_activation")
"""Keys whose values are activation functions."""


def is_known(class_name: str) -> bool:
    """Whether there is a layer or a model of this class of Keras 2."""
    ours = (*MODELS, *OWN_LAYERS, *FUNCTION_LAYERS, NODE_LAYER)
    return class_name in ours or hasattr(keras.layers, class_name)


def with_list_wrapped(item: Config) -> Config:
    """Wrap the configuration of a Sequential that is a bare list of layers in a dictionary."""
    if not isinstance(item["config"], list):
        return item
    return {**item, "config": {"name": item.get("name", "sequential"), "layers": item["config"]}}


def with_module(item: Config) -> Config:
    """Set the module of a class to its module in Keras 3, if it names none or one of Keras 2."""
    name, of_keras_3 = item["class_name"], "module" in item and not is_of_keras_2(item["module"])
    if of_keras_3 or name == "Lambda" or not _has_name(item) or not is_known(name):
        return item
    return {**item, "module": MODELS.get(name, "keras.layers"), "registered_name": None}


def _has_name(item: Config) -> bool:
    """Whether an object is a layer or a model; Identity, for example, is also the class of an initializer."""
    return "name" in settings_of(item)


def own_layer(item: Config) -> type[keras.Layer] | None:
    """Return this program's layer for a class that Keras 3 lacks, or that computes other numbers there."""
    name, module, settings = item["class_name"], item.get("module"), settings_of(item)
    of_keras = module is None or is_of_keras_2(module) or str(module).startswith("keras.")
    told = settings.keys() >= SETTINGS_OF_OWN.get(name, set())
    return OWN_LAYERS.get(name) if of_keras and told and _has_name(item) else None


def with_own_layer(item: Config) -> Config:
    """Use this program's layer for a class that Keras 3 lacks, or that computes other numbers there."""
    own = own_layer(item)
    if own is None:
        return item
    named = {"module": own.__module__, "registered_name": keras.saving.get_registered_name(own)}
    return {**{key: value for key, value in item.items() if key != "build_config"}, **named}


def with_initializer(item: Config) -> Config:
    """Use the initializer of Keras 3 for one of Keras 2 or TensorFlow; the numbers in the file replace what it makes."""
    module, settings = item.get("module"), item["config"]
    if _has_name(item) or not isinstance(settings, dict) or not hasattr(keras.initializers, item["class_name"]):
        return item
    plain = {**item, "config": {key: value for key, value in settings.items() if key != "dtype"}}
    return {**plain, "module": "keras.initializers", "registered_name": None} if is_of_keras_2(module) else plain


def with_input_layer(item: Config) -> Config:
    """Move the input shape in a Sequential's first layer to an `InputLayer`.

    Keras 3 would read it as a shape without the batch axis.
    """
    layers = layers_of(item)
    if item["class_name"] != "Sequential" or not layers or layers[0]["class_name"] == "InputLayer":
        return item
    first = layers[0]
    settings = settings_of(first)
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


def without_shape_of_batch(item: Config) -> Config:
    """Drop the input shape from layers that follow an `InputLayer`."""
    if item["class_name"] == "InputLayer":
        return item
    return {**item, "config": {key: value for key, value in item["config"].items() if key != "batch_input_shape"}}


def without_build_of_wrapped(item: Config) -> Config:
    """Drop the shape for which a layer inside another one was built; in Keras 2 it may be that of one time step."""
    wrapped = item["config"].get("layer")
    if not isinstance(wrapped, dict):
        return item
    inner = {key: value for key, value in wrapped.items() if key != "build_config"}
    return {**item, "config": {**item["config"], "layer": inner}}


def without_neutral_keys(item: Config) -> Config:
    """Drop the keys that Keras 3 refuses, if they change nothing."""
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


def with_plain_values(item: Config) -> Config:
    """Rewrite an axis and a type of numbers in the form of Keras 3."""
    changed = dict(item["config"])
    axis, dtype = changed.get("axis"), changed.get("dtype")
    if isinstance(axis, list) and len(axis) == 1:
        changed["axis"] = axis[0]
    if isinstance(dtype, dict) and dtype.get("class_name") in {"Policy", "PolicyV1"}:
        changed["dtype"] = settings_of(dtype).get("name", dtype)
    return {**item, "config": changed}


def with_defaults(item: Config) -> Config:
    """Add settings that older files leave out because they had only one possible value."""
    if item["class_name"] not in {"GRU", "GRUCell"}:
        return item
    return {**item, "config": {"reset_after": False, **item["config"]}}


def with_lambda_described(item: Config) -> Config:
    """Describe the code of a Lambda layer as Keras 3 does; whether it may run was asked before."""
    function = item["config"].get("function")
    if item["class_name"] != "Lambda" or not isinstance(function, list) or len(function) != 3:
        return item
    code = dict(zip(("code", "defaults", "closure"), function, strict=True))
    return {**item, "config": {**item["config"], "function": {"class_name": "__lambda__", "config": code}}}


def with_hard_sigmoid(item: Config) -> Config:
    """Use the ``hard_sigmoid`` of Keras 2."""
    name = keras.saving.get_registered_name(keras_2_layers.hard_sigmoid)
    ours = {"module": keras_2_layers.__name__, "class_name": "function", "config": name, "registered_name": name}
    changed = {key: ours for key in ACTIVATIONS if is_hard_sigmoid(item["config"].get(key))}
    return {**item, "config": {**item["config"], **changed}}


def is_hard_sigmoid(value: object) -> bool:
    """Whether a setting is the activation function ``hard_sigmoid``."""
    return value == "hard_sigmoid" or (isinstance(value, dict) and value.get("config") == "hard_sigmoid")
