"""Failures in a recorder: the training continues with the same weights, and the recording without the failed part."""

import shutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from nnviz3d import TrainingRecorder
from nnviz3d.capture.training.probe import Probe
from nnviz3d.capture.training.recording import Recording
from nnviz3d.data.capture import open_capture
from nnviz3d.data.files.locks import lock_file
from nnviz3d.errors import ModelError, SampleError, UserError
from tests.support.captures import small_capture

pytestmark = pytest.mark.slow

N, BATCH = 16, 4
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, 6)).astype("f4"), RNG.integers(0, 3, N)


def small_model():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, "tanh", name="hidden"), layers.Dense(3, name="scores")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    return model


def fit(model, *callbacks, data=(X, Y), **options):
    """Train, and return the weights and the warnings."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(*data, batch_size=BATCH, verbose=0, shuffle=False, callbacks=list(callbacks), **options)
    own = [str(one.message) for one in said if "recorded" in str(one.message) or "side by side" in str(one.message)]
    return [np.asarray(v) for v in model.weights], own


@pytest.fixture(scope="module")
def plain():
    return fit(small_model())[0]


def same(a, b):
    return len(a) == len(b) and all(map(np.array_equal, a, b))


@pytest.mark.parametrize(
    ("owner", "method", "what"),
    [
        (Probe, "statistics", "statistics of activations"),
        (Probe, "tensors", "the probe samples' activations"),
        (Recording, "_all_weights", "all weights"),
        (Recording, "_alarming", "alarms"),
    ],
)
def test_failed_part_of_a_recording_is_reported_once_and_left_out(tmp_path, plain, monkeypatch, owner, method, what):
    def fails(*_):
        error = ZeroDivisionError("a bug")
        error.add_note("hidden")
        raise error

    monkeypatch.setattr(owner, method, fails)
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes_every=1, weights_every=1)
    weights, said = fit(small_model(), recorder)
    assert same(weights, plain)
    assert said == [
        f"From step 1 on, {what} are not recorded, because layer hidden failed: a bug. The training continues."
    ]
    training = open_capture(recorder.path).training
    assert training.steps.tolist() == [1, 2, 3, 4]
    assert training.finished


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError("a bug")])
def test_failed_store_ends_the_recording_with_one_warning(tmp_path, plain, monkeypatch, error):
    whole = Recording.write

    def write(self, scalars, *args, **options):
        if scalars["step"] == 3:
            raise error
        return whole(self, scalars, *args, **options)

    monkeypatch.setattr(Recording, "write", write)
    weights, said = fit(small_model(), TrainingRecorder(tmp_path / "run.zarr", every=1))
    assert same(weights, plain)
    assert len(said) == 1
    assert said[0].startswith("From step 3 on, the training is no longer recorded: ")
    assert open_capture(tmp_path / "run.zarr").training.steps.tolist() == [1, 2]
    assert not lock_file(tmp_path / "run.zarr").exists()


@pytest.mark.parametrize("fate", ["removed", "replaced"])
def test_missing_store_is_reported_at_once_and_not_written_again(tmp_path, plain, fate):
    path = tmp_path / "run.zarr"

    class Meddle(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                shutil.rmtree(path)
                if fate == "replaced":
                    small_capture(tmp_path / "other.zarr")
                    (tmp_path / "other.zarr").rename(path)

    weights, said = fit(small_model(), TrainingRecorder(path, every=2), Meddle())
    assert same(weights, plain)
    assert said == [
        f"From step 2 on, the training is no longer recorded: run.zarr was {fate}"
        f"{', or moved,' * (fate == 'removed')} while the training was recorded into it."
    ]
    assert path.exists() == (fate == "replaced")
    if fate == "replaced":
        assert open_capture(path).training is None


def test_second_recorder_of_one_fit_is_refused_and_the_first_continues(tmp_path):
    model = small_model()
    with pytest.raises(UserError, match="another recorder of this program"):
        fit(model, *(TrainingRecorder(tmp_path / "run.zarr", every=1) for _ in range(2)))
    again = TrainingRecorder(tmp_path / "run.zarr", every=1)
    fit(model, again)
    assert len(open_capture(again.path).training) == 4, "a finished recorder does not hold the name"


def test_recorder_of_an_interrupted_fit_does_not_block_a_new_recorder(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    first = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0)
    with pytest.raises(KeyboardInterrupt):
        fit(small_model(), first, Interrupt())
    second = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0)
    assert fit(small_model(), second)[1] == []
    assert len(open_capture(second.path).training) == 4
    assert not lock_file(second.path).exists()


def test_second_recorder_of_a_loop_is_refused_until_the_first_is_closed(tmp_path):
    first, second = (TrainingRecorder(tmp_path / "run.zarr", probes=0) for _ in range(2))
    first.step(small_model(), X, Y)
    model = small_model()
    with pytest.raises(UserError, match="close"):
        second.step(model, X, Y)
    first.close()
    second.step(model, X, Y)


def test_capture_of_a_model_onto_its_own_training_is_refused(tmp_path, plain):
    from nnviz3d import capture

    refused = []

    class Meddle(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            try:
                capture(self.model, X[:2], out=tmp_path / "run.zarr")
            except UserError as error:
                refused.append(str(error))

    fit(small_model(), TrainingRecorder(tmp_path / "run.zarr", every=1), Meddle())
    assert len(refused) == 4
    assert all("is being written by another recorder of this program" in sentence for sentence in refused)
    assert open_capture(tmp_path / "run.zarr").training.finished


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"probes": (X[:, :5], Y)}, SampleError, "5"),
        ({"embed": "hiden", "embed_samples": (X, Y)}, ModelError, "no layer is named 'hiden'"),
    ],
    ids=["shape", "layer"],
)
def test_mistake_visible_before_the_first_step_is_refused_there(tmp_path, options, kind, words):
    model = small_model()
    before = [np.asarray(v) for v in model.weights]
    with pytest.raises(kind, match=words):
        fit(model, TrainingRecorder(tmp_path / "run.zarr", **options))
    assert same(before, model.weights)
    assert "train_step" not in vars(model)
    assert not list(tmp_path.iterdir())


def test_mistake_in_a_later_step_of_a_loop_is_a_warning(tmp_path):
    model = small_model()
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0)
    recorder.step(model, X, Y)
    with pytest.warns(UserWarning, match="From step 2 on, the training is no longer recorded: grads holds 1 gradients"):
        recorder.step(model, X, Y, grads=[1])
    recorder.step(model, X, Y)


class Reconstructing(keras.Model):
    """A model with a `train_step`, one part for each of two optimizers, and no `call`."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((6,)), layers.Dense(2, "relu", name="code")], name="encoder")
        self.decoder = keras.Sequential([keras.Input((2,)), layers.Dense(6, name="picture")], name="decoder")

    def train_step(self, x):
        with tf.GradientTape() as tape:
            loss = ops.mean(ops.square(x - self.decoder(self.encoder(x))))
        ways = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(ways, self.trainable_weights, strict=True))
        return {"loss": loss}


