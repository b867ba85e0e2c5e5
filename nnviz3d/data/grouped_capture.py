"""Reader of a capture in which closed groups of nodes are single nodes, with the numbers of their last node."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attributions import Attribution
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.forwarding_reader import ForwardingReader
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.grouping.contracted import Contracted, Grouping, contract
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.records import Connections, LayerActivations, Ranking
from nnviz3d.data.targets import Explained, Target
from nnviz3d.data.training import StepRecords, Training


def with_groups(capture: CaptureReader, grouping: Grouping, opened: Collection[str]) -> CaptureReader:
    """Return a reader of a capture in which all groups but the open ones are single nodes.

    Parameters
    ----------
    capture
        The capture; groups that are closed in it do not count.
    """
    capture = without_groups(capture)
    if grouping.everything <= set(opened):
        return capture
    return GroupedCapture(capture, contract(grouping, opened))


def without_groups(capture: CaptureReader) -> CaptureReader:
    """Return the reader of all nodes of a capture."""
    return capture.capture if isinstance(capture, GroupedCapture) else capture


def originals(capture: CaptureReader) -> dict[str, str]:
    """Return for each node of a reader the captured node whose first output it shows."""
    if not isinstance(capture, GroupedCapture):
        return {node.id: node.id for node in capture.graph}
    shown = ((node.id, capture.original(node.id)) for node in capture.graph)
    return {name: original for name, (original, output) in shown if output == 0}


class GroupedCapture(ForwardingReader):
    """A capture in which closed groups are single nodes.

    A group's outputs are those of its nodes that lead out of it, with their numbers exactly as captured; a group has no
    weights of its own.

    Parameters
    ----------
    capture
        The capture of all nodes.
    contracted
        Its graph with the closed groups.
    """

    def __init__(self, capture: CaptureReader, contracted: Contracted) -> None:
        super().__init__(capture)
        self.contracted = contracted
        self.graph: ModelGraph = contracted.graph
        self.step_records: StepRecords | None = capture.step_records

    @property
    def training(self) -> Training | None:
        """The recording of the model's training."""
        return self.capture.training

    def original(self, node_id: str, output: int = 0) -> tuple[str, int]:
        """Return the captured node and the index of its output whose numbers a node shows."""
        found = self.contracted.outputs.get(node_id)
        if found is None:
            return node_id, output
        return found[output] if output < len(found) else (node_id, output)

    def has_activations(self, node_id: str, output: int = 0) -> bool:
        """Whether the numbers of a node's output were captured."""
        return self.capture.has_activations(*self.original(node_id, output))

    def activation_shape(self, node_id: str, output: int = 0) -> tuple[int, ...]:
        """Return the shape of one sample of a node's output."""
        return self.capture.activation_shape(*self.original(node_id, output))

    def activations(self, node_id: str, output: int = 0) -> LayerActivations:
        """Read a node's output for all samples, ``(N, *shape)``."""
        return replace(self.capture.activations(*self.original(node_id, output)), node=node_id)

    def activation(self, node_id: str, sample: int = 0, output: int = 0) -> NDArray[np.float32]:
        """Read a node's output for one sample, ``shape``."""
        name, k = self.original(node_id, output)
        return self.capture.activation(name, sample, k)

    def tokens(self, sample: int = 0, node_id: str | None = None) -> tuple[str, ...] | None:
        """Read the tokens along a node's time axis for one sample, by default the first node's that has some."""
        return self.capture.tokens(sample, None if node_id is None else self.original(node_id)[0])

    def unit_names(self, node_id: str) -> tuple[str, ...] | None:
        """Read the name of each unit of a node; `None` if they are not known."""
        return self.capture.unit_names(self.original(node_id)[0])

    def gates(self, node_id: str, sample: int = 0) -> Mapping[str, NDArray[np.float32]]:
        """Read the gates and states of a recurrent layer, ``(T, *shape)`` each, by name; empty if none were captured."""
        return self.capture.gates(self.original(node_id)[0], sample)

    def connections(self, source: str, target: str, ranking: Ranking = "weight", sample: int = 0) -> Connections | None:
        """Read a pair's strongest connections for one sample; `None` if none were captured.

        From a group they are those of the node that it shows; into a group there are none, because its numbers are not
        those of the node to which they lead.
        """
        if target in self.contracted.outputs:
            return None
        found = self.capture.connections(self.original(source)[0], target, ranking, sample)
        return None if found is None else replace(found, source=source)

    def weights(self, layer: str) -> Mapping[str, NDArray[Any]]:
        """Read a layer's variables by name; empty if they were not captured, and for a group."""
        return {} if layer in self.contracted.outputs else self.capture.weights(layer)

    def explanations(self, sample: int = 0) -> SampleExplanations:
        """Return the explanations of one sample: targets, gradients, attributions, attention scores."""
        return _GroupedExplanations(self, sample)


