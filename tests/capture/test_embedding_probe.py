"""Outputs of a layer for embedded samples are recorded in a training without changing it."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d import TrainingRecorder
from nnviz3d.analysis.embedding_trajectory import embed_training
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import ModelError, SampleError
from tests.capture.test_recorder import BATCH, data, numbers

pytestmark = pytest.mark.slow

MODES = {
    "compiled": {"jit_compile": False},
    "jit": {"jit_compile": True},
    "several steps": {"jit_compile": False, "steps_per_execution": 2},
}
SAMPLES = (
    np.random.default_rng(8).random((70, 6, 6, 1), dtype=np.float32),
    np.random.default_rng(9).integers(0, 3, 70),
)
"""More samples than one batch."""


def network(**options):
    keras.backend.clear_session()
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1), name="image"),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.4, name="dropout"),
            layers.Dense(5, activation="tanh", name="hidden"),
            layers.Dense(3, name="scores"),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], **options)
    return model


class Spy(keras.callbacks.Callback):
    """Records the layer's outputs after each step by running the model itself."""

    def on_train_begin(self, logs=None):
        self.said = []

    def on_train_batch_end(self, batch, logs=None):
        answer, found = SAMPLES[0], {}
        for layer in self.model.layers:
            answer = found[layer.name] = layer(answer, training=False)
        self.said.append((np.asarray(found["hidden"]), np.asarray(answer)))


def fit(model, *callbacks):
    return model.fit(*data(), batch_size=BATCH, epochs=2, verbose=0, callbacks=list(callbacks)).history


@pytest.mark.parametrize("mode", MODES)
def test_recorder_stores_the_layers_outputs_and_does_not_change_the_training(tmp_path, mode):
    path = tmp_path / "run.zarr"
    plain = network(**MODES[mode])
    history = fit(plain)
    recorded, spy = network(**MODES[mode]), Spy()
    recorder = TrainingRecorder(
        path, every=2, probes=0, probes_every=4, classes="abc", embed="hidden", embed_samples=SAMPLES
    )
    assert fit(recorded, recorder, *([spy] if mode == "compiled" else [])) == history
    assert all(np.array_equal(a, b) for a, b in zip(numbers(plain), numbers(recorded), strict=True))
    embedded = open_capture(path).training.embedded
    assert embedded.steps.tolist() == ([2, 4, 9] if mode == "several steps" else [1, 4, 8])
    assert (embedded.samples.layer, embedded.samples.width, len(embedded.samples.names)) == ("hidden", 5, 70)
    assert np.array_equal(embedded.samples.labels, SAMPLES[1])
    assert embedded.samples.predicts
    assert not embedded.samples.probable, "scores are no probabilities"
    for k, step in enumerate(embedded.steps if mode == "compiled" else ()):
        hidden, scores = spy.said[step - 1]
        assert np.allclose(embedded.vectors(k), hidden, atol=1e-6)
        assert np.array_equal(embedded.predictions(k), scores.argmax(axis=1))
    assert not np.allclose(embedded.vectors(0), embedded.vectors(-1), atol=1e-3)
    if mode == "compiled":
        assert embed_training(embedded).points.shape == (3, 70, 3)


def test_wide_maps_are_averaged_over_locations_and_pictures_become_thumbnails(tmp_path):
    keras.utils.set_random_seed(1)
    pictures = np.random.default_rng(1).random((6, 20, 20, 1), dtype=np.float32)
    model = keras.Sequential(
        [
            keras.Input((20, 20, 1)),
            layers.Conv2D(8, 3, name="conv"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, "softmax"),
        ]
    )
    recorder = TrainingRecorder(
        tmp_path / "run.zarr",
        probes=(pictures[:2], None),
        embed="conv",
        embed_samples=(pictures, np.eye(2)[[0, 1] * 3]),
    )
    recorder.step(model, pictures, loss=1.0)
    training = open_capture(tmp_path / "run.zarr").training
    assert training.has_activation("conv")
    assert not training.has_gradient("conv"), "without targets there are none"
    embedded = training.embedded
    assert embedded.samples.pooled
    assert np.allclose(embedded.vectors(), np.mean(model.layers[0](pictures), axis=(1, 2)), atol=1e-5)
    assert np.allclose(embedded.probabilities(), np.max(model(pictures), axis=1), atol=1e-6)
    assert embedded.samples.labels.tolist() == [0, 1] * 3
    assert embedded.samples.thumbnails.shape == (6, 20, 20, 3)
    assert embedded.samples.thumbnails.max() > 200


def test_wrong_embed_arguments_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(SampleError, match=r"embed='LAYER' and embed_samples=\(x, y\)"):
        TrainingRecorder(tmp_path / "run.zarr", embed="dense")
    with pytest.raises(SampleError, match="embed_samples"):
        TrainingRecorder(tmp_path / "run.zarr", embed_samples=SAMPLES)
    recorder = TrainingRecorder(tmp_path / "run.zarr", probes=0, embed="hiden", embed_samples=SAMPLES)
    with pytest.raises(ModelError, match="embed: no layer is named 'hiden'; the layers are image, conv, norm"):
        recorder.step(network(), *data(), loss=1.0)
    assert not list(tmp_path.iterdir())
