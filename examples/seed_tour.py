"""Structure, activations and features of a small convolutional network: the three exercises this project grew from.

    python examples/seed_tour.py -o tour

An article on making a network's inner state visible ("神经网络的可视化技术：直观展示内部状态") does them with networkx and
matplotlib. Its listings no longer run: Keras 3 refuses ``model.input`` of a Sequential, and a dense layer's output has no
``[:, :, 0]`` to draw. Here is each of them in a form that runs, and beside it what nnviz3d makes of the same numbers.

No download: the network is trained for a few seconds on 900 of the 1,000 digits of MNIST that come with nnviz3d, enough
for nine in ten of the 100 others. Writes the pictures and the capture, ``run.zarr``, into one folder.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import nnviz3d
from nnviz3d.data.bundled import bundled

HELD_BACK = 100
"""So many digits the network is not trained on; the first of them, a 7, is the one that it is shown."""

WEIGHTS = """
format = 1
title = "The strongest weights"

[[views]]
kind = "structure"

[[views]]
kind = "activations"
layers = ["flatten", "dense*"]

[[views]]
kind = "connections"
ranking = "weight"
strongest = 250
fans = false

[[camera.keyframes]]
target = "layer:dense"
azimuth = -24.0
elevation = 8.0
distance = 4.1
"""
"""A scene: of all layers the frames, of the vectors every neuron, and between them the edges, weighted and signed."""


def network() -> keras.Sequential:
    """Build the article's network: three convolutions, two poolings, two dense layers; 93,322 parameters."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="small_cnn",
    )


def train(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """Train on all digits but the first `HELD_BACK`, and return the share of those that it then reads rightly."""
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[HELD_BACK:], labels[HELD_BACK:], batch_size=32, epochs=12, verbose=0)
    return float(model.evaluate(images[:HELD_BACK], labels[:HELD_BACK], verbose=0)[1])


def structure(run: nnviz3d.Capture, folder: Path) -> list[Path]:
    """Draw the layers and what leads where, and then the neurons and the weights between them."""
    # The article draws one node a layer and wires them in the order of `model.layers`. A capture holds the edges along
    # which tensors really go, skips and branches too, and of the weights the strongest, so lines can say how strong.
    scene = folder / "weights.toml"
    scene.write_text(WEIGHTS.lstrip(), encoding="utf-8")
    return [
        nnviz3d.snapshot(run, folder / "structure.png", scene="structure"),
        nnviz3d.snapshot(run, folder / "weights.png", scene=scene),
    ]


def activations(run: nnviz3d.Capture, folder: Path) -> list[Path]:
    """Draw channel 0 of every layer as a heat map, and then every channel of all of them."""

    def heat_map(axes: Axes, values: np.ndarray) -> None:
        if values.ndim == 3:
            axes.imshow(values[:, :, 0], cmap="viridis")
        else:  # a vector, which has no channels: one column
            axes.imshow(values[:, np.newaxis], cmap="viridis", aspect="auto")

    flat = sheet(run, heat_map, "Channel 0 of each layer", folder / "activation_visualization.png")
    return [flat, nnviz3d.snapshot(run, folder / "activations_3d.png")]


def features(run: nnviz3d.Capture, folder: Path) -> list[Path]:
    """Draw what the strongest channel says at each place, and how a vector's numbers are distributed."""

    def strongest(axes: Axes, values: np.ndarray) -> None:
        if values.ndim == 3:
            axes.imshow(values.max(axis=-1), cmap="viridis")
        else:
            axes.axis("on")
            axes.hist(values, bins=20)

    title = "The maximum over channels, and the histograms of vectors"
    flat = sheet(run, strongest, title, folder / "feature_visualization.png")
    # In 3D no maximum is needed: what is weak goes, and what the network has found stays, with its channel.
    return [flat, nnviz3d.snapshot(run, folder / "features_3d.png", threshold=0.6)]


def sheet(run: nnviz3d.Capture, draw: Callable[[Axes, np.ndarray], None], title: str, out: Path) -> Path:
    """Let `draw` fill one of eight axes with each layer's numbers."""
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    figure.suptitle(title)
    nodes = [node for node in run.graph if node.id not in run.graph.inputs]
    for axes, node in zip(figure.subplots(2, 4).flat, nodes, strict=True):
        axes.axis("off")
        axes.set_title(f"{node.id} {' × '.join(map(str, node.shape))}")
        draw(axes, run.activation(node.id, sample=0))
    figure.savefig(out, dpi=120)
    return out


def main() -> None:
    """Train, capture, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path("tour"), help="folder for the pictures; by default tour")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(0)
    with np.load(bundled("digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"][..., np.newaxis] / np.float32(255), file["labels"]
    model = network()
    share = train(model, images, labels)
    print(f"Trained on {len(images) - HELD_BACK} digits; of {HELD_BACK} others it reads {share:.0%} rightly.")

    # The article asks for the outputs of all layers with `Model(model.input, [layer.output for layer in model.layers])`.
    # Keras 3 answers: "The layer sequential has never been called and thus has no defined input." A Sequential is a layer
    # that holds a functional model; calling it goes to the inner model, so the outer one never gets an input of its own.
    # `model.inputs` would do, while the model is new: one that was saved and loaded keeps, in `layer.output`, tensors of
    # graphs it was built through on the way, which cost time and give no gradients. `capture` follows the graph that is
    # really computed, for every kind of model, and what it returns is exactly what Keras computed.
    run = nnviz3d.capture(model, images[:1], labels=labels[:1], classes=map(str, range(10)), out=folder / "run.zarr")

    for exercise in (structure, activations, features):
        for picture in exercise(run, folder):
            print(picture)
    print(f"To look around: nnviz3d serve {folder / 'run.zarr'}")


if __name__ == "__main__":
    main()
