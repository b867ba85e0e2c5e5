"""Captured activations are bit-identical to those that Keras computes."""

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d.capture.programs.activations import Forward, batch_size
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import Inputs, InputSpec, expected_inputs, open_model
from nnviz3d.errors import ModelError
from tests.capture import zoo


def run(model, arrays, inputs=None):
    inputs = inputs or expected_inputs(model)
    if inputs is None:
        inputs = Inputs((InputSpec("input", arrays[0].shape[1:], "float32"),), 0)
    described = describe(open_model(model, inputs), model.name)
    found = {}
    for batch in Forward(described, inputs.specs).batches(arrays):
        for node_id, output in batch:
            numbers = batch.numbers(node_id, output)
            if numbers is not None:
                found.setdefault((node_id, output), []).append(numbers)
    return described, {key: np.concatenate(parts) for key, parts in found.items()}


def own_outputs(model, x):
    """Run Keras' own sub-model that ends in every layer of a functional model."""
    taken = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    values = keras.Model(model.inputs, [layer.output for layer in taken])(
        [x] if not isinstance(x, list) else x, training=False
    )
    return dict(zip((layer.name for layer in taken), (np.asarray(v) for v in keras.tree.flatten(values)), strict=True))


def test_activations_of_a_reloaded_sequential_equal_those_of_keras(tmp_path, rng):
    model = zoo.reloaded(tmp_path)
    x = zoo.numbers(rng, 5, 28, 28, 1)
    described, found = run(model, [x])
    assert len(found) == 9
    value = x
    for layer in model.layers:  # one layer after the other, run by Keras
        value = layer(value, training=False)
        assert np.array_equal(found[layer.name, 0], value)
    assert np.array_equal(found[described.graph.outputs[0], 0], model.predict(x, verbose=0))


def test_activations_of_a_residual_model_equal_those_of_keras_submodels(rng):
    model = zoo.residual()
    x = zoo.numbers(rng, 3, 8, 8, 3)
    _, found = run(model, [x])
    for name, value in own_outputs(model, x).items():
        assert np.array_equal(found[name, 0], value), name


def test_activations_of_mobilenet_v2_equal_those_of_keras_submodels(rng):
    model = keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3))
    x = zoo.numbers(rng, 2, 64, 64, 3)
    _, found = run(model, [x])
    own = own_outputs(model, x)
    assert len(own) == 155
    assert [name for name, value in own.items() if not np.array_equal(found[name, 0], value)] == []


def test_activations_of_nested_and_shared_layers_equal_those_of_keras(rng):
    model = zoo.nested_and_shared()
    x = zoo.numbers(rng, 4, 8)
    _, found = run(model, [x])
    shared, inner = model.get_layer("shared"), model.get_layer("inner")
    once = shared(x)
    twice = shared(once)
    assert np.array_equal(found["shared", 0], once)
    assert np.array_equal(found["shared@1", 0], twice)
    assert np.array_equal(found["inner/second", 0], inner(once))
    assert np.array_equal(found["inner/second@1", 0], inner(twice))
    assert np.array_equal(found["head/drop", 0], model(x, training=False))


def test_activations_of_a_subclassed_model_with_a_list_of_layers_equal_those_of_keras(rng):
    model = zoo.Stack()
    x = zoo.numbers(rng, 4, 5)
    _, found = run(model, [x])
    value = model.stem(x)
    assert np.array_equal(found["stem", 0], value)
    for i, block in enumerate(model.blocks):
        assert np.array_equal(found[f"block{i}/one", 0], block.one(value))
        value = block(value)
        assert np.array_equal(found[f"block{i}/add", 0], value)
    assert np.array_equal(value, model(x))


def test_activations_of_attention_and_bidirectional_layers_equal_those_of_keras(rng):
    model = zoo.sequence()
    x = zoo.numbers(rng, 3, 6, 8)
    _, found = run(model, [x])
    inside = {"both_ways": "both_ways/concatenate", "each": "each/dense"}
    for name, value in own_outputs(model, x).items():
        assert np.array_equal(found[inside.get(name, name), 0], value), name
    wrapper, norm = model.get_layer("both_ways"), found["norm", 0]
    assert np.array_equal(found["both_ways/forward_gru", 0], wrapper.forward_layer(norm))
    assert np.array_equal(found["both_ways/backward_gru", 0], wrapper.backward_layer(norm))


