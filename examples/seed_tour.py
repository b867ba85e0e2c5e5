"""Structure, activations and features of a small convolutional network, with matplotlib and in 3D.

    python examples/seed_tour.py -o tour

The three exercises come from an article on the visualization of a network's inner state
("神经网络的可视化技术：直观展示内部状态"), which uses networkx and matplotlib. Its listings fail in Keras 3, which refuses
``model.input`` of a Sequential, and for dense layers, whose output has no ``[:, :, 0]``. Here each exercise is drawn by
code that runs, and by nnviz3d from the same numbers.

No download: the network is trained for a few seconds on 900 of the 1,000 bundled digits of MNIST, and then classifies about
90 of the 100 others correctly. Writes the pictures and the capture, ``run.zarr``, into one folder.
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
"""Number of digits that are not used for training; the first of them, a 7, is captured."""

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
"""A scene with the frames of all layers, the neurons of the vectors, and the signed weights between them."""


def network() -> keras.Sequential:
    """Build the network of the article: three convolutions, two poolings, two dense layers; 93,322 parameters."""
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
    """Train on all digits except the first `HELD_BACK`, and return the accuracy on those."""
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images[HELD_BACK:], labels[HELD_BACK:], batch_size=32, epochs=12, verbose=0)
    return float(model.evaluate(images[:HELD_BACK], labels[:HELD_BACK], verbose=0)[1])


def structure(run: nnviz3d.Capture, folder: Path) -> list[Path]:
    """Draw the layers and their edges, and then the neurons and the weights between them."""
    # The article draws one node per layer, with edges in the order of `model.layers`. A capture holds the true data flow,
    # with skips and branches, and the strongest weights.
    scene = folder / "weights.toml"
    scene.write_text(WEIGHTS.lstrip(), encoding="utf-8")
    return [
        nnviz3d.snapshot(run, folder / "structure.png", scene="structure"),
        nnviz3d.snapshot(run, folder / "weights.png", scene=scene),
    ]


def activations(run: nnviz3d.Capture, folder: Path) -> list[Path]:
    """Draw channel 0 of every layer as a heat map, and then all channels in 3D."""

    def heat_map(axes: Axes, values: np.ndarray) -> None:
        if values.ndim == 3:
            axes.imshow(values[:, :, 0], cmap="viridis")
        else:  # a vector, which has no channels: one column
            axes.imshow(values[:, np.newaxis], cmap="viridis", aspect="auto")

    flat = sheet(run, heat_map, "Channel 0 of each layer", folder / "activation_visualization.png")
    return [flat, nnviz3d.snapshot(run, folder / "activations_3d.png")]


def features(run: nnviz3d.Capture, folder: Path) -> list[Path]:
    """Draw the maximum over channels at each location, and the distribution of a vector's numbers."""

    def strongest(axes: Axes, values: np.ndarray) -> None:
        if values.ndim == 3:
            axes.imshow(values.max(axis=-1), cmap="viridis")
        else:
            axes.axis("on")
            axes.hist(values, bins=20)

    title = "The maximum over channels, and the histograms of vectors"
    flat = sheet(run, strongest, title, folder / "feature_visualization.png")
    # In 3D no maximum is needed: the threshold hides weak activations, and strong ones are visible in their channels.
    return [flat, nnviz3d.snapshot(run, folder / "features_3d.png", threshold=0.6)]


def sheet(run: nnviz3d.Capture, draw: Callable[[Axes, np.ndarray], None], title: str, out: Path) -> Path:
    """Draw the numbers of each layer into one of eight axes with `draw`."""
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
    print(f"Trained on {len(images) - HELD_BACK} digits; of {HELD_BACK} others {share:.0%} are classified correctly.")

    # The article gets the outputs of all layers with `Model(model.input, [layer.output for layer in model.layers])`.
    # Keras 3 refuses: "The layer sequential has never been called and thus has no defined input." A Sequential is a layer
    # that holds a functional model, and a call goes to the inner model, so the outer one gets no input. `model.inputs`
    # works only for a new model: after saving and loading, `layer.output` holds tensors of other graphs, which take time
    # and have no gradients. `capture` follows the graph that is computed, for every kind of model, and returns exactly the
    # numbers that Keras computed.
    run = nnviz3d.capture(model, images[:1], labels=labels[:1], classes=map(str, range(10)), out=folder / "run.zarr")

    for exercise in (structure, activations, features):
        for picture in exercise(run, folder):
            print(picture)
    print(f"To see it in 3D: nnviz3d serve {folder / 'run.zarr'}")


if __name__ == "__main__":
    main()
