"""A network with channels first has the numbers of the same network with channels last, in the axes of its layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from nnviz3d.capture.attributions import METHODS
from nnviz3d.capture.live_model import capture
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.capture.training import embedding_probe as embedded
from nnviz3d.capture.training.probe import Probe
from nnviz3d.capture.training.train_step_hook import VariableCopies
from nnviz3d.capture.training.weight_statistics import WeightMeasure
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.capabilities.features import FeatureOptions
from nnviz3d.data.request import CaptureRequest, Insights
from nnviz3d.data.training import STATISTICS

FIRST = ("channel", "row", "column")
ROWS, COLUMNS = 14, 18


def twin(first):
    """The same network with channels first or last; rows, columns and channels of its maps have different lengths."""
    form = {"data_format": "channels_first" if first else "channels_last"}
    axis = 1 if first else -1
    photo = keras.Input((3, ROWS, COLUMNS) if first else (ROWS, COLUMNS, 3), name="photo")
    x = layers.Conv2D(4, 3, activation="relu", **form, name="early")(photo)
    x = layers.BatchNormalization(axis=axis, name="norm")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, **form, name="each")(x)
    x = layers.Concatenate(axis=axis, name="both")([x, x])
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", **form, name="last")(x)
    x = layers.GlobalAveragePooling2D(**form, name="pool")(x)
    return keras.Model(photo, layers.Dense(3, name="out")(x))


def as_last(values):
    """Move the channels of a batch last."""
    return np.moveaxis(values, 1, -1) if values.ndim == 4 else values


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Captures of both networks on three pictures with all insights, and the network with channels first."""
    keras.utils.set_random_seed(5)
    nets = [twin(first) for first in (True, False)]
    for variable in nets[0].get_layer("norm").weights:
        variable.assign(np.random.default_rng(1).uniform(0.5, 1.5, variable.shape))
    bias = nets[0].get_layer("early").bias
    bias.assign([0.1, 0.2, -1e3, 0.1])  # one channel is dead
    nets[1].set_weights(nets[0].get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (12, ROWS, COLUMNS, 3)).astype(np.uint8)
    wanted = Insights(
        attributions=tuple(METHODS),
        gradients=True,
        targets=("1",),
        features=("early[0:2]",),
        feature_options=FeatureOptions(steps=8),
        embeddings=("last",),
        embedding_options=EmbeddingOptions(method="pca", pooled=True),
    )
    folder = tmp_path_factory.mktemp("twins")
    x = [np.ascontiguousarray(np.moveaxis(pixels, -1, 1)), pixels]
    runs = [
        capture(net, given, out=folder / f"{i}.zarr", insights=wanted)
        for i, (net, given) in enumerate(zip(nets, x, strict=True))
    ]
    return (*runs, nets[0])


def test_activations_are_stored_in_the_layers_own_axes(pair):
    first, last, net = pair
    assert first.provenance.preprocessing == "unit"
    x = first.activations("photo")
    assert x.axes == ("sample", *FIRST)
    assert x.values.shape == (12, 3, ROWS, COLUMNS)
    given = keras.Model(net.input, net.get_layer("last").output)(x.values).numpy()
    assert np.array_equal(first.activations("last").values, given)
    for node in last.graph:
        assert first.graph.node(node.id).axes == (FIRST if len(node.shape) == 3 else node.axes)
        assert np.allclose(as_last(first.activations(node.id).values), last.activations(node.id).values, atol=1e-5)
    assert np.array_equal(first.picture("photo", 2), last.picture("photo", 2))


def test_grad_cam_with_channels_first_equals_its_definition(pair):
    first, _, net = pair
    kernel = np.asarray(net.get_layer("out").kernel)
    values = first.activations("last").values
    for i in range(3):
        found = first.explanations(i).attribution("grad_cam")
        weights = kernel[:, 1] / values[0, 0].size
        assert np.allclose(
            found.values, np.maximum(np.einsum("k,khw->hw", weights, values[i]), 0), rtol=1e-4, atol=1e-7
        )


@pytest.mark.parametrize("method", METHODS)
def test_maps_and_their_faithfulness_equal_those_with_channels_last(pair, method):
    first, last, _ = pair
    for i in range(3):
        one, other = (run.explanations(i).attribution(method) for run in (first, last))
        scale = np.abs(other.values).max()
        assert one.layer == other.layer
        assert one.values.shape == other.values.shape
        # Noise is drawn in the order of the axes.
        if method != "smoothgrad":
            assert np.allclose(one.values, other.values, atol=2e-3 * scale)
        assert one.deletion.shape == other.deletion.shape != (0,)
        assert (one.deletion_auc is None, one.insertion_auc is None) == (False, False)
        if method in ("grad_cam", "vanilla"):
            assert one.deletion_auc == pytest.approx(other.deletion_auc, rel=0.02)


