"""Train a small convolutional network, record the training, and show it in the browser while it runs.

    python examples/train_and_watch.py

No download: the network is trained on 900 of the 1,000 bundled digits of MNIST. A page opens after the first recorded step
and follows the training; Ctrl-C ends both. To see the recorded training at any time, also from another terminal:
nnviz3d serve training.zarr
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import nnviz3d
from nnviz3d.data.bundled import digits

HELD_BACK = 100
"""Number of digits that are not used for training; the first eight of them are the probe samples."""


def network() -> keras.Sequential:
    """Build a network that learns in a minute: two convolutions and two dense layers."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="input"),
            layers.Conv2D(8, 3, strides=2, activation="relu", name="conv"),
            layers.Conv2D(16, 3, strides=2, activation="relu", name="conv_1"),
            layers.Flatten(name="flatten"),
            layers.Dense(32, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="scores"),
        ],
        name="small_cnn",
    )


def main() -> None:
    """Train, and show the training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("training.zarr"), help="the capture to write")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--every", type=int, default=5, help="steps from one record to the next")
    parser.add_argument("--show", action=argparse.BooleanOptionalAction, default=True, help="show it in the browser")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    images, labels = digits()
    x, y = images[..., np.newaxis].astype("float32") / 255, labels.astype("int64")
    model = network()
    model.compile(keras.optimizers.Adam(5e-4), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    recorder = nnviz3d.TrainingRecorder(
        arguments.output,
        every=arguments.every,
        probes=(x[:8], y[:8]),
        probes_every=arguments.every,
        weights_every=10 * arguments.every,
        classes=[str(digit) for digit in range(10)],
    )
    viewer = recorder.show() if arguments.show else None
    model.fit(x[HELD_BACK:], y[HELD_BACK:], batch_size=32, epochs=arguments.epochs, verbose=2, callbacks=[recorder])
    _, accuracy = model.evaluate(x[:HELD_BACK], y[:HELD_BACK], verbose=0)
    print(f"{accuracy:.0%} of {HELD_BACK} digits that were not used for training are classified correctly.")
    if viewer is not None:
        print("The page stays open until Ctrl-C.", flush=True)
        viewer.wait()


if __name__ == "__main__":
    main()