def test_activations_of_a_model_with_several_inputs_and_outputs_equal_those_of_keras(rng):
    model = zoo.two_in_two_out()
    left, right = zoo.numbers(rng, 3, 4), zoo.numbers(rng, 3, 3)
    _, found = run(model, [left, right])
    own = model({"left": left, "right": right}, training=False)
    assert np.array_equal(found["first", 0], own["first"])
    assert np.array_equal(found["second", 0], own["second"])


def test_masks_are_applied_as_in_keras():
    start = keras.Input((5,), dtype="int32", name="start")
    embedded = layers.Embedding(10, 4, mask_zero=True, name="embedding")(start)
    model = keras.Model(start, layers.LSTM(3, name="lstm")(embedded))
    x = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 0]], dtype=np.int32)
    _, found = run(model, [x])
    assert np.array_equal(found["lstm", 0], model(x))


def test_activations_of_tensorflow_functions_equal_those_of_the_model(rng):
    model = zoo.Tutorial()
    x = zoo.numbers(rng, 2, 9, 9, 1)
    _, found = run(model, [x])
    assert np.array_equal(found["softmax", 0], model(x))
    assert np.array_equal(found["relu", 0], np.maximum(found["conv", 0], 0))


def test_batch_normalization_and_dropout_run_as_in_inference(rng):
    model = keras.Sequential(
        [keras.Input((6,), name="input"), layers.BatchNormalization(name="norm"), layers.Dropout(0.5)]
    )
    model.layers[0].set_weights([v + 0.5 for v in model.layers[0].get_weights()])
    before = [v.numpy() for v in model.variables]
    x = zoo.numbers(rng, 4, 6)
    _, found = run(model, [x])
    assert np.array_equal(found["norm", 0], model(x, training=False))
    assert all(np.array_equal(a, b) for a, b in zip(before, model.variables, strict=True))


def test_half_precision_is_converted_to_float32_exactly(rng):
    policy = keras.mixed_precision.DTypePolicy("mixed_bfloat16")
    model = keras.Sequential([keras.Input((6,), name="input"), layers.Dense(4, dtype=policy, name="dense")])
    x = zoo.numbers(rng, 3, 6)
    _, found = run(model, [x])
    own = model(x)
    assert own.dtype == "bfloat16"
    assert found["dense", 0].dtype == np.float32
    assert np.array_equal(found["dense", 0], np.asarray(keras.ops.cast(own, "float32")))


def test_windows_in_the_batch_axis_are_unfolded(rng):
    start = keras.Input((4, 6), name="start")
    folded = keras.ops.reshape(start, (-1, 6))
    model = keras.Model(start, keras.ops.reshape(layers.Dense(2, name="dense")(folded), (-1, 4, 2)))
    x = zoo.numbers(rng, 3, 4, 6)
    _, found = run(model, [x])
    assert found["dense", 0].shape == (3, 4, 2)
    assert np.array_equal(found["dense", 0], model(x))


@pytest.mark.parametrize("seed", range(3))
def test_activations_of_recurrent_and_small_fused_layers_equal_those_of_keras(seed, rng):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((4, 8, 8, 1), name="input"),
            layers.ConvLSTM2D(3, 3, return_sequences=True, name="conv_lstm"),
            layers.TimeDistributed(layers.GlobalAveragePooling2D(), name="pool"),
            layers.LSTM(5, name="lstm"),
            layers.Dense(3, activation="gelu", name="dense"),
        ]
    )
    x = zoo.numbers(rng, 2, 4, 8, 8, 1)
    assert np.array_equal(run(model, [x])[1]["dense", 0], model(x))


