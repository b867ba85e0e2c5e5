"""The channel axis of every tensor is found, whichever layer determines it."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.data.axes import as_arranged, channels_last
from nnviz3d.data.graph import ModelGraph

FIRST, LAST = ("channel", "row", "column"), ("row", "column", "channel")
CF = {"data_format": "channels_first"}


def graph_of(model):
    return describe(open_model(model, expected_inputs(model)), "m").graph


def axes(graph):
    return {node.id: node.axes for node in graph}


def test_channels_first_passes_through_layers_without_a_data_format():
    photo = keras.Input((3, 24, 24), name="photo")
    x = layers.Rescaling(1 / 255, name="scale")(photo)
    x = layers.Conv2D(4, 3, **CF, name="conv")(x)
    x = layers.BatchNormalization(axis=1, name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    y = layers.Conv2D(4, 3, padding="same", **CF, name="side")(x)
    x = layers.Dropout(0.1, name="drop")(layers.Add(name="add")([x, y]))
    x = layers.Concatenate(axis=1, name="both")([x, y])
    x = layers.MaxPooling2D(2, **CF, name="pool")(x)
    x = layers.GlobalAveragePooling2D(**CF, name="mean")(x)
    found = axes(graph_of(keras.Model(photo, layers.Dense(2, name="out")(x))))
    maps = ("photo", "scale", "conv", "norm", "relu", "side", "add", "drop", "both", "pool")
    assert {name: found[name] for name in maps} == dict.fromkeys(maps, FIRST)
    assert found["mean"] == found["out"] == ("channel",)


def test_channel_axis_follows_layers_that_move_axes():
    photo = keras.Input((3, 16, 20), name="photo")
    x = layers.Permute((2, 3, 1), name="turn")(photo)
    x = layers.Conv2D(4, 3, name="conv")(x)
    x = keras.ops.transpose(x, (0, 3, 1, 2))
    x = keras.ops.mean(keras.ops.relu(x), axis=3)
    graph = graph_of(keras.Model(photo, layers.Dense(2, name="out")(layers.Flatten(name="flat")(x))))
    found = axes(graph)
    assert found["photo"] == FIRST
    assert found["turn"] == found["conv"] == LAST
    assert found["transpose"] == found["relu"] == FIRST
    assert found["mean"] == ("channel", "time step")
    assert (graph.node("transpose").channels, graph.node("transpose").location_shape) == (4, (14, 18))


def test_layers_with_channels_last_outweigh_a_shape_that_suggests_channels_first():
    photo = keras.Input((4, 64, 64), name="rows")
    found = axes(graph_of(keras.Model(photo, layers.Conv2D(2, 3, padding="same", name="conv")(photo))))
    assert found == {"rows": LAST, "conv": LAST}


@pytest.mark.parametrize(
    ("shape", "make", "expected"),
    [
        ((28, 28), lambda: [layers.Reshape((28, 28, 1)), layers.Conv2D(2, 3)], ("row", "column")),
        ((28, 28), lambda: [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)], ("row", "column")),
        ((28, 28), lambda: [layers.LSTM(2)], ("time step", "channel")),
        ((28, 28), lambda: [layers.Conv1D(2, 3)], ("time step", "channel")),
        ((3, 40), lambda: [layers.Conv1D(2, 3, **CF)], ("channel", "time step")),
        ((2, 6, 6, 6), lambda: [layers.Conv3D(2, 3, **CF)], ("channel", "plane", "row", "column")),
        ((3, 28, 28), lambda: [layers.Flatten(), layers.Dense(2)], FIRST),
        ((28, 28, 3), lambda: [layers.Flatten(), layers.Dense(2)], LAST),
    ],
)
def test_input_axes_follow_the_layers_that_read_the_input(shape, make, expected):
    graph = graph_of(keras.Sequential([keras.Input(shape, name="x"), *make()]))
    assert graph.node("x").axes == expected
    if expected == ("row", "column"):
        assert (graph.node("x").channels, graph.node("x").location_shape) == (1, shape)
    again = type(graph).from_json(graph.to_json())
    assert axes(again) == axes(graph)


def test_graph_without_axis_names_is_read_as_channels_last():
    photo = keras.Input((3, 24, 24), name="photo")
    told = graph_of(keras.Model(photo, layers.Conv2D(2, 3, **CF)(photo))).to_json()
    for node in told["nodes"]:
        del node["named_axes"]
    assert ModelGraph.from_json(told).node("photo").axes == LAST


def test_as_arranged_is_the_inverse_of_channels_last(rng):
    values = rng.random((2, 3, 4, 5)).astype(np.float32)
    last = channels_last(values, FIRST)
    assert last.shape == (2, 4, 5, 3)
    assert np.array_equal(as_arranged(last, FIRST), values)
    assert channels_last(values[:, 0], ("row", "column")).shape == (2, 4, 5, 1)


def test_axes_of_returned_attention_scores_are_heads_queries_and_keys(tmp_path, rng):
    start = keras.Input((5, 4), name="start")
    heads = layers.MultiHeadAttention(2, 3, name="heads")(start, start, return_attention_scores=True)
    plain = layers.Attention(name="plain")([start, start], return_attention_scores=True)
    model = keras.Model(start, [*heads, *plain])
    run = nnviz3d.capture(model, rng.normal(size=(3, 5, 4)).astype(np.float32), out=tmp_path / "run.zarr")
    assert run.activations("heads", 1).axes == ("sample", "head", "query", "key")
    assert run.activations("plain", 1).axes == ("sample", "query", "key")
    assert run.activations("heads").axes == ("sample", "time step", "channel")


def test_vector_that_becomes_a_sequence_of_one_channel_has_time_steps():
    sound = keras.Input((64,), name="sound")
    x = layers.Rescaling(2.0, name="scale")(sound)
    x = layers.Conv1D(4, 3, name="conv")(layers.Reshape((64, 1), name="wide")(x))
    table = keras.Input((64,), name="table")
    pixels = layers.Conv2D(2, 3, name="map")(layers.Reshape((8, 8, 1), name="square")(table))
    words = keras.Input((6,), name="words", dtype="int32")
    meaning = layers.Embedding(10, 3, name="meaning")(words)
    ends = [layers.Flatten()(part) for part in (x, pixels, meaning)]
    found = axes(graph_of(keras.Model([sound, table, words], layers.Dense(2)(layers.Concatenate()(ends)))))
    assert found["sound"] == found["scale"] == ("time step",)
    assert found["wide"] == found["conv"] == found["meaning"] == ("time step", "channel")
    assert found["table"] == ("channel",)
    assert found["words"] == ("token",)


def test_spectrograms_and_their_maps_have_time_and_frequency():
    sound = keras.Input((800,), name="sound")
    mel = layers.MelSpectrogram(128, 64, num_mel_bins=20, sampling_rate=8000, name="mel")(sound)
    x = layers.Conv2D(3, 3, name="maps")(layers.Reshape((20, -1, 1), name="one")(mel))
    x = layers.GlobalAveragePooling2D(name="mean")(layers.MaxPooling2D(name="pool")(layers.ReLU(name="relu")(x)))
    wave = layers.Reshape((800, 1))(sound)
    settings = {"frame_length": 64, "frame_step": 32, "fft_length": 64}
    y = layers.Conv2D(3, 3, name="over")(layers.STFTSpectrogram(expand_dims=True, name="stft", **settings)(wave))
    rows = layers.STFTSpectrogram(name="rows", **settings)(wave)
    ends = [x, layers.Flatten()(y), layers.LSTM(3)(rows)]
    found = axes(graph_of(keras.Model(sound, layers.Dense(2)(layers.Concatenate()(ends)))))
    assert found["sound"] == ("time step",)
    assert found["mel"] == ("frequency", "time step")
    assert {found[name] for name in ("one", "maps", "relu", "pool")} == {("frequency", "time step", "channel")}
    assert found["mean"] == ("channel",)
    assert found["stft"] == found["over"] == ("time step", "frequency", "channel")
    assert found["rows"] == ("time step", "channel"), "the LSTM reads frequencies as channels"
