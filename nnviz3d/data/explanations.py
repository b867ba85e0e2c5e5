"""Reads and writes what explains a model: targets, gradients, attributions, attention, features, embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data import store
from nnviz3d.data.insights import PREDICTED, Attribution, Embedding, Explained, FeatureVisualization, Target
from nnviz3d.data.records import RANKINGS, Connections, filled
from nnviz3d.data.stored import StoredArrays
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
        array = self._stored.find(store.gradient_path(explained.slot, node_id, output))
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
        array = None if explained is None else self._stored.find(f"{store.flow_path(explained.slot)}/edges")
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
        array = self._stored.find(store.connection_gradient_path(explained.slot, found.source, found.target))
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
        path = store.attribution_path(method, explained.slot, layer)
        attributes = self._stored.attributes(path)

        def row(name: str) -> NDArray[Any]:
            array = self._stored.find(f"{path}/{name}")
            return np.empty(0, dtype=np.float32) if array is None else self._stored.sample(array, self._sample)

        return Attribution(
            method,
            layer,
            self._stored.sample(self._stored.require(f"{path}/values"), self._sample),
            explained,
            attributes.get("settings", {}),
            np.asarray(attributes.get("shares", []), dtype=np.float32),
            row("deletion"),
            row("insertion"),
        )

    def attribution_layers(self, method: str, target: Target | None = None) -> tuple[str, ...]:
        """Return the node ids of the layers whose places a method was asked for."""
        explained = self.explained(target)
        if explained is None:
            return ()
        found = self._stored.attributes(f"attributions/{method}/{explained.slot}").get("layers", [])
        return tuple(str(name) for name in found)

    def attention(self, node_id: str) -> NDArray[np.float32] | None:
        """Read the scores of an attention layer, ``(heads, T, S)``: each row, over S, adds up to 1."""
        array = self._stored.find(store.attention_path(node_id))
        return None if array is None else self._stored.sample(array, self._sample)

    def _explained(self, slot: str) -> Explained:
        path = store.target_path(slot)
        output = self._stored.attributes(path).get("output")
        if not isinstance(output, str):
            raise CaptureError(f"{self._stored.path} is damaged: {path} names no output. Capture again.")

        def number(name: str) -> Any:
            return self._stored.sample(self._stored.require(f"{path}/{name}"), self._sample)

        probability = float(number("probability"))
        return Explained(
            slot,
            Target(output, int(number("index"))),
            float(number("score")),
            None if np.isnan(probability) else probability,
        )


def read_features(stored: StoredArrays, node_id: str) -> FeatureVisualization | None:
    """Read what drives a layer's channels; `None` if it was not captured."""
    path = store.feature_path(node_id)
    attributes = stored.attributes(path)
    if "objective" not in attributes:
        return None
    arrays = {name: stored.read(stored.require(f"{path}/{name}"), ...) for name in _FEATURES}
    return FeatureVisualization(
        node_id,
        attributes["objective"],
        arrays["channels"],
        arrays["images"],
        arrays["before"],
        arrays["after"],
        arrays["dead"].astype(bool),
        attributes.get("settings", {}),
    )


def read_embedding(stored: StoredArrays, name: str) -> Embedding:
    """Read an embedding that has to be there."""
    path = store.embedding_path(name)
    attributes = stored.attributes(path)
    if "method" not in attributes:
        raise CaptureError(f"{stored.path} holds no embedding {name!r}; it was not captured.")
    arrays = {kind: stored.read(stored.require(f"{path}/{kind}"), ...) for kind in _EMBEDDING}
    lacking = [key for key in _PLAIN if key not in attributes]
    if lacking:
        raise CaptureError(f"{stored.path} is damaged: {path} lacks its {' and '.join(lacking)}. Capture again.")
    return Embedding(
        name=name,
        method=attributes["method"],
        names=tuple(str(n) for n in attributes["names"]),
        quality=attributes["quality"],
        settings=attributes["settings"],
        key=str(attributes["key"]),
        **arrays,
    )


def _rank(found: Explained) -> tuple[bool, float, str, int]:
    strength = -np.inf if np.isnan(found.score) else found.score
    return found.slot != PREDICTED, -strength, found.target.output, found.target.index


_FEATURES = ("channels", "images", "before", "after", "dead")
_PLAIN = ("names", "quality", "settings", "key")
_EMBEDDING = (
    "points",
    "first",
    "snapshots",
    "labels",
    "predictions",
    "probabilities",
    "thumbnails",
    "vectors",
    "mean",
    "basis",
)


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
) -> None:
    """Write which number of an output was explained for each of all samples, and its score: ``(N,)`` each."""
    path = store.target_path(slot)
    writer.group(path, {"output": output})
    writer.rows(f"{path}/index", 0, np.asarray(index, dtype=np.int64))
    writer.rows(f"{path}/score", 0, score)
    writer.rows(f"{path}/probability", 0, np.full(len(index), np.nan) if probability is None else probability)


def write_gradient(writer: _Writer, slot: str, node_id: str, output: int, start: int, values: NDArray[Any]) -> None:
    """Write the gradient of a target by one output of a node, for samples ``start`` and on: ``(n, *shape)``."""
    writer.rows(store.gradient_path(slot, node_id, output), start, values)


def write_flow(writer: _Writer, slot: str, edges: NDArray[np.float32]) -> None:
    """Write the norm of what comes back of a target's gradient along each edge, for each of all samples: ``(N, E)``."""
    writer.rows(f"{store.flow_path(slot)}/edges", 0, edges)


def write_connection_gradient(
    writer: _Writer, slot: str, source: str, target: str, found: Sequence[Sequence[NDArray[np.float32]]]
) -> None:
    """Write the gradient of a target by a pair's connections: ``(k,)`` for each sample and, in it, each ranking.

    They are packed as the connections are, ``(N, rankings, k)``.
    """
    k = max(len(column) for columns in found for column in columns)
    packed = np.stack([np.stack([filled(column, k, 0) for column in columns]) for columns in found])
    writer.rows(store.connection_gradient_path(slot, source, target), 0, packed)


def write_attribution(writer: _Writer, slot: str, maps: Sequence[Attribution]) -> None:
    """Write one method's maps of one target by one layer: one for each of all samples, in order.

    Before the first of a method and a target, `write_attribution_layers` says of which layers there will be maps.
    """
    first = maps[0]
    path = store.attribution_path(first.method, slot, first.layer)
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
    writer.rows(store.attention_path(node_id), start, values)


def write_features(writer: _Writer, found: FeatureVisualization) -> None:
    """Write what drives a layer's channels."""
    path = store.feature_path(found.node)
    writer.group(path, {"objective": found.objective, "settings": dict(found.settings)})
    for name in _FEATURES:
        writer.whole(f"{path}/{name}", getattr(found, name))


def write_embedding(writer: _Writer, found: Embedding) -> None:
    """Write an embedding."""
    path = store.embedding_path(found.name)
    plain = {key: getattr(found, key) for key in ("method", "key")}
    plain |= {"names": list(found.names), "quality": dict(found.quality), "settings": dict(found.settings)}
    writer.group(path, plain)
    for name in _EMBEDDING:
        writer.whole(f"{path}/{name}", getattr(found, name))
