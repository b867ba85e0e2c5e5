"""Writes a Keras model of many small layers: ``python -m tests.benchmarks.residual NODES FILE``. Needs TensorFlow."""

from __future__ import annotations

import sys
from pathlib import Path

WIDTH = 8
"""Channels of each layer; its maps have as many rows and columns."""
_IN_BLOCK = 7
"""Nodes of a residual block: twice a convolution, a normalization and an activation, and the sum."""


def write(nodes: int, path: Path) -> None:
    """Write a residual network of at most so many nodes."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    given = keras.Input((WIDTH, WIDTH, 3))
    x = layers.Conv2D(WIDTH, 3, padding="same")(given)
    for _ in range((nodes - 4) // _IN_BLOCK):
        before = x
        for _ in range(2):
            x = layers.Conv2D(WIDTH, 3, padding="same")(x)
            x = layers.BatchNormalization()(x)
            x = layers.ReLU()(x)
        x = layers.Add()([before, x])
    x = layers.GlobalAveragePooling2D()(x)
    keras.Model(given, layers.Dense(10, activation="softmax")(x), name=f"residual_{nodes}").save(path)


if __name__ == "__main__":
    write(int(sys.argv[1]), Path(sys.argv[2]))
