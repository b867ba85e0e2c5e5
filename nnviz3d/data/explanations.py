"""Reads and writes what explains a model: targets, gradients, attributions, attention, features, embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.insights import (
    PREDICTED,
    Attribution,
    Embedding,
    Explained,
    FeatureVisualization,
    Objective,
    Target,
)
from nnviz3d.data.printable import printable
from nnviz3d.data.records import RANKINGS, Connections, filled
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_reader import StoredArrays, fits
from nnviz3d.errors import CaptureError


class SampleInsights:
    """What explains one sample of a capture. Make one with `Capture.insights`."""

    def __init__(self, stored: StoredArrays, sample: int) -> None:
        self._stored = stored
        self._sample = sample

    @cached_property
    def targets(self) -> tuple[Explained, ...]:
        """What was explained: the model's own answer first, then the others, the highest score in front."""
        found = [self._explained(slot) for slot in self._stored.members("targets")]
        return tuple(sorted(found, key=_rank))

    def explained(self, target: Target | None = None) -> Explained | None:
        """Find a target among those that were explained; by default the first of them."""
        return next((found for found in self.targets if target in (None, found.target)), None)

    def gradient(self, node_id: str, target: Target | None = None, output: int = 0) -> NDArray[np.float32] | None:
        """Read the gradient of a target's score by one output of a node, ``shape``; `None` if it was not captured.

        What the score does not depend on has the gradient 0. Tokens and masks, which are no real numbers, have none.
        """
        explained = self.explained(target)
        if explained is None:
            return None
        shapes = self._stored.graph.node(node_id).shapes
        expected = (None, *shapes[output]) if output < len(shapes) else ()
        array = self._stored.find(schema.gradient_path(explained.slot, node_id, output), expected)
        return None if array is None else self._stored.sample(array, self._sample)

    def has_gradients(self, target: Target | None = None) -> bool:
        """Whether there are gradients of a target's score, by any layer."""
        explained = self.explained(target)
        return explained is not None and explained.slot in self._stored.members("gradients")

    def flow(self, target: Target | None = None) -> NDArray[np.float32] | None:
        """Read how much of a target's gradient comes back along each edge of the graph; `None` if it was not captured.

        Returns
        -------
        ``(edges,)``: the norm, for each edge in the graph's order, of the gradient by what its end gets through it.
        """
        explained = self.explained(target)
        edges = (None, len(self._stored.graph.edges))
        array = None if explained is None else self._stored.find(f"{schema.flow_path(explained.slot)}/edges", edges)
        return None if array is None else self._stored.sample(array, self._sample)

    def connection_gradient(self, found: Connections, target: Target | None = None) -> NDArray[np.float32] | None:
        """Read the gradient of a target's score by each of a pair's connections; `None` if it was not captured.

        Where one weight serves many places, as a convolution's does, it is by its use in this one alone.

        Parameters
        ----------
        found
            The connections, read from the same capture for the same sample.

        Returns
        -------
        ``(k,)``, as the connections are.
        """
        explained = self.explained(target)
        if explained is None:
            return None
        packed = (None, len(RANKINGS), None)
        array = self._stored.find(schema.connection_gradient_path(explained.slot, found.source, found.target), packed)
        if array is None:
            return None
        return np.asarray(self._stored.sample(array, self._sample)[RANKINGS.index(found.ranking)][: found.shown])

    def attribution(self, method: str, target: Target | None = None, layer: str | None = None) -> Attribution | None:
        """Read a map; `None` if it was not captured.

        Parameters
        ----------
        layer
            Node id; by default the only or first layer that the method was asked for.
        """
        explained = self.explained(target)
        if explained is None:
            return None
        layers = self.attribution_layers(method, target)
        if layer is None and layers:
            layer = layers[0]
        if layer not in layers:
            return None
        path = schema.attribution_path(method, explained.slot, layer)
        attributes = self._stored.attributes(path)

        settings, shares = attributes.get("settings", {}), attributes.get("shares", [])
        if not isinstance(settings, dict) or not _are_numbers(shares):
            raise self._stored.damaged(f"{path} has no valid description of its maps")

        def row(name: str) -> NDArray[Any]:
            array = self._stored.find(f"{path}/{name}", (None, len(shares)))
            return np.empty(0, dtype=np.float32) if array is None else self._stored.sample(array, self._sample)

        return Attribution(
            method,
            layer,
            self._map(f"{path}/values", layer),
            explained,
            settings,
            np.asarray(shares, dtype=np.float32),
            row("deletion"),
            row("insertion"),
        )

    def _map(self, path: str, layer: str) -> NDArray[np.float32]:
        """Read a map; its shape is the places of its layer, perhaps with channels."""
        array, expected = self._stored.require(path), self._stored.graph.node(layer).shape
        if not any(fits(array.shape[1:], shape) for shape in (expected, expected[:-1], expected[1:])):
            raise self._stored.damaged(f"{path} has maps of the shape {array.shape[1:]} for a layer of {expected}")
        return self._stored.sample(array, self._sample)

    def attribution_layers(self, method: str, target: Target | None = None) -> tuple[str, ...]:
        """Return the node ids of the layers whose places a method was asked for."""
        explained = self.explained(target)
        if explained is None:
            return ()
        path = f"attributions/{method}/{explained.slot}"
        found = self._stored.attributes(path).get("layers", [])
        if not isinstance(found, list) or not all(name in self._stored.graph for name in map(str, found)):
            raise self._stored.damaged(f"{path} names layers that the model does not have")
        return tuple(map(str, found))

    def attention(self, node_id: str) -> NDArray[np.float32] | None:
        """Read the scores of an attention layer, ``(heads, T, S)``: each row, over S, adds up to 1."""
        array = self._stored.find(schema.attention_path(node_id), (None, None, None, None))
        return None if array is None else self._stored.sample(array, self._sample)

    def _explained(self, slot: str) -> Explained:
        path = schema.target_path(slot)
        attributes = self._stored.attributes(path)
        output = attributes.get("output")
        if not isinstance(output, str):
            raise self._stored.damaged(f"{path} names no output")

        def number(name: str, kinds: str = "f") -> Any:
            return self._stored.sample(self._stored.require(f"{path}/{name}", (None,), kinds), self._sample)

        index, probability = int(number("index", "iu")), float(number("probability"))
        if output not in self._stored.graph or index < 0:
            raise self._stored.damaged(f"{path} explains number {index} of {output!r}, which the model does not have")
        return Explained(
            slot,
            Target(output, index, attributes.get("against") is True),
            float(number("score")),
            None if np.isnan(probability) else probability,
        )


