"""Train the bundled digits network, and make its three files.

    python examples/train_digits.py --out scenes

downloads MNIST with Keras; ``--data mnist.npz`` uses a local copy instead: an .npz file with ``x_train, y_train, x_test,
y_test`` as in Keras, or with ``images, labels``, of which the last 10,000 are the official test set.

Writes ``digits.keras`` (the network, without its optimizer), ``digits.npz`` (the first 1,000 test digits) and
``digits.zarr.zip`` (a capture of ten digits, one of each class, so that the first picture needs no TensorFlow).
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

from nnviz3d.apps.worker import run_capture
from nnviz3d.data.request import CaptureRequest

REQUIRED = 0.985
"""Minimum accuracy on the official 10,000 test digits; a network below it is not saved."""
BUNDLED = 1000
"""Number of bundled test digits."""


def digits_network() -> keras.Sequential:
    """Build the network: three convolutions, two poolings, two dense layers; 93,322 parameters."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="input"),
            layers.Conv2D(32, 3, activation="relu", name="conv2d"),
            layers.MaxPooling2D(name="max_pooling2d"),
            layers.Conv2D(64, 3, activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(name="max_pooling2d_1"),
            layers.Conv2D(64, 3, activation="relu", name="conv2d_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="dense_1"),
        ],
        name="digits",
    )


def load_mnist(data: Path | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return training images (n, 28, 28) uint8 and labels (n,), then the 10,000 test images and labels."""
    if data is None:
        (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
        return x, y, x_test, y_test
    with np.load(data, allow_pickle=False) as file:
        if "x_train" in file:
            return file["x_train"], file["y_train"], file["x_test"], file["y_test"]
        images, labels = file["images"], file["labels"]
    return images[:-10_000], labels[:-10_000], images[-10_000:], labels[-10_000:]


def pick_ten(model: keras.Model, x_test: np.ndarray, labels: np.ndarray) -> list[int]:
    """Choose the first bundled digit of each class 0..9 that is classified correctly, in the order of the classes."""
    read = model.predict(x_test[:BUNDLED, ..., None].astype("float32") / 255, verbose=0).argmax(axis=1)
    right = np.flatnonzero(read == labels[:BUNDLED])
    return [int(right[labels[right] == digit][0]) for digit in range(10)]


def main() -> None:
    """Train, check, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a local copy of MNIST (.npz); by default Keras downloads it")
    parser.add_argument("--out", type=Path, default=Path("scenes"), help="folder for the three files")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    x, y, x_test, y_test = load_mnist(arguments.data)
    model = digits_network()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    # The learning rate falls to zero over the epochs, which improves the accuracy by a few tenths of a percent.
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 1e-3 * (1 - epoch / arguments.epochs))
    model.fit(
        x[..., None].astype("float32") / 255,
        y,
        batch_size=128,
        epochs=arguments.epochs,
        callbacks=[schedule],
        verbose=2,
    )
    _, accuracy = model.evaluate(x_test[..., None].astype("float32") / 255, y_test, verbose=0)
    print(f"Accuracy on the official {len(x_test):,} test digits: {accuracy:.2%}")
    if accuracy < REQUIRED:
        raise SystemExit(f"That is below {REQUIRED:.1%}, so nothing is saved; train for more epochs.")

    arguments.out.mkdir(parents=True, exist_ok=True)
    bare = digits_network()
    bare.set_weights(model.get_weights())
    bare.save(arguments.out / "digits.keras")  # the compiled model would include its optimizer, three times the size
    np.savez_compressed(
        arguments.out / "digits.npz",
        images=x_test[:BUNDLED].astype(np.uint8),
        labels=y_test[:BUNDLED].astype(np.uint8),
    )
    ten = pick_ten(model, x_test, y_test)
    request = CaptureRequest(
        model=str(arguments.out / "digits.keras"),
        inputs=tuple(f"digits:{i}" for i in ten),
        out=arguments.out / "digits.zarr.zip",
    )
    run_capture(request)
    for file in ("digits.keras", "digits.npz", "digits.zarr.zip"):
        print(f"{file}: {(arguments.out / file).stat().st_size / 1e3:,.0f} kB")


if __name__ == "__main__":
    main()
