"""The sentence on what interventions do to a model's answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnviz3d import Intervention
from nnviz3d.apps.changed_answer import changed_answer
from nnviz3d.data.reader import CaptureReader
from tests.support.captures import CLASSES, small_capture, write
from tests.support.graphs import chain

MUTE = (Intervention("conv", unit=2),)
HALF = Intervention("dense", action="scale", factor=0.5)


def told(capture: CaptureReader, before: list[float], after: list[float], changes=MUTE, head: str = "scores") -> str:
    return changed_answer(capture, changes, head, np.float32(before), np.float32(after))


def test_class_that_stays_or_changes_is_named_with_its_scores(tmp_path: Path):
    capture = small_capture(tmp_path / "run.zarr")
    ant = [0.5, 0.2, 0.1, 0.1, 0.1]
    assert CLASSES[:2] == ("ant", "bee")
    assert told(capture, ant, [0.25, 0.2, 0.2, 0.2, 0.15]) == (
        "Without channel 2 of conv, the answer stays ant (0.500 → 0.250)."
    )
    assert told(capture, ant, ant) == "Without channel 2 of conv, the answer stays ant (0.500)."
    assert told(capture, ant, [0.2, 0.75, 0.05, 0, 0], (HALF,)) == (
        "With this change, the answer changes from ant (0.500) to bee (0.750)."
    )
    assert told(capture, ant, ant, (*MUTE, HALF)).startswith("With these 2 changes, the answer stays ant")
    assert told(capture, ant, ant, (Intervention("dense", unit=4),)).startswith("Without neuron 4 of dense,")
    assert told(capture, ant, ant, (Intervention("conv"),)).startswith("With this change,"), "all of conv is no channel"


def test_output_that_is_not_finite_is_called_so(tmp_path: Path):
    capture = small_capture(tmp_path / "run.zarr")
    ant, nan = [0.5, 0.2, 0.1, 0.1, 0.1], [float("nan")] * 5
    assert told(capture, ant, nan) == "Without channel 2 of conv, the output of scores is not finite."
    assert (
        told(capture, nan, ant) == "Without channel 2 of conv, the output of scores is finite; without it, it is not."
    )


@pytest.mark.parametrize(
    ("activation", "classes", "sentence"),
    [
        ("sigmoid", ("no", "yes"), "With this change, the answer changes from no (0.250) to yes (0.750)."),
        ("linear", None, "With this change, the output goes from 0.250 to 0.750."),
    ],
)
def test_single_number_is_one_of_two_classes_or_a_quantity(tmp_path: Path, activation, classes, sentence):
    bare = chain([("x", "InputLayer", (3,)), ("y", "Dense", (1,))])
    graph = replace(bare, nodes=tuple(replace(node, activation=activation) for node in bare))
    values = {"x": np.ones((1, 3), np.float32), "y": np.full((1, 1), 0.25, np.float32)}
    capture = write(tmp_path / "run.zarr", graph, values, classes=classes)
    assert told(capture, [0.25], [0.75], (Intervention("x", action="scale", factor=2.0),), "y") == sentence
