"""Rewrite the calls in a functional model of Keras 2 in the form of Keras 3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import keras

from nnviz3d.capture.loading.keras_2_functions import (
    ELLIPSIS,
    FUNCTION_LAYERS,
    FUNCTIONS,
    WITHOUT_INPUTS,
    TensorFlowCall,
    TensorFlowFunction,
)
from nnviz3d.capture.loading.keras_2_nodes import NODE_LAYER, NODES, TensorFlowNode, node_of
from nnviz3d.capture.loading.model_archive import Config, is_object, objects

MODELS = {"Functional": "keras.src.models.functional", "Sequential": "keras", "Model": "keras"}
"""Classes of models, each with its module in Keras 3."""

_RECURRENT = ("RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "Bidirectional")
"""Layers that get their initial states as further inputs in Keras 2."""

_FOR_TRAINING = ("AddLoss", "AddMetric")
"""Layers that only training needs."""

_WITHOUT_WEIGHTS = re.compile(
    r"Add|Average|Activation|Concatenate|Dropout|Flatten|.*Pooling.*|Multiply|Reshape|Subtract"
)
"""Further classes of layers without weights, which can be left out where they lead only to a loss or a metric."""

_CONSTANT = "_CONSTANT_VALUE"
"""The place of a layer's name in a call whose first argument is no tensor."""


def layers_of(model: Config) -> list[Config]:
    """List the layers of a model; the list is empty for any other object."""
    config = model["config"]
    layers = config if isinstance(config, list) else config.get("layers")
    return layers if isinstance(layers, list) and all(is_object(layer) for layer in layers) else []


def settings_of(item: Config) -> Config:
    """Return the settings of an object; empty if it has none, or a list of layers."""
    config = item.get("config")
    return config if isinstance(config, dict) else {}


def is_functional(item: Config) -> bool:
    """Whether an object is a model with calls between its layers."""
    return item["class_name"] != "Sequential" and "output_layers" in item["config"] and bool(layers_of(item))


def unknown_call(config: Config) -> str | None:
    """Name a layer whose call cannot be made, if there is one that the outputs depend on."""
    for item in objects(config):
        if is_object(item) and is_functional(item):
            needed = _needed(item)
            for layer in layers_of(without_ends_for_training(item)):
                problem = _problem(layer) if layer.get("name") in needed else _LEADS_NOWHERE
                if problem is not None:
                    return f"its layer {layer.get('name', '')!r} ({layer['class_name']}) {problem}"
    return None


_LEADS_NOWHERE = "leads to no output, only to a loss or a metric, and Keras 3 would leave out its weights."


def _problem(layer: Config) -> str | None:
    settings = settings_of(layer)
    if layer["class_name"] == NODE_LAYER:
        operation = node_of(settings).get("op")
        return None if operation in NODES else f"runs TensorFlow's {str(operation)[:60]}, which nnviz3d does not run."
    function = settings.get("function")
    if layer["class_name"] not in FUNCTION_LAYERS or function in FUNCTIONS:
        return None
    if function in WITHOUT_INPUTS:
        return f"calls tf.{function}, of whose arguments Keras 2 stores only the first."
    return f"calls tf.{str(function)[:60]}, which is not among the functions that nnviz3d calls."


def without_ends_for_training(item: Config) -> Config:
    """Leave out layers without weights that lead to no output, but only to losses and metrics."""
    if not is_functional(item):
        return item
    needed = _needed(item)
    layers = [layer for layer in layers_of(item) if layer.get("name") in needed or not _can_go(layer["class_name"])]
    return {**item, "config": {**item["config"], "layers": layers}}


def _can_go(class_name: str) -> bool:
    return (
        class_name in (*FUNCTION_LAYERS, NODE_LAYER, *_FOR_TRAINING)
        or _WITHOUT_WEIGHTS.fullmatch(class_name) is not None
    )


def _needed(model: Config) -> set[Any]:
    """Return the names of the layers on which the outputs of a model depend, and of its inputs."""
    sources = {layer.get("name"): set(_names(layer.get("inbound_nodes"))) for layer in layers_of(model)}
    waiting = [*_names(model["config"].get("output_layers")), *_names(model["config"].get("input_layers"))]
    needed: set[Any] = set()
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(sources.get(name, ()))
    return needed


