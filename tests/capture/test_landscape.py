"""Loss landscapes hold the model's own losses, over planes that are built as the paper says."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d import TrainingRecorder
from nnviz3d.capture.landscape import PlaneLoss
from nnviz3d.capture.live_model import capture
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.capture.model_loss import Loss
from nnviz3d.capture.weight_planes import Plane, filters_of
from nnviz3d.data.capabilities.landscape import LandscapeOptions, read_landscape
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest, Insights, Notice
from nnviz3d.errors import ModelError, SampleError, UserError

pytestmark = pytest.mark.slow

COUNT = 70
"""Two whole batches of Keras, and a part of one."""


def landscape(model, x, y, folder, **options):
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    settings = LandscapeOptions(**{"resolution": 5, "labels": str(folder / "y.npy"), **options})
    wanted = Insights(landscape=True, dataset=(str(folder / "x.npy"),), landscape_options=settings)
    return read_landscape(capture(model, x[:1], out=folder / "run.zarr", insights=wanted).stored)


def pictures(rng):
    return rng.normal(size=(COUNT, 8, 8, 2)).astype(np.float32), rng.integers(0, 3, COUNT)


def convolutional(**compiled):
    """A network with every kind of parameter that the paper treats in its own way, none of them at its initial value."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(4)
    model.set_weights([w + rng.uniform(0.1, 0.5, w.shape).astype(np.float32) for w in model.get_weights()])
    model.compile(loss="sparse_categorical_crossentropy", run_eagerly=True, **compiled)
    return model


def test_center_is_the_evaluated_loss_bit_for_bit_and_no_variable_changes(tmp_path, rng):
    model, (x, y) = convolutional(), pictures(rng)
    before = [np.array(v) for v in model.variables]
    found = landscape(model, x, y, tmp_path)
    assert found.center == np.float32(model.evaluate(x, y, verbose=0))
    assert (found.along[2], found.across[2], found.count) == (0, 0, COUNT)
    assert found.loss == "sparse categorical crossentropy"
    assert len(np.unique(found.values)) == 25
    assert all(np.array_equal(a, np.array(v)) for a, v in zip(before, model.variables, strict=True))


def test_surface_of_a_linear_regression_is_the_exact_quadratic(tmp_path, rng):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile(loss="mse")
    x = rng.normal(size=(COUNT, 4)).astype(np.float32)
    y = (x @ [[1.0], [2.0], [-1.0], [0.5]] + rng.normal(size=(COUNT, 1))).astype(np.float32)
    found = landscape(model, x, y, tmp_path, seed=7, extent=2.0)
    first, second = (np.asarray(d[0], np.float64) for d in Plane.random(model, 7).directions)
    kernel, bias = (w.astype(np.float64) for w in model.get_weights())
    for row, b in enumerate(np.linspace(-2, 2, 5)):
        for column, a in enumerate(np.linspace(-2, 2, 5)):
            expected = np.mean((x @ (kernel + a * first + b * second) + bias - y) ** 2)
            assert abs(found.values[row, column] - expected) < 1e-5 * expected


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (layers.Conv2D(5, 3), (8, 8, 2), [(0, 1, 2)]),
        (layers.Conv2DTranspose(5, 3), (8, 8, 2), [(0, 1, 3)]),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (8, 8, 2), [(0, 1)]),
        (layers.SeparableConv2D(5, 3), (8, 8, 2), [(0, 1), (0, 1, 2)]),
        (layers.Dense(5), (4,), [(0,)]),
        (layers.EinsumDense("abc,cde->abde", output_shape=(6, 3, 5), bias_axes="de"), (6, 4), [(0,)]),
        (layers.Embedding(9, 5), (4,), [(1,)]),
        (layers.LSTM(5), (6, 4), [(0,), (0,)]),
        (layers.BatchNormalization(), (8,), []),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_filters_of_a_direction_have_the_norms_of_the_models_filters(layer, shape, axes):
    model = keras.Sequential([keras.Input(shape), layer])
    plane = Plane.random(model, 0)
    assert len(plane.variables) == len(axes)
    for variable, *drawn, others in zip(plane.variables, *plane.directions, axes, strict=True):
        norms = [np.sqrt((np.asarray(a, np.float64) ** 2).sum(axis=others)) for a in (variable, *drawn)]
        assert norms[0] == pytest.approx(norms[1], rel=1e-6)
        assert norms[0] == pytest.approx(norms[2], rel=1e-6)
        assert not np.allclose(*drawn)


def test_biases_normalizations_and_their_statistics_stay_in_random_directions(tmp_path, rng):
    model, (x, y) = convolutional(), pictures(rng)
    found = landscape(model, x, y, tmp_path)
    plane = Plane.random(model, 0)
    moved = {id(v) for v in plane.variables}
    assert [v.name for v in model.weights if id(v) in moved] == ["kernel", "kernel", "kernel"]
    other = convolutional()
    moves = zip(plane.variables, *plane.directions, strict=True)
    change = {id(v): found.along[4] * first + found.across[1] * second for v, first, second in moves}
    other.set_weights([np.array(v) + change.get(id(v), 0) for v in model.weights])
    assert found.values[1, 4] == pytest.approx(other.evaluate(x, y, verbose=0), rel=1e-5)


