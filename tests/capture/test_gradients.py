"""Gradients of a score with respect to the output of every layer equal reference gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import nnviz3d
from nnviz3d.capture.targets import find_slots
from nnviz3d.data.bundled import bundled
from nnviz3d.data.request import Insights
from nnviz3d.data.targets import Target
from tests.capture import zoo
from tests.capture.explained import apart, central_differences, every_gradient, score, traced, with_output


@pytest.fixture
def double():
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def smooth():
    """A smooth nested model, so that central differences equal its gradients."""
    inner = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(3, 3, activation="tanh", name="conv"), layers.Flatten(name="flat")],
        name="inner",
    )
    start = keras.Input((6, 6, 2), name="start")
    return keras.Model(start, layers.Dense(4, activation="softmax", name="head")(inner(start)))


def layer_differences(model, x, node, output, index):
    """Central differences with respect to one layer's output, through the rest of the model."""
    held = np.asarray(model([tf.constant(x)])[node])
    return central_differences(
        lambda v: score(with_output(model, node, v), [np.repeat(x, len(v), axis=0)], output, index), held
    )


def test_gradients_equal_central_differences_at_every_layer_of_a_nested_model(double, rng):
    model, x, index = smooth(), rng.normal(size=(1, 6, 6, 2)), 3
    traced_ = traced(model, [x])
    found = every_gradient(traced_, [x], "head", [index])
    assert [node for node, _ in found] == ["start", "inner/conv", "inner/flat", "head"]
    assert apart(found["start", 0], central_differences(lambda v: score(traced_, [v], "head", index), x)) < 1e-6
    for node in ("inner/conv", "inner/flat"):
        assert apart(found[node, 0], layer_differences(traced_, x, node, "head", index)) < 1e-6
    assert np.array_equal(found["head", 0], np.eye(4)[[index]])


def test_gradients_equal_central_differences_for_a_reloaded_sequential(double, tmp_path, rng):
    model, x, index = zoo.reloaded(tmp_path), rng.normal(size=(1, 28, 28, 1)), 7
    traced_ = traced(model, [x])
    found = every_gradient(traced_, [x], "dense_1", [index])
    assert len(found) == 9
    assert all(np.any(slopes) for slopes in found.values())
    assert apart(found["input", 0], central_differences(lambda v: score(traced_, [v], "dense_1", index), x)) < 1e-4
    for node in ("max_pooling2d_1", "conv2d_2", "flatten", "dense"):
        assert apart(found[node, 0], layer_differences(traced_, x, node, "dense_1", index)) < 1e-4


def test_gradient_of_a_linear_model_is_its_weight(rng):
    model = keras.Sequential([keras.Input((5,), name="start"), layers.Dense(3, name="head")])
    x = zoo.numbers(rng, 4, 5)
    found = every_gradient(traced(model, [x]), [x], "head", [0, 1, 2, 1])
    assert np.array_equal(found["start", 0], model.layers[-1].kernel.numpy().T[[0, 1, 2, 1]])


def test_gradient_is_zero_for_numbers_that_do_not_affect_the_score(rng):
    model = zoo.two_in_two_out()
    x = [zoo.numbers(rng, 3, 4), zoo.numbers(rng, 3, 3)]
    found = every_gradient(traced(model, x), x, "second", [0, 1, 2])
    assert not np.any(found["left", 0])
    assert not np.any(found["first", 0])
    assert np.array_equal(found["right", 0], model.get_layer("second").kernel.numpy().T)


def test_layer_that_returns_its_input_has_a_separate_gradient(rng):
    start = keras.Input((4,), name="start")
    x = layers.Dense(4, name="x")(start)
    model = keras.Model(start, layers.Add(name="add")([x, 2 * layers.Dropout(0.5, name="drop")(x)]))
    samples = zoo.numbers(rng, 2, 4)
    found = every_gradient(traced(model, [samples]), [samples], "add", [0, 3])
    assert np.array_equal(found["drop", 0], 2 * np.eye(4)[[0, 3]])
    assert np.array_equal(found["x", 0], 3 * np.eye(4)[[0, 3]])


