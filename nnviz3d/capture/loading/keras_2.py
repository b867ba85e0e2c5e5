"""Rewrite the configuration of a Keras 2 model file for Keras 3, so that the model's numbers stay the same.

Keras 3 reads many files of Keras 2, but it refuses some of their keys and classes, and it silently computes some layers in
another way. The changes made here change no number; parts that cannot be rewritten stay, and Keras refuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from nnviz3d.capture.loading import keras_2_calls as calls
from nnviz3d.capture.loading import keras_2_settings as settings
from nnviz3d.capture.loading.keras_2_calls import settings_of
from nnviz3d.capture.loading.keras_2_settings import is_known
from nnviz3d.capture.loading.model_archive import Config, is_object, is_of_keras_2, objects

Rule = Callable[[Config], Config]
__all__ = ["Rewritten", "is_keras_2", "is_known", "loses_axes", "obstacle", "rewrite", "with_modules"]

NO_NAMES: Mapping[str, str] = MappingProxyType({})

_REFERENCES = ("name", "inbound_nodes", "input_layers", "output_layers", "keras_history")
"""Keys under which a configuration holds names of layers."""


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
        or "batch_input_shape" in settings_of(item)
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
    notes = []
    if names:
        old, new = next(iter(names.items()))
        more = f", and {len(names) - 1} more likewise" if len(names) > 1 else ""
        notes.append(f"The layer {old} is called {new}{more}, because Keras 3 allows no slash in names.")
    found = list(objects(config))
    if any(settings.is_hard_sigmoid(settings_of(item).get(key)) for item in found for key in settings.ACTIVATIONS):
        notes.append("hard_sigmoid is computed as in Keras 2, which wrote the file: clip(0.2 x + 0.5, 0, 1).")
    if any(isinstance(item.get("config"), list) for item in found):
        notes.append("The file is of Keras 2.1 or earlier; its list of layers was wrapped so that Keras 3 can read it.")
    return Rewritten(_changed(config, _RULES, names), tuple(notes))


def obstacle(config: Config) -> str | None:
    """Name a layer that cannot be rewritten, and would compute other numbers in Keras 3 or none, if there is one."""
    for item in objects(config):
        name = f"its layer {settings_of(item).get('name', '')!r} ({item['class_name']})"
        if item["class_name"] == "Discretization" and settings_of(item).get("bin_boundaries") is None:
            return f"{name} was adapted to data; Keras 2 keeps the data's summary, and Keras 3 needs the boundaries."
        nodes = item.get("inbound_nodes")
        if isinstance(nodes, list) and any(_is_in_training(node) for node in nodes):
            return f"{name} is called with training=True; Keras 2 uses that when it predicts, and Keras 3 ignores it."
    return calls.unknown_call(config)


def _is_in_training(call: Any) -> bool:
    given = call if isinstance(call, list) else []
    return any(
        isinstance(one, list) and isinstance(one[-1], dict) and one[-1].get("training") is True for one in given if one
    )


def loses_axes(config: Config) -> bool:
    """Whether Keras 3 would misread the axis in an ``.h5`` file: it drops an axis that is a list or `None`."""
    return any("axis" in settings_of(item) and not isinstance(item["config"]["axis"], int) for item in objects(config))


def with_modules(value: Any) -> Any:
    """Add every layer's module to the configuration of an ``.h5`` file, so that Keras reads it as a newer one."""
    return _changed(value, (settings.with_module,))


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


_RULES = (
    settings.with_list_wrapped,
    settings.with_own_layer,
    settings.with_module,
    settings.with_initializer,
    calls.without_ends_for_training,
    calls.with_nodes_counted_anew,
    calls.with_single_ends,
    calls.with_calls,
    settings.with_input_layer,
    settings.without_shape_of_batch,
    settings.without_build_of_wrapped,
    settings.without_neutral_keys,
    settings.with_plain_values,
    settings.with_defaults,
    settings.with_lambda_described,
    settings.with_hard_sigmoid,
)
"""Rewriting rules, in order: each takes an object of a configuration with all its keys and returns a changed copy."""


def _without_slashes(config: Config) -> dict[str, str]:
    """Choose a new name for every layer whose name has a slash: a map from old to new names."""
    taken = {name for item in objects(config) if isinstance(name := settings_of(item).get("name"), str)}
    found: dict[str, str] = {}
    for old in sorted(name for name in taken if "/" in name):
        new = old.replace("/", "_")
        while new in taken:
            new += "_"
        taken.add(new)
        found[old] = new
    return found
