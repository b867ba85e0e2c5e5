"""Receptive fields equal those found by changing every number of the input, and every number that has a gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.analysis.reach_tables import reach_tables
from nnviz3d.analysis.receptive_field import receptive_field
from nnviz3d.apps.export.html.pick_fields import table_words
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from tests.support.client import page_with

CELLS = 24
"""Number of cells that are tried in each model."""


def chain(shape, *inner):
    return keras.Sequential([keras.Input(shape, name="input"), *inner])


def residual():
    start = keras.Input((11, 9, 2), name="input")
    x = layers.Conv2D(4, 3, padding="same", strides=2)(start)
    y = layers.Conv2D(4, 3, padding="same")(layers.BatchNormalization()(x))
    z = layers.Conv2D(4, 1)(x)
    return keras.Model(start, layers.Conv2D(2, 2)(layers.Add()([layers.Activation("softplus")(y), z])))


def branches():
    """Branches of channels, of other reach, and a part of the vector that sees one branch only."""
    start = keras.Input((8, 8, 4), name="input")
    left = layers.Conv2D(2, (1, 5), padding="same")(start)
    right = layers.DepthwiseConv2D(3, dilation_rate=2)(layers.ZeroPadding2D(((3, 1), (2, 2)))(start))
    both = layers.Concatenate()([left, layers.Cropping2D(((0, 0), (0, 0)))(right)])
    return keras.Model(start, layers.AveragePooling2D(2, strides=1)(both))


def gated():
    start = keras.Input((6, 6, 4), name="input")
    x = layers.DepthwiseConv2D(3, padding="same")(start)
    gate = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(x))
    return keras.Model(start, layers.Multiply()([x, gate]))


MODELS = {
    "valid, strides, pooling": lambda: chain(
        (12, 11, 2), layers.Conv2D(3, 3), layers.MaxPooling2D(), layers.Conv2D(2, 2, strides=2)
    ),
    "same, uneven kernel": lambda: chain(
        (9, 10, 2), layers.Conv2D(3, (2, 4), strides=(3, 2), padding="same"), layers.AveragePooling2D(2, padding="same")
    ),
    "dilation": lambda: chain((13, 13, 1), layers.Conv2D(2, 3, dilation_rate=2), layers.Conv2D(2, 2, dilation_rate=3)),
    "dilation beyond a border": lambda: chain((6, 6, 1), layers.Conv2D(1, (2, 3), dilation_rate=4, padding="same")),
    "stride beyond the kernel": lambda: chain((10, 10, 1), layers.Conv2D(2, 1, strides=3), layers.MaxPooling2D(2, 1)),
    "groups": lambda: chain((7, 7, 6), layers.Conv2D(9, 3, groups=3), layers.DepthwiseConv2D(2, depth_multiplier=2)),
    "separable": lambda: chain((9, 9, 3), layers.SeparableConv2D(4, 3, depth_multiplier=2, padding="same", strides=2)),
    "transposed, valid": lambda: chain((5, 6, 2), layers.Conv2DTranspose(2, 3, strides=2), layers.Conv2D(1, 2)),
    "transposed, same": lambda: chain((5, 6, 2), layers.Conv2DTranspose(2, (4, 3), strides=(3, 2), padding="same")),
    "transposed, small kernel": lambda: chain((4, 4, 1), layers.Conv2DTranspose(2, 2, strides=3, padding="same")),
    "transposed, 1-D": lambda: chain((7, 2), layers.Conv1DTranspose(3, 3, strides=2, padding="same")),
    "upsampling": lambda: chain((4, 5, 2), layers.UpSampling2D((2, 3)), layers.Conv2D(2, 3)),
    "upsampling, bilinear": lambda: chain((4, 5, 2), layers.UpSampling2D((3, 2), interpolation="bilinear")),
    "residual": residual,
    "branches": branches,
    "a gate of all locations": gated,
    "dense over a map": lambda: chain((5, 4, 3), layers.Dense(2), layers.Flatten(), layers.Reshape((10, 4))),
    "flatten and dense": lambda: chain(
        (5, 5, 1), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(4), layers.ReLU()
    ),
    "softmax over channels": lambda: chain((5, 5, 2), layers.DepthwiseConv2D(3, activation="softmax")),
    "normalization over channels": lambda: chain((4, 4, 3), layers.DepthwiseConv2D(2), layers.LayerNormalization()),
    "normalization of groups": lambda: chain((4, 4, 6), layers.DepthwiseConv2D(2), layers.GroupNormalization(3)),
    "causal": lambda: chain((12, 2), layers.Conv1D(3, 3, padding="causal", dilation_rate=2), layers.Conv1D(2, 2)),
    "three dimensions": lambda: chain((5, 4, 6, 1), layers.Conv3D(2, 2, strides=(1, 2, 2)), layers.MaxPooling3D(2)),
    "global pooling": lambda: chain((6, 6, 3), layers.DepthwiseConv2D(3), layers.GlobalMaxPooling2D()),
    "recurrent": lambda: chain((6, 3), layers.GRU(2, return_sequences=True), layers.Conv1D(2, 2)),
    "recurrent, backwards": lambda: chain((6, 3), layers.SimpleRNN(2, return_sequences=True, go_backwards=True)),
    "recurrent, last step": lambda: chain((6, 3), layers.LSTM(2)),
    "each step": lambda: chain((6, 3), layers.TimeDistributed(layers.Dense(2))),
    "channels first": lambda: chain(
        (2, 7, 7), layers.ZeroPadding2D(1, data_format="channels_first"), layers.Flatten(data_format="channels_first")
    ),
}
SMALL_STEPS = ("recurrent", "softmax", "normalization")


def graph_of(model):
    return describe(open_model(model, expected_inputs(model)), "m").graph


def positive(model, rng):
    """Give all variables positive numbers, so that no two paths cancel."""
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(rng.uniform(0.05, 0.3, variable.shape))


def changed(model, shape, step, rng):
    """Return for each number of the input which numbers of the output it changes, ``(inputs, *output shape)``."""
    start = rng.uniform(1, 2, (1, *shape)).astype(np.float32)
    size = int(np.prod(shape))
    same = np.repeat(start, size, axis=0)
    tried = same.copy()
    tried.reshape(size, -1)[np.arange(size), np.arange(size)] += step
    # Rounding differs between the rows of a batch, so that each row is compared with the same row.
    return np.asarray(model(tried, training=False)) != np.asarray(model(same, training=False))


@pytest.mark.parametrize("name", MODELS)
def test_field_in_the_input_has_the_sides_that_brute_force_finds(name, rng):
    model = MODELS[name]()
    positive(model, rng)
    graph = graph_of(model)
    shapes = {node.id: tuple(node.shape) for node in graph}
    (start,), (end,) = graph.inputs, graph.outputs
    step = 0.5 if name.startswith(SMALL_STEPS) else 1000.0
    touched = changed(model, shapes[start], step, rng)
    cells = [tuple(int(i) for i in cell) for cell in np.ndindex(touched.shape[1:])]
    for k in rng.permutation(len(cells))[:CELLS]:
        field = receptive_field(graph, shapes.__getitem__, end, cells[k])
        moved = touched[(slice(None), *cells[k])].reshape(shapes[start])
        if not moved.any():  # the cell sees padding alone
            assert start not in field
            continue
        assert field[start].unclear is None
        for axis, mask in enumerate(field[start].positions):
            others = tuple(other for other in range(moved.ndim) if other != axis)
            assert np.array_equal(mask, moved.any(axis=others)), (cells[k], axis)
        inside = np.zeros(moved.shape, dtype=bool)
        inside[tuple(slice(*side) for side in field[start].box)] = True
        assert not (moved & ~inside).any()


@pytest.mark.slow
@pytest.mark.parametrize("make", [residual, branches, gated])
def test_field_in_every_earlier_layer_has_the_sides_of_the_gradient(make, rng):
    model = make()
    positive(model, rng)
    graph = graph_of(model)
    shapes = {node.id: tuple(node.shape) for node in graph}
    (end,) = graph.outputs
    taken = [layer.output for layer in model.layers]
    every = keras.Model(model.inputs, taken)
    x = tf.constant(rng.uniform(1, 2, (1, *shapes[graph.inputs[0]])).astype(np.float32))
    names = [layer.name for layer in model.layers]
    for _ in range(2):
        cell = tuple(int(rng.integers(n)) for n in shapes[end])
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = every(x)
            score = values[names.index(end)][(0, *cell)]
        slopes = dict(zip(names, tape.gradient(score, values), strict=True))
        field = receptive_field(graph, shapes.__getitem__, end, cell)
        for name, slope in slopes.items():
            moved = None if slope is None else np.asarray(slope)[0] != 0
            if name in graph.inputs:
                continue
            assert (name in field) == (moved is not None and moved.any())
            for axis, mask in enumerate(field[name].positions if name in field else ()):
                others = tuple(other for other in range(moved.ndim) if other != axis)
                assert np.array_equal(mask, moved.any(axis=others)), (name, axis)


def test_a_layer_that_does_not_say_what_it_reads_reads_everything_and_is_named():
    start = keras.Input((6, 4), name="input")
    mixed = layers.MultiHeadAttention(2, 2, name="attention")(start, start)
    graph = graph_of(keras.Model(start, layers.Dense(3, name="dense")(mixed)))
    shapes = {node.id: tuple(node.shape) for node in graph}
    field = receptive_field(graph, shapes.__getitem__, "dense", (2, 1))
    assert field["attention"].box == ((2, 3), (0, 4))
    assert field["attention"].unclear is None
    assert field["input"].whole
    assert field["input"].unclear == "attention"


def test_all_channels_of_a_location_have_the_fields_of_each():
    model = chain((7, 7, 4), layers.Conv2D(4, 3, groups=2, name="conv"))
    graph = graph_of(model)
    shapes = {node.id: tuple(node.shape) for node in graph}
    field = receptive_field(graph, shapes.__getitem__, "conv", (1, 2, None))
    assert field["input"].box == ((1, 4), (2, 5), (0, 4))


_FIELDS = """([tables, cells]) => {
  const fields = new client.ReceptiveFields(tables);
  return cells.map(([node, index]) => [...fields.field(node, index)].map(([name, { masks, unclear }]) =>
    [name, masks.map((mask) => [...mask]), unclear]));
}"""


@pytest.mark.chromium
def test_exported_pages_find_the_same_fields_from_tables(webgl, rng):
    page = page_with(webgl, "receptive_field.js")
    start = keras.Input((6, 4), name="input")
    mixed = layers.MultiHeadAttention(2, 2, name="attention")(start, start)
    makers = [*MODELS.values(), lambda: keras.Model(start, layers.Dense(3, name="dense")(mixed))]
    for make in makers:
        graph = graph_of(make())
        shapes = {node.id: tuple(node.shape) for node in graph}
        tables = reach_tables(graph, shapes.__getitem__)
        assert tables is not None
        cells = [
            (node.id, [None if n > 1 and rng.random() < 0.1 else int(rng.integers(n)) for n in shapes[node.id]])
            for node in graph
            for _ in range(4)
        ]
        found = page.evaluate(_FIELDS, [table_words(shapes, tables), cells])
        for (node, index), told in zip(cells, found, strict=True):
            expected = receptive_field(graph, shapes.__getitem__, node, tuple(index))
            assert [name for name, *_ in told] == list(expected), (node, index)
            for name, masks, unclear in told:
                assert unclear == expected[name].unclear
                for mask, positions in zip(masks, expected[name].positions, strict=True):
                    assert np.array_equal(np.array(mask, dtype=bool), positions), (node, index, name)
