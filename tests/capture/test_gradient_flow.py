"""Gradient flow: shares of edges sum to the gradient; a connection's gradient is that of its weight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

import nnviz3d
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.request import Insights


def _branching() -> keras.Model:
    keras.utils.set_random_seed(3)
    x = keras.Input((6, 6, 2), name="picture")
    a = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(x)
    b = keras.layers.Conv2D(4, 3, padding="same", activation="tanh", name="branch")(a)
    c = keras.layers.Add(name="merge")([a, b])
    d = keras.layers.Flatten(name="flat")(c)
    e = keras.layers.Dense(5, activation="gelu", name="hidden")(d)
    return keras.Model(x, keras.layers.Dense(3, activation="softmax", name="scores")(e))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return _branching()


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def capture(model: keras.Model, samples: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Capture:
    out = tmp_path_factory.mktemp("flow") / "run.zarr"
    nnviz3d.capture(model, samples, insights=Insights(gradients=True), out=out)
    return open_capture(Path(out))


def test_branch_and_skip_edges_have_their_shares_of_the_gradient(
    model: keras.Model, samples: np.ndarray, capture: Capture
) -> None:
    names = [(e.source, e.target) for e in capture.graph.edges]
    for i in range(len(samples)):
        explanations = capture.explanations(i)
        shares = explanations.flow()
        assert shares is not None
        assert shares.shape == (len(names),)
        # By hand: the skip has the gradient of the sum; the branch has the rest of the first layer's gradient.
        total, merged = explanations.gradient("first"), explanations.gradient("merge")
        assert total is not None
        assert merged is not None
        assert shares[names.index(("first", "merge"))] == pytest.approx(np.linalg.norm(merged), rel=1e-5)
        assert shares[names.index(("branch", "merge"))] == pytest.approx(np.linalg.norm(merged), rel=1e-5)
        assert shares[names.index(("first", "branch"))] == pytest.approx(np.linalg.norm(total - merged), rel=1e-4)


def test_only_edge_of_a_layer_has_the_whole_gradient(capture: Capture) -> None:
    explanations, graph = capture.explanations(0), capture.graph
    shares = explanations.flow()
    assert shares is not None
    alone = [k for k, e in enumerate(graph.edges) if sum(o.source == e.source for o in graph.edges) == 1]
    assert len(alone) == len(graph.edges) - 2
    for k in alone:
        gradient = explanations.gradient(graph.edges[k].source)
        assert gradient is not None
        assert shares[k] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)


def test_gradient_of_a_dense_connection_is_the_gradient_of_its_weight(
    model: keras.Model, samples: np.ndarray, capture: Capture
) -> None:
    hidden, scores = model.get_layer("hidden"), model.get_layer("scores")
    logits = keras.Model(model.inputs, hidden.output)
    for i in range(len(samples)):
        best = capture.explanations(i).targets[0].target.index
        with tf.GradientTape() as tape:
            found = logits(samples[i : i + 1]) @ scores.kernel + scores.bias
            score = found[0, best]
        expected = tape.gradient(score, [hidden.kernel.value, scores.kernel.value])
        for (source, target), kernel in zip((("flat", "hidden"), ("hidden", "scores")), expected, strict=True):
            for ranking in ("weight", "contribution"):
                pair = capture.connections(source, target, ranking, i)
                assert pair is not None
                slopes = capture.explanations(i).connection_gradient(pair)
                assert slopes is not None
                assert slopes.shape == pair.weight.shape
                np.testing.assert_allclose(
                    slopes, kernel.numpy()[pair.index[:, 0], pair.index[:, 1]], rtol=1e-4, atol=1e-6
                )


def test_gradient_of_a_convolution_connection_is_that_of_one_use_of_its_weight(
    model: keras.Model, samples: np.ndarray, capture: Capture
) -> None:
    """Central difference: a shift of one tap's contribution shifts its cell before the activation function equally."""
    layer, rest = model.get_layer("branch"), model
    pair = capture.connections("first", "branch", "weight", 0)
    assert pair is not None
    slopes = capture.explanations(0).connection_gradient(pair)
    first = capture.activation("first", 0)
    assert slopes is not None
    bare = keras.ops.conv(first[np.newaxis], layer.kernel, padding="same") + layer.bias
    best = capture.explanations(0).targets[0].target.index
    tail = [rest.get_layer(n) for n in ("hidden", "scores")]

    def score(shift: float) -> float:
        moved = np.array(bare, dtype=np.float64).reshape(-1)
        moved[pair.index[0, 1]] += shift
        merged = (first.reshape(-1) + np.tanh(moved)).reshape(1, -1)
        inner = merged @ np.float64(tail[0].kernel) + np.float64(tail[0].bias)
        gelu = keras.ops.convert_to_numpy(keras.activations.gelu(tf.constant(inner, tf.float64)))
        return float((gelu @ np.float64(tail[1].kernel) + np.float64(tail[1].bias))[0, best])

    slope = (score(1e-4) - score(-1e-4)) / 2e-4
    np.testing.assert_allclose(slopes, first.reshape(-1)[pair.index[:, 0]] * slope, rtol=1e-3, atol=1e-6)


def test_capture_without_gradients_has_no_gradient_flow(
    model: keras.Model, samples: np.ndarray, tmp_path: Path
) -> None:
    nnviz3d.capture(model, samples[:1], out=tmp_path / "plain.zarr")
    assert open_capture(tmp_path / "plain.zarr").explanations(0).flow() is None


def test_samples_have_separate_shares_in_a_model_of_one_batch_size(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    x = keras.Input(batch_shape=(2, 6), name="numbers")
    hidden = keras.layers.Dense(5, activation="tanh", name="hidden")(x)
    model = keras.Model(x, keras.layers.Dense(3, name="scores")(hidden))
    samples = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    nnviz3d.capture(model, samples, insights=Insights(gradients=True), out=tmp_path / "run.zarr")
    for i in range(3):
        explanations = open_capture(tmp_path / "run.zarr").explanations(i)
        shares, gradient = explanations.flow(), explanations.gradient("numbers")
        assert shares is not None
        assert gradient is not None
        assert shares[0] == pytest.approx(np.linalg.norm(gradient), rel=1e-5)