def test_frozen_layers_move_too_and_shared_layers_once():
    shared = layers.Dense(4)
    start = keras.Input((4,))
    model = keras.Model(start, shared(shared(start)))
    shared.trainable = False
    assert [(v.name, axes) for v, axes in filters_of(model)] == [("kernel", (1,)), ("bias", ())]


def recorded(model, x, y, folder, epochs, **options):
    """Train on the whole data set as one batch, and keep all weights; returns the weights after each step."""
    kept = {}

    class Keeping(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            kept[len(kept) + 1] = model.get_weights()

    recorder = TrainingRecorder(folder / "training.zarr", every=1, weights_every=1, **options)
    model.fit(x, y, batch_size=COUNT, epochs=epochs, shuffle=False, verbose=0, callbacks=[recorder, Keeping()])
    return kept


def test_kept_weights_in_the_plane_of_a_training_have_their_own_losses_there(tmp_path, rng):
    model, (x, y) = convolutional(optimizer=keras.optimizers.SGD(0.05)), pictures(rng)
    recorded(model, x, y, tmp_path, 3, probes=(x[:2], y[:2]))
    found = landscape(model, x, y, tmp_path, training=str(tmp_path / "training.zarr"), resolution=3)
    assert found.steps.tolist() == [1, 2, 3]
    assert found.distances == pytest.approx(0, abs=1e-6), "three points are in one plane"
    assert found.shares.sum() == pytest.approx(1)
    assert found.path[-1].tolist() == [0, 0]
    assert found.path_losses[-1] == found.center == np.float32(model.evaluate(x, y, verbose=0))
    variables = {(layer.name, v.name): v for layer in model.layers for v in layer.weights}
    plane = Plane.of_training(open_capture(tmp_path / "training.zarr").training, variables)
    graph = open_capture(tmp_path / "run.zarr").graph
    loss = PlaneLoss(model, Loss.of(LoadedModel(model, "m"), graph.node(graph.outputs[0]), y), plane, [x])
    there = [loss(*coordinates) for coordinates in found.path.tolist()]
    assert there == pytest.approx(found.path_losses.tolist(), rel=1e-5)
    assert len(set(there)) == 3
    assert plane.through_model
    model.layers[0].bias.assign_add([1, 0, 0, 0])
    assert not plane.through_model


def test_losses_of_kept_weights_are_those_of_the_recording_and_statistics_of_batch_normalization_move(tmp_path, rng):
    model, (x, y) = convolutional(optimizer=keras.optimizers.SGD(0.1)), pictures(rng)
    kept = recorded(model, x, y, tmp_path, 6, probes=(x[:2], y[:2]))
    found = landscape(model, x, y, tmp_path, training=str(tmp_path / "training.zarr"), resolution=3)
    other = convolutional()
    for step, loss in zip(found.steps, found.path_losses, strict=True):
        other.set_weights(kept[step])
        assert loss == np.float32(other.evaluate(x, y, verbose=0))
    assert np.ptp([weights[4] for weights in kept.values()], axis=0).min() > 0, "moving means"
    assert found.distances.max() > 0


def test_recorded_loss_of_a_step_is_the_loss_at_the_weights_before_it(tmp_path, rng):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.05), "mse")
    x, y = rng.normal(size=(COUNT, 4)).astype(np.float32), rng.normal(size=(COUNT, 1)).astype(np.float32)
    recorded(model, x, y, tmp_path, 5, probes=(x[:2], y[:2]))
    found = landscape(model, x, y, tmp_path, training=str(tmp_path / "training.zarr"), resolution=3)
    training = open_capture(tmp_path / "training.zarr").training
    assert found.path_losses[:-1] == pytest.approx(training.loss[1:], rel=1e-5)


def test_loss_of_a_model_that_was_not_compiled_follows_its_output_and_is_said(tmp_path, rng):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    x, y = rng.normal(size=(COUNT, 4)).astype(np.float32), rng.integers(0, 3, COUNT)
    found = landscape(model, x, y, tmp_path)
    predicted = np.asarray(model(x), np.float64)
    assert found.center == pytest.approx(-np.log(predicted[np.arange(COUNT), y]).mean(), rel=1e-5)
    assert not model.compiled


