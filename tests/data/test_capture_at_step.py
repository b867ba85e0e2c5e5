"""A capture at a training step: activations, weights and gradients belong to one network."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.capture_at_step import at_step

STEPS = (1, 25, 100, 425)


@pytest.fixture(scope="module")
def learning() -> Capture:
    return open_capture(bundled("training.zarr.zip"))


def seen(capture: Capture, step: int) -> tuple[Capture, dict, dict]:
    """The capture at a step, and activations and gradients of its two samples by layer, in float64."""
    at = at_step(capture, step)
    layers = [node.id for node in at.graph]
    values = {name: np.stack([at.activation(name, i) for i in (0, 1)]).astype(np.float64) for name in layers}
    slopes = {name: np.stack([at.explanations(i).gradient(name) for i in (0, 1)]).astype(np.float64) for name in layers}
    return at, values, slopes


@pytest.mark.parametrize("step", STEPS)
def test_activations_at_a_step_follow_from_the_weights_at_that_step(learning, step):
    at, values, _ = seen(learning, step)
    for before, layer in (("flatten", "dense"), ("dense", "dense_1")):
        weights = at.weights(layer)
        entering = values[before] @ weights["kernel"] + weights["bias"]
        scores = np.exp(entering - entering.max(axis=1, keepdims=True))
        expected = np.maximum(entering, 0) if layer == "dense" else scores / scores.sum(axis=1, keepdims=True)
        assert values[layer] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("step", STEPS)
def test_gradients_at_a_step_are_those_of_the_loss_of_both_samples(learning, step):
    at, values, slopes = seen(learning, step)
    truth = np.eye(10)[at.labels]
    assert slopes["dense_1"] == pytest.approx((values["dense_1"] - truth) / 2, rel=1e-3, abs=1e-6)
    kernel = at.weights("dense_1")["kernel"].astype(np.float64)
    scale = np.abs(slopes["dense"]).max()
    assert slopes["dense"] == pytest.approx(slopes["dense_1"] @ kernel.T, rel=1e-3, abs=1e-3 * scale)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("pair", [("flatten", "dense"), ("dense", "dense_1")])
def test_gradient_by_a_connection_is_the_finite_difference_of_the_loss(learning, step, pair):
    at, values, _ = seen(learning, step)
    found = at.connections(*pair, "weight", 1)
    told = at.explanations(1).connection_gradient(found)
    weights = {layer: {k: v.astype(np.float64) for k, v in at.weights(layer).items()} for layer in ("dense", "dense_1")}

    def loss() -> float:
        """The second sample's share of the loss."""
        hidden = np.maximum(values["flatten"][1] @ weights["dense"]["kernel"] + weights["dense"]["bias"], 0)
        scores = hidden @ weights["dense_1"]["kernel"] + weights["dense_1"]["bias"]
        return float(np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[at.labels[1]]) / 2

    kernel = weights[pair[1]]["kernel"]
    expected = []
    for place in map(tuple, found.index[:40]):
        kept = kernel[place]
        kernel[place] = kept + 1e-6
        more = loss()
        kernel[place] = kept - 1e-6
        expected.append((more - loss()) / 2e-6)
        kernel[place] = kept
    assert told[:40] == pytest.approx(np.array(expected), rel=1e-3, abs=1e-3 * np.abs(expected).max() + 1e-7)
