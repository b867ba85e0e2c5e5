"""Train a small U-Net that finds triangles, squares and circles in photographs, and save it as ``unet.keras``.

    python examples/train_segmentation.py
    nnviz3d serve unet.keras --input photo.png --classes shapes.txt

The script draws shapes of random colours onto parts of the two photographs that scikit-learn brings along. The network
says of every pixel which shape it belongs to. Training takes about a minute, and downloads nothing.

Writes ``unet.keras`` (the network), ``shapes.txt`` (the names of its classes) and ``photo.png`` (a photograph with shapes
that was not used for training).
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
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_image

CLASSES = ("other", "triangle", "square", "circle")
SIDE = 96
"""Height and width of a picture, in pixels."""
CHANNELS = (8, 16, 32)
"""Channels of the encoder's levels, from the first one down; the decoder has the same ones."""
BOTTOM = 64
REQUIRED = 0.6
"""Minimum mean intersection over union of the classes for pictures that were not used for training."""
HELD_OUT = 64

Picture = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""A photograph with shapes, ``(SIDE, SIDE, 3)``, and the class of each pixel, ``(SIDE, SIDE)``."""


def picture(photograph: NDArray[np.uint8], random: np.random.Generator) -> Picture:
    """Draw one to three shapes onto a random part of a photograph; a later shape hides the earlier ones."""
    top, left = (int(random.integers(n - 2 * SIDE)) for n in photograph.shape[:2])
    part = Image.fromarray(photograph[top : top + 2 * SIDE, left : left + 2 * SIDE]).resize((SIDE, SIDE))
    classes = Image.new("L", (SIDE, SIDE))
    for _ in range(random.integers(1, 4)):
        kind, radius = int(random.integers(1, len(CLASSES))), float(random.uniform(10, 22))
        x, y = random.uniform(radius, SIDE - radius, 2)
        box = (x - radius, y - radius, x + radius, y + radius)
        colour = tuple(int(c) for c in random.integers(0, 256, 3))
        for image, fill in ((part, colour), (classes, kind)):
            draw = ImageDraw.Draw(image)
            if CLASSES[kind] == "triangle":
                draw.polygon([(x, box[1]), (box[0], box[3]), (box[2], box[3])], fill=fill)
            elif CLASSES[kind] == "square":
                draw.rectangle(box, fill=fill)
            else:
                draw.ellipse(box, fill=fill)
    return np.asarray(part), np.asarray(classes)


def pictures(count: int, random: np.random.Generator) -> Picture:
    """Make pictures, ``(N, SIDE, SIDE, 3)``, and the class of each pixel, ``(N, SIDE, SIDE)``."""
    photographs = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    made = [picture(photographs[random.integers(len(photographs))], random) for _ in range(count)]
    photos, classes = zip(*made, strict=True)
    return np.stack(photos), np.stack(classes)


def two_convolutions(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Add two convolutions, ``name`` with an a and a b."""
    for letter in "ab":
        x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"{name}{letter}")(x)
    return x


def u_net() -> keras.Model:
    """Build the network: an encoder that halves the picture three times, and a decoder that reads its levels again."""
    photo = keras.Input((SIDE, SIDE, 3), name="photo")
    x = layers.Rescaling(1 / 255, name="scaled")(photo)
    skips = []
    for level, channels in enumerate(CHANNELS, 1):
        x = two_convolutions(x, channels, f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(name=f"pool{level}")(x)
    x = two_convolutions(x, BOTTOM, "bottom")
    for level, channels in reversed([*enumerate(CHANNELS, 1)]):
        x = layers.Conv2DTranspose(channels, 2, strides=2, name=f"up{level}")(x)
        x = layers.Concatenate(name=f"join{level}")([skips[level - 1], x])
        x = two_convolutions(x, channels, f"decode{level}")
    return keras.Model(photo, layers.Conv2D(len(CLASSES), 1, activation="softmax", name="shapes")(x), name="u_net")


def overlap(found: NDArray[np.integer], true: NDArray[np.integer]) -> float:
    """Return the intersection over union, the mean of all classes."""
    metric = keras.metrics.MeanIoU(len(CLASSES))
    metric.update_state(true, found)
    return float(metric.result())


def main() -> None:
    """Make pictures, train, check, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(), help="folder for the three files")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=1000, help="number of pictures for the training")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    photos, classes = pictures(arguments.pictures + HELD_OUT, np.random.default_rng(arguments.seed))

    model = u_net()
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
    # The learning rate falls to zero over the epochs, which sharpens the edges of the shapes.
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 3e-3 * (1 - epoch / arguments.epochs))
    n = arguments.pictures
    model.fit(photos[:n], classes[:n], batch_size=16, epochs=arguments.epochs, callbacks=[schedule], verbose=2)
    found = model.predict(photos[n:], verbose=0).argmax(axis=-1)
    reached = overlap(found, classes[n:])
    print(f"Intersection over union on {HELD_OUT} other pictures: {reached:.2f}; {model.count_params():,} parameters")
    if reached < REQUIRED:
        raise SystemExit(f"That is below {REQUIRED}, so nothing is saved; train for more epochs.")

    arguments.out.mkdir(parents=True, exist_ok=True)
    bare = u_net()  # without the optimizer, which would triple the size of the file
    bare.set_weights(model.get_weights())
    bare.save(arguments.out / "unet.keras")
    (arguments.out / "shapes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    # The first picture that has every class.
    whole = next(i for i, one in enumerate(classes[n:]) if len(np.unique(one)) == len(CLASSES))
    Image.fromarray(photos[n + whole]).save(arguments.out / "photo.png")
    files = [arguments.out / name for name in ("unet.keras", "photo.png", "shapes.txt")]
    shown = "{} --input {} --classes {}".format(*files)
    print(f"To see it: nnviz3d serve {shown}")
    print(f"As a picture: nnviz3d snapshot {shown} -o unet.png")


if __name__ == "__main__":
    main()
