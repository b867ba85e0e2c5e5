"""Weights of quantized layers and of adapters are stored, and connect, as they act."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.capture.acting_weights import acting_kernel
from tests.capture import zoo
from tests.capture.test_connections import connections


def dense_model():
    return keras.Sequential(
        [keras.Input((16,), name="input"), layers.Dense(8, activation="relu", name="a"), layers.Dense(4, name="b")]
    )


def adapted(model, rng):
    for layer in model.layers:
        layer.enable_lora(2, lora_alpha=3)
        layer.lora_kernel_a.assign(rng.normal(size=layer.lora_kernel_a.shape))
        layer.lora_kernel_b.assign(rng.normal(size=layer.lora_kernel_b.shape))


@pytest.mark.parametrize("mode", ["int8", "int4", "float8", "lora", "lora and int8"])
def test_stored_kernel_answers_as_the_layer_does(mode, tmp_path, rng):
    model = dense_model()
    first = model.layers[0]
    first.bias.assign(rng.normal(size=8))
    before = first.kernel.numpy()
    if mode == "lora and int8":
        model.quantize("int8")
    if mode.startswith("lora"):
        adapted(model, rng)
    else:
        model.quantize(mode)
    x = zoo.numbers(rng, 3, 16)
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    assert np.array_equal(run.activations("a").values, model.layers[0](x))
    stored = run.weights("a")
    assert stored["kernel"].dtype == np.float32
    expected = np.maximum(x @ stored["kernel"] + stored["bias"], 0)
    scale = np.abs(expected).max()
    assert np.allclose(run.activations("a").values, expected, atol=(0.02 if mode != "float8" else 0.1) * scale)
    if not mode.startswith("lora"):
        assert np.abs(stored["kernel"] - before).max() < 0.1 * np.abs(before).max()
    raw = {v.name: v.numpy() for v in first.weights}
    assert np.array_equal(stored["stored_kernel"], raw["kernel"])
    assert run.graph.node("a").details.get("lora_rank") == (2 if mode.startswith("lora") else None)
    assert run.graph.node("a").details.get("quantization_mode") == (None if mode == "lora" else mode.split()[-1])
    assert any("round their inputs" in note for note in run.provenance.notes) == (mode != "lora")


def test_adapter_connects_with_its_kernel(rng):
    model = dense_model()
    adapted(model, rng)
    x = zoo.numbers(rng, 2, 16)
    pairs, values, _ = connections(model, x)
    record = pairs["input", "a"]["contribution"][0]
    sums = np.zeros(8)
    np.add.at(sums, record.index[:, 1], record.contribution)
    assert np.allclose(np.maximum(sums, 0), values["a"][0], atol=1e-5)


def test_quantized_kernel_of_a_large_layer_is_computed_in_slices(rng):
    layer = layers.Dense(3, name="dense")
    layer.build((None, 2100))
    layer.bias.assign([1.0, 2.0, 3.0])
    layer.quantize("int8")
    raw = {v.name: v.numpy() for v in layer.weights}
    assert np.allclose(acting_kernel(layer), raw["kernel"] / raw["kernel_scale"], rtol=1e-6)
    assert layer.bias.numpy().tolist() == [1.0, 2.0, 3.0]


def test_quantized_embedding_is_stored_as_it_acts_and_an_einsum_kernel_as_it_is(tmp_path, rng):
    start = keras.Input((6,), dtype="int32", name="start")
    x = layers.Embedding(10, 16, name="embed")(start)
    model = keras.Model(start, layers.EinsumDense("abc,cd->abd", (None, 8), bias_axes="d", name="mix")(x))
    before = model.layers[1].embeddings.numpy()
    model.quantize("int8")
    run = nnviz3d.capture(model, rng.integers(0, 10, (2, 6)).astype(np.int32), out=tmp_path / "run.zarr")
    stored = run.weights("embed")
    assert np.allclose(stored["embeddings"], before, atol=0.01 * np.abs(before).max())
    assert stored["stored_embeddings"].dtype == np.int8
    assert "kernel" not in run.weights("mix")


def test_convolution_with_an_adapter_is_stored_as_it_acts(tmp_path, rng):
    model = keras.Sequential([keras.Input((9, 3), name="start"), layers.Conv1D(4, 3, name="conv")])
    adapted(model, rng)
    x = zoo.numbers(rng, 2, 9, 3)
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    stored = run.weights("conv")
    windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=1)
    own = np.einsum("ntck,kcf->ntf", windows, stored["kernel"]) + stored["bias"]
    assert np.allclose(run.activations("conv").values, own, atol=1e-4)