def test_tokens_have_no_gradient_and_masks_are_applied():
    start = keras.Input((5,), dtype="int32", name="start")
    embedded = layers.Embedding(10, 4, mask_zero=True, name="embedding")(start)
    dense = layers.Dense(4, activation="tanh", name="dense")(embedded)
    model = keras.Model(start, layers.Dense(2, name="head")(layers.LSTM(3, name="lstm")(dense)))
    x = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 0]], dtype=np.int32)
    found = every_gradient(traced(model, [x]), [x], "head", [0, 1])
    assert ("start", 0) not in found
    assert np.array_equal(np.any(found["dense", 0], axis=-1), x > 0)  # masked time steps change nothing
    assert apart(score(traced(model, [x]), [x], "head", [0, 1]), model.predict(x, verbose=0)[[0, 1], [0, 1]]) < 1e-6


def test_captured_gradients_equal_those_of_a_keras_gradient_tape(tmp_path):
    model = keras.saving.load_model(bundled("digits.keras"))
    capture = nnviz3d.capture(
        model, "digits:0-39", out=tmp_path / "run.zarr", insights=Insights(targets=("5",), gradients=True)
    )
    x = tf.constant(capture.activations("input").values)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = x
        for layer in model.layers[:-1]:
            value = layer(value)
        head = model.layers[-1]
        logits = value @ head.kernel + head.bias
        explained = logits[:, 5]
    expected = tape.gradient(explained, x).numpy()
    for sample in (0, 35):
        explanations = capture.explanations(sample)
        (found,) = explanations.targets
        assert (found.slot, found.target) == ("dense_1[5]", Target("dense_1", 5))
        assert np.isclose(found.score, explained[sample], rtol=1e-5)
        assert np.isclose(found.probability, capture.activation("dense_1", sample)[5], rtol=1e-5)
        assert apart(explanations.gradient("input"), expected[sample]) < 1e-5
    assert capture.has_gradients()


def test_one_compiled_program_is_used_for_all_classes(rng):
    model, x = smooth(), zoo.numbers(rng, 3, 6, 6, 2)
    traced_ = traced(model, [x])
    function = lambda: traced_.compiled(("gradients", "head"), pytest.fail)  # noqa: E731
    every_gradient(traced_, [x], "head", [0, 0, 0])
    every_gradient(traced_, [x[:2]], "head", [1, 2])
    assert function()._function.experimental_get_tracing_count() == 1


def test_regression_output_is_explained(rng):
    model = keras.Sequential([keras.Input((5,), name="start"), layers.Dense(1, name="price")])
    x = zoo.numbers(rng, 3, 5)
    (slot,) = find_slots(traced(model, [x]), [x], (), None)
    assert (slot.name, slot.output, slot.index.tolist(), slot.probability) == ("predicted", "price", [0, 0, 0], None)
    assert apart(slot.score, model.predict(x, verbose=0)[:, 0]) < 1e-5


class _Noise(layers.Layer):
    """Adds noise of its own to each row of a batch."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, scale):
        return scale * keras.random.normal(ops.shape(scale), seed=self.seed)


@pytest.mark.parametrize("samples", [3, 40])
def test_gradients_of_a_model_that_draws_belong_to_the_stored_activations(samples, tmp_path, rng):
    start = keras.Input((4,), name="start")
    scale = layers.Dense(3, name="scale")(start)
    model = keras.Model(start, layers.Dense(2, name="head")(_Noise(name="noise")(scale)))
    x = zoo.numbers(rng, samples, 4)
    wanted = Insights(targets=("head[1]",), gradients=True, attributions=("vanilla",))
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr", insights=wanted)
    noise = run.activations("noise").values / run.activations("scale").values
    weights, before = model.get_layer("head").kernel.numpy(), model.get_layer("scale").kernel.numpy()
    for i in range(samples):
        expected = weights[:, 1] * noise[i]
        assert apart(run.explanations(i).gradient("scale", Target("head", 1)), expected) < 1e-5
        found = run.explanations(i).attribution("vanilla").values
        assert apart(found, np.abs(before @ expected)) < 1e-5
