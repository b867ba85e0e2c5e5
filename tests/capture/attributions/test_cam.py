"""Class activation maps equal their definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from nnviz3d.capture.attributions.cam import cam
from nnviz3d.capture.attributions.grad_cam import grad_cam
from nnviz3d.capture.attributions.grad_cam_plus_plus import grad_cam_plus_plus
from nnviz3d.capture.attributions.layer_cam import layer_cam
from nnviz3d.capture.attributions.score_cam import score_cam
from nnviz3d.capture.attributions.spatial_layers import chosen_layers, default_layer, input_under
from nnviz3d.capture.programs.differentiable import score_of
from nnviz3d.data.upsample import upsampled
from nnviz3d.errors import ModelError
from tests.capture import zoo
from tests.capture.attributions.models import at, opened, pooled
from tests.capture.explained import every_gradient

BY_GRADIENT = [grad_cam, grad_cam_plus_plus, layer_cam]
ALL = [cam, *BY_GRADIENT, score_cam]


def of(model, x, y, function, layer=None, **settings):
    """A map of the model's only output."""
    (output,) = model.described.graph.outputs
    layer = layer or default_layer(model.described, output)
    return function(model, [x], np.asarray(y), score_of(output), at(layer, x, **settings))


class TestCam:
    @pytest.mark.parametrize("kind", ["1D", "2D", "3D"])
    @pytest.mark.parametrize("softmax", ["inside", "behind", "activation", "none"])
    def test_mean_of_the_map_plus_the_bias_is_the_score(self, kind, softmax, rng):
        net = pooled(kind, softmax=softmax)
        model = opened(net)
        x, y = zoo.numbers(rng, 5, *net.input_shape[1:]), np.array([0, 1, 2, 1, 0])
        maps = of(model, x, y, cam)
        head = net.get_layer("head")
        pool = keras.Model(net.input, net.get_layer("pool").output)(x).numpy()
        scores = pool @ head.kernel.numpy() + head.bias.numpy()
        expected = scores[np.arange(5), y]
        assert maps.shape == (5, *net.get_layer("last").output.shape[1:-1])
        assert maps.reshape(5, -1).mean(axis=1) + head.bias.numpy()[y] == pytest.approx(expected, abs=1e-4)
        by_hand = keras.Model(net.input, net.get_layer("last").output)(x).numpy() @ head.kernel.numpy()
        assert np.allclose(maps, np.stack([by_hand[i, ..., k] for i, k in enumerate(y)]), atol=1e-5)

    def test_grad_cam_equals_the_rectified_cam(self, rng):
        net = pooled()
        x = zoo.numbers(rng, 6, *net.input_shape[1:])
        for k in range(3):
            linear, rectified = (of(opened(net), x, [k] * 6, f) for f in (cam, grad_cam))
            for one, other in zip(np.maximum(linear, 0), rectified, strict=True):
                if one.any():
                    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999
                else:
                    assert not other.any()

    def test_model_with_another_head_is_refused(self):
        model = opened(zoo.digits_like())
        with pytest.raises(
            ModelError, match=r"^CAM needs global average pooling followed by one Dense layer; use grad_cam\.$"
        ):
            of(model, np.zeros((1, 28, 28, 1), np.float32), [0], cam)

    def test_dense_head_with_a_nonlinear_activation_is_refused(self):
        start = keras.Input((8, 8, 2))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, name="conv")(start))
        for head in (layers.Dense(2, activation="tanh"), keras.Sequential([layers.Dense(2), layers.Dense(2)])):
            with pytest.raises(ModelError, match="use grad_cam"):
                of(opened(keras.Model(start, head(x))), np.zeros((1, 8, 8, 2), np.float32), [0], cam)

    def test_layer_that_is_not_pooled_is_refused(self):
        net = pooled()
        with pytest.raises(
            ModelError, match=r"^CAM needs the layer before global average pooling, last; use grad_cam for first\.$"
        ):
            of(opened(net), np.zeros((1, *net.input_shape[1:]), np.float32), [0], cam, "first")


