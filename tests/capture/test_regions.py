"""Classes of a segmentation map, explained over the whole map or a part of it, against a `GradientTape`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture.live_model import capture
from nnviz3d.data.request import Insights
from nnviz3d.data.target_words import find_target
from nnviz3d.data.targets import Target
from nnviz3d.errors import ModelError
from nnviz3d.scene.class_names import name_of_target

pytestmark = pytest.mark.tensorflow
CLASSES = ("sky", "road", "car")
SIZE = 12


def u_net(last="softmax", channels=3):
    keras.utils.set_random_seed(3)
    photo = keras.Input((SIZE, SIZE, 3), name="photo")
    wide = layers.Conv2D(4, 3, padding="same", activation="relu", name="wide")(photo)
    deep = layers.Conv2D(6, 3, padding="same", activation="relu", name="deep")(layers.MaxPooling2D()(wide))
    joined = layers.Concatenate()([wide, layers.UpSampling2D()(deep)])
    return keras.Model(photo, layers.Conv2D(channels, 1, activation=last, name="mask")(joined))


@pytest.fixture(scope="module")
def model():
    return u_net()


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def run(model, photos, tmp_path_factory):
    wanted = Insights(
        targets=("road", "mask[2:5,1:9,2]", "not mask[...,0]", "mask[7]"),
        gradients=True,
        attributions=("grad_cam", "integrated_gradients"),
        layers=("deep",),
    )
    return capture(model, photos, out=tmp_path_factory.mktemp("map") / "run.zarr", classes=CLASSES, insights=wanted)


def scores(model, photos):
    """The output before its softmax, and a function of it by the inputs and the features."""
    features = keras.Model(model.inputs, [model.get_layer("deep").output, model.get_layer("concatenate").output])
    kernel, bias = model.get_layer("mask").weights
    return features, lambda joined: tf.nn.conv2d(joined, kernel, 1, "VALID") + bias


REGIONS = {
    Target("mask", 0, region=":,:,1"): (slice(None), slice(None), 1),
    Target("mask", 0, region="2:5,1:9,2"): (slice(2, 5), slice(1, 9), 2),
    Target("mask", 0, True, ":,:,0"): (slice(None), slice(None), 0),
    Target("mask", 7): (0, 2, 1),
}


def test_every_region_is_an_explained_target(run):
    assert {one.target for one in run.explanations(1).targets} == set(REGIONS)
    names = [name_of_target(run, target) for target in REGIONS]
    assert names == ["road", "car [2:5,1:9]", "not sky", "mask[7]"]


@pytest.mark.parametrize("target", REGIONS, ids=lambda target: target.text)
def test_score_and_gradients_are_those_of_the_mean_over_the_region(model, photos, run, target):
    features, head = scores(model, photos)
    x = tf.constant(photos)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        _, joined = features(x)
        logits = head(joined)
        part = logits[(slice(None), *REGIONS[target])]
        mean = tf.reduce_mean(tf.reshape(part, (2, -1)), axis=1) * (-1 if target.against else 1)
        total = tf.reduce_sum(mean)
    softmax = tf.nn.softmax(logits)[(slice(None), *REGIONS[target])].numpy().reshape(2, -1).mean(axis=1)
    for sample in range(2):
        explanations = run.explanations(sample)
        found = next(one for one in explanations.targets if one.target == target)
        explanations = run.explanations(sample)
        assert found.score == pytest.approx(float(mean[sample]), rel=1e-5)
        assert found.probability == pytest.approx(1 - softmax[sample] if target.against else softmax[sample], rel=1e-5)
        for node, tensor in (("photo", x), ("mask", logits)):
            expected = tape.gradient(total, tensor)[sample].numpy()
            assert np.allclose(explanations.gradient(node, target=target), expected, rtol=1e-4, atol=1e-7)


def test_grad_cam_of_a_region_follows_its_definition(model, photos, run):
    features = keras.Model(model.inputs, [model.get_layer("deep").output])
    rest = keras.Model([model.get_layer("wide").output, model.get_layer("deep").output], model.output)
    rest.get_layer("mask").activation = keras.activations.linear
    try:
        wide = keras.Model(model.inputs, model.get_layer("wide").output)(photos)
        with tf.GradientTape() as tape:
            deep = features(photos)
            tape.watch(deep)
            mean = tf.reduce_mean(rest([wide, deep])[:, 2:5, 1:9, 2], axis=(1, 2))
        slopes = tape.gradient(mean, deep).numpy()
    finally:
        rest.get_layer("mask").activation = keras.activations.softmax
    weights = slopes.mean(axis=(1, 2))
    expected = np.maximum(np.einsum("nhwc,nc->nhw", deep.numpy(), weights), 0)
    target = Target("mask", 0, region="2:5,1:9,2")
    for sample in range(2):
        found = run.explanations(sample).attribution("grad_cam", target=target)
        assert np.allclose(found.values, expected[sample], rtol=1e-4, atol=1e-7)


def test_integrated_gradients_of_a_region_add_up_to_the_scores_difference(model, photos, run):
    features, head = scores(model, photos)
    target = Target("mask", 0, region=":,:,1")
    for sample in range(2):
        found = run.explanations(sample).attribution("integrated_gradients", target=target)
        both = np.stack([photos[sample], np.zeros_like(photos[sample])])
        logits = head(features(both)[1]).numpy()[..., 1].mean(axis=(1, 2))
        assert found.values.sum() == pytest.approx(logits[0] - logits[1], rel=0.03, abs=1e-3)


def test_words_for_a_map_are_its_classes_and_regions(run):
    graph = run.graph
    assert find_target("2", graph, CLASSES) == find_target("Car", graph, CLASSES) == Target("mask", 0, region=":,:,2")
    assert find_target("mask[ 2:, 3, 1 ]", graph, None) == Target("mask", 0, region="2:,3,1")
    assert find_target("class 1", graph, None).region == ":,:,1"
    for target in REGIONS:
        assert Target.of_text(target.text) == Target.of_slot(target.slot) == target
    for word, sentence in (
        ("3", r"has no class 3; expected a number from 0 to 2 \(sky, road, car\)"),
        ("bus", "has no class 'bus'; its classes are sky, road, car"),
        ("mask[:,1]", r"'mask' has no part \[:,1\]: it has 2 parts, and the output 3 axes; its shape is \(12, 12, 3\)"),
        ("mask[:,5:13,1]", r"has no part .*: 5:13 is no part of an axis of 12"),
        ("mask[:,5:5,1]", r"has no part .*: 5:5 is no part of an axis of 12"),
    ):
        with pytest.raises(ModelError, match=sentence):
            find_target(word, graph, CLASSES)


def test_mask_of_one_sigmoid_channel_is_explained_over_the_map(photos, tmp_path):
    wanted = Insights(targets=("0",), gradients=True)
    run = capture(u_net("sigmoid", 1), photos, out=tmp_path / "run.zarr", insights=wanted)
    found = run.explanations(0).targets[0]
    assert found.target == Target("mask", 0, region=":,:,0")
    assert found.probability == pytest.approx(float(run.activation("mask").mean()), rel=1e-5)
    assert np.allclose(run.explanations(0).gradient("mask", target=found.target), 1 / SIZE**2)
