"""Connections: contributions into a cell, plus its bias, sum to the cell's value."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.connections.finder import ConnectionFinder, Pairs
from nnviz3d.capture.connections.top_k import KernelMatrix, pick
from nnviz3d.capture.programs.activations import Forward
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from tests.capture import zoo

ALL = 10**9


class Unwritten:
    """Replaces the writer: the connections are read from memory."""

    def group(self, path, attributes):
        pass

    def rows(self, path, start, values, axes):
        pass


def connections(model, x, k=ALL):
    inputs = expected_inputs(model)
    described = describe(open_model(model, inputs), "m")
    pairs = Pairs.of(described)
    finder = ConnectionFinder(pairs, k, kept=True)
    values = {}
    for batch in Forward(described, inputs.specs).batches([x]):
        finder.add(batch, Unwritten())
        for node_id, output in batch:
            values.setdefault(node_id, []).append(batch.numbers(node_id, output))
    return finder.found, {key: np.concatenate(parts) for key, parts in values.items()}, pairs


CONVOLUTIONS = [
    ("valid", (9, 9, 3), lambda: layers.Conv2D(5, 3, name="layer")),
    ("same", (9, 9, 3), lambda: layers.Conv2D(5, 3, padding="same", name="layer")),
    ("same, strides", (9, 8, 3), lambda: layers.Conv2D(5, 4, strides=2, padding="same", name="layer")),
    ("strides, uneven kernel", (11, 9, 2), lambda: layers.Conv2D(3, (2, 5), strides=(3, 2), name="layer")),
    ("dilation", (12, 12, 2), lambda: layers.Conv2D(3, 3, dilation_rate=2, padding="same", name="layer")),
    ("groups", (7, 7, 6), lambda: layers.Conv2D(9, 3, groups=3, name="layer")),
    ("one dimension", (12, 3), lambda: layers.Conv1D(4, 3, name="layer")),
    ("causal", (12, 3), lambda: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, name="layer")),
    ("three dimensions", (5, 6, 7, 2), lambda: layers.Conv3D(3, 3, padding="same", strides=2, name="layer")),
    ("depthwise", (9, 9, 3), lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="layer")),
    ("depthwise, 1-D", (9, 3), lambda: layers.DepthwiseConv1D(3, strides=2, name="layer")),
    ("separable", (9, 9, 3), lambda: layers.SeparableConv2D(4, 3, depth_multiplier=2, padding="same", name="layer")),
]


@pytest.mark.parametrize(("shape", "make"), [c[1:] for c in CONVOLUTIONS], ids=[c[0] for c in CONVOLUTIONS])
def test_contributions_of_a_fan_and_the_bias_sum_to_the_cells_value(shape, make, rng):
    model = keras.Sequential([keras.Input(shape, name="input"), make()])
    layer = model.layers[0]
    layer.bias.assign(rng.normal(size=layer.bias.shape))
    x = zoo.numbers(rng, 4, *shape)
    pairs, values, _ = connections(model, x)
    assert list(pairs) == [("input", "layer")]
    bias = layer.bias.numpy()
    for i, record in enumerate(pairs["input", "layer"]["contribution"]):
        after = values["layer"][i]
        cell = np.unravel_index(record.index[0, 1], after.shape)
        assert np.abs(after[cell]) == np.abs(after).max()
        assert set(record.index[:, 1]) == {record.index[0, 1]}
        assert record.shown == record.total
        assert record.rule == "fan"
        assert len(set(record.index[:, 0])) == record.total  # every cell of the source at most once
        assert np.allclose(record.contribution, record.weight * x[i].ravel()[record.index[:, 0]], atol=1e-6)
        assert np.isclose(record.contribution.sum() + bias[cell[-1]], after[cell], atol=1e-4)
        assert np.all(np.diff(np.abs(record.contribution)) <= 0)


def test_fan_contains_only_taps_inside_the_picture(rng):
    model = keras.Sequential(
        [
            keras.Input((3, 3, 1), name="input"),
            layers.Conv2D(1, 3, padding="same", kernel_initializer="ones", name="layer"),
        ]
    )
    x = np.zeros((2, 3, 3, 1), np.float32)
    x[0, 0, 0], x[1] = 1, 1
    x[1, 1, 1] = 5
    pairs, values, _ = connections(model, x)
    corner = pairs["input", "layer"]["weight"][0]
    assert np.abs(values["layer"][0]).argmax() == corner.index[0, 1] == 0
    assert corner.total == 4
    assert sorted(corner.index[:, 0]) == [0, 1, 3, 4]


def test_all_dense_contributions_and_the_bias_sum_to_the_layers_output(rng):
    model = keras.Sequential([keras.Input((7,), name="input"), layers.Dense(5, name="dense")])
    layer = model.layers[0]
    layer.bias.assign(rng.normal(size=5))
    x = zoo.numbers(rng, 3, 7)
    pairs, values, _ = connections(model, x)
    for i, record in enumerate(pairs["input", "dense"]["contribution"]):
        assert (record.rule, record.total, record.shown) == ("dense", 35, 35)
        sums = np.zeros(5)
        np.add.at(sums, record.index[:, 1], record.contribution)
        assert np.allclose(sums + layer.bias.numpy(), values["dense"][i], atol=1e-5)


@pytest.mark.parametrize("k", [1, 10, 100])
def test_strongest_connections_equal_those_of_a_full_sort(k, rng):
    model = keras.Sequential([keras.Input((40,), name="input"), layers.Dense(30, name="dense")])
    x = np.maximum(zoo.numbers(rng, 2, 40), 0)  # half of it zero, as after a relu
    pairs, _, _ = connections(model, x, k)
    kernel = model.layers[0].kernel.numpy()
    by_weight, by_contribution = pairs["input", "dense"]["weight"], pairs["input", "dense"]["contribution"]
    for i in range(2):
        for record, strength in (
            (by_weight[i], np.abs(kernel)),
            (by_contribution[i], np.abs(kernel * x[i][:, None])),
        ):
            order = np.argsort(-strength.ravel(), kind="stable")[:k]
            assert np.array_equal(record.index[:, 0] * 30 + record.index[:, 1], order)
            assert np.array_equal(record.weight, kernel.ravel()[order])
            assert np.allclose(record.contribution, (kernel * x[i][:, None]).ravel()[order])


def test_kernel_read_in_slices_has_the_same_strongest_connections(rng, monkeypatch):
    kernel = zoo.numbers(rng, 100, 50)
    kernel[3, 4] = kernel[70, 8] = 9  # equal weights: the earlier position is first
    scale = zoo.numbers(rng, 100)
    whole = KernelMatrix(kernel)
    monkeypatch.setattr("nnviz3d.capture.connections.top_k._SLICE", 4 * 50 * 7)
    sliced = KernelMatrix(kernel)
    for factor in (None, scale, np.zeros(100, np.float32)):
        a, b = whole.strongest(60, factor), sliced.strongest(60, factor)
        assert np.array_equal(a.row, b.row)
        assert np.array_equal(a.column, b.column)
        assert np.array_equal(a.weight, kernel[a.row, a.column])
    assert (whole.strongest(1).row[0], whole.strongest(1).column[0]) == (3, 4)


def test_equal_strengths_are_ordered_by_position():
    assert pick(np.array([1, 3, 3, 0, 3], np.float32), 2).tolist() == [1, 2]


def test_layers_without_connections_are_named_in_a_note(rng):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2), name="input"),
            layers.Conv2DTranspose(3, 3, name="up"),
            layers.BatchNormalization(),
            layers.Reshape((64, 3)),
            layers.LSTM(4, name="memory"),
        ]
    )
    pairs, _, finder = connections(model, zoo.numbers(rng, 1, 6, 6, 2))
    assert pairs == {}
    assert finder.skipped == ["No connections are captured for up (Conv2DTranspose), memory (LSTM)."]


def test_note_on_layers_without_connections_names_a_few_and_counts_the_rest(rng):
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    x = layers.Embedding(9, 4, name="words")(tokens)
    for k in range(4):
        x = layers.MultiHeadAttention(1, 4, name=f"look{k}")(x, x)
    x = layers.Dense(2, name="mixes")(x)
    pairs, _, finder = connections(keras.Model(tokens, x), rng.integers(0, 9, (1, 5)).astype(np.int32))
    assert list(pairs) == [("look3", "mixes")]
    (note,) = finder.skipped
    assert note == (
        "No connections are captured for words (Embedding), look0 (MultiHeadAttention), look1 (MultiHeadAttention), look2 "
        "(MultiHeadAttention) and 1 more."
    )


@pytest.mark.parametrize("shape", [(7, 3), (4, 5, 3)], ids=["sequence", "map"])
def test_dense_layer_over_locations_has_connections_into_one_location(shape, rng):
    model = keras.Sequential([keras.Input(shape, name="input"), layers.Dense(6, name="layer")])
    layer = model.layers[0]
    layer.bias.assign(rng.normal(size=6))
    x = zoo.numbers(rng, 3, *shape)
    pairs, values, found = connections(model, x)
    assert found.skipped == []
    for i, record in enumerate(pairs["input", "layer"]["contribution"]):
        after = values["layer"][i]
        cell = np.unravel_index(record.index[0, 1], after.shape)
        assert np.abs(after[cell]) == np.abs(after).max()
        assert (record.rule, record.total) == ("fan", 3)
        assert {np.unravel_index(k, shape)[:-1] for k in record.index[:, 0]} == {cell[:-1]}
        assert np.isclose(record.contribution.sum() + layer.bias.numpy()[cell[-1]], after[cell], atol=1e-4)
