"""Captured attention scores equal those of Keras, for each call of each kind of attention layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import nnviz3d
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import Insights
from nnviz3d.errors import ModelError

KINDS = {
    "multi": lambda: layers.MultiHeadAttention(3, 4, name="attention"),
    "grouped": lambda: layers.GroupQueryAttention(4, 4, 2, name="attention"),
    "dot": lambda: layers.Attention(use_scale=True, name="attention"),
    "additive": lambda: layers.AdditiveAttention(name="attention"),
}
HEADS = {"multi": 3, "grouped": 4, "dot": 1, "additive": 1}


def attend(layer, query, value, **options):
    return layer([query, value], **options) if isinstance(layer, layers.Attention) else layer(query, value, **options)


def captured(tmp_path, model, x, node="attention"):
    run = nnviz3d.capture(model, x, insights=Insights(attention=True), out=tmp_path / "run.zarr")
    return np.stack([run.explanations(i).attention(node) for i in range(run.committed)]), run


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_that_keras_returns(tmp_path, rng, kind, causal):
    query, value = keras.Input((5, 8), name="query"), keras.Input((6, 8), name="value")
    layer = KINDS[kind]()
    model = keras.Model([query, value], attend(layer, query, value, use_causal_mask=causal))
    x = [rng.normal(size=(3, n, 8)).astype("float32") for n in (5, 6)]
    scores, run = captured(tmp_path, model, x)
    _, expected = attend(layer, *map(tf.constant, x), use_causal_mask=causal, return_attention_scores=True)
    assert scores.shape == (3, HEADS[kind], 5, 6)
    assert scores.dtype == np.float32
    assert np.allclose(scores, np.reshape(expected, scores.shape), atol=1e-6)
    assert np.allclose(scores.sum(axis=-1), 1, atol=1e-5)
    assert (np.abs(np.triu(scores, 1)).max() < 1e-6) == causal
    assert np.array_equal(run.activations("attention").values, model(x, training=False))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_masked_tokens_are_zero(tmp_path, kind):
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    embedded = layers.Embedding(9, 8, mask_zero=True, name="embedding")(tokens)
    layer = KINDS[kind]()
    model = keras.Model(tokens, attend(layer, embedded, embedded))
    x = np.array([[3, 1, 4, 0, 0], [2, 7, 1, 8, 0]], np.int32)
    scores, run = captured(tmp_path, model, x)
    for sheets, row in zip(scores, x, strict=True):
        real = np.count_nonzero(row)
        assert np.all(sheets[..., real:] == 0)
        assert np.allclose(sheets[:, :real].sum(axis=-1), 1, atol=1e-5)
        # Layers with heads mask the query too: a position without any allowed key has a row of zeros in Keras.
        assert np.all(sheets[:, real:] == 0) == (kind in ("multi", "grouped"))
    again = model.get_layer("embedding")(tf.constant(x))
    _, expected = attend(layer, again, again, return_attention_scores=True)
    assert np.allclose(scores, np.reshape(expected, scores.shape), atol=1e-6)
    assert np.array_equal(run.activations("attention").values, model(x, training=False))


def test_attention_mask_of_the_call_is_applied(tmp_path, rng):
    x = rng.normal(size=(2, 4, 6)).astype("float32")
    start = keras.Input((4, 6), name="input")
    band = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))[None] < 2
    model = keras.Model(start, layers.MultiHeadAttention(2, 3, name="attention")(start, start, attention_mask=band))
    scores, _ = captured(tmp_path, model, x)
    assert np.all((scores > 1e-4) == band)


def test_each_call_of_a_shared_layer_in_a_nested_model_has_its_scores(tmp_path, rng):
    shared = layers.MultiHeadAttention(2, 4, name="mix")
    start = keras.Input((5, 8))
    inner = keras.Model(start, shared(shared(start, start), start), name="block")
    outer = keras.Input((5, 8), name="input")
    model = keras.Model(outer, layers.Dense(3, name="dense")(inner(outer)))
    x = rng.normal(size=(2, 5, 8)).astype("float32")
    first, run = captured(tmp_path, model, x, "block/mix")
    second = np.stack([run.explanations(i).attention("block/mix@1") for i in range(2)])
    between, expected = shared(x, x, return_attention_scores=True)
    assert np.allclose(first, expected, atol=1e-6)
    assert np.allclose(second, shared(between, x, return_attention_scores=True)[1], atol=1e-6)
    assert [node.id for node in run.graph if run.has_attention(node.id)] == ["block/mix", "block/mix@1"]


@pytest.mark.parametrize("axes", [None, (1,), (2,)])
def test_locations_of_a_picture_are_flattened_and_the_flash_attention_setting_is_restored(tmp_path, rng, axes):
    start = keras.Input((2, 3, 8), name="input")
    layer = layers.MultiHeadAttention(2, 4, attention_axes=axes, flash_attention=True, name="attention")
    model = keras.Model(start, layer(start, start))
    x = rng.normal(size=(2, 2, 3, 8)).astype("float32")
    scores, _ = captured(tmp_path, model, x)
    assert layer._flash_attention is True
    assert scores.shape == (2, 2, 6, {None: 6, (1,): 2, (2,): 3}[axes])
    assert np.allclose(scores.sum(axis=-1), 1, atol=1e-5)
    # The output from the value: scores times values, projected.
    layer._flash_attention = False
    _, raw = layer(x, x, return_attention_scores=True)
    if axes is None:
        assert np.allclose(scores, np.reshape(raw, scores.shape), atol=1e-6)
    else:
        assert np.allclose(scores[1, 0, 0], raw[1, 0, 0, 0], atol=1e-6)
        assert np.allclose(scores[1, 1, -1], raw[1, -1, 1, -1], atol=1e-6)


def test_scores_of_windows_in_the_batch_axis_belong_to_their_sample(tmp_path, rng):
    start = keras.Input((6, 4), name="input")
    folded = keras.ops.reshape(start, (-1, 3, 4))
    layer = layers.MultiHeadAttention(2, 4, name="attention")
    model = keras.Model(start, keras.ops.reshape(layer(folded, folded), (-1, 6, 4)))
    x = rng.normal(size=(3, 6, 4)).astype("float32")
    scores, _ = captured(tmp_path, model, x)
    windows = x.reshape(6, 3, 4)
    _, expected = layer(windows, windows, return_attention_scores=True)
    assert scores.shape == (3, 2, 6, 3)
    assert np.allclose(scores[2, 1, 3:], expected[5, 1], atol=1e-6)


def test_model_of_one_batch_size_that_returns_scores_has_the_same_scores(tmp_path, rng):
    start = keras.Input(batch_shape=(2, 4, 6), name="input")
    out, own = layers.MultiHeadAttention(2, 3, name="attention")(start, start, return_attention_scores=True)
    model = keras.Model(start, [out, own])
    x = rng.normal(size=(3, 4, 6)).astype("float32")
    scores, _ = captured(tmp_path, model, x)
    assert np.allclose(scores[:2], model(x[:2])[1], atol=1e-6)
    assert scores.shape == (3, 2, 4, 4)


def test_model_without_attention_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((4,), name="input"), layers.Dense(2)], name="plain")
    with pytest.raises(ModelError, match="plain has no attention layer"):
        nnviz3d.capture(model, np.ones((1, 4), np.float32), insights=Insights(attention=True), out=tmp_path / "r.zarr")
    assert not list(tmp_path.iterdir())


def test_bundled_transformer_classifies_digits_outside_its_training_set():
    digits = load_digits()
    x = (digits.images[..., np.newaxis] / 16).astype("float32")
    _, x, _, y = train_test_split(x, digits.target, test_size=360, random_state=0, stratify=digits.target)
    model = keras.saving.load_model(bundled("attention.keras"))
    assert np.mean(model.predict(x, verbose=0).argmax(axis=1) == y) > 0.94
    ready = open_capture(bundled("attention.zarr.zip"))
    for name in ("attention", "attention_1"):
        scores = np.stack([ready.explanations(i).attention(name) for i in range(ready.committed)])
        assert scores.shape == (10, 4, 8, 8)
        assert np.allclose(scores.sum(axis=-1), 1, atol=1e-5)
    assert list(ready.labels) == list(range(10))


class SelfAttention(layers.Layer):
    """A custom layer that contains Keras' attention."""

    def __init__(self, **options):
        super().__init__(**options)
        self.attention = layers.MultiHeadAttention(2, 4, name="inner")

    def build(self, shape):
        self.attention.build(shape, shape)

    def compute_output_shape(self, shape):
        return shape

    def call(self, x):
        return self.attention(x, x)


