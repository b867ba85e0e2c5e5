"""Recorded trainings: records equal reference computations, and the training stays unchanged."""

import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d import TrainingRecorder
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import ModelError, SampleError, UserError

pytestmark = pytest.mark.slow

N, BATCH = 40, 8
MODES = {
    "compiled": {"run_eagerly": False},
    "jit": {"run_eagerly": False, "jit_compile": True},
    "eager": {},
    "several steps": {"run_eagerly": False, "steps_per_execution": 2},
    "scaled": {"run_eagerly": False, "scaled": True},
}


@pytest.fixture(autouse=True)
def _policy():
    yield
    keras.config.set_dtype_policy("float32")


def data():
    rng = np.random.default_rng(5)
    return rng.normal(size=(N, 6, 6, 1)).astype("f4"), rng.integers(0, 3, N)


def build(*, dropout=True, built=True):
    keras.backend.clear_session()
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            *([keras.Input((6, 6, 1), name="image")] if built else []),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.4 if dropout else 0.0, name="dropout"),
            layers.Dense(5, activation="tanh", name="hidden"),
            layers.Dense(3, name="scores"),
        ]
    )


def compiled(model, *, scaled=False, rate=0.01, **options):
    optimizer = keras.optimizers.Adam(rate)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], **{"jit_compile": False, "run_eagerly": True, **options})
    return model


def fit(model, callbacks=(), *, epochs=2, shuffle=True):
    return model.fit(*data(), batch_size=BATCH, epochs=epochs, verbose=0, callbacks=list(callbacks), shuffle=shuffle)


def numbers(model):
    return [np.asarray(v) for v in (*model.weights, *model.optimizer.variables)]


@pytest.mark.parametrize("mode", MODES)
def test_training_is_bit_identical_with_and_without_the_recorder(tmp_path, mode):
    ends = []
    for recorder in (None, TrainingRecorder(tmp_path / "run.zarr", every=2, probes_every=3, weights_every=4)):
        if "scaled" in MODES[mode]:
            keras.config.set_dtype_policy("mixed_float16")
        model = compiled(build(built=False), **MODES[mode])
        history = fit(model, [] if recorder is None else [recorder])
        ends.append((numbers(model), history.history, random.getstate(), np.random.get_state()[1].tolist()))  # noqa: NPY002
    (plain, *others), (recorded, *same) = ends
    assert all(np.array_equal(a, b) for a, b in zip(plain, recorded, strict=True))
    assert others == same
    training = open_capture(tmp_path / "run.zarr").training
    assert training.finished
    assert training.steps.tolist() == ([2, 4, 7, 9, 10] if "several steps" in mode else [1, 2, 4, 6, 8, 10])
    assert np.isfinite(training.loss).all()
    assert np.isfinite(training.statistic("gradient_norm")[:, training.layers.index("hidden")]).all()


@pytest.mark.parametrize("often", [1, 2])
def test_metrics_of_the_validation_data_are_recorded_and_change_nothing(tmp_path, often):
    x, y = data()
    ends = []
    for recorder in (None, TrainingRecorder(tmp_path / "run.zarr", every=4)):
        model = compiled(build(), run_eagerly=False)
        options = {"validation_data": (x[:10], y[:10]), "validation_freq": often, "epochs": 4, "batch_size": BATCH}
        fitted = model.fit(x, y, verbose=0, callbacks=[recorder] if recorder else [], **options)
        ends.append((numbers(model), fitted.history))
    (plain, history), (recorded, told) = ends
    assert all(np.array_equal(a, b) for a, b in zip(plain, recorded, strict=True))
    assert history == told
    found = open_capture(tmp_path / "run.zarr").training.epoch_ends
    epochs = list(range(often - 1, 4, often))
    assert found.epochs.tolist() == epochs
    assert found.steps.tolist() == [5 * (epoch + 1) for epoch in epochs]
    assert set(found.metrics) == set(history)
    for name, values in history.items():
        own = values if name.startswith("val_") else [values[epoch] for epoch in epochs]
        assert found.metrics[name].tolist() == own, name