class TestGradientMethods:
    def numbers(self, net, x, y, layer):
        """Activation and gradient, by TensorFlow alone."""
        whole = keras.Model(net.input, [net.get_layer(layer).output, net.output])
        with tf.GradientTape() as tape:
            values, scores = whole(x)
            score = tf.gather(scores, y, batch_dims=1)
        return values.numpy().astype(float), tape.gradient(score, values).numpy().astype(float)

    @pytest.mark.parametrize("layer", ["first", "last"])
    def test_maps_equal_the_formulas_of_the_papers(self, layer, rng):
        net = pooled(softmax="none")
        x, y = zoo.numbers(rng, 4, *net.input_shape[1:]), np.array([0, 1, 2, 0])
        a, d = self.numbers(net, x, y, layer)
        model = opened(net)
        found = {f: of(model, x, y, f, layer) for f in BY_GRADIENT}
        for i in range(4):
            plain = sum(d[i, ..., k].mean() * a[i, ..., k] for k in range(a.shape[-1]))
            assert np.allclose(found[grad_cam][i], np.maximum(plain, 0), atol=1e-6)
            fine = sum(np.maximum(d[i, ..., k], 0) * a[i, ..., k] for k in range(a.shape[-1]))
            assert np.allclose(found[layer_cam][i], np.maximum(fine, 0), atol=1e-6)
            total = np.zeros_like(plain)
            for k in range(a.shape[-1]):
                slope, weight = d[i, ..., k], 0.0
                for place in np.ndindex(slope.shape):
                    if slope[place] > 0:
                        below = 2 * slope[place] ** 2 + a[i, ..., k].sum() * slope[place] ** 3
                        weight += slope[place] ** 2 / below * slope[place]
                total += weight * a[i, ..., k]
            assert np.allclose(found[grad_cam_plus_plus][i], np.maximum(total, 0), atol=1e-5)

    def test_map_of_a_sample_does_not_depend_on_other_samples(self, rng):
        net = pooled()
        x, y = zoo.numbers(rng, 3, *net.input_shape[1:]), [2, 1, 0]
        for function in ALL:
            together = of(opened(net), x, y, function)
            alone = np.concatenate([of(opened(net), x[i : i + 1], y[i : i + 1], function) for i in range(3)])
            assert np.allclose(together, alone, atol=1e-5)


class TestScoreCam:
    def test_map_equals_the_formula_of_the_paper(self, rng):
        net = pooled(softmax="none")
        x, y = zoo.numbers(rng, 2, *net.input_shape[1:]), np.array([2, 0])
        base = zoo.numbers(rng, 2, *net.input_shape[1:])
        seen = []
        maps = of(opened(net), x, y, score_cam, baselines=[base], report=lambda *step: seen.append(step))
        values = keras.Model(net.input, net.get_layer("last").output)(x).numpy()
        for i in range(2):
            rises = []
            channels = [values[i, ..., k] for k in range(6) if np.ptp(values[i, ..., k]) > 0]
            for channel in channels:
                mask = (channel - channel.min()) / np.ptp(channel)
                mask = tf.image.resize(mask[..., None], net.input_shape[1:3], "bilinear").numpy()
                rises.append(net(base[i][None] + mask * (x[i] - base[i])).numpy()[0, y[i]])
            rises = np.array(rises) - net(base[i][None]).numpy()[0, y[i]]
            weights = np.exp(rises) / np.exp(rises).sum()
            expected = sum(w * c for w, c in zip(weights, channels, strict=True))
            assert np.allclose(maps[i], np.maximum(expected, 0), atol=1e-4)
        assert [done / of for done, of in seen] == [0.5, 1]

    def test_constant_channels_have_no_weight(self):
        start = keras.Input((4, 4, 1))
        conv = layers.Conv2D(2, 1, name="conv")
        net = keras.Model(start, layers.Dense(2)(layers.Flatten()(conv(start))))
        conv.set_weights([np.array([1.0, 0.0], np.float32).reshape(1, 1, 1, 2), np.array([0.0, 9.0], np.float32)])
        x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
        assert np.allclose(of(opened(net), x, [0], score_cam, "conv"), x[..., 0])
        assert not of(opened(net), np.ones_like(x), [0], score_cam, "conv").any()

    def test_only_the_input_of_the_layer_is_masked(self, rng):
        left, right = keras.Input((6, 6, 1), name="left"), keras.Input((6, 6, 1), name="right")
        x = layers.Conv2D(2, 3, name="conv")(right)
        both = layers.Concatenate()([layers.Flatten()(left), layers.Flatten()(x)])
        net = keras.Model([left, right], layers.Dense(2, name="head")(both))
        model = opened(net)
        x = [zoo.numbers(rng, 1, 6, 6, 1) for _ in range(2)]
        assert (input_under(model.described, "conv"), default_layer(model.described, "head")) == (1, "conv")
        maps = score_cam(
            model, x, np.array([1]), score_of("head"), at("conv", *x, baselines=[x[0], np.zeros_like(x[1])])
        )
        values = keras.Model(right, net.get_layer("conv").output)(x[1]).numpy()[0]
        low, high = values.min(axis=(0, 1)), values.max(axis=(0, 1))
        masks = upsampled(np.moveaxis((values - low) / (high - low), -1, 0), (6, 6))
        answers = [net([x[0], x[1] * mask[None, ..., None]]).numpy()[0, 1] for mask in masks]
        weights = np.exp(answers) / np.exp(answers).sum()
        assert np.allclose(maps[0], np.maximum(values @ weights, 0), atol=1e-5)

    def test_token_input_is_refused_because_it_cannot_be_masked(self):
        start = keras.Input((5,), dtype="int32")
        x = layers.Conv1D(3, 2, name="conv")(layers.Embedding(9, 4)(start))
        model = opened(keras.Model(start, layers.Dense(2, name="head")(layers.GlobalAveragePooling1D()(x))))
        tokens = np.array([[1, 2, 3, 4, 5]], np.int32)
        with pytest.raises(ModelError, match=r"no input has spatial axes that correspond to it; use grad_cam\.$"):
            of(model, tokens, [0], score_cam)
        assert of(model, tokens, [0], grad_cam).shape == (1, 4)
        assert input_under(model.described, "conv") is None


