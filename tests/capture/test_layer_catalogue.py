"""Every layer class of keras.layers is traced, with Keras' numbers to the last bit and with named axes."""

import inspect

import keras
import numpy as np
import pytest

from nnviz3d.capture.programs.describe import through
from tests.capture.layer_catalogue import AXES, CASES, WITHOUT, model_of
from tests.capture.test_activations import run

OPENED = {"Bidirectional", "Masking", "Pipeline", "SpectralNormalization", "TimeDistributed", "Wrapper"}
"""Classes that are not one node: their layers are, or the computation of the mask is."""


def ends(described):
    """Node and position of each of the model's outputs."""
    names = {position: node for node, position in described.calls.items()}
    return [(names[i], k) for i, k in (through(described.program, end) for end in described.program.outputs)]


def test_every_class_of_keras_layers_has_an_entry():
    classes = {layer for layer in vars(keras.layers).values() if inspect.isclass(layer)}
    listed = {getattr(keras.layers, name) for name in (*CASES, *WITHOUT) if hasattr(keras.layers, name)}
    assert {layer.__name__ for layer in classes - listed} == set()


@pytest.mark.parametrize("name", CASES)
def test_layer_is_traced_with_the_numbers_of_keras_and_its_axes_are_named(name):
    if not hasattr(keras.layers, name):
        pytest.skip(f"this version of Keras has no {name}")
    cases = CASES[name]
    model, first = model_of(cases)
    x = [values for case in cases for values in case.samples()]
    described, found = run(model, x)
    assert described.program.sealed == {}
    kinds = [node.kind for node in described.graph]
    assert name in OPENED or len(kinds) == len(x) + len(cases), kinds
    expected = keras.tree.flatten(model([keras.ops.convert_to_tensor(v) for v in x], training=False))
    for (node, k), value in zip(ends(described), expected, strict=True):
        value = keras.ops.convert_to_numpy(value)
        assert np.array_equal(found[node, k], value.astype(found[node, k].dtype), equal_nan=True), node
    for position, case in zip(first, cases, strict=True):
        node, _ = ends(described)[position]
        assert described.graph.node(node).axes == tuple(AXES[letter] for letter in case.axes), node
