"""Files of Keras 2 open with Keras 2's numbers, or are refused with the name of the layer."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.loading.load import load_model
from nnviz3d.errors import ModelError
from tests.capture import zoo
from tests.capture.old_files import edit, settings

pytestmark = pytest.mark.slow

BOTH = pytest.mark.parametrize("ending", ["h5", "keras"])


def unchanged(_config):
    return None


def old(folder, ending, model, change=unchanged, version="2.9.0"):
    """Save a model as a file of Keras 2, and load it."""
    model.save(folder / f"old.{ending}")
    return load_model(str(edit(folder / f"old.{ending}", change, version)))


def refused(folder, ending, model, change=unchanged, version="2.9.0"):
    with pytest.raises(ModelError) as caught:
        old(folder, ending, model, change, version)
    sentence = str(caught.value)
    assert len(sentence) < 700
    assert "\n" not in sentence
    assert "--trust" not in sentence
    assert f"which Keras {version} wrote" in sentence
    assert "model.load_weights(" in sentence
    return sentence


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


@BOTH
def test_hard_sigmoid_follows_the_keras_version_of_the_file(tmp_path, ending, rng):
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(4, name="first"),
            layers.Activation("hard_sigmoid"),
            layers.Dense(3, "hard_sigmoid", name="last"),
        ]
    )
    x = zoo.numbers(rng, 3, 5)
    first, second = model.layers[0], model.layers[2]
    hidden = hard_sigmoid(x @ np.asarray(first.kernel))
    expected = hard_sigmoid(hidden @ np.asarray(second.kernel))
    loaded = old(tmp_path, ending, model)
    assert np.allclose(loaded.model(x), expected, atol=1e-6)
    assert "hard_sigmoid is computed as in Keras 2" in loaded.notes[0]
    model.save(tmp_path / f"new.{ending}")
    assert np.array_equal(load_model(str(tmp_path / f"new.{ending}")).model(x), model(x))


@BOTH
def test_lstm_of_keras_2_uses_the_hard_sigmoid_of_keras_2(tmp_path, ending, rng):
    model = keras.Sequential([keras.Input((4, 3)), layers.LSTM(2, recurrent_activation="hard_sigmoid", name="lstm")])
    x = zoo.numbers(rng, 2, 4, 3)
    kernel, recurrent, bias = (np.asarray(w) for w in model.layers[0].weights)
    h = c = np.zeros((2, 2))
    for step in range(4):
        i, f, g, o = np.split(x[:, step] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = hard_sigmoid(f) * c + hard_sigmoid(i) * np.tanh(g)
        h = hard_sigmoid(o) * np.tanh(c)

    def change(config):
        settings(config, "lstm")["time_major"] = False

    assert np.allclose(old(tmp_path, ending, model, change).model(x), h, atol=1e-6)


@BOTH
def test_gru_without_reset_after_computes_as_in_keras_2(tmp_path, ending, rng):
    model = keras.Sequential([keras.Input((4, 3)), layers.GRU(2, reset_after=False, use_bias=False, name="gru")])
    x = zoo.numbers(rng, 2, 4, 3)

    def change(config):
        del settings(config, "gru")["reset_after"]

    assert np.array_equal(old(tmp_path, ending, model, change).model(x), model(x))


@BOTH
def test_keys_without_effect_are_dropped(tmp_path, ending, rng):
    image = keras.Input((8, 8, 2))
    x = layers.DepthwiseConv2D(3, name="depthwise")(image)
    x = layers.SeparableConv2D(3, 3, name="separable")(x)
    x = layers.Conv2DTranspose(3, 3, name="transposed")(x)
    x = layers.BatchNormalization(name="normal")(layers.SpatialDropout2D(0.1, name="dropout")(x))
    model = keras.Model(image, layers.Dense(2, name="dense")(layers.GlobalAveragePooling2D()(x)))

    def change(config):
        for name in ("depthwise", "separable", "transposed"):
            settings(config, name)["groups"] = 1
        settings(config, "separable").update(kernel_initializer="glorot_uniform", kernel_constraint=None)
        settings(config, "dropout").update(noise_shape=None, trainable=True)
        settings(config, "normal")["axis"] = [3]
        settings(config, "dense")["kernel_initializer"]["config"]["dtype"] = "float32"
        settings(config, "dense")["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}

    x = zoo.numbers(rng, 2, 8, 8, 2)
    path = tmp_path / f"old.{ending}"
    loaded = old(tmp_path, ending, model, change)
    before = path.read_bytes()
    assert np.array_equal(loaded.model(x), model(x))
    load_model(str(path))
    assert path.read_bytes() == before


@BOTH
def test_keys_with_an_effect_are_refused_with_the_layers_name(tmp_path, ending):
    model = keras.Sequential([keras.Input((8, 8, 2)), layers.DepthwiseConv2D(3, name="depthwise")])
    said = refused(tmp_path, ending, model, lambda config: settings(config, "depthwise").update(groups=2))
    assert "'depthwise' (DepthwiseConv2D)" in said
    assert "groups" in said
    model = keras.Sequential([keras.Input((4, 3)), layers.LSTM(2, name="lstm")])
    said = refused(tmp_path, ending, model, lambda config: settings(config, "lstm").update(time_major=True))
    assert "time_major" in said


@BOTH
def test_classes_that_keras_3_lacks_are_named(tmp_path, ending):
    model = keras.Sequential([keras.Input((3,)), layers.ReLU(name="features"), layers.ReLU(name="other")])
    for kind in ("InstanceMethod", "DenseFeatures"):

        def change(config, kind=kind):
            for item in config["config"]["layers"][1:]:
                item["class_name"] = kind

        assert f"its layer 'features' ({kind}) (and 1 more) is of a class" in refused(tmp_path, ending, model, change)


@pytest.mark.parametrize("module", ["keras.src.engine.functional", "tf_keras.src.engine.functional"])
def test_models_of_keras_2_are_not_taken_for_custom_code(tmp_path, module, rng):
    row = keras.Input((3,), name="row")
    model = keras.Model(row, layers.Dense(2, name="out")(row))

    def change(config):
        config.update(module=module, registered_name="Functional")
        first, last = config["config"]["layers"]
        first["config"]["batch_input_shape"] = first["config"].pop("batch_shape")
        last["inbound_nodes"] = [[["row", 0, 0, {}]]]
        config["config"].update(input_layers=[["row", 0, 0]], output_layers=[["out", 0, 0]])

    x = zoo.numbers(rng, 2, 3)
    assert np.array_equal(old(tmp_path, "keras", model, change, "2.15.0").model(x), model(x))


@BOTH
def test_slash_in_a_layers_name_becomes_an_underscore(tmp_path, ending, rng):
    row = keras.Input((3,), name="row")
    hidden = layers.Dense(4, name="block_dense")(row)
    model = keras.Model(row, layers.Dense(2, name="block_out")(hidden))

    def change(config):
        return json.loads(json.dumps(config).replace('"block_', '"block/'))

    x = zoo.numbers(rng, 2, 3)
    loaded = old(tmp_path, ending, model, change)
    assert np.array_equal(loaded.model(x), model(x))
    assert [layer.name for layer in loaded.model.layers[1:]] == ["block_dense", "block_out"]
    assert "The layer block/dense is called block_dense" in loaded.notes[0]


def test_calls_of_models_inside_a_model_are_renumbered(tmp_path, rng):
    row = keras.Input((3,), name="row")
    for inner in (
        keras.Sequential([keras.Input((3,)), layers.Dense(4)], name="inner"),
        keras.Model(row, layers.Dense(4)(row), name="inner"),
    ):
        outer = keras.Input((3,), name="outer")
        for after in (lambda x: x, layers.Dense(2, name="out")):
            model = keras.Model(outer, after(inner(outer)))

            def change(config):
                for item in config["config"]["layers"]:
                    if item["name"] == "out":
                        item["inbound_nodes"] = [[["inner", 1, 0, {}]]]
                if isinstance(config["config"]["output_layers"][0], str):
                    config["config"]["output_layers"] = [config["config"]["output_layers"]]
                config["config"]["output_layers"] = [
                    [name, 1 if name == "inner" else 0, 0] for name, _, _ in config["config"]["output_layers"]
                ]

            x = zoo.numbers(rng, 2, 3)
            assert np.array_equal(old(tmp_path, "h5", model, change).model(x), model(x))


@BOTH
def test_states_and_tensors_by_name_are_passed_in_the_form_of_keras_3(tmp_path, ending, rng):
    first, second = keras.Input((4, 3), name="first"), keras.Input((5, 3), name="second")
    _, h, c = layers.LSTM(3, return_state=True, name="encoder")(first)
    decoded = layers.LSTM(3, return_sequences=True, name="decoder")(second, initial_state=[h, c])
    attended = layers.MultiHeadAttention(2, 2, name="attention")(decoded, first)
    model = keras.Model([first, second], attended)

    def change(config):
        for item in config["config"]["layers"]:
            if item["name"] == "decoder":
                item["inbound_nodes"] = [[["second", 0, 0, {}], ["encoder", 0, 1, {}], ["encoder", 0, 2, {}]]]
            if item["name"] == "attention":
                item["inbound_nodes"] = [[["decoder", 0, 0, {"value": ["first", 0, 0]}]]]
        settings(config, "attention")["query_shape"] = [None, 5, 3]

    inputs = [zoo.numbers(rng, 2, 4, 3), zoo.numbers(rng, 2, 5, 3)]
    assert np.array_equal(old(tmp_path, ending, model, change).model(inputs), model(inputs))


def test_input_shape_in_a_first_layer_becomes_an_input_layer(tmp_path, rng):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="dense")])

    def change(config):
        config["config"]["layers"] = config["config"]["layers"][1:]
        settings(config, "dense")["batch_input_shape"] = [None, 3]

    x = zoo.numbers(rng, 2, 3)
    loaded = old(tmp_path, "h5", model, change, "2.2.4-tf")
    assert np.array_equal(loaded.model(x), model(x))
    assert loaded.model.inputs[0].name == "dense_input"


@BOTH
def test_layers_that_predict_differently_in_keras_2_are_refused(tmp_path, ending):
    image = keras.Input((8, 8, 3), name="image")
    model = keras.Model(image, layers.BatchNormalization(name="normal")(image))

    def change(config):
        config["config"]["layers"][1]["inbound_nodes"] = [[["image", 0, 0, {"training": True}]]]

    assert "'normal' (BatchNormalization) is called with training=True" in refused(tmp_path, ending, model, change)


@pytest.mark.parametrize("layer", [layers.Softmax(axis=[1, 2]), layers.UnitNormalization(axis=[1, 2])])
def test_axes_in_an_h5_file_of_keras_3_are_kept(tmp_path, layer, rng):
    model = keras.Sequential([keras.Input((4, 4, 3)), layer])
    model.save(tmp_path / "m.h5")
    x = zoo.numbers(rng, 2, 4, 4, 3)
    assert np.array_equal(load_model(str(tmp_path / "m.h5")).model(x), model(x))