@pytest.mark.parametrize("function", ALL)
class TestAllMethods:
    @pytest.mark.parametrize("kind", ["1D", "2D", "3D"])
    def test_sequences_pictures_and_volumes_inside_nested_models_have_maps(self, function, kind, rng):
        net = pooled(kind, nested=True)
        x = zoo.numbers(rng, 2, *net.input_shape[1:])
        model = opened(net)
        assert default_layer(model.described, "head") == "block/last"
        maps = of(model, x, [1, 2], function)
        assert maps.shape == (2, *(8, 6, 4)[: int(kind[0])])
        assert maps.dtype == np.float32
        assert maps.any()
        if function is not cam:
            for layer in ("block/first", "block/skip", "block/add"):
                assert of(model, x, [1, 2], function, layer).shape == (2, *(10, 8, 6)[: int(kind[0])])

    def test_model_of_zeros_has_maps_of_zeros(self, function, rng):
        net = pooled()
        net.set_weights([np.zeros_like(w) for w in net.get_weights()])
        x = zoo.numbers(rng, 2, *net.input_shape[1:])
        maps = of(opened(net), x, [0, 1], function)
        assert np.array_equal(maps, np.zeros_like(maps))

    def test_model_of_one_batch_size_has_the_same_maps(self, function, rng):
        net = pooled()
        x = zoo.numbers(rng, 5, *net.input_shape[1:])
        three = keras.Input((*net.input_shape[1:],), batch_size=3, name="start")
        fixed = opened(keras.Model(three, net(three)))
        layer = default_layer(fixed.described, *fixed.described.graph.outputs)
        maps = of(fixed, x, [0, 1, 2, 1, 0], function, layer)
        assert np.allclose(maps, of(opened(net), x, [0, 1, 2, 1, 0], function), atol=1e-5)

    def test_maps_do_not_depend_on_the_order_of_channels(self, function, rng):
        net = pooled()
        x = zoo.numbers(rng, 2, *net.input_shape[1:])
        before = of(opened(net), x, [0, 1], function)
        turn = rng.permutation(6)
        last, head = net.get_layer("last"), net.get_layer("head")
        last.set_weights([w[..., turn] for w in last.get_weights()])
        head.set_weights([head.kernel.numpy()[turn], head.bias.numpy()])
        assert np.allclose(of(opened(net), x, [0, 1], function), before, atol=1e-5)