@pytest.mark.parametrize("form", ["numbers", "vectors"])
def test_loss_of_a_file_is_used_with_classes_in_either_form(tmp_path, rng, form):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile(loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.2), run_eagerly=True)
    model.save(tmp_path / "m.keras")
    x, y = rng.normal(size=(COUNT, 4)).astype(np.float32), rng.integers(0, 3, COUNT)
    np.savez(tmp_path / "x.npz", x=x)
    np.savez(tmp_path / "y.npz", labels=np.eye(3)[y] if form == "vectors" else y)
    settings = LandscapeOptions(resolution=3, labels=str(tmp_path / "y.npz"))
    wanted = Insights(landscape=True, dataset=(str(tmp_path / "x.npz"),), landscape_options=settings)
    events = []
    request = CaptureRequest(
        model=str(tmp_path / "m.keras"),
        inputs=(f"{tmp_path / 'x.npz'}[0]",),
        out=tmp_path / "run.zarr",
        insights=wanted,
    )
    CachedModel(load_model(request.model)).answer(request, events.append)
    found = read_landscape(open_capture(tmp_path / "run.zarr").stored)
    assert found.center == np.float32(model.evaluate(x, np.eye(3, dtype=np.float32)[y], verbose=0))
    assert not [event for event in events if isinstance(event, Notice) and "does not say its loss" in event.text]


def test_landscape_of_the_captures_own_samples_of_a_subclassed_model(tmp_path, rng):
    class Regression(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = layers.Dense(3, activation="relu"), layers.Dense(1)

        def call(self, x):
            return self.out(self.hidden(x))

    x, y = rng.normal(size=(COUNT, 4)).astype(np.float32), rng.normal(size=(COUNT, 1)).astype(np.float32)
    np.save(tmp_path / "y.npy", y)
    model = Regression()
    model(x[:1])
    model.compile(loss="mae", run_eagerly=True)
    options = LandscapeOptions(resolution=3, labels=str(tmp_path / "y.npy"))
    wanted = Insights(landscape=True, landscape_options=options)
    found = read_landscape(capture(model, x, out=tmp_path / "run.zarr", insights=wanted).stored)
    assert found.center == np.float32(model.evaluate(x, y, verbose=0))
    assert (found.dataset, found.count) == ("x[0] to x[69]", COUNT)


def test_landscape_of_two_inputs_and_known_labels(tmp_path, rng):
    starts = [keras.Input((4,), name="a"), keras.Input((3,), name="b")]
    model = keras.Model(starts, layers.Dense(2, activation="softmax")(layers.Concatenate()(starts)))
    model.compile(loss="sparse_categorical_crossentropy", run_eagerly=True)
    x = {name: rng.normal(size=(COUNT, size)).astype(np.float32) for name, size in (("a", 4), ("b", 3))}
    y = rng.integers(0, 2, COUNT)
    wanted = Insights(landscape=True, landscape_options=LandscapeOptions(resolution=3))
    found = read_landscape(capture(model, x, labels=y, out=tmp_path / "run.zarr", insights=wanted).stored)
    assert found.center == np.float32(model.evaluate(x, y, verbose=0))


def test_interrupted_landscape_leaves_the_earlier_capture_whole(tmp_path, rng, monkeypatch):
    model, (x, y) = convolutional(), pictures(rng)
    landscape(model, x, y, tmp_path)
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    def interrupted(plane, along, across):
        raise KeyboardInterrupt

    monkeypatch.setattr("nnviz3d.capture.landscape.PlaneLoss.__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        landscape(model, x, y, tmp_path, resolution=7)
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


def test_refusals_say_what_to_do(tmp_path, rng):
    model, (x, y) = convolutional(optimizer="sgd"), pictures(rng)
    with pytest.raises(
        SampleError, match="brings no true classes; capture the model with --landscape --dataset DATA --labels FILE"
    ):
        landscape(model, x, y, tmp_path, labels="")
    with pytest.raises(SampleError, match="There is no file gone"):
        landscape(model, x, y, tmp_path, labels="gone.npy")
    with pytest.raises(SampleError, match="There are 69 targets for 70 samples"):
        landscape(model, x, y[:-1], tmp_path)
    with pytest.raises(ModelError, match=r"cannot be computed with targets of the shape \(2, 2\)"):
        landscape(model, x, rng.normal(size=(COUNT, 2, 2)), tmp_path)
    start = keras.Input((8, 8, 2))
    with pytest.raises(ModelError, match="needs a model with one output"):
        landscape(keras.Model(start, [layers.Flatten()(start), layers.ReLU()(start)]), x, y, tmp_path)
    recorded(model, x, y, tmp_path, 2, probes=(x[:2], y[:2]))
    with pytest.raises(UserError, match="at least three different steps"):
        landscape(model, x, y, tmp_path, training=str(tmp_path / "training.zarr"))
    capture(model, x[:1], out=tmp_path / "run.zarr")
    with pytest.raises(UserError, match="holds no recorded training"):
        landscape(model, x, y, tmp_path, training=str(tmp_path / "run.zarr"))
    other = keras.Sequential([keras.Input((8, 8, 2)), layers.Conv2D(5, 3), layers.Flatten(), layers.Dense(3)])
    other.compile(loss="mse")
    with pytest.raises((UserError, ModelError), match="training"):
        landscape(other, x, y, tmp_path, training=str(tmp_path / "training.zarr"))