def read_features(stored: StoredArrays, node_id: str) -> FeatureVisualization | None:
    """Read what drives a layer's channels; `None` if it was not captured."""
    path = schema.feature_path(node_id)
    attributes = stored.attributes(path)
    if "objective" not in attributes:
        return None
    objective, settings = attributes["objective"], attributes.get("settings", {})
    if objective not in get_args(Objective) or not isinstance(settings, dict):
        raise stored.damaged(f"{path} has no valid description of its pictures")
    arrays = {name: stored.read(stored.require(f"{path}/{name}", _FEATURES[name]), ...) for name in _FEATURES}
    return FeatureVisualization(
        node_id,
        objective,
        arrays["channels"],
        arrays["images"],
        arrays["before"],
        arrays["after"],
        arrays["dead"].astype(bool),
        settings,
    )


def read_embedding(stored: StoredArrays, name: str) -> Embedding:
    """Read an embedding that has to be there."""
    path = schema.embedding_path(name)
    attributes = stored.attributes(path)
    if "method" not in attributes:
        raise CaptureError(f"{stored.path} holds no embedding {name!r}; it was not captured.")
    arrays = {kind: stored.read(stored.require(f"{path}/{kind}", _EMBEDDING[kind]), ...) for kind in _EMBEDDING}
    lacking = [key for key in _PLAIN if key not in attributes]
    if lacking:
        raise stored.damaged(f"{path} lacks its {' and '.join(lacking)}")
    wrong = [key for key, kind in _PLAIN.items() if not isinstance(attributes[key], kind)]
    if wrong or attributes["method"] not in ("tsne", "pca") or not _are_numbers(list(attributes["quality"].values())):
        raise stored.damaged(f"{path} has no valid description of its points")
    return Embedding(
        name=name,
        method=attributes["method"],
        names=tuple(printable(str(n)) for n in attributes["names"]),
        quality=attributes["quality"],
        settings=attributes["settings"],
        key=attributes["key"],
        **arrays,
    )


def _are_numbers(data: Any) -> bool:
    return isinstance(data, list) and all(isinstance(number, int | float) for number in data)


def _rank(found: Explained) -> tuple[bool, float, str, int]:
    strength = -np.inf if np.isnan(found.score) else found.score
    return found.slot != PREDICTED, -strength, found.target.output, found.target.index