class Noisy(layers.Layer):
    """Draws random numbers in training and in inference."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seeds = keras.random.SeedGenerator(4)

    def call(self, x):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=self.seeds)


def test_model_with_every_kind_of_layer_ends_in_the_same_state_as_without_the_recorder(tmp_path):
    """Two outputs with a loss each, a penalty on activations, noise, and a decreasing learning rate."""
    ends = []
    rng = np.random.default_rng(3)
    x = {"a": rng.normal(size=(N, 6)).astype("f4"), "b": rng.integers(0, 7, (N, 4))}
    y = {"yes": rng.integers(0, 2, N).astype("f4")[:, None], "which": rng.integers(0, 3, N)}
    for recorder in (None, TrainingRecorder(tmp_path / "run.zarr", every=2, probes_every=2)):
        keras.backend.clear_session()
        keras.utils.set_random_seed(3)
        a, b = keras.Input((6,), name="a"), keras.Input((4,), dtype="int32", name="b")
        words = layers.Flatten()(layers.Embedding(7, 3, name="words")(b))
        dense = layers.Dense(5, "sigmoid", activity_regularizer="l2", kernel_regularizer="l2", name="dense")
        shared = Noisy(name="noisy")(dense(layers.Concatenate()([a, words])))
        yes, which = layers.Dense(1, "sigmoid", name="yes")(shared), layers.Dense(3, "softmax", name="which")(shared)
        model = keras.Model({"a": a, "b": b}, {"yes": yes, "which": which})
        rate = keras.optimizers.schedules.PolynomialDecay(0.1, 10, 0.0)
        losses = {"yes": "binary_crossentropy", "which": "sparse_categorical_crossentropy"}
        model.compile(keras.optimizers.SGD(rate, momentum=0.9, clipnorm=0.5), losses, jit_compile=False)
        history = model.fit(x, y, batch_size=BATCH, epochs=2, verbose=0, callbacks=[recorder] if recorder else [])
        ends.append((numbers(model), history.history))
    (plain, losses), (recorded, told) = ends
    assert all(np.array_equal(a, b) for a, b in zip(plain, recorded, strict=True))
    assert losses == told
    capture = open_capture(tmp_path / "run.zarr")
    training = capture.training
    assert np.allclose(training.learning_rate, [0.1 - 0.01 * (step - 1) for step in training.steps])
    assert training.has_gradient("a")
    assert np.abs(training.gradient("dense")).max() > 0
    assert set(training.metrics) == {"loss", "yes_loss", "which_loss"}
    assert capture.input("b").tolist() in x["b"].tolist()


class Spy(keras.callbacks.Callback):
    """Copies the recorder's gradients, and the weights before and after each step."""

    def __init__(self, recorder):
        super().__init__()
        self.recorder = recorder
        self.before, self.gradients, self.after = [], [], []

    def weights(self):
        return [np.asarray(v) for v in self.model.weights]

    def on_train_batch_begin(self, batch, logs=None):
        self.before.append(self.weights())

    def on_train_batch_end(self, batch, logs=None):
        self.after.append([np.asarray(v) for v in self.model.trainable_variables])
        held = self.recorder._hook.held
        now = [held[id(v)] for v in self.model.trainable_variables]
        self.gradients.append([one.gradient.numpy() / one.applied.factor.numpy() for one in now])


@pytest.mark.parametrize("mode", ["jit", "eager", "scaled"])
def test_gradient_norms_and_update_ratios_equal_their_definitions(tmp_path, mode):
    if mode == "scaled":
        keras.config.set_dtype_policy("mixed_float16")
    model = compiled(build(dropout=False), **MODES[mode])
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0)
    spy = Spy(recorder)
    fit(model, [recorder, spy], epochs=1, shuffle=False)
    training = open_capture(tmp_path / "run.zarr").training
    x, y = data()
    names = [v.path.split("/")[-2] for v in model.trainable_variables]
    tolerance = 1e-2 if mode == "scaled" else 1e-5  # float16 rounds coarsely; the loss scale would be a factor of 1024
    for step, (before, recorded, after) in enumerate(zip(spy.before, spy.gradients, spy.after, strict=True)):
        model.set_weights(before)
        part = slice(step * BATCH, (step + 1) * BATCH)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x[part], y=y[part], y_pred=model(x[part], training=True))
        expected = [np.asarray(g) for g in tape.gradient(loss, [v.value for v in model.trainable_variables])]
        whole = np.linalg.norm(np.concatenate([g.ravel() for g in expected]))
        for a, b, name in zip(recorded, expected, names, strict=True):
            # The gradient of a bias before batch normalization is only rounding.
            assert np.linalg.norm(a - b) <= tolerance * max(np.linalg.norm(b), 0.01 * whole), name
        assert training.loss[step] == pytest.approx(float(loss), rel=tolerance)
        model.set_weights(before)
        first = [np.asarray(v) for v in model.trainable_variables]
        for i, layer in enumerate(training.layers):
            own = [k for k, name in enumerate(names) if name == layer]
            found = dict(zip(training.statistics, training.series[step, i].tolist(), strict=True))
            if not own:
                assert np.isnan([found["gradient_norm"], found["weight_norm"], found["update_ratio"]]).all()
                continue

            def norm(tensors, own=own):
                return np.linalg.norm(np.concatenate([tensors[k].ravel() for k in own]).astype("f8"))

            changes = [a.astype("f8") - b for a, b in zip(after, first, strict=True)]
            assert found["gradient_norm"] == pytest.approx(norm(recorded), rel=1e-5)
            assert found["weight_norm"] == pytest.approx(norm(after), rel=1e-6)
            assert found["update_ratio"] == pytest.approx(norm(changes) / norm(first), rel=1e-4)
            assert found["nonfinite_gradients"] == found["nonfinite_weights"] == 0
        kernel = recorded[0]
        channels = training.channel_gradients("conv")[step]
        assert np.allclose(channels, np.sqrt((kernel.astype("f8") ** 2).sum((0, 1, 2))), rtol=1e-5)
    assert training.learning_rate.tolist() == pytest.approx([0.01] * len(training))


