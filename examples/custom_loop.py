"""Record a custom training loop, and print loss and gradient norms from the record.

    python examples/custom_loop.py

The loop only adds a call of `recorder.step`, which gets the gradients. The network learns to classify points on three
spirals, which are generated here. To see the training, also from another terminal while it runs:
nnviz3d serve spirals.zarr
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import nnviz3d

ARMS = ("first", "second", "third")


def spirals(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return points on three spiral arms, ``(count, 2)``, and the arm of each point, ``(count,)``."""
    arm = random.integers(0, len(ARMS), count)
    along = np.sqrt(random.uniform(0.02, 1, count))
    angle = 4.5 * along + 2 * np.pi * arm / len(ARMS) + random.normal(0, 0.08, count)
    points = along[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points.astype("float32"), arm


def network() -> keras.Sequential:
    """Build the network: two hidden layers, and a score for each arm."""
    return keras.Sequential(
        [
            keras.Input((2,), name="point"),
            layers.Dense(24, activation="tanh", name="hidden"),
            layers.Dense(24, activation="tanh", name="hidden_1"),
            layers.Dense(len(ARMS), name="scores"),
        ],
        name="spirals",
    )


def main() -> None:
    """Train, record and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("spirals.zarr"), help="the capture to write")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=20, help="steps from one record to the next")
    parser.add_argument("--show", action="store_true", help="show the training in the browser")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    random = np.random.default_rng(arguments.seed)
    model = network()
    optimizer = keras.optimizers.Adam(1e-2)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    recorder = nnviz3d.TrainingRecorder(
        arguments.output,
        every=arguments.every,
        probes=spirals(9, random),
        probes_every=arguments.every,
        weights_every=arguments.every,
        classes=ARMS,
        loss=loss_of,
    )
    if arguments.show:
        recorder.show()

    @tf.function
    def update(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss, gradients

    for _ in range(arguments.steps):
        x, y = spirals(64, random)
        loss, gradients = update(x, y)
        recorder.step(model, x, y, loss=loss, grads=gradients, learning_rate=float(optimizer.learning_rate))
    recorder.close()

    training = nnviz3d.open_capture(arguments.output).training
    print(
        f"{len(training)} of {arguments.steps:,} steps recorded; loss {training.loss[0]:.3f} → {training.loss[-1]:.3f}"
    )
    norms = training.statistic("gradient_norm")
    for index, layer in enumerate(training.layers):
        if np.isfinite(norms[:, index]).any():
            print(f"{layer}: gradient norm {norms[0, index]:.3g} → {norms[-1, index]:.3g}")
    print(f"To see the training: nnviz3d serve {arguments.output}")


if __name__ == "__main__":
    main()