class Adversarial(keras.Model):
    """Two parts with an optimizer each; the second part is updated at every other step."""

    def __init__(self):
        super().__init__()
        self.generator = keras.Sequential([keras.Input((2,)), layers.Dense(6, name="made")], name="generator")
        self.judge = keras.Sequential([keras.Input((6,)), layers.Dense(1, name="real")], name="judge")
        self.count = 0

    def compile(self):
        super().compile(optimizer=None, run_eagerly=True)
        self.first, self.second = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.2)

    def train_step(self, x):
        for part, optimizer in ((self.judge, self.first), (self.generator, self.second)):
            if part is self.generator and self.count % 2:
                continue
            with tf.GradientTape() as tape:
                judged = self.judge(self.generator(x[:, :2]))
                loss = ops.mean(judged - self.judge(x)) * (1 if part is self.judge else -1)
            grads = tape.gradient(loss, part.trainable_weights)
            optimizer.apply_gradients(zip(grads, part.trainable_weights, strict=True))
        self.count += 1
        return {"loss": loss, "grid": ops.zeros((2, 2))}


def autoencoder():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2, "relu", name="code"), layers.Dense(6, name="picture")])
    model.compile("sgd", "mse", run_eagerly=True)
    return model


class Penalty(layers.Layer):
    def call(self, x):
        self.add_loss(ops.mean(ops.square(x)))
        return x


