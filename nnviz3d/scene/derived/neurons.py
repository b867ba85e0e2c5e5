"""The layers of a network that have units (neurons or channels), and the layers that pass units on.

A unit of a map is a channel, a unit of a vector is a neuron. Layers that only pass on the units of another layer,
channel by channel or cell by cell (pooling, normalization, activation, dropout, flattening), have no units.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.axes import as_arranged, axes_of, channels_in, channels_last, location_shape
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.layer_families import family_of

_PASSING = ("Dropout", "Flatten", "Reshape", "Padding", "Cropping", "UpSampling", "Identity", "GaussianNoise")
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Feed:
    """The input of one layer with units from another.

    Attributes
    ----------
    source, target
        Node ids.
    via
        The nodes between them, which only pass units on.
    units
        For each channel of the target's input, the unit of the source at that position.
    """

    source: str
    target: str
    via: tuple[str, ...]
    units: NDArray[np.int64]

    @property
    def taken(self) -> str:
        """The node whose tensor the target takes."""
        return self.via[-1] if self.via else self.source


@dataclass(frozen=True, eq=False)
class Neurons:
    """The layers that have units, and the feeds between them.

    Attributes
    ----------
    graph
        Graph of only these layers; an edge may stand for a path through layers that only pass units on.
    feeds
        The feeds in the order of the model's edges.
    counts
        Number of units of each layer.
    scattered
        Inputs with several axes whose units are their single numbers, because all layers that take them flatten them
        first.
    vectors
        These inputs, and all other layers whose units are neurons and not channels.
    """

    graph: ModelGraph
    feeds: tuple[Feed, ...]
    counts: Mapping[str, int]
    scattered: frozenset[str]
    vectors: frozenset[str]

    def passed_on(self, source: str) -> tuple[str, ...]:
        """Return the nodes that pass a layer on, each once."""
        return tuple(dict.fromkeys(node for feed in self.feeds if feed.source == source for node in feed.via))

    def feed(self, taken: str, target: str) -> Feed:
        """Return the feed of a layer through a node."""
        return next(feed for feed in self.feeds if (feed.taken, feed.target) == (taken, target))


def neurons_of(graph: ModelGraph, shapes: Shapes) -> Neurons:
    """Find the layers with units.

    Parameters
    ----------
    shapes
        Each node's shape for one sample, without unknown lengths.
    """
    scattered = frozenset(name for name in graph.inputs if len(shapes[name]) > 1 and _flattened(graph, shapes, name))
    passed: dict[str, Feed] = {}
    kept: list[LayerNode] = []
    counts: dict[str, int] = {}
    for node in graph:
        found = _passed_on(graph, shapes, node, passed, scattered)
        if found is not None:
            passed[node.id] = found
            continue
        kept.append(node)
        shape = shapes[node.id]
        counts[node.id] = math.prod(shape) if node.id in scattered or not shape else _channels(node, shape)
    feeds = []
    for edge in graph.edges:
        if edge.target in counts:
            before = passed.get(edge.source)
            units = np.arange(counts[edge.source]) if before is None else before.units
            source, via = (edge.source, ()) if before is None else (before.source, before.via)
            feeds.append(Feed(source, edge.target, via, units))
    edges = dict.fromkeys(Edge(feed.source, feed.target) for feed in feeds)
    return Neurons(
        ModelGraph(graph.name, tuple(kept), tuple(edges), graph.inputs, graph.outputs),
        tuple(feeds),
        counts,
        scattered,
        frozenset(name for name in counts if len(shapes[name]) < 2) | scattered,
    )


def neurons_at(context: SceneContext) -> Neurons:
    """Return the layers with units of a scene's network."""
    return neurons_of(context.graph, {node.id: context.placement(node.id).grid.shape for node in context.graph})


def _passed_on(
    graph: ModelGraph, shapes: Shapes, node: LayerNode, passed: Mapping[str, Feed], scattered: frozenset[str]
) -> Feed | None:
    """Return the feed whose units a node passes on; `None` if the node has units of its own."""
    sources = graph.sources(node.id)
    if len(sources) != 1 or node.id in graph.outputs or node.id in graph.inputs or not passes(node):
        return None
    taken, given = shapes[sources[0]], shapes[node.id]
    before = passed.get(sources[0])
    source, via = (sources[0], ()) if before is None else (before.source, before.via)
    if source in scattered:
        if math.prod(taken) != math.prod(given):
            return None
        last = given[-1] if given else 1
        # The last axis of a map that is not flattened yet does not tell single numbers apart; after flattening it does.
        all_units = np.arange(math.prod(given)).reshape(taken)
        units = _flat(node, all_units) if len(given) == 1 else np.arange(last)
        return Feed(source, node.id, (*via, node.id), units)
    if not taken or not given:
        return None
    maker = graph.node(sources[0])
    channels = _channels(maker, taken)
    units = np.arange(channels) if before is None else before.units
    if len(given) == 1 and given[0] == math.prod(taken) and len(units) == channels:
        each = np.broadcast_to(units, (*location_shape(taken, maker.axes), channels))
        return Feed(source, node.id, (*via, node.id), _flat(node, as_arranged(each, maker.axes)))
    if _channels(node, given) == channels:
        return Feed(source, node.id, (*via, node.id), units)
    return None


def _channels(node: LayerNode, shape: tuple[int, ...]) -> int:
    # Each number of a vector is a unit, whatever its axis is.
    return (
        shape[0]
        if len(shape) == 1
        else int(channels_in(shape, node.axes if len(node.axes) == len(shape) else axes_of(shape)))
    )


def _flat(node: LayerNode, units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order in which a layer flattens a tensor; a Flatten with channels first moves channels to the end."""
    if node.kind == "Flatten" and node.details.get("data_format") == "channels_first" and units.ndim > 1:
        units = np.moveaxis(units, 0, -1)
    return np.ascontiguousarray(units).reshape(-1)


def passes(node: LayerNode) -> bool:
    """Whether a layer passes on the units of one other layer, unit by unit or cell by cell."""
    return family_of(node) in ("pooling", "normalization", "activation") or any(w in node.kind for w in _PASSING)


def _flattened(graph: ModelGraph, shapes: Shapes, name: str) -> bool:
    """Whether all layers that take a tensor flatten it first."""
    targets = [graph.node(edge.target) for edge in graph.edges if edge.source == name]
    size = math.prod(shapes[name])
    return bool(targets) and all(
        passes(target)
        and target.id not in graph.outputs
        and math.prod(shapes[target.id]) == size
        and (len(shapes[target.id]) == 1 or _flattened(graph, shapes, target.id))
        for target in targets
    )


def unit_values(neurons: Neurons, layer: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the activation of each unit of a layer, ``(units,)``: for a channel the mean over its locations."""
    if layer in neurons.vectors:
        return values.reshape(-1)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinite numbers are drawn as such
        last = channels_last(values, neurons.graph.node(layer).axes)
        mean = last.reshape(-1, last.shape[-1]).mean(axis=0, dtype=np.float64)
        return np.asarray(mean, dtype=np.float32)
