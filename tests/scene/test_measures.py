"""What is said of a layer's numbers and variables is what they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nnviz3d.data.capture import open_capture
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.records import Provenance
from nnviz3d.data.writer import CaptureWriter
from nnviz3d.scene.measures import measured_values, measured_weights
from tests.support.graphs import chain

NODE = LayerNode("gate", 1, "Dense", ((4,),), activation="sigmoid")


def test_saturated_and_broken_numbers_are_told():
    said = dict(measured_values(NODE, np.array([0, 0.5, 0.999, 0.25], np.float32)))
    assert said["saturated"] == "50.0 % (2 of 4): below 0.01 or above 0.99"
    assert (said["minimum"], said["maximum"]) == ("0.0", "0.999")
    assert "saturated" not in dict(measured_values(replace(NODE, activation="relu"), np.ones(3, np.float32)))
    broken = dict(measured_values(NODE, np.array([np.nan, np.inf], np.float32)))
    assert (broken["values"], broken["not finite"]) == ("none is finite", "1 NaN, 1 infinite")
    assert measured_values(NODE, np.empty(0, np.float32)) == [("values", "none")]


def test_a_broken_variable_is_told(tmp_path: Path):
    graph = chain([("input", "InputLayer", (2,)), ("dense", "Dense", (2,))])
    path = tmp_path / "broken.zarr"
    with CaptureWriter(path, graph=graph, provenance=Provenance("hand.keras", samples=("a",)), samples=1) as writer:
        writer.write_activations("input", 0, 0, np.zeros((1, 2), np.float32))
        writer.write_weights("dense", "kernel", np.array([[1, np.nan], [3, 2]], np.float32))
        writer.commit(1)
    capture = open_capture(path)
    assert measured_weights(capture, capture.graph.node("input")) == []
    assert dict(measured_weights(capture, capture.graph.node("dense"))) == {
        "weight kernel": "2 × 2: mean 2, std 0.816, 1 to 3",
        "weight kernel, not finite": "1 NaN, 0 infinite",
    }