def test_pooled_embeddings_are_means_over_rows_and_columns(pair):
    first, last, _ = pair
    values = first.activations("last").values
    found, other = (run.embedding("last") for run in (first, last))
    means = values.mean(axis=(2, 3))
    assert np.allclose(
        found.vectors @ found.basis.T + found.mean if found.basis.size else found.vectors, means, atol=1e-4
    )
    assert np.allclose(np.abs(found.points), np.abs(other.points), atol=1e-3)


def test_gradients_have_the_axes_of_activations(pair):
    first, last, _ = pair
    for name in ("photo", "early", "last"):
        one, other = (run.explanations(0).gradient(name, None) for run in (first, last))
        assert np.allclose(as_last(one[None])[0], other, atol=1e-5)


def test_features_with_channels_first_are_pictures(pair):
    first, last, _ = pair
    one, other = (run.features("early") for run in (first, last))
    assert one.images.shape == other.images.shape == (2, ROWS, COLUMNS, 3)
    assert np.allclose(one.images, other.images, atol=0.02)
    assert np.allclose(one.after, other.after, rtol=1e-2)


@pytest.mark.parametrize("target", ["early", "each", "last"])
def test_fans_join_the_same_cells(pair, target):
    first, last, _ = pair
    source = first.graph.sources(target)[0]
    one, other = (run.connections(source, target, "contribution", 1) for run in (first, last))
    assert one.total == other.total
    cells = []
    for run, found in ((first, one), (last, other)):
        ends = []
        for name, flat in zip((source, target), found.index.T, strict=True):
            index = np.stack(np.unravel_index(flat, run.activation_shape(name)), axis=1)
            ends.append(index[:, [1, 2, 0]] if run is first else index)
        cells.append({(*map(tuple, pair),): w for *pair, w in zip(*ends, found.weight, strict=True)})
        source_values = run.activation(source, 1).ravel()
        assert np.allclose(found.contribution, found.weight * source_values[found.index[:, 0]], atol=1e-6)
    assert cells[0].keys() == cells[1].keys()
    assert all(cells[1][ends] == pytest.approx(weight, abs=1e-6) for ends, weight in cells[0].items())


def test_pictures_are_read_for_inputs_with_channels_first(tmp_path):
    net = twin(first=True)
    Image.fromarray(np.arange(40 * 50 * 3, dtype=np.uint8).reshape(40, 50, 3)).save(tmp_path / "a.png")
    kept = CachedModel(LoadedModel(net, "net"))
    for source in (str(tmp_path / "a.png"), "random"):
        samples = kept.samples([source])
        assert samples.arrays[0].shape == (1, 3, ROWS, COLUMNS)
        assert samples.is_picture == (True,)
        assert np.array_equal(samples.shown["photo"][0], np.moveaxis(samples.arrays[0][0], 0, -1))
    kept.answer(
        CaptureRequest(model="net", inputs=(str(tmp_path / "a.png"),), out=tmp_path / "run.zarr"), lambda event: None
    )


def test_maps_of_many_channels_are_not_read_as_pictures_with_channels_first():
    rows = keras.Input((4, 64, 64), name="rows")
    kept = CachedModel(LoadedModel(keras.Model(rows, layers.Conv2D(2, 3)(rows)), "net"))
    assert kept.samples(["random"]).is_picture == (False,)


@pytest.mark.parametrize("first", [True, False])
def test_dead_shares_are_counted_by_channel_in_both_orders_of_axes(first):
    net = twin(first)
    net.get_layer("early").bias.assign([1e3, -1e3, -1e3, -1e3])
    probe = Probe(net, np.random.default_rng(0).random((2, *net.input_shape[1:])).astype(np.float32), None)
    figures = np.full((len(probe.described.graph), len(STATISTICS)), np.nan, np.float32)
    probe.statistics(figures)
    names = [node.id for node in probe.described.graph]
    assert figures[names.index("early"), STATISTICS.index("dead")] == 0.75


@pytest.mark.parametrize("first", [True, False])
def test_embedding_during_a_training_averages_wide_maps_over_rows_and_columns(first, monkeypatch):
    monkeypatch.setattr(embedded, "_WIDE", 8)
    net, x = twin(first), np.random.default_rng(0).random((5, ROWS, COLUMNS, 3)).astype(np.float32)
    x = np.moveaxis(x, -1, 1) if first else x
    vectors, _, _ = embedded.EmbeddedProbe(net, "last", x, None, None)()
    means = keras.Model(net.input, net.get_layer("pool").output)(x).numpy()
    assert np.allclose(vectors, means, atol=1e-5)


@pytest.mark.parametrize("first", [True, False])
def test_gradient_norms_are_computed_by_channel_in_both_orders_of_axes(first):
    kernel = np.zeros((3, 3, 3, 4), np.float32)
    net = twin(first)
    described = describe(open_model(net, expected_inputs(net)), "net")
    held = {
        id(v): VariableCopies(v, tf.Variable(kernel), tf.Variable(kernel)) for v in net.get_layer("early").weights[:1]
    }
    assert WeightMeasure(described, held).channels.entries == (("early", "", (4,)),)
