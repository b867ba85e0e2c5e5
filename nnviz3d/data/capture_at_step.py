"""Reader of a training's capture at one recorded step: activations, gradients and weights of that step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.forwarding_reader import ForwardingReader
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.records import Connections, LayerActivations, Ranking
from nnviz3d.data.targets import LOSS, Explained, Target
from nnviz3d.data.training import StepRecords, Training

STRONGEST = 1000
"""Most connections of a pair."""
_PROBABILITIES = ("softmax", "sigmoid")
"""For outputs with these activation functions, `Training.gradient` is by the scores before the function."""


def at_step(capture: CaptureReader, step: int | None = None) -> CaptureReader:
    """Return a reader of a capture at a step of its training; by default the last recorded step.

    A capture without a recorded training is returned unchanged.
    """
    training = capture.training
    if training is None or not len(training):
        return capture
    if isinstance(capture, CaptureSeries):
        series = capture.beginning_with(at_step(capture.first, step))
        other = series.counterpart
        if other is None or series.step_records is None:
            return series
        return series.compared(replace(other, capture=_at_records(other.capture, series.step_records)))
    records = training.records_at(int(training.steps[-1]) if step is None else step)
    return CaptureAtStep(capture.capture if isinstance(capture, CaptureAtStep) else capture, records)


def _at_records(other: CaptureReader, records: StepRecords) -> CaptureReader:
    """Return a reader of another run at the steps of the records that are shown of a training."""
    training = other.training
    if training is None or not len(training):
        return other
    probed, weighted = (
        training.records_at(int(training.steps[-1]) if step is None else step)
        for step in (records.probe_step, records.weight_step)
    )
    found = replace(probed, weights=weighted.weights, weight_step=weighted.weight_step)
    return CaptureAtStep(other.capture if isinstance(other, CaptureAtStep) else other, found)


class CaptureAtStep(ForwardingReader):
    """The samples and the model of a capture at one step of its training. Every number is a recorded one.

    Parameters
    ----------
    capture
        A capture with a recorded training.
    step_records
        The records of the training to read.

    Raises
    ------
    ValueError
        If the capture holds no training.
    """

    def __init__(self, capture: CaptureReader, step_records: StepRecords) -> None:
        if capture.training is None:
            raise ValueError(f"{capture.path} holds no training.")
        super().__init__(capture)
        self.graph = capture.graph
        self.training: Training = capture.training
        self.step_records: StepRecords = step_records

    def activations(self, node_id: str, output: int = 0) -> LayerActivations:
        """Read a node's output for all samples at this step, ``(N, *shape)``."""
        values = self._probed(node_id, output)
        if values is None:
            return self.capture.activations(node_id, output)
        return LayerActivations(node_id, values, self.graph.node(node_id).named_axes_of(output))

    def activation(self, node_id: str, sample: int = 0, output: int = 0) -> NDArray[np.float32]:
        """Read a node's output for one sample at this step, ``shape``."""
        values = self._probed(node_id, output)
        if values is None:
            return self.capture.activation(node_id, sample, output)
        one: NDArray[np.float32] = values[self.stored.checked(sample)]
        return one

    def _probed(self, node_id: str, output: int) -> NDArray[np.float32] | None:
        if self.step_records.probes is None or not self.training.has_activation(node_id, output):
            return None
        return self.training.activation(node_id, self.step_records.probes, output)

    def weights(self, layer: str) -> Mapping[str, NDArray[Any]]:
        """Read a layer's variables by name, at this step; empty if they were not recorded."""
        if self.step_records.weights is None:
            return self.capture.weights(layer)
        return self.training.weights(layer, self.step_records.weights) or self.capture.weights(layer)

    def connections(self, source: str, target: str, ranking: Ranking = "weight", sample: int = 0) -> Connections | None:
        """Return a pair's strongest connections for one sample, by the weights at this step; `None` if they are unknown.

        The weights of this step are used between vectors only.
        """
        node = self.graph.node(target)
        if node.kind != "Dense" or len(self.graph.node(source).shape) != 1 or not self.has_activations(source):
            return self.capture.connections(source, target, ranking, sample)
        kernel = self.weights(node.path).get("kernel")
        if kernel is None:
            return self.capture.connections(source, target, ranking, sample)
        return _strongest(source, target, ranking, kernel, self.activation(source, sample))

    def explanations(self, sample: int = 0) -> SampleExplanations:
        """Return the explanations of one sample; if no score was explained, the gradient of the loss."""
        found = self.capture.explanations(sample)
        return found if found.targets or not self.has_gradients() else _LossExplanations(self, sample)