def penalized():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, name="hidden"), Penalty(name="penalty")])
    model.compile("sgd", run_eagerly=True)
    return model


def reconstructing():
    model = Reconstructing()
    model.compile("sgd", run_eagerly=True)
    return model


def adversarial():
    model = Adversarial()
    model.compile()
    return model


@pytest.mark.parametrize(
    ("build", "data", "layer", "activations"),
    [
        (autoencoder, (X, X), "code", True),
        (penalized, (X,), "hidden", True),
        (reconstructing, (X,), "encoder/code", False),
        (adversarial, (X,), "judge/real", False),
    ],
)
@pytest.mark.parametrize("options", [{}, {"probes": 0}], ids=["default", "none"])
def test_custom_training_is_recorded(tmp_path, build, data, layer, activations, options):
    ends = []
    for callbacks in ([], [TrainingRecorder(tmp_path / "run.zarr", every=1, **options)]):
        keras.utils.set_random_seed(2)
        ends.append(fit(build(), *callbacks, data=data))
    (weights, _), (others, said) = ends
    assert same(weights, others)
    assert len(said) == (0 if activations else 1 + (options == {})), said
    capture = open_capture(tmp_path / "run.zarr")
    training = capture.training
    assert training.steps.tolist() == [1, 2, 3, 4]
    assert training.finished
    assert (training.statistic("gradient_norm")[:, training.layers.index(layer)] > 0).all()
    assert capture.has_activations(layer) == (activations and options == {})
    if build is penalized and options == {}:
        assert np.abs(training.gradient("hidden")).max() > 0, "a loss without targets also has gradients"


def test_layers_of_an_optimizer_without_a_part_in_a_step_have_no_numbers_of_it(tmp_path):
    fit(adversarial(), TrainingRecorder(tmp_path / "run.zarr", every=1, probes=0), data=(X,))
    training = open_capture(tmp_path / "run.zarr").training
    told = np.isfinite(training.statistic("update_ratio"))
    made, judged = (training.layers.index(name) for name in ("generator/made", "judge/real"))
    assert told[:, made].tolist() == [True, False, True, False]
    assert told[:, judged].all()
    assert training.metrics.keys() == {"loss"}, "a grid is no metric of one number"


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return N // BATCH

    def __getitem__(self, at):
        part = slice(at * BATCH, (at + 1) * BATCH)
        return X[part], Y[part]


@pytest.mark.parametrize("source", ["generator", "dataset of Keras"])
def test_batches_from_generators_and_datasets_are_recorded_like_arrays(tmp_path, plain, source):
    batches = Sequence() if source != "generator" else (Sequence()[i] for i in range(N // BATCH))
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=1)
    model = small_model()
    model.fit(batches, verbose=0, shuffle=False, callbacks=[recorder])
    assert same([np.asarray(v) for v in model.weights], plain)
    training = open_capture(recorder.path).training
    assert training.steps.tolist() == [1, 2, 3, 4]
    assert training.has_activation("hidden")


@pytest.mark.parametrize("within", [False, True])
def test_training_under_a_strategy_of_one_replica_is_recorded_with_the_same_weights(tmp_path, within):
    ends = []
    for callbacks in ([], [TrainingRecorder(tmp_path / "run.zarr", every=1)]):
        strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
        with strategy.scope():
            model = small_model()
            model.run_eagerly = False
            if within:
                ends.append(fit(model, *callbacks))
        if not within:
            ends.append(fit(model, *callbacks))
    assert same(ends[0][0], ends[1][0])
    training = open_capture(tmp_path / "run.zarr").training
    assert training.steps.tolist() == [1, 2, 3, 4]
    assert np.isfinite(training.statistic("update_ratio")[:, training.layers.index("hidden")]).all()
