"""Traced models for tests of attribution methods."""

import keras
import numpy as np
from keras import layers

from nnviz3d.capture.attributions.method import Settings
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model


def opened(model):
    inputs = expected_inputs(model)
    return DifferentiableModel(describe(open_model(model, inputs), model.name), inputs.specs)


def at(layer, *x, baselines=None, report=lambda done, total: None):
    """Settings with a baseline of zeros."""
    return Settings(layer, [np.zeros_like(part) for part in x] if baselines is None else baselines, 0, report)


def pooled(kind="2D", *, nested=False, softmax="inside"):
    """A convolutional network that ends in global average pooling and one dense layer, with large weights."""
    n = int(kind[0])
    conv, pool = getattr(layers, f"Conv{kind}"), getattr(layers, f"GlobalAveragePooling{kind}")
    start = keras.Input((*(12, 10, 8)[:n], 2), name="start")
    body = [
        conv(4, 3, activation="relu", name="first"),
        conv(6, 3, activation="relu", bias_initializer="normal", name="last"),
    ]
    if nested:
        inside = keras.Input(start.shape[1:], name="inside")
        y = body[0](inside)
        y = layers.Add(name="add")([y, conv(4, 1, name="skip")(y)])
        x = keras.Model(inside, body[1](y), name="block")(start)
    else:
        x = body[1](body[0](start))
    x = layers.Dropout(0.5, name="drop")(pool(name="pool")(layers.Dropout(0.5, name="drop_maps")(x)))
    x = layers.Dense(3, "softmax" if softmax == "inside" else None, bias_initializer="normal", name="head")(x)
    if softmax == "behind":
        x = layers.Softmax(name="softmax")(x)
    if softmax == "activation":
        x = layers.Activation("softmax", name="softmax")(x)
    return keras.Model(start, x)
