"""A training's capture as it was at one step: what the probe samples did then, and the weights of then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture import Capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.explanations import SampleInsights
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.insights import LOSS, Explained, Target
from nnviz3d.data.records import Connections, Ranking
from nnviz3d.data.training import Kept, Training

STRONGEST = 1000
"""Connections of a pair that are looked for at most."""
_PROBABILITIES = ("softmax", "sigmoid")
"""Outputs that end so have the gradient by the scores before that, as `Training.gradient` says."""


def at_step(capture: Capture, step: int | None = None) -> Capture:
    """Return a capture as it was at a step of the training that it holds; by default the last recorded one.

    One without a recorded training is returned as it is.
    """
    training = capture.training
    if training is None or not len(training):
        return capture
    if isinstance(capture, CaptureSeries):
        return capture.beginning_with(at_step(capture.first, step))
    return CaptureAtStep(capture, training.kept(int(training.steps[-1]) if step is None else step))


class CaptureAtStep(Capture):
    """The same samples and the same model, at another time. Every number is a recorded one, nothing lies between.

    Parameters
    ----------
    capture
        Holds a training.
    kept
        Which of what was kept of it is read.
    """

    def __init__(self, capture: Capture, kept: Kept) -> None:
        vars(self).update(vars(capture))
        self.kept: Kept = kept

    @property
    def recorded(self) -> Training:
        """The training."""
        if self.training is None:
            raise ValueError(f"{self.path} holds no training.")
        return self.training

    def _probed(self, node_id: str, output: int) -> NDArray[np.float32] | None:
        if self.kept.probes is None or not self.recorded.has_activation(node_id, output):
            return None
        return self.recorded.activation(node_id, self.kept.probes, output)

    def weights(self, layer: str) -> Mapping[str, NDArray[Any]]:
        """Read a layer's variables by name, as they were; empty if they were not kept."""
        if self.kept.weights is None:
            return super().weights(layer)
        return self.recorded.weights(layer, self.kept.weights) or super().weights(layer)

    def connections(self, source: str, target: str, ranking: Ranking = "weight", sample: int = 0) -> Connections | None:
        """Return a pair's strongest connections for one sample, by the weights of then; `None` if these are unknown.

        They are looked for between vectors alone.
        """
        node = self.graph.node(target)
        if node.kind != "Dense" or len(self.graph.node(source).shape) != 1 or not self.has_activations(source):
            return super().connections(source, target, ranking, sample)
        kernel = self.weights(node.path).get("kernel")
        if kernel is None:
            return super().connections(source, target, ranking, sample)
        return _strongest(source, target, ranking, kernel, self.activation(source, sample))

    def insights(self, sample: int = 0) -> SampleInsights:
        """Return what explains one sample; where no score was explained it is the gradient of the loss."""
        found = super().insights(sample)
        return found if found.targets or not self.has_gradients() else _OfLoss(self, sample)


class _OfLoss(SampleInsights):
    """The gradients of the probe samples' loss, of one sample."""

    def __init__(self, capture: CaptureAtStep, sample: int) -> None:
        super().__init__(capture._stored, sample)
        self._capture = capture

    @property
    def targets(self) -> tuple[Explained, ...]:
        """The loss alone; what it was for these samples together was not recorded."""
        return (Explained(LOSS.slot, LOSS, math.nan, None),)

    def has_gradients(self, target: Target | None = None) -> bool:
        """Whether it is the loss that is asked for."""
        return target in (None, LOSS)

    def gradient(self, node_id: str, target: Target | None = None, output: int = 0) -> NDArray[np.float32] | None:
        """Read the loss's gradient by one output of a node, ``shape``; `None` if it was not kept."""
        training, kept = self._capture.recorded, self._capture.kept
        if target not in (None, LOSS) or kept.probes is None or not training.has_gradient(node_id, output):
            return None
        found: NDArray[np.float32] = training.gradient(node_id, kept.probes, output)[self._stored.checked(self._sample)]
        return found

    def connection_gradient(self, found: Connections, target: Target | None = None) -> NDArray[np.float32] | None:
        """Return the loss's gradient by each connection between vectors, through this sample.

        It is the source's activation times the gradient by what enters the target's activation function.
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
    with np.errstate(invalid="ignore", over="ignore"):  # a training that has come to NaN is looked at too
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
    """Take a gradient by what an activation function gives back to what enters it; `None` if it is not a known one."""
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
