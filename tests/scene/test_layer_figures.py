"""Statistics of a layer's numbers and variables as text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.capture_at_step import at_step
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.layer_figures import derived_values, measured_values, measured_weights
from nnviz3d.scene.derived.layer_sizes import LayerSize, extremes, layer_sizes
from nnviz3d.scene.selection import Selection
from tests.support.graphs import chain
from tests.support.number_words import read_number

NODE = LayerNode("gate", 1, "Dense", ((4,),), activation="sigmoid")


def test_statistics_report_saturated_nan_and_infinite_numbers():
    figures = dict(measured_values(NODE, np.array([0, 0.5, 0.999, 0.25], np.float32)))
    assert figures["saturated"] == "50.0 % (2 of 4): below 0.01 or above 0.99"
    assert (figures["minimum"], figures["maximum"]) == ("0.0", "0.999")
    assert "saturated" not in dict(measured_values(replace(NODE, activation="relu"), np.ones(3, np.float32)))
    broken = dict(measured_values(NODE, np.array([np.nan, np.inf], np.float32)))
    assert (broken["values"], broken["not finite"]) == ("none is finite", "1 NaN, 1 infinite")
    assert measured_values(NODE, np.empty(0, np.float32)) == [("values", "none")]


def written(path: Path, kernel: list[list[float]]) -> Capture:
    graph = chain([("input", "InputLayer", (2,)), ("dense", "Dense", (2,))])
    with CaptureWriter(path, graph=graph, provenance=Provenance("hand.keras", samples=("a",)), samples=1) as writer:
        writer.write_activations("input", 0, 0, np.zeros((1, 2), np.float32))
        writer.write_weights("dense", "kernel", np.array(kernel, np.float32))
        writer.commit(1)
    return open_capture(path)


def test_statistics_of_a_variable_report_nan_and_infinity(tmp_path: Path):
    capture = written(tmp_path / "broken.zarr", [[1, np.nan], [3, 2]])
    context = SceneContext.build(capture, aspect=1.5)
    assert measured_weights(context, capture.graph.node("input")) == ()
    assert dict(measured_weights(context, capture.graph.node("dense"))) == {
        "weight kernel": "2 × 2: mean 2, std 0.816, 1 to 3",
        "weight kernel, not finite": "1 NaN, 0 infinite",
    }


def test_variables_are_measured_once_per_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first, second = (written(tmp_path / f"{k}.zarr", [[k, k], [k, k]]) for k in (1, 2))
    reads: list[Capture] = []
    weights = Capture.weights
    monkeypatch.setattr(Capture, "weights", lambda self, layer: (reads.append(self), weights(self, layer))[1])
    context = SceneContext.build(first, aspect=1.5)
    for _ in range(3):
        for capture, mean in ((first, "1"), (second, "2")):
            ((_, told),) = measured_weights(context.revised(capture), capture.graph.node("dense"))
            assert told == f"2 × 2: mean {mean}, std 0, {mean} to {mean}"
    assert reads == [first, second]


def test_weights_of_a_training_are_labelled_with_their_step(recorded_capture):
    for step, kept in ((40, 1), (50, 50)):
        words = dict(
            measured_weights(
                SceneContext.build(at_step(recorded_capture, step), aspect=1.5), recorded_capture.graph.node("dense")
            )
        )
        assert words["weight kernel"].endswith(f", after step {kept}")


def test_sizes_of_the_gradient_by_layer_are_those_of_the_captured_gradient(explained_capture):
    context, selection = SceneContext.build(explained_capture, aspect=1.5), Selection(sample=1)
    target = context.explained(selection).target
    sizes = layer_sizes(context, "gradient", selection)
    assert [one.layer for one in sizes] == [
        node.id for node in context.graph if explained_capture.explanations(1).gradient(node.id, target) is not None
    ]
    for one in sizes:
        gradient = explained_capture.explanations(1).gradient(one.layer, target).astype(np.float64)
        assert one.size == pytest.approx(np.linalg.norm(gradient) / np.sqrt(gradient.size), rel=1e-9)
        told = dict(derived_values(context, one.layer, "gradient", selection))
        assert told["gradient root mean square"] == number(one.size)
        assert np.float32(read_number(told["gradient minimum"])) == gradient.astype(np.float32).min()
    smallest = min(sizes, key=lambda one: one.size)
    assert extremes(sizes).startswith(f"Smallest: {smallest.layer} ({number(smallest.size)}); largest: ")
    assert derived_values(context, "conv", "activation", selection) == []


def test_extremes_of_sizes_leave_out_numbers_that_are_not_finite():
    broken = [LayerSize("a", float("nan")), LayerSize("b", 2.0), LayerSize("c", 0.5)]
    assert extremes(broken) == "Smallest: c (0.5); largest: b (2)."
    assert extremes(broken[:2]) == ""
    assert extremes([LayerSize("a", 0.0), LayerSize("b", 0.0)]) == "All are 0."
