"""Captures leave a model's state unchanged bit for bit, and compute every number from the same state."""

import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import nnviz3d
from nnviz3d.capture.programs.frozen import Compiled, assignments_undone, frozen
from nnviz3d.data.capabilities.features import FeatureOptions
from nnviz3d.data.request import Insights

BATCH = 4


class Counting(layers.Layer):
    """Counts its calls, and returns another result at each."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")
        self.largest = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False, name="largest")

    def call(self, x):
        self.count.assign_add(1.0)
        self.largest.assign(ops.maximum(self.largest, ops.max(x, axis=tuple(range(x.ndim - 1)))))
        return x * (1 + self.count / 2) + self.largest


class CountingPastKeras(layers.Layer):
    """Counts with a variable that Keras does not know."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.kept = {"count": tf.Variable(0.0, trainable=False)}

    def call(self, x):
        self.kept["count"].assign_add(1.0)
        return x * (1 + self.kept["count"] / 2)


class Drawing(layers.Layer):
    """Draws at random at each call, in training and in inference."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator(3)

    def call(self, x):
        return x * (1 + keras.random.uniform(ops.shape(x), seed=self.generator))


class CountingModel(keras.Model):
    """A model whose own code counts its calls and runs eagerly while it is traced."""

    def __init__(self):
        super().__init__()
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")
        self.others = tf.Variable(0, trainable=False)
        self.conv = layers.Conv2D(3, 3, strides=2, name="conv")
        self.flat = layers.Flatten(name="flat")
        self.kind = layers.Dense(3, activation="softmax", name="kind")

    def call(self, x):
        self.calls.assign_add(1.0)
        self.others.assign_add(1)
        return self.kind(self.flat(self.conv(x)))


def picture_model(*inside):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="input"),
            layers.Conv2D(3, 3, strides=2, name="conv"),
            *inside,
            layers.Flatten(name="flat"),
            layers.Dense(3, activation="softmax", name="kind"),
        ]
    )


def recurrent_model(layer):
    return keras.Sequential(
        [
            keras.Input(batch_shape=(BATCH, 8, 8, 3), name="input"),
            layers.Conv2D(3, 3, strides=2, name="conv"),
            layers.Reshape((9, 3), name="steps"),
            layer(4, stateful=True, name="memory"),
            layers.Dense(3, activation="softmax", name="kind"),
        ]
    )


MODELS = {
    "lstm": lambda: recurrent_model(layers.LSTM),
    "gru": lambda: recurrent_model(layers.GRU),
    "counting": lambda: picture_model(Counting(name="counting")),
    "counting past keras": lambda: picture_model(CountingPastKeras(name="counting")),
    "drawing": lambda: picture_model(Drawing(name="drawing")),
    "normalization and dropout": lambda: picture_model(layers.BatchNormalization(), layers.Dropout(0.5)),
    "counting model": CountingModel,
}


def every_variable():
    """All variables of the process, by identity, with their values."""
    found = [item for item in gc.get_objects() if isinstance(item, tf.Variable)]
    return {id(variable): (variable, variable.numpy()) for variable in found}


@pytest.mark.parametrize("name", MODELS)
def test_capture_with_all_insights_changes_no_variable_and_explains_the_stored_numbers(name, tmp_path, rng):
    model = MODELS[name]()
    pictures = rng.uniform(size=(BATCH, 8, 8, 3)).astype(np.float32)
    expected = model(pictures)  # so that the layers have a state
    before = every_variable()
    steady = "memory" not in {layer.name for layer in model.layers}  # features run on batches of other sizes
    wanted = Insights(
        gradients=True,
        attributions=("vanilla", "occlusion", "grad_cam"),
        layers=("conv",),
        features=("conv[0]",) if steady else (),
        feature_options=FeatureOptions(steps=2),
    )
    run = nnviz3d.capture(model, pictures, out=tmp_path / "run.zarr", insights=wanted)
    for variable, value in before.values():
        assert np.array_equal(variable.numpy(), value), variable.name
    answer = model(pictures)  # from the state that the capture ran from
    assert np.array_equal(run.activations("kind").values, answer)
    assert name in ("normalization and dropout", "counting model") or not np.array_equal(expected, answer)
    for sample in range(BATCH):
        for method in wanted.attributions:
            told = run.explanations(sample).attribution(method).explained
            assert told.probability == run.activations("kind").values[sample][told.target.index]


def test_samples_in_all_batches_run_from_the_state_at_the_start(tmp_path, rng):
    for layer in (Counting, CountingPastKeras):
        model = picture_model(layer(name="counting"))
        pictures = rng.uniform(size=(1, 8, 8, 3)).astype(np.float32).repeat(40, axis=0)
        first = nnviz3d.capture(model, pictures, out=tmp_path / "run.zarr").activations("kind").values
        assert np.array_equal(first, np.repeat(first[:1], 40, axis=0))


def test_losses_added_by_layers_do_not_stay_on_the_model(tmp_path, rng):
    model = picture_model(layers.ActivityRegularization(0.1), layers.Conv2D(2, 1, activity_regularizer="l2"))
    pictures = rng.uniform(size=(BATCH, 8, 8, 3)).astype(np.float32)
    nnviz3d.capture(model, pictures, out=tmp_path / "run.zarr", insights=Insights(gradients=True))
    assert model.losses == []
    model(pictures)
    assert len(model.losses) == 2


def test_frozen_code_sees_its_own_assignments_and_variables_stay_unchanged():
    variable = keras.Variable([1.0, 2.0])
    with frozen() as scope:
        variable.assign_add([1.0, 1.0])
        with frozen() as inner:
            assert inner is scope
            assert variable.numpy().tolist() == [2.0, 3.0]
    assert variable.numpy().tolist() == [1.0, 2.0]
    assert [v is variable for v in scope.updated] == [True]
    assert not scope.drew


def test_compiled_function_restores_variables_assigned_inside_a_loop():
    generator = keras.random.SeedGenerator(5)
    before = generator.state.numpy()

    def draw(x):
        with frozen():
            looped = ops.fori_loop(0, 3, lambda i, y: y + keras.random.uniform((2,), seed=generator), x)
            return looped + keras.random.uniform((2,), seed=generator)

    function = Compiled(draw, [tf.TensorSpec((2,))])
    first = function(tf.zeros(2)).numpy()
    assert np.array_equal(before, generator.state.numpy())
    assert np.array_equal(first, function(tf.zeros(2)))
    fresh = keras.random.SeedGenerator(5)
    assert np.allclose(first, sum(keras.random.uniform((2,), seed=fresh) for _ in range(4)))


def test_compiled_function_changes_its_own_variables_only():
    mine, theirs = tf.Variable(1.0), tf.Variable(2.0)

    def run():
        mine.assign_add(1.0)
        theirs.assign_add(1.0)
        return mine + theirs

    assert float(Compiled(run, [], own=[mine])()) == 5
    assert (float(mine), float(theirs)) == (2, 2)


def test_compiled_function_restores_variables_after_a_failed_run():
    theirs = tf.Variable(2.0)

    def run(x):
        theirs.assign_add(1.0)
        with tf.control_dependencies([theirs.read_value()]):
            return tf.debugging.check_numerics(tf.sqrt(x), "not real")

    with pytest.raises(tf.errors.InvalidArgumentError):
        Compiled(run, [tf.TensorSpec(())])(tf.constant(-1.0))
    assert float(theirs) == 2


def test_tensorflow_settings_are_restored():
    before = tf.config.optimizer.get_experimental_options()
    Compiled(lambda x: x + 1, [tf.TensorSpec(())])(tf.constant(1.0))
    after = tf.config.optimizer.get_experimental_options()
    assert {**after, "disable_meta_optimizer": False} == {"disable_meta_optimizer": False, **before}


def test_assignments_undone_restores_only_variables_that_existed_before():
    keras_variable, raw = keras.Variable([1.0]), tf.Variable([0.0, 0.0])
    with assignments_undone():
        keras_variable.assign([5.0])
        raw.scatter_nd_add([[1]], [3.0])
        fresh = tf.Variable(1.0)
        fresh.assign(4.0)
        assert raw.numpy().tolist() == [0.0, 3.0]
    assert keras_variable.numpy().tolist() == [1.0]
    assert raw.numpy().tolist() == [0.0, 0.0]
    assert float(fresh) == 4
    raw.assign([1.0, 1.0])
    assert raw.numpy().tolist() == [1.0, 1.0]
