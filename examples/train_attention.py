"""Train the bundled transformer, and make its two files.

    python examples/train_attention.py --out scenes

The input is one of scikit-learn's 8 x 8 digits, as a sequence of its 8 rows, from top to bottom. Training takes seconds and
downloads nothing. Writes ``attention.keras`` (the network, without its optimizer) and ``attention.zarr.zip`` (a capture of
test digits with their attention scores, so that the first picture needs no TensorFlow).
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
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from nnviz3d.apps.worker import run_capture
from nnviz3d.data.request import CaptureRequest, Insights

REQUIRED = 0.94
"""Minimum accuracy on the test digits; a network below it is not saved."""
HELD_OUT = 360
"""Number of test digits, of 1,797."""
WIDTH = 32
"""Size of the embedding of a row of the digit."""


def rows_transformer() -> keras.Model:
    """Build the network: two layers of self-attention with four heads each; 9,418 parameters."""
    start = keras.Input((8, 8, 1), name="input")
    x = layers.Reshape((8, 8), name="rows")(start)
    # The bias is one vector for each row: the position embedding.
    x = layers.EinsumDense("btd,de->bte", (8, WIDTH), bias_axes="te", bias_initializer="uniform", name="embed")(x)
    for i in ("", "_1"):
        attended = layers.MultiHeadAttention(4, WIDTH // 4, name=f"attention{i}")(x, x)
        x = layers.LayerNormalization(name=f"norm{i}")(layers.Add(name=f"add{i}")([x, attended]))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(start, layers.Dense(10, activation="softmax", name="dense")(x), name="attention")


def pick_ten(model: keras.Model, x: np.ndarray, labels: np.ndarray) -> list[int]:
    """Choose the test digit of each class 0..9 with the highest score among those that are classified correctly."""
    scores = model.predict(x, verbose=0)
    found = []
    for digit in range(10):
        mine = np.flatnonzero((labels == digit) & (scores.argmax(axis=1) == digit))
        found.append(int(mine[scores[mine, digit].argmax()]))
    return found


def main() -> None:
    """Train, check, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("scenes"), help="folder for the two files")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    digits = load_digits()
    x = (digits.images[..., np.newaxis] / 16).astype("float32")
    x, x_held, y, y_held = train_test_split(
        x, digits.target, test_size=HELD_OUT, random_state=arguments.seed, stratify=digits.target
    )
    model = rows_transformer()
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    # The learning rate falls to zero over the epochs, which improves the accuracy by a few percent.
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 3e-3 * (1 - epoch / arguments.epochs))
    model.fit(x, y, batch_size=64, epochs=arguments.epochs, callbacks=[schedule], verbose=0)
    _, accuracy = model.evaluate(x_held, y_held, verbose=0)
    print(f"Accuracy on the {HELD_OUT} test digits: {accuracy:.2%}; {model.count_params():,} parameters")
    if accuracy < REQUIRED:
        raise SystemExit(f"That is below {REQUIRED:.0%}, so nothing is saved; train for more epochs.")

    arguments.out.mkdir(parents=True, exist_ok=True)
    bare = rows_transformer()
    bare.set_weights(model.get_weights())
    bare.save(arguments.out / "attention.keras")  # the compiled model would include its optimizer, three times the size
    ten = pick_ten(model, x_held, y_held)
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "held_out_digits.npz"
        np.savez(samples, images=x_held[ten], labels=y_held[ten])
        request = CaptureRequest(
            model=str(arguments.out / "attention.keras"),
            inputs=(str(samples),),
            out=arguments.out / "attention.zarr.zip",
            insights=Insights(attention=True),
        )
        run_capture(request)
    for file in ("attention.keras", "attention.zarr.zip"):
        print(f"{file}: {(arguments.out / file).stat().st_size / 1e3:,.0f} kB")


if __name__ == "__main__":
    main()
