"""Explanations of one sample in a capture: its targets, and their gradients, attributions and attention scores."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.attention import read_attention
from nnviz3d.data.capabilities.attributions import Attribution, read_attribution, read_attribution_layers
from nnviz3d.data.capabilities.gradients import read_connection_gradient, read_flow, read_gradient
from nnviz3d.data.capabilities.interventions import (
    Intervention,
    has_changed,
    read_changed,
    read_interventions,
)
from nnviz3d.data.records import Connections
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.data.targets import Explained, Target, read_explained


class SampleExplanations:
    """Explanations of one sample of a capture. Make them with `Capture.explanations`."""

    def __init__(self, stored: StoredArrays, sample: int) -> None:
        self._stored = stored
        self._sample = sample
        self._changed_run: tuple[StoredArrays, int] | None = (stored, sample)

    def with_changed_run(self, found: tuple[StoredArrays, int] | None) -> Self:
        """Return these explanations with the changed run of other arrays and of a sample in them; `None`: without any."""
        other = copy(self)
        other.__dict__.pop("interventions", None)
        other._changed_run = found
        return other

    @cached_property
    def targets(self) -> tuple[Explained, ...]:
        """The explained targets: the model's own answer first, then the others by falling score."""
        found = [read_explained(self._stored, slot, self._sample) for slot in self._stored.members("targets")]
        return tuple(sorted(found, key=lambda one: one.rank))

    def explained(self, target: Target | None = None) -> Explained | None:
        """Find a target among those that were explained; by default the first of them."""
        return next((found for found in self.targets if target in (None, found.target)), None)

    def gradient(self, node_id: str, target: Target | None = None, output: int = 0) -> NDArray[np.float32] | None:
        """Read the gradient of a target's score by one output of a node, ``shape``; `None` if it was not captured.

        It is 0 if the score does not depend on a number. Tokens and masks, which are no real numbers, have no gradient.
        """
        explained = self.explained(target)
        if explained is None:
            return None
        return read_gradient(self._stored, explained.slot, node_id, output, self._sample)

    def has_gradients(self, target: Target | None = None) -> bool:
        """Whether there are gradients of a target's score, by any layer."""
        explained = self.explained(target)
        return explained is not None and explained.slot in self._stored.members("gradients")

    def flow(self, target: Target | None = None) -> NDArray[np.float32] | None:
        """Read how much of a target's gradient flows back along each edge of the graph; `None` if it was not captured.

        Returns
        -------
        ``(edges,)``: the norm, for each edge in the graph's order, of the gradient by what its end gets through it.
        """
        explained = self.explained(target)
        return None if explained is None else read_flow(self._stored, explained.slot, self._sample)

    def connection_gradient(self, found: Connections, target: Target | None = None) -> NDArray[np.float32] | None:
        """Read the gradient of a target's score by each of a pair's connections; `None` if it was not captured.

        If one weight serves many locations, as in a convolution, the gradient is by its use at this location alone.

        Parameters
        ----------
        found
            The connections, read from the same capture for the same sample.

        Returns
        -------
        ``(k,)``, in the order of the connections.
        """
        explained = self.explained(target)
        return (
            None if explained is None else read_connection_gradient(self._stored, explained.slot, found, self._sample)
        )

    def attribution(self, method: str, target: Target | None = None, layer: str | None = None) -> Attribution | None:
        """Read a map; `None` if it was not captured.

        Parameters
        ----------
        layer
            Node id; by default the first layer that the method was asked for.
        """
        explained = self.explained(target)
        if explained is None:
            return None
        layers = self.attribution_layers(method, target)
        if layer is None and layers:
            layer = layers[0]
        if layer not in layers:
            return None
        return read_attribution(self._stored, method, explained, layer, self._sample)

    def attribution_layers(self, method: str, target: Target | None = None) -> tuple[str, ...]:
        """Return the node ids of the layers that a method's maps of a target are of."""
        explained = self.explained(target)
        return () if explained is None else read_attribution_layers(self._stored, method, explained.slot)

    def attention(self, node_id: str) -> NDArray[np.float32] | None:
        """Read the scores of an attention layer, ``(heads, T, S)``: each row, over S, adds up to 1."""
        return read_attention(self._stored, node_id, self._sample)

    @cached_property
    def interventions(self) -> tuple[Intervention, ...]:
        """The interventions of the sample's changed run; none if there was no such run."""
        return () if self._changed_run is None else read_interventions(self._changed_run[0])

    def reaches(self, node_id: str, output: int = 0) -> bool:
        """Whether the interventions reach one output of a node, so that `changed` returns its numbers."""
        return self._changed_run is not None and has_changed(self._changed_run[0], node_id, output)

    def changed(self, node_id: str, output: int = 0) -> NDArray[np.float32] | None:
        """Read one output of a node in the changed run, ``shape``; `None` if the interventions do not reach it."""
        if self._changed_run is None:
            return None
        stored, sample = self._changed_run
        return read_changed(stored, node_id, output, sample)
