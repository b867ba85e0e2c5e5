"""`nnviz3d.capture(model, x)` captures a model object of any class in its own process."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import nnviz3d.capture
from nnviz3d.data.storage.truths import read_truth
from nnviz3d.errors import ModelError, SampleError
from tests.capture import zoo


def test_capture_package_is_callable_and_has_its_submodules(tmp_path, rng):
    import nnviz3d.capture.process

    model = zoo.Stack(name="stack")
    x = rng.normal(size=(3, 5))
    capture = nnviz3d.capture(model, x, out=tmp_path / "run.zarr", classes="abcdefgh", labels=[1, 0, 2])
    assert capture.provenance.model == "Stack 'stack'"
    assert capture.provenance.samples == ("x[0]", "x[1]", "x[2]")
    assert capture.classes == tuple("abcdefgh")
    assert capture.labels.tolist() == [1, 0, 2]
    assert np.array_equal(capture.activations("block2/add").values, model(x.astype(np.float32)))


def test_importing_the_package_does_not_import_tensorflow():
    code = "import sys, nnviz3d.capture.process; sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_inputs_are_given_by_list_or_by_name(tmp_path, rng):
    model = zoo.two_in_two_out()
    left, right = zoo.numbers(rng, 2, 4), zoo.numbers(rng, 2, 3)
    own = model({"left": left, "right": right})
    for x in ({"right": right, "left": left}, [left, right]):
        capture = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
        assert np.array_equal(capture.activations("first").values, own["first"])


def test_subclassed_model_of_several_inputs_is_captured(tmp_path, rng):
    class Sum(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, name="dense")

        def call(self, inputs):
            return self.dense(inputs["a"]) + self.dense(inputs["b"])

    model = Sum()
    x = {"b": zoo.numbers(rng, 2, 4), "a": zoo.numbers(rng, 2, 4)}
    capture = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    assert capture.graph.inputs == ("a", "b")
    assert [node.id for node in capture.graph] == ["a", "b", "dense", "dense@1", "add"]
    assert np.array_equal(capture.activations("add").values, model(x))


def test_nested_inputs_are_captured(tmp_path, rng):
    class Nest(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, name="dense")

        def call(self, inputs):
            (one, two), three = inputs["pair"], inputs["single"]
            return {"sum": self.dense(one) + self.dense(two), "same": three}

    model = Nest()
    x = {"pair": (zoo.numbers(rng, 2, 4), zoo.numbers(rng, 2, 4)), "single": zoo.numbers(rng, 2, 1)}
    capture = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    assert capture.graph.inputs == ("pair_0", "pair_1", "single")
    assert capture.graph.outputs == ("single", "add")
    assert np.array_equal(capture.activations("add").values, model(x)["sum"])


def test_list_of_numbers_is_one_array(tmp_path):
    model = keras.Sequential([layers.Dense(2, name="dense")])
    capture = nnviz3d.capture(model, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], out=tmp_path / "run.zarr")
    assert capture.graph.node("input").shape == (3,)
    assert capture.committed == 2


def test_tensors_paths_and_source_words_are_samples(tmp_path, rng):
    model = zoo.digits_like()
    x = zoo.numbers(rng, 2, 28, 28, 1)
    capture = nnviz3d.capture(model, keras.ops.convert_to_tensor(x), out=tmp_path / "a.zarr")
    assert np.array_equal(capture.activations("input").values, x)
    assert nnviz3d.capture(model, "digits:7", out=tmp_path / "b.zarr").provenance.samples == ("digits:7",)
    assert nnviz3d.capture(model, ["digits:7", "digits:9"], out=tmp_path / "c.zarr").committed == 2
    assert nnviz3d.capture(model, out=tmp_path / "d.zarr").provenance.samples == ("random (seed 0)",)
    np.save(tmp_path / "x.npy", x)
    assert nnviz3d.capture(model, tmp_path / "x.npy", out=tmp_path / "e.zarr").committed == 2


def test_byte_arrays_are_preprocessed_as_pictures_and_float_arrays_are_not(tmp_path):
    model = zoo.digits_like()
    pixels = np.full((1, 28, 28), 51, np.uint8)
    prepared = nnviz3d.capture(model, pixels, out=tmp_path / "run.zarr")
    assert prepared.provenance.preprocessing == "unit"
    assert np.all(prepared.input("input") == np.float32(0.2))
    as_it_is = nnviz3d.capture(model, pixels.astype(np.float32), out=tmp_path / "run.zarr")
    assert as_it_is.provenance.preprocessing == "none"
    assert np.all(as_it_is.input("input") == 51)
    asked = nnviz3d.capture(model, pixels.astype(np.float32), out=tmp_path / "run.zarr", preprocess="unit")
    assert np.all(asked.input("input") == np.float32(0.2))


def test_arguments_that_cannot_be_captured_are_refused(tmp_path):
    with pytest.raises(ModelError, match="Expected a Keras model, got str"):
        nnviz3d.capture("model.keras")
    with pytest.raises(SampleError, match="x holds Python objects"):
        nnviz3d.capture(zoo.digits_like(), np.array([None, "a"], dtype=object), out=tmp_path / "run.zarr")
    with pytest.raises(SampleError, match="labels has the shape"):
        nnviz3d.capture(zoo.digits_like(), "digits:7", labels=[1, 2], out=tmp_path / "run.zarr")
    with pytest.raises(ModelError, match="was never built"):
        nnviz3d.capture(zoo.Stack(), out=tmp_path / "run.zarr")
    assert list(tmp_path.iterdir()) == []


def test_true_masks_are_kept_for_the_output_that_they_fit(tmp_path, rng):
    start = keras.Input((8, 8, 1), name="photo")
    mask = layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(start)
    model = keras.Model(start, [mask, layers.Dense(2, name="tags")(layers.Flatten()(mask))])
    masks = rng.integers(0, 2, (3, 8, 8)).astype(bool)
    capture = nnviz3d.capture(model, rng.random((3, 8, 8, 1)), out=tmp_path / "run.zarr", labels=masks)
    assert capture.labels is None
    assert all(np.array_equal(read_truth(capture.stored, "mask", i), masks[i]) for i in range(3))
    assert read_truth(capture.stored, "tags", 0) is None


def test_ragged_rows_of_unequal_length_are_refused_and_equal_ones_are_taken(tmp_path):
    start = keras.Input((None,), dtype="int32", name="start")
    embedded = keras.layers.Embedding(5, 3, name="embed")(start)
    model = keras.Model(start, keras.layers.GlobalAveragePooling1D(name="mean")(embedded))
    rows = tf.ragged.constant([[1, 2], [3], [1, 2]], dtype=tf.int32)
    with pytest.raises(SampleError, match=r"x is a ragged tensor with rows of unequal length.*x\[:1\]\.to_tensor\(\)"):
        nnviz3d.capture(model, rows, out=tmp_path / "run.zarr")
    run = nnviz3d.capture(model, tf.gather(rows, [0, 2]), out=tmp_path / "run.zarr")
    assert np.array_equal(run.activations("mean").values, model(tf.constant([[1, 2], [1, 2]])))
