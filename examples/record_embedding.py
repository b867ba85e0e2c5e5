"""Record how classes separate while a network learns to classify digits, as in the scene `classes_part`.

    python examples/record_embedding.py

trains a small network on 700 of the 1,000 bundled digits, which takes seconds. For the other 300 digits it records the
activations of the layer ``dense`` at every tenth step, and embeds them as points. Writes ``classes_part.zarr.zip``;
``nnviz3d serve classes_part.zarr.zip --scene classes_part`` shows it. The bundled capture is made by
``python examples/record_embedding.py --out scenes``.
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
from nnviz3d.analysis.embedding_trajectory import class_separation, embed_training
from nnviz3d.data.bundled import digits
from nnviz3d.data.storage.capture_writer import zip_folder
from nnviz3d.data.training_embedding import write_trajectory

TRAINED = 700
"""Number of bundled digits for training; the others are embedded."""
MOST = 1_000_000
"""Maximum size of the capture in bytes."""


def main() -> None:
    """Train, record, embed, save, and print how far the classes have separated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the capture; by default this one")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    images, labels = digits()
    x = as_input(images)
    embedded = (x[TRAINED:], labels[TRAINED:])
    model = small_digits_network()
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.5), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "classes_part.zarr"
        recorder = nnviz3d.TrainingRecorder(
            run,
            every=5,
            probes=(x[TRAINED : TRAINED + 1], None),
            probes_every=10,
            weights_every=10_000,
            classes=[str(digit) for digit in range(10)],
            embed="dense",
            embed_samples=embedded,
        )
        model.fit(
            x[:TRAINED], labels[:TRAINED], batch_size=32, epochs=arguments.epochs, callbacks=[recorder], verbose=2
        )
        _, accuracy = model.evaluate(*embedded, verbose=0)
        print(
            f"{accuracy:.1%} of the {len(embedded[0])} digits that were not used for training are classified correctly."
        )
        training = nnviz3d.open_capture(run).training
        assert training is not None
        assert training.embedded is not None
        trajectory = embed_training(training.embedded)
        first, last = (class_separation(trajectory.points[k], embedded[1]) for k in (0, -1))
        print(f"Distance between the classes, in mean radii of a class: {first:.1f} at first, {last:.1f} at last.")
        write_trajectory(run, trajectory)
        packed = arguments.out / "classes_part.zarr.zip"
        zip_folder(run, packed)
    size = packed.stat().st_size
    if size > MOST:
        raise SystemExit(f"{packed} takes {size / 1e6:.1f} MB, more than {MOST / 1e6:.1f}; record fewer steps.")
    print(f"{packed}: {size / 1e3:,.0f} kB")


if __name__ == "__main__":
    main()