_FEATURES: Mapping[str, tuple[int | None, ...]] = {
    "channels": (None,),
    "images": (None, None, None, None),
    "before": (None,),
    "after": (None,),
    "dead": (None,),
}
"""Arrays of features, and their axes."""
_PLAIN: Mapping[str, type] = {"names": list, "quality": dict, "settings": dict, "key": str}
_EMBEDDING: Mapping[str, tuple[int | None, ...]] = {
    "points": (None, None),
    "first": (None, None),
    "snapshots": (None, None, None),
    "labels": (None,),
    "predictions": (None,),
    "probabilities": (None,),
    "thumbnails": (None, None, None, 3),
    "vectors": (None, None),
    "mean": (None,),
    "basis": (None, None),
}
"""Arrays of an embedding, and their axes."""


class _Writer(Protocol):
    """What `CaptureWriter` offers to those who know what they write."""

    def rows(self, path: str, start: int, values: NDArray[Any]) -> None:
        """Write samples ``start`` and on of an array whose first axis is samples."""
        ...

    def whole(self, path: str, values: NDArray[Any]) -> None:
        """Write a whole array."""
        ...

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group with attributes, which must not be there yet."""
        ...


def write_targets(
    writer: _Writer,
    slot: str,
    output: str,
    index: NDArray[np.int64],
    score: NDArray[np.floating],
    probability: NDArray[np.floating] | None,
    *,
    against: bool = False,
) -> None:
    """Write the explained number of an output and its score for each sample: ``(N,)`` each.

    Parameters
    ----------
    against
        Whether the number was negated.
    """
    path = schema.target_path(slot)
    writer.group(path, {"output": output, "against": True} if against else {"output": output})
    writer.rows(f"{path}/index", 0, np.asarray(index, dtype=np.int64))
    writer.rows(f"{path}/score", 0, score)
    writer.rows(f"{path}/probability", 0, np.full(len(index), np.nan) if probability is None else probability)


def write_gradient(writer: _Writer, slot: str, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
    """Write the gradient of a target by one output of a node, for samples ``start`` and on: ``(n, *shape)``."""
    writer.rows(schema.gradient_path(slot, node_id, output), start, values)


def write_flow(writer: _Writer, slot: str, edges: NDArray[np.float32]) -> None:
    """Write the norm of what comes back of a target's gradient along each edge, for each of all samples: ``(N, E)``."""
    writer.rows(f"{schema.flow_path(slot)}/edges", 0, edges)


def write_connection_gradient(
    writer: _Writer, slot: str, source: str, target: str, found: Sequence[Sequence[NDArray[np.float32]]]
) -> None:
    """Write the gradient of a target by a pair's connections: ``(k,)`` for each sample and, in it, each ranking.

    They are packed as the connections are, ``(N, rankings, k)``.
    """
    k = max(len(column) for columns in found for column in columns)
    packed = np.stack([np.stack([filled(column, k, 0) for column in columns]) for columns in found])
    writer.rows(schema.connection_gradient_path(slot, source, target), 0, packed)


def write_attribution(writer: _Writer, slot: str, maps: Sequence[Attribution]) -> None:
    """Write one method's maps of one target by one layer: one for each of all samples, in order.

    Before the first of a method and a target, `write_attribution_layers` says of which layers there will be maps.
    """
    first = maps[0]
    path = schema.attribution_path(first.method, slot, first.layer)
    writer.group(path, {"settings": dict(first.settings), "shares": [float(s) for s in first.shares]})
    writer.rows(f"{path}/values", 0, np.stack([m.values for m in maps]))
    if len(first.shares):
        writer.rows(f"{path}/deletion", 0, np.stack([m.deletion for m in maps]))
        writer.rows(f"{path}/insertion", 0, np.stack([m.insertion for m in maps]))


def write_attribution_layers(writer: _Writer, method: str, slot: str, layers: Sequence[str]) -> None:
    """Write of which layers there are maps, the one to show first in front."""
    writer.group(f"attributions/{method}/{slot}", {"layers": list(layers)})


def write_attention(writer: _Writer, node_id: str, start: int, values: NDArray[Any]) -> None:
    """Write the scores of an attention layer for samples ``start`` and on: ``(n, heads, T, S)``."""
    writer.rows(schema.attention_path(node_id), start, values)


def write_features(writer: _Writer, found: FeatureVisualization) -> None:
    """Write what drives a layer's channels."""
    path = schema.feature_path(found.node)
    writer.group(path, {"objective": found.objective, "settings": dict(found.settings)})
    for name in _FEATURES:
        writer.whole(f"{path}/{name}", getattr(found, name))


def write_embedding(writer: _Writer, found: Embedding) -> None:
    """Write an embedding."""
    path = schema.embedding_path(found.name)
    plain = {key: getattr(found, key) for key in ("method", "key")}
    plain |= {"names": list(found.names), "quality": dict(found.quality), "settings": dict(found.settings)}
    writer.group(path, plain)
    for name in _EMBEDDING:
        writer.whole(f"{path}/{name}", getattr(found, name))