def test_probe_records_are_the_models_activations_and_gradients(tmp_path):
    model = compiled(build())
    x, y = data()
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=10, probes=(x[:3], y[:3]), probes_every=5, classes="abc")
    fit(model, [recorder], epochs=1)
    capture = open_capture(tmp_path / "run.zarr")
    training = capture.training
    assert capture.committed == training.probes == 3
    assert capture.labels.tolist() == y[:3].tolist()
    assert capture.classes == ("a", "b", "c")
    assert np.array_equal(capture.input("image", 1), x[1])
    assert training.steps.tolist() == [1], "5 steps of every 10"
    assert training.probe_steps.tolist() == training.weight_steps.tolist() == [1]
    kept = {v.path: v for v in model.variables}
    for layer in ("conv", "norm", "hidden", "scores"):
        for name, values in training.weights(layer).items():
            next(v for path, v in kept.items() if path.endswith(f"{layer}/{name}")).assign(values)
    found = model(x[:3], training=False)
    assert np.allclose(capture.activations("scores").values, found, atol=1e-6)
    assert np.array_equal(capture.activation("image", 2), x[2])
    with tf.GradientTape() as tape:
        inputs = tf.constant(x[:3])
        tape.watch(inputs)
        loss = model.compute_loss(y=y[:3], y_pred=model(inputs, training=False))
    assert np.allclose(training.gradient("image"), tape.gradient(loss, inputs), atol=1e-6)
    hidden = training.activation("hidden")
    row = dict(zip(training.statistics, training.series[0, training.layers.index("hidden")].tolist(), strict=True))
    assert row["mean"] == pytest.approx(hidden.mean(), rel=1e-5)
    assert row["std"] == pytest.approx(hidden.std(), rel=1e-5)
    assert row["saturated"] == pytest.approx((np.abs(hidden) > 0.98).mean())
    conv = training.activation("conv")
    assert training.statistic("zeros")[0, training.layers.index("conv")] == pytest.approx((conv == 0).mean())


def test_probe_samples_are_taken_from_the_first_batch_by_default(tmp_path):
    model = compiled(build(built=False))
    fit(model, [TrainingRecorder(tmp_path / "run.zarr")], epochs=1, shuffle=False)
    capture = open_capture(tmp_path / "run.zarr")
    x, y = data()
    assert capture.committed == 8
    assert np.array_equal(capture.activation(capture.graph.inputs[0], 7), x[7])
    assert capture.labels.tolist() == y[:8].tolist()


def test_recording_without_probe_samples_has_all_other_parts(tmp_path):
    fit(compiled(build()), [TrainingRecorder(tmp_path / "run.zarr", probes=0)], epochs=1)
    capture = open_capture(tmp_path / "run.zarr")
    assert capture.committed == 0
    assert not capture.has_activations("conv")
    assert np.isnan(capture.training.statistic("mean")).all()
    assert np.isfinite(capture.training.statistic("update_ratio")[0, capture.training.layers.index("conv")])


def test_second_fit_is_recorded_and_the_model_is_restored(tmp_path):
    model = compiled(build())
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0)
    for _ in range(2):
        fit(model, [recorder], epochs=1)
        assert "train_step" not in vars(model)
        assert "apply" not in vars(model.optimizer)
        assert model.train_function is None
    assert open_capture(tmp_path / "run.zarr").training.steps.tolist() == list(range(1, 11))
    fit(model, epochs=1)
    assert len(open_capture(tmp_path / "run.zarr").training) == 10