class Closed(SelfAttention):
    """A custom layer whose code cannot run on symbolic tensors."""

    def call(self, x):
        if keras.utils.is_keras_tensor(x):
            raise TypeError("this layer wants numbers")
        return super().call(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def test_attention_inside_a_custom_layer_is_captured_and_inside_one_block_is_noted(tmp_path, rng):
    start = keras.Input((5, 8), name="start")
    closed = Closed(name="closed")(start)
    alone = keras.Model(start, closed, name="alone")
    x = rng.normal(size=(2, 5, 8)).astype("float32")
    with pytest.raises(ModelError, match=r"alone has attention only inside closed \(Closed\), whose scores"):
        captured(tmp_path, alone, x)
    own = SelfAttention(name="own")
    model = keras.Model(start, own(closed))
    scores, run = captured(tmp_path, model, x, "own/inner")
    rows = alone(x)
    assert np.allclose(scores, own.attention(rows, rows, return_attention_scores=True)[1], atol=1e-6)
    assert "Attention inside closed is not captured, because it is shown as one block." in run.provenance.notes


def test_scores_at_every_time_step_are_rows_of_one_sheet(tmp_path, rng):
    start = keras.Input((3, 5, 8), name="start")
    each = SelfAttention(name="each")
    model = keras.Model(start, layers.TimeDistributed(each, name="wrapped")(start))
    x = rng.normal(size=(2, 3, 5, 8)).astype("float32")
    scores, _ = captured(tmp_path, model, x, "wrapped/each/inner")
    assert scores.shape == (2, 2, 15, 5)
    for step in range(3):
        own = each.attention(x[:, step], x[:, step], return_attention_scores=True)[1]
        assert np.allclose(scores[:, :, 5 * step : 5 * step + 5], own, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_self_attention_is_detected_from_query_value_and_key_with_any_masks(kind):
    tokens, mask, other = keras.Input((5, 8)), keras.Input((5, 5), dtype="bool"), keras.Input((5, 8))
    masks = {} if kind in ("dot", "additive") else {"attention_mask": keras.ops.logical_not(mask)}
    for value, expected in ((tokens, True), (other, False)):
        for key in (None, tokens):
            layer = KINDS[kind]()
            given = [t for t in (tokens, value, key) if t is not None]
            if isinstance(layer, layers.Attention):
                answer = layer(given)
            else:
                answer = layer(tokens, value, **({} if key is None else {"key": key}), **masks)
            model = keras.Model([tokens, mask, other], [answer, keras.ops.sum(mask), keras.ops.sum(other)])
            graph = describe(open_model(model, expected_inputs(model)), "model").graph
            assert graph.node("attention").details["self_attention"] is expected
