"""Writes the intact models that trials damage: ``python -m tests.fuzz.models FOLDER``. Needs TensorFlow."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
from keras import layers


def main(folder: Path) -> None:
    """Write a convolutional network, a recurrent one with two inputs, and a small attention, as .keras and .h5."""
    keras.utils.set_random_seed(0)
    photo = keras.Input((12, 12, 3), name="photo")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(layers.Rescaling(1 / 255, name="scale")(photo))
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Add(name="sum")([x, layers.Conv2D(4, 1, name="side")(x)])
    x = layers.Dense(5, "softmax", name="kind")(layers.GlobalAveragePooling2D(name="pool")(x))
    convolution = keras.Model(photo, x, name="small")

    words, table = keras.Input((6,), dtype="int32", name="words"), keras.Input((3,), name="table")
    x = layers.LSTM(4, name="lstm")(layers.Embedding(9, 3, name="embedding")(words))
    x = layers.Dense(2, name="answer")(layers.Concatenate(name="both")([x, layers.Dense(3, "tanh", name="row")(table)]))
    recurrent = keras.Model([words, table], x, name="two")

    rows = keras.Input((5, 4), name="rows")
    x = layers.LayerNormalization(name="normal")(layers.MultiHeadAttention(2, 2, name="attention")(rows, rows))
    attention = keras.Model(rows, layers.Dense(1, "sigmoid", name="yes")(layers.Flatten(name="flat")(x)), name="looks")

    for name, model in {"convolution": convolution, "recurrent": recurrent, "attention": attention}.items():
        for ending in (".keras", ".h5"):
            model.save(folder / f"{name}{ending}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
