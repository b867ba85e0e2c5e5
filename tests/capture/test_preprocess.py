"""Preprocessing modes are chosen by rule, reported in a sentence, and equal those of Keras."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.inputs.pixel_scaling import PixelScaling
from nnviz3d.capture.inputs.preprocess import Preparation, apply, decide, family_mode
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.errors import SampleError


def plain():
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3, name="conv")])


def scaling():
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 127.5, -1, name="scale")], name="inner")
    return keras.Sequential([keras.Input((8, 8, 3)), inner, layers.Conv2D(2, 3)])


def program_of(model):
    return open_model(model, expected_inputs(model))


def described(model):
    return describe(program_of(model), "m")


@pytest.mark.parametrize(
    ("asked", "family", "picture", "make", "mode", "why"),
    [
        ("torch", ("VGG16", "caffe"), True, plain, "torch", "It was requested."),
        (None, ("VGG16", "caffe"), True, plain, "caffe", "training pictures of VGG16 were preprocessed"),
        (None, None, True, scaling, "none", "in Rescaling 'scale'"),
        (None, None, True, plain, "unit", "the usual choice for a model without scaling"),
        (None, None, True, plain, "unit", "Nothing scales the picture before Conv2D 'conv'"),
        (None, None, False, scaling, "none", "used as they are"),
        (None, ("VGG16", "caffe"), False, plain, "none", "used as they are"),
    ],
)
def test_preprocessing_mode_follows_request_family_and_scaling_layers(asked, family, picture, make, mode, why):
    decision = decide(asked=asked, family=family, picture=picture, model=described(make()))
    assert decision.mode == mode
    assert why in decision.reason
    assert decision.sentence.startswith(f"Preprocessing {mode}: ")


def behind(front, **photo):
    """A model that applies `front` to its picture before a convolution."""
    given = keras.Input((8, 8, 3), name="photo", **photo)
    return keras.Model(given, layers.Conv2D(2, 3, name="conv")(front(given)))


IMAGENET = ([123.7, 116.3, 103.5], [3409.9, 3262.7, 3291.9])
"""Mean and variance of pixels 0..255."""
MOVING = [
    layers.RandomFlip,
    lambda: layers.Resizing(9, 9),
    lambda: layers.ZeroPadding2D(2),
    lambda: layers.Permute((2, 1, 3)),
]


def moved(photo):
    for make in MOVING:
        photo = make()(photo)
    return layers.Rescaling(1 / 255, name="scale")(layers.Concatenate()([photo]))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(2, 3)

    def call(self, x):
        return self.conv((x - 127.5) / 127.5)


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 8, 8, 3), np.float32))
    return model


def behind_the_head():
    photo = keras.Input((8, 8, 3))
    x = layers.Dense(1)(layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(photo)))
    return keras.Model(photo, layers.Rescaling(100.0)(x))


@pytest.mark.parametrize(
    ("make", "mode", "why"),
    [
        (lambda: behind(keras.applications.mobilenet_v2.preprocess_input), "none", "'true_divide' and Subtract"),
        (lambda: behind(keras.applications.vgg16.preprocess_input), "none", "itself, in "),
        (lambda: behind(keras.applications.densenet.preprocess_input), "none", "itself, in "),
        (lambda: behind(lambda x: x / 255.0), "none", "in TrueDivide 'true_divide'"),
        (lambda: behind(lambda x: x * (1 / 255)), "none", "in Multiply 'multiply'"),
        (lambda: behind(lambda x: (x - 127.5) / 127.5), "none", "in Subtract 'subtract' and TrueDivide 'true_divide'"),
        (lambda: behind(lambda x: x - 117.0), "none", "in Subtract 'subtract'"),
        (lambda: behind(lambda x: keras.ops.cast(x, "float32") / 255, dtype="uint8"), "none", "whole numbers (uint8)"),
        (lambda: behind(layers.Normalization(mean=IMAGENET[0], variance=IMAGENET[1], name="n")), "none", "'n'"),
        (lambda: behind(moved), "none", "in Rescaling 'scale'"),
        (subclassed, "none", "in Subtract 'subtract' and TrueDivide 'true_divide'"),
        (lambda: behind(layers.Rescaling(2.0, -1.0, name="twice")), "unit", "0..1 itself, in Rescaling 'twice'"),
        (lambda: behind(lambda x: (x - 0.45) / 0.226), "unit", "scales pixels of 0..1 itself, in Subtract"),
        (lambda: behind(layers.Rescaling(1.0)), "unit", "Nothing scales the picture before Conv2D 'conv'"),
        (lambda: behind(layers.BatchNormalization(name="bn")), "unit", "before BatchNormalization 'bn'"),
        (behind_the_head, "unit", "Nothing scales the picture before Conv2D"),
    ],
)
def test_preprocessing_follows_the_first_constants_on_the_pictures_path(make, mode, why):
    decision = decide(asked=None, family=None, picture=True, model=described(make()))
    assert (decision.mode, why in decision.reason) == (mode, True), decision.reason


def two_pictures():
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    parts = [layers.Conv2D(2, 3)(layers.Rescaling(1 / 255, name="scale")(left)), layers.Conv2D(2, 3)(right)]
    return keras.Model([left, right], layers.Dense(1)(layers.Flatten()(layers.Add()(parts))))


def test_several_picture_inputs_are_prepared_by_their_own_paths():
    preparation = Preparation(described(two_pictures()), (True, True), None, None)
    pixels = np.full((1, 8, 8, 3), 255, np.uint8)
    left, right = preparation(Samples((pixels, pixels), ("a",), (True, True)))
    assert (left.max(), right.max()) == (255, 1)
    assert preparation.mode == "left none, right unit"
    assert "left: The model scales its input itself, in Rescaling 'scale'." in preparation.reason


def test_pictures_of_a_data_set_are_prepared_even_if_the_captured_samples_are_arrays():
    preparation = Preparation(described(plain()), (False,), None, None)
    assert preparation.mode == "none"
    (pixels,) = preparation(Samples((np.full((1, 8, 8, 3), 255, np.uint8),), ("a",), (True,)))
    assert pixels.max() == 1


@pytest.mark.parametrize(
    "name", ["VGG16", "ResNet50", "ResNet50V2", "DenseNet121", "MobileNetV2", "EfficientNetB0", "ConvNeXtTiny"]
)
def test_mode_of_a_family_equals_its_preprocess_input(name):
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


def test_unit_scales_to_0_to_1_and_none_changes_nothing():
    pixels = np.array([[[[0], [51], [255]]]], np.uint8)
    assert np.array_equal(apply("unit", pixels).ravel(), np.array([0, 0.2, 1], np.float32))
    assert np.array_equal(apply("none", pixels).ravel(), np.array([0, 51, 255], np.float32))
    assert apply("none", pixels).dtype == np.float32


def test_colour_modes_are_refused_without_three_channels():
    with pytest.raises(SampleError, match="caffe is for pictures with 3 channels"):
        apply("caffe", np.zeros((1, 8, 8, 1), np.uint8))


@pytest.mark.parametrize("mode", ["caffe", "torch", "tf", "unit"])
def test_pictures_with_channels_first_are_prepared_like_those_with_channels_last(mode):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype(np.uint8)
    given = apply(mode, np.moveaxis(pixels, -1, 1), ("channel", "row", "column"))
    assert np.array_equal(np.moveaxis(given, 1, -1), apply(mode, pixels))


@pytest.mark.parametrize(("takes", "mode"), [((0, 1), "unit"), ((-1, 0.992), "tf"), ((0, 255), "none")])
def test_preprocessing_of_a_quantized_input_follows_the_numbers_that_it_holds(takes, mode):
    scaling = PixelScaling((), None, bytes_in=False, takes=takes)
    model = SimpleNamespace(input_type=lambda i: "float32", scaling=lambda i: scaling)
    decision = decide(asked=None, family=None, picture=True, model=model)
    assert decision.mode == mode
    assert "quantized input holds numbers from" in decision.reason