class TestLayers:
    def test_default_layer_is_the_last_before_pooling_or_flattening(self):
        assert default_layer(opened(zoo.digits_like()).described, "dense_1") == "conv2d_2"
        start = keras.Input((16, 16, 3))
        x = layers.Conv2D(4, 3, name="conv")(start)
        x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
        x = layers.MaxPooling2D(name="pool")(layers.SpatialDropout2D(0.1, name="drop")(x))
        net = keras.Model(start, layers.Dense(2, name="head")(layers.Reshape((-1,))(layers.Reshape((49, 4))(x))))
        assert default_layer(opened(net).described, "head") == "relu"

    def test_default_layer_is_the_pooled_one_before_a_cam_head(self):
        start = keras.Input((16, 16, 3))
        x = layers.MaxPooling2D(name="max")(layers.Conv2D(4, 3, name="conv")(start))
        net = keras.Model(start, layers.Dense(2, name="head")(layers.GlobalAveragePooling2D()(x)))
        assert default_layer(opened(net).described, "head") == "max"

    def test_layer_that_does_not_affect_the_output_is_refused(self):
        start = keras.Input((8, 8, 1))
        one, two = (layers.Conv2D(2, 3, name=name)(start) for name in ("one", "two"))
        heads = [layers.Dense(2, name=f"head_{n}")(layers.Flatten()(x)) for n, x in (("one", one), ("two", two))]
        described = opened(keras.Model(start, heads)).described
        assert [default_layer(described, f"head_{n}") for n in ("one", "two")] == ["one", "two"]
        with pytest.raises(ModelError, match="'head_one' does not depend on the numbers of 'two'"):
            chosen_layers(described, "head_one", ["two"])

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            (
                "dense",
                "dense has no spatial axes such as rows and columns, so it has no class activation map; choose one "
                "of conv2d, max_pooling2d, conv2d_1, max_pooling2d_1, conv2d_2.",
            ),
            ("input", "input is an input, so it has no class activation map; choose one of conv2d, "),
            ("conv", "There is no layer 'conv', so it has no class activation map; choose one of conv2d, "),
        ],
    )
    def test_layer_without_spatial_axes_is_refused_in_a_sentence(self, name, sentence):
        with pytest.raises(ModelError) as refused:
            chosen_layers(opened(zoo.digits_like()).described, "dense_1", ["conv2d_1", name])
        assert str(refused.value).startswith(sentence)

    def test_requested_layers_are_chosen_once_in_order(self):
        described = opened(zoo.digits_like()).described
        assert chosen_layers(described, "dense_1", []) == ("conv2d_2",)
        assert chosen_layers(described, "dense_1", ["conv2d", "conv2d_1", "conv2d"]) == ("conv2d", "conv2d_1")

    def test_model_without_spatial_layers_is_refused(self):
        described = opened(
            keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2, name="head")])
        ).described
        with pytest.raises(ModelError, match=r"^No layer before 'head' has spatial axes .*integrated_gradients\.$"):
            default_layer(described, "head")
        with pytest.raises(ModelError, match="no layer of this model has one; use a method"):
            chosen_layers(described, "head", ["dense"])


def test_upsampled_maps_equal_those_of_tensorflow(rng):
    maps = zoo.numbers(rng, 2, 3, 7)
    expected = tf.image.resize(maps[..., None], (28, 20), "bilinear").numpy()[..., 0]
    assert np.allclose(upsampled(maps, (28, 20)), expected, atol=1e-5)


@pytest.fixture(scope="module")
def strided():
    start = keras.Input((12, 12, 3), name="start")
    x = layers.Conv2D(4, 3, padding="same", name="stem")(start)
    x = layers.ReLU(name="early")(x)
    short = layers.Conv2D(6, 1, strides=2, name="short")(x)
    long = layers.Conv2D(6, 3, strides=2, padding="same", name="long")(x)
    x = layers.Flatten(name="flat")(layers.Add(name="add")([short, long]))
    return opened(keras.Model(start, layers.Dense(3, activation="softmax", name="head")(x)))


class TestStridedShortcuts:
    """Networks with 1x1 convolutions of stride 2, whose kernel gradients TensorFlow cannot compute; CAM needs none."""

    @pytest.mark.parametrize("layer", ["stem", "early"])
    @pytest.mark.parametrize("method", [grad_cam, layer_cam])
    def test_early_layers_have_maps_of_gradient_methods(self, strided, method, layer, rng):
        x = zoo.numbers(rng, 2, 12, 12, 3)
        found = of(strided, x, [0, 1], method, layer)
        slope = every_gradient(strided, [x], "head", [0, 1])[layer, 0]
        weights = slope.mean(axis=(1, 2), keepdims=True) if method is grad_cam else np.maximum(slope, 0)
        expected = np.maximum((weights * strided([x])[layer].numpy()).sum(axis=-1), 0)
        assert np.allclose(found, expected, atol=1e-6)
        assert expected.any()
