"""Record a training that overfits, with histograms of its weights, as in the scene `histograms`.

    python examples/record_overfitting.py

trains a small network on 200 of the 1,000 bundled digits, many times over, and validates it on 300 others, which takes
seconds. Writes ``histograms.zarr.zip``; ``nnviz3d serve histograms.zarr.zip --scene histograms`` shows it, and
``nnviz3d inspect histograms.zarr.zip`` says from which epoch on it overfits. The bundled capture is made by
``python examples/record_overfitting.py --out scenes``. With ``--tensorboard FOLDER`` it also writes event files.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from record_training import as_input, small_digits_network

import nnviz3d
from nnviz3d.analysis.overfitting import overfitting_in, overfitting_words
from nnviz3d.data.bundled import digits
from nnviz3d.data.storage.capture_writer import zip_folder

TRAINED, VALIDATED = 200, 300
"""Number of bundled digits for training, and of those after them for validation."""
MOST = 1_500_000
"""Maximum size of the capture in bytes."""


def main() -> None:
    """Train, record, save, and print whether the network overfits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the capture; by default this one")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tensorboard", type=Path, help="folder for event files of TensorBoard")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    images, labels = digits()
    x = as_input(images)
    held_out = slice(TRAINED, TRAINED + VALIDATED)
    model = small_digits_network()
    model.compile(keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "histograms.zarr"
        recorder = nnviz3d.TrainingRecorder(
            run,
            every=5,
            probes=(x[TRAINED : TRAINED + 1], labels[TRAINED : TRAINED + 1]),
            probes_every=20,
            weights_every=75,
            classes=[str(digit) for digit in range(10)],
        )
        model.fit(
            x[:TRAINED],
            labels[:TRAINED],
            batch_size=20,
            epochs=arguments.epochs,
            validation_data=(x[held_out], labels[held_out]),
            callbacks=[recorder],
            verbose=2,
        )
        training = nnviz3d.open_capture(run).training
        assert training is not None
        found = overfitting_in(training.epoch_ends)
        print("The model does not overfit." if found is None else overfitting_words(found))
        if arguments.tensorboard is not None:
            print(f"{recorder.to_tensorboard(arguments.tensorboard)}: event files for tensorboard --logdir")
        packed = arguments.out / "histograms.zarr.zip"
        zip_folder(run, packed)
    size = packed.stat().st_size
    if size > MOST:
        raise SystemExit(f"{packed} takes {size / 1e6:.1f} MB, more than {MOST / 1e6:.1f}; record fewer steps.")
    print(f"{packed}: {size / 1e3:,.0f} kB")


if __name__ == "__main__":
    main()
