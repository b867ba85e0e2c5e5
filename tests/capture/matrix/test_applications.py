"""Every network of keras.applications, untrained and at its smallest size: its graph, and one picture.

Ten families run by default; ``NNVIZ3D_ALL_APPLICATIONS=1`` runs all networks.
"""

from __future__ import annotations

import inspect
import os
from typing import Any

import keras
import numpy as np
import pytest

import nnviz3d
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.support.shot import Shot

FAMILIES = (
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "InceptionV3",
    "MobileNetV2",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50V2",
    "VGG16",
    "Xception",
)
"""One network of each of ten families."""
NAMES = tuple(sorted(name for name, value in vars(keras.applications).items() if inspect.isfunction(value)))
SIZES = (32, 71, 75, 224)
"""Widths and heights; each network takes the first that it can be built with."""

pytestmark = pytest.mark.slow


def built(name: str) -> keras.Model:
    """Build a network without trained weights at the smallest size."""
    for size in SIZES:
        try:
            return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
        except ValueError:
            if size == SIZES[-1]:
                raise
    raise AssertionError


def edges_of(model: keras.Model) -> set[tuple[str, str]]:
    """Read the edges from the architecture that Keras saves, which nnviz3d does not use."""

    def history(value: Any) -> list[str]:
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                return [value["config"]["keras_history"][0]]
            return [name for one in value.values() for name in history(one)]
        return [name for one in value for name in history(one)] if isinstance(value, list | tuple) else []

    layers = keras.saving.serialize_keras_object(model)["config"]["layers"]
    return {(source, layer["name"]) for layer in layers for source in history(layer["inbound_nodes"])}


def test_one_network_of_each_family_is_tested():
    assert set(FAMILIES) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_network_has_its_own_edges_and_a_picture_that_is_filled(name: str, tmp_path, rng):
    if name not in FAMILIES and not os.environ.get("NNVIZ3D_ALL_APPLICATIONS"):
        pytest.skip("NNVIZ3D_ALL_APPLICATIONS=1 runs all networks")
    model = built(name)
    x = rng.uniform(0, 255, (1, *model.input_shape[1:])).astype(np.float32)
    capture = nnviz3d.capture(model, x, out=tmp_path / "run.zarr", top_k=8)
    # Nested networks are opened; their own edges are those of the matrix.
    outer = {(edge.source.split("/")[0], edge.target.split("/")[0]) for edge in capture.graph.edges}
    assert {(a, b) for a, b in outer if a != b} == edges_of(model)
    assert sum(node.parameters for node in capture.graph) == model.count_params()
    assert np.array_equal(capture.activation(capture.graph.outputs[0]), np.asarray(model(x, training=False))[0])
    shot = Shot(Scene.build(default_scene(), capture, aspect=16 / 9), (1600, 900))
    drawn = np.abs(shot.pixels.astype(int) - shot.pixels[:, :1]).max(axis=2) > 24
    columns = np.flatnonzero(drawn.any(axis=0))
    assert drawn.mean() > 0.05
    assert columns[-1] - columns[0] > 0.8 * 1600
    assert len(shot.placed) > 6
