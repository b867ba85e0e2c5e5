"""Reader of the compared model's numbers by the names of the shown model's nodes and the numbers of its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.counterpart import Counterpart
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.forwarding_reader import ForwardingReader
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.records import Connections, LayerActivations, Ranking
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.data.training import StepRecords, Training


class CounterpartReader(ForwardingReader):
    """The compared model of a series, as a capture of the series' graph and samples; see `CaptureReader`.

    Parameters
    ----------
    series
        A series with a counterpart. A sample on which the other model was not run cannot be read.
    """

    def __init__(self, series: CaptureSeries) -> None:
        super().__init__(series)
        if series.counterpart is None:
            raise ValueError(f"{series.path} is compared with no other model.")
        self._series = series
        self._other = series.counterpart
        self.graph: ModelGraph = series.graph
        self.stored = self._other.capture.stored
        self.added_samples = ()
        self.step_records: StepRecords | None = self._other.capture.step_records

    @property
    def training(self) -> Training | None:
        """The recording of the other model's training."""
        return self._other.capture.training

    def stored_sample(self, sample: int) -> tuple[StoredArrays, int]:
        """Return the arrays that hold a sample, and the index of the sample in them."""
        found, index = self._found(sample)
        return found.capture.stored_sample(index)

    def has_activations(self, node_id: str, output: int = 0) -> bool:
        """Whether the numbers of a node's output were captured."""
        return self._other.capture.has_activations(self._other.nodes[node_id], output)

    def activation_shape(self, node_id: str, output: int = 0) -> tuple[int, ...]:
        """Return the shape of one sample of a node's output."""
        return self._other.capture.activation_shape(self._other.nodes[node_id], output)

    def activations(self, node_id: str, output: int = 0) -> LayerActivations:
        """Read a node's output for all samples, ``(N, *shape)``."""
        values = np.stack([self.activation(node_id, sample, output) for sample in range(self.committed)])
        return LayerActivations(node_id, values, self.graph.node(node_id).named_axes_of(output))

    def activation(self, node_id: str, sample: int = 0, output: int = 0) -> NDArray[np.float32]:
        """Read a node's output for one sample, ``shape``."""
        found, own = self._series.counterpart_of(sample)
        return found.activation(node_id, own, output)

    def gates(self, node_id: str, sample: int = 0) -> Mapping[str, NDArray[np.float32]]:
        """Read the gates and states of a recurrent layer, ``(T, *shape)`` each, by name; empty if none were captured.

        The time runs in the order of processing: that of a layer that goes backwards begins at the end of its input.
        """
        found, index = self._found(sample)
        return found.capture.gates(found.nodes[node_id], index)

    def connections(self, source: str, target: str, ranking: Ranking = "weight", sample: int = 0) -> Connections | None:
        """Read a pair's strongest connections for one sample; `None` if none were captured."""
        found, index = self._found(sample)
        held = found.capture.connections(found.nodes[source], found.nodes[target], ranking, index)
        return None if held is None else replace(held, source=source, target=target)

    def weights(self, layer: str) -> Mapping[str, NDArray[Any]]:
        """Read a layer's variables by name; empty if they were not captured."""
        return self._other.weights(self.graph.node(layer)) if layer in self.graph else {}

    def explanations(self, sample: int = 0) -> SampleExplanations:
        """Return the explanations of one sample."""
        found, index = self._found(sample)
        return found.capture.explanations(index)

    def _found(self, sample: int) -> tuple[Counterpart, int]:
        """Return the counterpart of a sample, and the sample's index in its capture."""
        found, own = self._series.counterpart_of(sample)
        return found, found.index_of(own)