class Positions(layers.Layer):
    """Embeds the positions of tokens, which are plain numbers that no input affects."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.token = layers.Embedding(20, 4, name="token")
        self.position = layers.Embedding(6, 4, name="position")

    def call(self, x):
        return self.token(x) + self.position(keras.ops.arange(6))


def test_layers_that_no_input_affects_are_nodes_with_equal_numbers_for_all_samples(rng):
    model = keras.Sequential([Positions(name="embed"), layers.Dense(2, name="dense")])
    x = rng.integers(0, 20, (3, 6)).astype(np.int32)
    described, found = run(model, [x], Inputs((InputSpec("tokens", (6,), "int32"),), 0))
    graph = described.graph
    assert graph.node("embed/position").shape == (6, 4)
    assert graph.sources("embed/position") == ()
    assert set(graph.sources("embed/add")) == {"embed/token", "embed/position"}
    assert graph.parameters == model.count_params()
    assert found["embed/position", 0].shape == (3, 6, 4)
    assert np.array_equal(found["embed/position", 0][2], model.layers[0].position.embeddings)
    assert np.array_equal(found["dense", 0], model(x))


def test_many_samples_run_in_batches_and_keep_their_order(rng):
    model = zoo.digits_like()
    x = zoo.numbers(rng, 70, 28, 28, 1)
    described, found = run(model, [x])
    assert batch_size(described, 70) == 32
    assert found["input", 0].shape == x.shape
    assert np.array_equal(found["input", 0], x)
    assert np.array_equal(found["dense_1", 0], model.predict(x, batch_size=32, verbose=0))


def test_batch_size_is_limited_by_memory():
    model = keras.Sequential([keras.Input((512, 512, 3), name="input"), layers.Conv2D(64, 3, name="conv")])
    described = describe(open_model(model, expected_inputs(model)), "wide")
    assert batch_size(described, 100) == 2  # 3 would fit; powers of two have the boundaries of captures in parts


def test_model_for_one_batch_size_gets_batches_of_this_size(rng):
    start = keras.Input(batch_shape=(4, 3), name="start")
    model = keras.Model(start, layers.Dense(2, name="dense")(start))
    x = zoo.numbers(rng, 6, 3)
    _, found = run(model, [x])
    assert found["dense", 0].shape == (6, 2)
    assert np.allclose(found["dense", 0], model.layers[1](x), atol=1e-6)


def test_random_layers_are_detected_and_their_generators_stay_unchanged(rng):
    class Sampling(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.generator = keras.random.SeedGenerator(3)

        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=self.generator)

    model = keras.Sequential([keras.Input((4,), name="input"), Sampling(name="sampling")])
    x = zoo.numbers(rng, 2, 4)
    expected = np.asarray(model(x))
    model.layers[0].generator.state.assign([3, 0])
    state = model.layers[0].generator.state.numpy()
    inputs = expected_inputs(model)
    forward = Forward(describe(open_model(model, inputs), model.name), inputs.specs)
    assert forward.draws
    assert np.array_equal(next(forward.batches([x])).numbers("sampling"), expected)
    assert np.array_equal(state, model.layers[0].generator.state)
    assert np.array_equal(expected, model(x))


@pytest.mark.parametrize("activation", ["gelu", "silu", "softmax"])
def test_activation_functions_inside_layers_are_applied_as_in_keras(activation, rng):
    model = keras.Sequential([keras.Input((6,), name="input"), layers.Dense(4, activation=activation, name="dense")])
    x = zoo.numbers(rng, 3, 6)
    assert np.array_equal(run(model, [x])[1]["dense", 0], model(x))


@pytest.mark.parametrize("name", ["_hidden", "-minus", ".dot"])
def test_layer_names_that_keras_runs_are_captured(rng, name):
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, name=name)])
    x = zoo.numbers(rng, 2, 4)
    _, found = run(model, [x])
    assert np.array_equal(found[name, 0], model.predict(x, verbose=0))


@pytest.mark.parametrize("name", ["a b", "what?", "a@b", "a[0]", "größe", "it's"])
def test_layer_name_that_keras_cannot_run_is_refused_with_the_name(rng, name):
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, name=name)])
    x = zoo.numbers(rng, 2, 4)
    with pytest.raises(ValueError, match="is not a valid scope name"):
        model.predict(x, verbose=0)
    with pytest.raises(ModelError) as caught:
        run(model, [x])
    assert f"a layer named {name!r}, nor" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_value_errors_with_another_cause_are_raised_unchanged(rng):
    class Broken(layers.Layer):
        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

        def call(self, _x):
            raise ValueError("a bug of its own")

    model = keras.Sequential([layers.Input((4,)), Broken()])
    with pytest.raises(ValueError, match="a bug of its own"):
        run(model, [zoo.numbers(rng, 2, 4)])


def test_layer_that_tensorflow_cannot_compile_is_named_with_the_reason():
    start = keras.Input((3,), dtype="int32", name="start")
    sparse = layers.CategoryEncoding(5, output_mode="multi_hot", sparse=True, name="encoding")(start)
    model = keras.Model(start, layers.Dense(2)(sparse))
    x = np.array([[0, 1, 2]], np.int32)
    with pytest.raises(TypeError):
        model.predict(x, verbose=0)
    with pytest.raises(ModelError, match=r"^TensorFlow cannot compile encoding, nor can Keras' own .*'values' has"):
        run(model, [x])