def test_interrupted_fit_leaves_the_record_and_a_usable_model(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    model = compiled(build())
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0)
    with pytest.raises(KeyboardInterrupt):
        fit(model, [recorder, Interrupt()])
    training = open_capture(tmp_path / "run.zarr").training
    assert training.steps.tolist() == [1, 2, 3]
    assert not training.finished
    fit(compiled(model, rate=0.001), [recorder], epochs=1)
    training = training.refreshed()
    assert training.steps.tolist() == list(range(1, 9))
    assert training.learning_rate == pytest.approx(3 * [0.01] + 5 * [0.001]), "what was compiled since is recorded"
    assert len(set(training.loss)) == 8
    assert training.finished
    assert "train_step" not in vars(model)


def test_layer_frozen_during_training_is_not_recorded_from_then_on(tmp_path):
    model = compiled(build())
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0)
    fit(model, [recorder], epochs=1)
    model.get_layer("conv").trainable = False
    fit(compiled(model), [recorder], epochs=1)
    training = open_capture(tmp_path / "run.zarr").training
    conv, hidden = (training.layers.index(name) for name in ("conv", "hidden"))
    for name in ("gradient_norm", "weight_norm", "update_ratio"):
        told = np.isfinite(training.statistic(name))
        assert told[:, conv].tolist() == 5 * [True] + 5 * [False]
        assert told[:, hidden].all()
    assert np.isnan(training.channel_gradients("conv")[5:]).all()
    assert np.isfinite(training.channel_gradients("hidden")).all()


def test_layer_frozen_at_first_is_recorded_from_the_second_record_on(tmp_path):
    model = build(dropout=False)
    model.get_layer("conv").trainable = False
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0, weights_every=1)
    fit(compiled(model), [recorder], epochs=1)
    model.get_layer("conv").trainable = True
    model.get_layer("hidden").trainable = False
    fit(compiled(model), [recorder], epochs=1)
    training = open_capture(tmp_path / "run.zarr").training
    conv, hidden = (training.layers.index(name) for name in ("conv", "hidden"))
    for name in ("gradient_norm", "weight_norm", "update_ratio"):
        told = np.isfinite(training.statistic(name))
        assert told[:, conv].tolist() == 6 * [False] + 4 * [True]
        assert told[:, hidden].tolist() == 5 * [True] + 5 * [False]
    before, after = (np.concatenate([w.ravel() for w in training.weights("conv", at).values()]) for at in (-2, -1))
    ratio = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert training.statistic("update_ratio")[-1, conv] == pytest.approx(ratio, rel=1e-4)
    assert np.isfinite(training.channel_gradients("hidden")[:5]).all()


def test_batches_of_varying_length_have_no_probe_samples(tmp_path):
    keras.utils.set_random_seed(1)
    tokens = keras.Input((None,), dtype="int32")
    answer = layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.Embedding(9, 4, name="words")(tokens)))
    model = compiled(keras.Model(tokens, answer), run_eagerly=False)
    rng = np.random.default_rng(1)
    batches = [(rng.integers(0, 9, (4, n)), rng.integers(0, 2, 4)) for n in (3, 5, 2)]
    signature = (tf.TensorSpec((4, None), tf.int32), tf.TensorSpec((4,), tf.int32))
    with pytest.warns(UserWarning, match="no probe samples"):
        model.fit(
            tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature),
            callbacks=[TrainingRecorder(tmp_path / "run.zarr", every=1)],
            verbose=0,
        )
    training = open_capture(tmp_path / "run.zarr").training
    assert training.steps.tolist() == [1, 2, 3]
    assert (training.statistic("gradient_norm")[:, training.layers.index("words")] > 0).all()


def test_nonfinite_numbers_are_counted(tmp_path):
    model = compiled(build())
    kernel = model.get_layer("hidden").kernel
    broken = np.asarray(kernel).copy()
    broken[0, 0] = np.nan
    kernel.assign(broken)
    fit(model, [TrainingRecorder(tmp_path / "run.zarr", every=1)], epochs=1)
    training = open_capture(tmp_path / "run.zarr").training
    at = training.layers.index("hidden")
    assert training.statistic("nonfinite_weights")[0, at] >= 1
    assert training.statistic("nonfinite_activations")[0, at] > 0
    assert training.statistic("nonfinite_activations")[0, training.layers.index("image")] == 0
    assert np.isnan(training.statistic("weight_norm")[0, at])