def _names(value: Any) -> Iterator[str]:
    """Yield the names of the layers whose tensors a part of a configuration refers to."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list):
        if _is_tensor(value):
            yield value[0]
        for inner in value:
            yield from _names(inner)


def with_nodes_counted_anew(item: Config) -> Config:
    """Count the calls of models inside a model from 0: in Keras 2, call 0 was the construction of that model."""
    inner = {
        layer.get("name"): layer["class_name"]
        for layer in layers_of(item)
        if layer["class_name"] in MODELS and _begins_with_input(layer)
    }
    if not is_functional(item) or not inner:
        return item
    layers = [{**layer, "inbound_nodes": _earlier(layer.get("inbound_nodes"), inner)} for layer in layers_of(item)]
    # For the outputs of a Functional, Keras 3 does this itself.
    sequential = {name: kind for name, kind in inner.items() if kind == "Sequential"}
    outputs = _earlier(item["config"].get("output_layers"), sequential)
    return {**item, "config": {**item["config"], "layers": layers, "output_layers": outputs}}


def _begins_with_input(model: Config) -> bool:
    layers = layers_of(model)
    return bool(layers) and (layers[0]["class_name"] == "InputLayer" or "batch_input_shape" in settings_of(layers[0]))


def _earlier(value: Any, names: dict[Any, str]) -> Any:
    """Lower the call's number by one in every ``[name, call, output]`` of some names."""
    if isinstance(value, dict):
        return {key: _earlier(inner, names) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int):
        lowered = max(value[1] - 1, 0) if value[0] in names else value[1]
        return [value[0], lowered, value[2], *(_earlier(rest, names) for rest in value[3:])]
    return [_earlier(inner, names) for inner in value]


def with_single_ends(item: Config) -> Config:
    """Unwrap a single input or output from its list; otherwise the model returns a list in Keras 3."""
    if not is_functional(item):
        return item
    ends = {key: item["config"].get(key) for key in ("input_layers", "output_layers")}
    single = {key: end[0] for key, end in ends.items() if isinstance(end, list) and len(end) == 1}
    return {**item, "config": {**item["config"], **single}}


def with_calls(item: Config) -> Config:
    """Rewrite calls of functions, and calls that pass tensors by name or states besides the input."""
    if not is_functional(item):
        return item
    layers = [_with_own_calls(layer) for layer in layers_of(item)]
    return {**item, "config": {**item["config"], "layers": layers}}


def _with_own_calls(layer: Config) -> Config:
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list):
        return layer
    if layer["class_name"] in FUNCTION_LAYERS:
        return _function(layer, nodes)
    if layer["class_name"] == NODE_LAYER:
        settings = settings_of(layer)
        return _operation(
            TensorFlowNode, layer, {"node": node_of(settings), "constants": settings.get("constants") or {}}
        )
    recurrent = layer["class_name"] in _RECURRENT
    # The layer is built when it is called; the file's build configuration is in terms of Keras 2.
    called = {key: value for key, value in layer.items() if key != "build_config"}
    return {**called, "inbound_nodes": [_call(node, recurrent) for node in nodes]}


def _function(layer: Config, nodes: list[Any]) -> Config:
    """Rewrite a layer that calls a TensorFlow function as an operation."""
    calls = [_function_call(node) for node in nodes]
    constants = {key: value for key, value in calls[0]["kwargs"].items() if key in {"axis", "perm"}} if calls else {}
    settings = {
        "function": settings_of(layer).get("function"),
        "constants": constants if not any(is_object(value) for value in constants.values()) else {},
    }
    return {**_operation(TensorFlowFunction, layer, settings), "inbound_nodes": calls}


def _operation(kind: type[TensorFlowCall], layer: Config, settings: Config) -> Config:
    """Rewrite a layer as an operation."""
    return {
        "module": kind.__module__,
        "class_name": kind.__name__,
        "registered_name": keras.saving.get_registered_name(kind),
        "config": {"name": layer.get("name"), **settings},
        "name": layer.get("name"),
        "inbound_nodes": layer.get("inbound_nodes"),
    }


def _function_call(node: Any) -> Config:
    """Rewrite the call of a function: its first argument, ``[name, call, output, options]`` or a nested list of these."""
    options: Config = {}

    def first(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: first(inner) for key, inner in value.items()}
        if isinstance(value, list) and len(value) in {3, 4} and isinstance(value[0], str):
            options.update(value[3] if len(value) > 3 else {})
            return _constant(value[2]) if value[0] == _CONSTANT else _tensor(value)
        return [first(inner) for inner in value] if isinstance(value, list) else value

    given = first(node)
    return {"args": [given], "kwargs": {key: _argument(value) for key, value in options.items() if key != "name"}}


def _constant(value: Any) -> Any:
    """Rewrite a constant first argument; Keras 2 stores an array as a list."""
    if not isinstance(value, list):
        return value
    kinds = {bool: "bool", int: "int32", float: "float32", str: "string"}
    dtype = kinds.get(type(next(_numbers(value), 0.0)), "float32")
    return {"class_name": "__tensor__", "config": {"value": value, "dtype": dtype}}


def _numbers(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    else:
        yield value


def _argument(value: Any) -> Any:
    """Rewrite the tensors and ellipses in an argument."""
    if isinstance(value, dict):
        if value.get("class_name") == "__ellipsis__":
            return {ELLIPSIS: True}
        if value.get("class_name") == "__tuple__":
            return [_argument(item) for item in value.get("items", [])]
        return {key: _argument(inner) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    return _tensor(value) if _is_tensor(value) else [_argument(inner) for inner in value]


def _call(node: Any, recurrent: bool) -> Any:
    """Rewrite one call, ``[[name, call, output, options], ...]``, with tensors by name where Keras 3 needs it."""
    if isinstance(node, dict):
        return node if "args" in node and "kwargs" in node else _function_call(node)
    if not isinstance(node, list) or not all(_is_tensor(given) for given in node):
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