class _LossExplanations(SampleExplanations):
    """Explanation of one probe sample by the gradient of the loss."""

    def __init__(self, capture: CaptureAtStep, sample: int) -> None:
        super().__init__(capture.stored, sample)
        self._capture = capture

    @property
    def targets(self) -> tuple[Explained, ...]:
        """Only the loss; its value for these samples was not recorded."""
        return (Explained(LOSS.slot, LOSS, math.nan, None),)

    def has_gradients(self, target: Target | None = None) -> bool:
        """Whether the target is the loss."""
        return target in (None, LOSS)

    def gradient(self, node_id: str, target: Target | None = None, output: int = 0) -> NDArray[np.float32] | None:
        """Read the loss's gradient by one output of a node, ``shape``; `None` if it was not recorded."""
        training, records = self._capture.training, self._capture.step_records
        if target not in (None, LOSS) or records.probes is None or not training.has_gradient(node_id, output):
            return None
        found: NDArray[np.float32] = training.gradient(node_id, records.probes, output)[
            self._stored.checked(self._sample)
        ]
        return found

    def connection_gradient(self, found: Connections, target: Target | None = None) -> NDArray[np.float32] | None:
        """Return the loss's gradient by each connection between vectors, for this sample.

        It is the source's activation times the gradient by the input of the target's activation function.
        """
        node = self._capture.graph.node(found.target)
        by_output = self.gradient(found.target, target)
        if by_output is None or found.rule != "dense" or len(node.shape) != 1:
            return None
        entering: NDArray[Any] | None = by_output
        if found.target not in self._capture.graph.outputs or node.activation not in _PROBABILITIES:
            entering = _before_activation(node, self._capture.activation(found.target, self._sample), by_output)
        if entering is None:
            return None
        taken = self._capture.activation(found.source, self._sample)
        return np.asarray(taken[found.index[:, 0]] * entering[found.index[:, 1]], dtype=np.float32)


def _strongest(
    source: str, target: str, ranking: Ranking, kernel: NDArray[np.float32], before: NDArray[np.float32]
) -> Connections:
    with np.errstate(invalid="ignore", over="ignore"):  # a training may have diverged to NaN
        contributions = kernel * before[:, np.newaxis]
    strength = np.abs(kernel if ranking == "weight" else contributions).ravel()
    k = min(STRONGEST, strength.size)
    some = np.argpartition(-strength, k - 1)[:k] if k else np.empty(0, np.int64)
    chosen = some[np.lexsort((some, -strength[some]))]
    index = np.stack(np.divmod(chosen, kernel.shape[1]), axis=1)
    return Connections(
        source,
        target,
        "dense",
        ranking,
        strength.size,
        index,
        kernel.ravel()[chosen],
        contributions.astype(np.float32).ravel()[chosen],
    )


def _before_activation(
    node: LayerNode, after: NDArray[np.float32], gradient: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """Convert the gradient by a layer's output to that by the input of its activation function; `None` if unknown."""
    y, g = after.astype(np.float64), gradient.astype(np.float64)
    match node.activation:
        case None | "linear":
            return g
        case "relu":
            return np.where(y > 0, g, 0.0)
        case "sigmoid":
            return np.asarray(g * y * (1 - y))
        case "tanh":
            return np.asarray(g * (1 - y**2))
        case "softmax":
            return np.asarray(y * (g - np.sum(g * y)))
    return None
