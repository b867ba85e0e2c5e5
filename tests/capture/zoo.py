"""Small models of all usual kinds, each with fitting samples."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


def digits_like():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="input"),
            layers.Conv2D(4, 3, activation="relu", name="conv2d"),
            layers.MaxPooling2D(name="max_pooling2d"),
            layers.Conv2D(4, 3, activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(name="max_pooling2d_1"),
            layers.Conv2D(4, 3, activation="relu", name="conv2d_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(8, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="dense_1"),
        ]
    )


def reloaded(tmp_path):
    digits_like().save(tmp_path / "m.keras")
    return keras.saving.load_model(tmp_path / "m.keras")


def nested_and_shared():
    inside = keras.Input((8,), name="inside")
    inner = keras.Model(
        inside,
        layers.Dense(8, name="second")(layers.Dense(8, activation="relu", name="first")(inside)),
        name="inner",
    )
    start = keras.Input((8,), name="start")
    shared = layers.Dense(8, name="shared")
    once = shared(start)
    twice = shared(once)
    merged = layers.Add(name="add")([inner(once), inner(twice)])
    head = keras.Sequential([layers.Dense(4, name="out"), layers.Dropout(0.5, name="drop")], name="head")
    return keras.Model(start, head(merged), name="outer")


def residual():
    start = keras.Input((8, 8, 3), name="start")
    x = layers.Conv2D(4, 3, padding="same", name="stem")(start)
    y = layers.Conv2D(4, 3, padding="same", name="inside")(layers.ReLU(name="relu")(x))
    return keras.Model(start, layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="add")([x, y])))


def two_in_two_out():
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    both = layers.Concatenate(name="both")([left, right])
    return keras.Model(
        {"left": left, "right": right},
        {"first": layers.Dense(2, name="first")(both), "second": layers.Dense(3, name="second")(right)},
    )


def sequence():
    start = keras.Input((6, 8), name="start")
    x = layers.MultiHeadAttention(2, 4, name="attention")(start, start)
    x = layers.LayerNormalization(name="norm")(layers.Add(name="add")([start, x]))
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True, name="gru"), name="both_ways")(x)
    return keras.Model(start, layers.TimeDistributed(layers.Dense(2, name="dense"), name="each")(x))


class Block(layers.Layer):
    """A composite layer with a variable of its own, operators and keras.ops."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.one = layers.Dense(units, name="one")
        self.two = layers.Dense(units, name="two")

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, x):
        return x * self.gain + self.two(ops.relu(self.one(x)))


class Stack(keras.Model):
    """A subclassed model with a list of blocks and a loop, never built."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.stem = layers.Dense(8, name="stem")
        self.blocks = [Block(8, name=f"block{i}") for i in range(3)]

    def call(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


class Tutorial(keras.Model):
    """A model as TensorFlow's tutorials write it, with tf functions in its call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(4, 3, name="conv")
        self.head = layers.Dense(3, name="head")

    def call(self, x, training=False):
        x = tf.nn.relu(self.conv(x))
        x = tf.nn.max_pool2d(x, 2, 2, "SAME")
        x = tf.reshape(x, (-1, 64))
        return tf.nn.softmax(self.head(tf.concat([x, x * 2.0], axis=-1)))


class Picky(layers.Layer):
    """A composite whose code reads the value of a tensor, which symbolic tensors do not have."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(4, name="dense")

    def call(self, x):
        y = self.dense(x)
        return tf.map_fn(lambda row: row * 2.0 if bool(tf.executing_eagerly()) else row + row, y) if _real(y) else None

    def compute_output_shape(self, shape):
        return (shape[0], 4)


def _real(tensor):
    if keras.utils.is_keras_tensor(tensor):
        raise TypeError("this layer wants numbers")
    return True


def numbers(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)
