"""Tensors without real numbers are named with the reason, and odd real numbers are stored as they are."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

import nnviz3d
from tests.capture import zoo


class Odd(keras.Model):
    """Complex numbers, text, booleans, an empty axis, NaN, tiny and huge numbers, constants, and one number for all."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2, name="dense")

    def call(self, x):
        spectrum = tf.signal.fft(tf.cast(x, tf.complex64))
        return {
            "classes": self.dense(tf.abs(spectrum)),
            "empty": x[:, :0],
            "invalid": ops.log(x),
            "larger": ops.greater(x, 0.0),
            "none": ops.zeros_like(x),
            "text": tf.strings.as_string(x),
            "tiny": x * 1e-30,
            "vast": x * 1e30,
            "whole": ops.sum(x),
        }


def test_values_of_every_kind_are_stored_or_named_with_the_reason(tmp_path, rng):
    model, x = Odd(), zoo.numbers(rng, 3, 8)
    run = nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    expected = model(x)
    kinds = {node.kind: node.id for node in run.graph}
    for kind, key in (("Log", "invalid"), ("Greater", "larger"), ("ZerosLike", "none"), ("Dense", "classes")):
        found = run.activations(kinds[kind]).values
        assert np.array_equal(found, np.asarray(expected[key]).astype(found.dtype), equal_nan=True), key
    scaled = [run.activations(node.id).values for node in run.graph if node.kind == "Multiply"]
    assert all(np.array_equal(a, expected[key]) for a, key in zip(scaled, ("tiny", "vast"), strict=True))
    assert run.activations(kinds["GetItem"]).values.shape == (3, 0)
    notes = " ".join(run.provenance.notes)
    assert f"Not stored, because they hold complex numbers: {kinds['Fft']}." in notes
    assert f"Not stored, because they hold text: {kinds['AsString']}." in notes
    assert f"Not stored, because they hold no numbers for each sample: {kinds['Sum']}." in notes
