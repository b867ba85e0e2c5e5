"""The preprocessing is decided by rule, said in a sentence, and does what Keras does."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.preprocess import apply, decide, family_mode
from nnviz3d.errors import SampleError


def plain():
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)])


def scaling():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 127.5, -1, name="scale")], name="inner")
    return keras.Sequential([keras.Input((8, 8, 3)), inner, layers.Conv2D(2, 3)])


@pytest.mark.parametrize(
    ("asked", "family", "picture", "make", "mode", "why"),
    [
        ("torch", ("VGG16", "caffe"), True, plain, "torch", "You asked for it."),
        (None, ("VGG16", "caffe"), True, plain, "caffe", "that VGG16 was trained on"),
        (None, None, True, scaling, "none", "in Rescaling 'scale'"),
        (None, None, True, plain, "unit", "does not say"),
        (None, None, False, scaling, "none", "taken as they are"),
        (None, ("VGG16", "caffe"), False, plain, "none", "taken as they are"),
    ],
)
def test_the_rule(asked, family, picture, make, mode, why):
    decision = decide(asked=asked, family=family, picture=picture, model=make())
    assert decision.mode == mode
    assert why in decision.reason
    assert decision.sentence.startswith(f"Preprocessing {mode}: ")


@pytest.mark.parametrize(
    "name", ["VGG16", "ResNet50", "ResNet50V2", "DenseNet121", "MobileNetV2", "EfficientNetB0", "ConvNeXtTiny"]
)
def test_a_family_gets_what_its_own_function_does(name):
    module = {
        "VGG16": keras.applications.vgg16,
        "ResNet50": keras.applications.resnet,
        "ResNet50V2": keras.applications.resnet_v2,
        "DenseNet121": keras.applications.densenet,
        "MobileNetV2": keras.applications.mobilenet_v2,
        "EfficientNetB0": keras.applications.efficientnet,
        "ConvNeXtTiny": keras.applications.convnext,
    }[name]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
    assert np.array_equal(apply(family_mode(name), pixels), module.preprocess_input(pixels.astype(np.float32)))


def test_unit_and_none():
    pixels = np.array([[[[0], [51], [255]]]], np.uint8)
    assert np.array_equal(apply("unit", pixels).ravel(), np.array([0, 0.2, 1], np.float32))
    assert np.array_equal(apply("none", pixels).ravel(), np.array([0, 51, 255], np.float32))
    assert apply("none", pixels).dtype == np.float32


def test_colour_modes_need_colours():
    with pytest.raises(SampleError, match="caffe is for pictures with 3 channels"):
        apply("caffe", np.zeros((1, 8, 8, 1), np.uint8))
