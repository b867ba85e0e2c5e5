"""Record the training of a small digits network, and make the bundled capture.

    python examples/record_training.py --out scenes

downloads MNIST with Keras; ``--data mnist.npz`` uses a local copy instead, like ``train_digits.py``.

Writes ``training.zarr.zip``: every fifth step of one epoch, and at every twenty-fifth step all weights and the activations
of two test digits. The network is the bundled digits network with a quarter of its channels, so that the capture takes
less than two megabytes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from train_digits import load_mnist

import nnviz3d
from nnviz3d.data.storage.capture_writer import zip_folder

PROBES = (0, 6)
"""Test digits that are recorded: a clear seven, and a four that looks like a nine."""
REQUIRED = 0.93
"""Accuracy on the official test digits; a training below it is not saved."""
MOST = 2_000_000
"""Maximum size of the capture in bytes."""


def small_digits_network() -> keras.Sequential:
    """Build the network: three convolutions, two poolings, two dense layers; 8,538 parameters."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="input"),
            layers.Conv2D(8, 3, activation="relu", name="conv2d"),
            layers.MaxPooling2D(name="max_pooling2d"),
            layers.Conv2D(16, 3, activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(name="max_pooling2d_1"),
            layers.Conv2D(16, 3, activation="relu", name="conv2d_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(32, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="dense_1"),
        ],
        name="small_digits",
    )


def as_input(images: np.ndarray) -> np.ndarray:
    """Convert images (n, 28, 28) uint8 to the network's input: (n, 28, 28, 1), from 0 to 1."""
    return images[..., None].astype("float32") / 255


def main() -> None:
    """Train, record, check, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a local copy of MNIST (.npz); by default Keras downloads it")
    parser.add_argument("--out", type=Path, default=Path("scenes"), help="folder for the capture")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    x, y, x_test, y_test = load_mnist(arguments.data)
    probes = list(PROBES)
    model = small_digits_network()
    steps = -(-len(x) // 128)
    # The learning rate falls to zero, so that the last steps converge.
    rate = keras.optimizers.schedules.CosineDecay(1.5e-3, steps)
    model.compile(keras.optimizers.Adam(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "training.zarr"
        recorder = nnviz3d.TrainingRecorder(
            run,
            every=5,
            probes=(as_input(x_test[probes]), y_test[probes]),
            probes_every=25,
            weights_every=25,
            classes=[str(digit) for digit in range(10)],
        )
        model.fit(as_input(x), y, batch_size=128, epochs=1, callbacks=[recorder], verbose=2)
        _, accuracy = model.evaluate(as_input(x_test), y_test, verbose=0)
        print(f"Accuracy on the official {len(x_test):,} test digits: {accuracy:.2%}")
        if accuracy < REQUIRED:
            raise SystemExit(f"That is below {REQUIRED:.0%}, so nothing is saved; use another seed.")
        packed = Path(folder) / "training.zarr.zip"
        zip_folder(run, packed)
        size = packed.stat().st_size
        if size > MOST:
            raise SystemExit(f"The capture takes {size / 1e6:.1f} MB, more than {MOST / 1e6:.1f}; record fewer steps.")
        (arguments.out / packed.name).write_bytes(packed.read_bytes())
    print(f"{packed.name}: {size / 1e3:,.0f} kB")


if __name__ == "__main__":
    main()
