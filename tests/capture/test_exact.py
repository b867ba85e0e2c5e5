"""Captures of trained models equal Keras bit for bit; statistics and gains differ from 0 and 1."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import nnviz3d
from nnviz3d.data.request import Insights
from tests.capture import zoo

pytestmark = pytest.mark.slow


def as_if_trained(model):
    """Change every gain, shift and statistic from its initial value."""
    rng = np.random.default_rng(5)
    for variable in model.variables:
        if variable.name in ("gamma", "scale", "moving_variance"):
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif variable.name in ("beta", "moving_mean", "bias"):
            variable.assign(rng.normal(0.0, 0.3, variable.shape))
    return model


def transformer():
    start = keras.Input((6, 8), name="start")
    x = layers.LayerNormalization(name="norm")(start)
    x = layers.Add(name="add")([start, layers.MultiHeadAttention(2, 4, name="attention")(x, x)])
    y = layers.Dense(16, activation="gelu", name="wide")(layers.RMSNormalization(name="rms")(x))
    x = layers.Add(name="sum")([x, layers.Dense(8, activation="hard_silu", name="narrow")(y)])
    x = layers.LayerNormalization(name="last")(layers.GroupNormalization(2, name="groups")(x))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(start, layers.Dense(3, activation="softmax", name="kind")(x), name="transformer")


def mobile_net():
    return keras.applications.MobileNetV3Small(input_shape=(32, 32, 3), weights=None, classes=5)


@pytest.mark.parametrize(("build", "shape"), [(transformer, (3, 6, 8)), (mobile_net, (2, 32, 32, 3))])
def test_outputs_of_a_trained_model_equal_those_of_keras(build, shape, tmp_path, rng):
    model = as_if_trained(build())
    x = zoo.numbers(rng, *shape)
    taken = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    expected = keras.Model(model.inputs, [layer.output for layer in taken])([x], training=False)
    wanted = Insights(attributions=("vanilla",), attention=build is transformer)
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr", insights=wanted)
    for layer, value in zip(taken, expected, strict=True):
        assert np.array_equal(run.activations(layer.name).values, value), layer.name
    told = [run.explanations(i).attribution("vanilla").explained for i in range(len(x))]
    answers = np.asarray(expected[-1])
    assert [t.probability for t in told] == [row[t.target.index] for row, t in zip(answers, told, strict=True)]
    if build is transformer:
        names = [layer.name for layer in taken]
        normal, pooled = (expected[names.index(name)] for name in ("norm", "pool"))
        scores = model.get_layer("attention")(normal, normal, return_attention_scores=True)[1]
        assert np.array_equal([run.explanations(i).attention("attention") for i in range(len(x))], scores)
        head = model.get_layer("kind")
        logits = np.asarray(tf.matmul(pooled, head.kernel) + head.bias)
        assert [t.score for t in told] == [row[t.target.index] for row, t in zip(logits, told, strict=True)]