def test_custom_training_loop_is_recorded(tmp_path):
    model, plain = (build(dropout=False) for _ in range(2))
    optimizers = [keras.optimizers.SGD(0.1) for _ in range(2)]
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=2, loss=loss_of)
    x, y = data()
    for start in range(0, N, BATCH):
        part = slice(start, start + BATCH)
        for net, optimizer in zip((model, plain), optimizers, strict=True):
            with tf.GradientTape() as tape:
                loss = loss_of(y[part], net(x[part], training=True))
            grads = tape.gradient(loss, [v.value for v in net.trainable_variables])
            before = [np.asarray(v).copy() for v in net.get_layer("hidden").weights]
            optimizer.apply(grads, net.trainable_variables)
            if net is model:
                recorder.step(model, x[part], y[part], loss=loss, grads=grads, learning_rate=0.1, metrics={"a": start})
                last = grads[4:6]
                if start == 24:
                    kept = before, last
    recorder.close()
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), plain.get_weights(), strict=True))
    training = open_capture(tmp_path / "run.zarr").training
    assert training.finished
    assert training.steps.tolist() == [1, 2, 4]
    assert training.metrics["a"].tolist() == [0, 8, 24]
    assert training.learning_rate.tolist() == [0.1] * 3
    assert training.has_gradient("image")
    at = training.layers.index("hidden")
    (kernel, bias), gradients = kept
    norm = np.sqrt(sum(float(np.sum(np.square(g))) for g in gradients))
    assert training.statistic("gradient_norm")[2, at] == pytest.approx(norm, rel=1e-5)
    weights = np.sqrt(np.sum(kernel**2) + np.sum(bias**2))
    assert training.statistic("update_ratio")[2, at] == pytest.approx(0.1 * norm / weights, rel=1e-4)
    assert np.isnan(training.statistic("update_ratio")[0, at]), "nobody knew the weights before the first step"


@pytest.mark.parametrize(
    ("path", "options", "error", "words"),
    [
        ("run.zarr", {"every": 0}, UserError, "every must be a number of steps, 1 or more; got 0"),
        ("run.zarr", {"weights_every": 1.5}, UserError, "weights_every"),
        ("run.zarr", {"probes": -1}, UserError, "0 or more"),
        ("run.zarr", {"probes": "digits:7"}, SampleError, "a pair"),
        ("run.zarr.zip", {}, UserError, "folder"),
        ("run", {}, UserError, "ends in .zarr"),
        ("nowhere/run.zarr", {}, UserError, "does not exist"),
        ("mine.zarr", {}, UserError, "is not a capture"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(tmp_path, path, options, error, words):
    (tmp_path / "mine.zarr").mkdir()
    with pytest.raises(error, match=words):
        TrainingRecorder(tmp_path / path, **options)


def test_recorder_refuses_a_second_model(tmp_path):
    recorder = TrainingRecorder(tmp_path / "run.zarr")
    recorder.set_model(compiled(build()))
    with pytest.raises(ModelError, match="of its own"):
        recorder.set_model(compiled(build()))


def test_gradients_of_another_number_than_variables_are_refused(tmp_path):
    with pytest.raises(ModelError, match="2 gradients"):
        TrainingRecorder(tmp_path / "run.zarr").step(build(), *data(), grads=[1, 2])


def test_earlier_capture_stays_until_the_first_step(tmp_path):
    path = tmp_path / "run.zarr"
    fit(compiled(build()), [TrainingRecorder(path, every=10, probes=0)], epochs=1)
    created = open_capture(path).provenance.created
    model = compiled(build())
    recorder = TrainingRecorder(path, every=1, probes=0)
    recorder.set_model(model)
    assert open_capture(path).provenance.created == created
    assert len(open_capture(path).training) == 1
    fit(model, [recorder], epochs=1)
    assert len(open_capture(path).training) == 5


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, nnviz3d; assert 'TrainingRecorder' in dir(nnviz3d); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("units", "activation", "loss"), [(3, "softmax", None), (1, "sigmoid", "binary_crossentropy")])
def test_gradient_at_an_output_of_probabilities_is_with_respect_to_the_scores(tmp_path, units, activation, loss):
    """For a cross-entropy this gradient is prediction minus target (Bishop 2006, section 4.3)."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(units, activation, name="out")(inputs))
    model.compile("sgd", loss or "sparse_categorical_crossentropy")
    x, y = np.random.default_rng(0).normal(size=(5, 4)), np.array([0, 1, 0, 1, 1])[:, None]
    recorder = TrainingRecorder(tmp_path / "run.zarr", probes=(x, y))
    model.fit(x, y, batch_size=5, verbose=0, callbacks=[recorder])
    training = open_capture(tmp_path / "run.zarr").training
    right = y if units == 1 else np.eye(3)[y[:, 0]]
    assert np.allclose(training.gradient("out"), (training.activation("out") - right) / 5, atol=1e-6)