class _GroupedExplanations(SampleExplanations):
    """Explanations of one sample, in which a closed group is one node."""

    def __init__(self, grouped: GroupedCapture, sample: int) -> None:
        super().__init__(grouped.stored, sample)
        self._grouped = grouped
        self._all = grouped.capture.explanations(sample)

    @cached_property
    def targets(self) -> tuple[Explained, ...]:
        """The explained targets: the model's own answer first, then the others by falling score."""
        return self._all.targets

    def gradient(self, node_id: str, target: Target | None = None, output: int = 0) -> NDArray[np.float32] | None:
        """Read the gradient of a target's score by one output of a node, ``shape``; `None` if it was not captured."""
        name, k = self._grouped.original(node_id, output)
        return self._all.gradient(name, target, k)

    def has_gradients(self, target: Target | None = None) -> bool:
        """Whether there are gradients of a target's score, by any layer."""
        return self._all.has_gradients(target)

    def flow(self, target: Target | None = None) -> NDArray[np.float32] | None:
        """Return how much of a target's gradient flows back along each edge; `None` if it was not captured.

        Of several edges that are drawn as one, it is the norm of their gradients together.
        """
        norms = self._all.flow(target)
        if norms is None:
            return None
        origins = self._grouped.contracted.origins
        found = [math.hypot(*(float(norms[i]) for i in origins[edge])) for edge in self._grouped.graph.edges]
        return np.array(found, dtype=np.float32)

    def connection_gradient(self, found: Connections, target: Target | None = None) -> NDArray[np.float32] | None:
        """Read the gradient of a target's score by each of a pair's connections; `None` if it was not captured."""
        return self._all.connection_gradient(replace(found, source=self._grouped.original(found.source)[0]), target)

    def attribution(self, method: str, target: Target | None = None, layer: str | None = None) -> Attribution | None:
        """Read a map; `None` if it was not captured."""
        return self._all.attribution(method, target, layer)

    def attribution_layers(self, method: str, target: Target | None = None) -> tuple[str, ...]:
        """Return the node ids of the layers that a method's maps of a target are of."""
        return self._all.attribution_layers(method, target)

    def attention(self, node_id: str) -> NDArray[np.float32] | None:
        """Read the scores of an attention layer, ``(heads, T, S)``: each row, over S, adds up to 1."""
        return self._all.attention(node_id)

    @cached_property
    def interventions(self) -> tuple[Intervention, ...]:
        """The interventions of the sample's changed run; none if there was no such run."""
        return self._all.interventions

    def reaches(self, node_id: str, output: int = 0) -> bool:
        """Whether the interventions reach one output of a node."""
        return self._all.reaches(*self._grouped.original(node_id, output))

    def changed(self, node_id: str, output: int = 0) -> NDArray[np.float32] | None:
        """Read one output of a node in the changed run, ``shape``; `None` if the interventions do not reach it."""
        return self._all.changed(*self._grouped.original(node_id, output))
