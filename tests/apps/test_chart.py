"""A chart's paths keep extremes and gaps, and mark what is not finite."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nnviz3d.analysis.history import compared, history_of, progress_of
from nnviz3d.apps.web.chart import HEIGHT, LEFT, RIGHT, WIDTH, chart_of, columns, x_of
from nnviz3d.data.training import STATISTICS
from tests.support import trainings

NORM, BROKEN = STATISTICS.index("gradient_norm"), STATISTICS.index("nonfinite_gradients")


def charted(path, steps, series, most=240):
    capture = trainings.training_of(path / "run.zarr", np.asarray(steps), series)
    return chart_of(history_of(capture.training, capture.graph, "gradient_norm", most))


def test_a_gap_stays_a_gap_and_what_is_not_finite_is_marked(tmp_path):
    series = trainings.figures(6)
    series[2, 1, NORM] = np.nan
    series[3, 4, [NORM, BROKEN]] = np.nan, 2
    series[5, 5, [NORM, BROKEN]] = np.inf, 1
    lines = {line["name"]: line for line in charted(tmp_path, trainings.STEPS, series)["lines"]}
    assert [line["d"].count("M") for line in lines.values()] == [2, 2, 1]
    assert not lines["conv"]["odd"]
    (nan,), (infinite,) = lines["dense"]["odd"], lines["scores"]["odd"]
    assert nan["color"] == "rgb(26, 255, 89)"
    assert infinite["color"] == "rgb(255, 38, 217)"
    assert float(re.match(r"M([\d.]+) ", nan["d"])[1]) == round(LEFT + 29 / 49 * (WIDTH - LEFT - RIGHT), 1)
    assert nan["d"].count("M") == infinite["d"].count("M") == 1


def test_a_column_of_many_steps_reaches_from_its_least_number_to_its_greatest(tmp_path):
    series = trainings.figures(500)
    found = charted(tmp_path, np.arange(1, 501), series, most=60)
    assert len(found["lines"][0]["d"]) < 60 * 30
    downs = [[float(y) for y in re.findall(r"(?: |V)([\d.]+)", line["d"])] for line in found["lines"]]
    norms = np.log(series[:, [1, 4, 5], NORM])
    ends = np.array([[min(down), max(down)] for down in downs])
    extremes = np.stack([norms.max(axis=0), norms.min(axis=0)], axis=1)
    slope, residual = np.polyfit(extremes.ravel(), ends.ravel(), 1, full=True)[:2]
    assert slope[0] < 0
    assert residual[0] < 0.05
    assert 0 <= ends.min() < ends.max() <= HEIGHT


def test_numbers_stand_at_both_axes_within_the_chart(tmp_path):
    found = charted(tmp_path, trainings.STEPS, trainings.figures(6))
    assert found["across"][0] == [LEFT, "1"]
    assert all(LEFT <= x <= WIDTH for x, _ in found["across"])
    assert [float(text) for _, text in found["up"]] == sorted(float(text) for _, text in found["up"])
    assert all(0 <= y <= HEIGHT for y, _ in found["up"])


def test_the_loss_and_the_metrics_are_charted_and_a_loss_that_is_no_number_is_marked(recorded_capture):
    found = chart_of(progress_of(recorded_capture.training, 240))
    assert [line["name"] for line in found["lines"]] == ["loss", "mean loss of the epoch", "accuracy"]
    assert [len(line["odd"]) for line in found["lines"]] == [1, 1, 0]
    assert not any(line["layer"] for line in found["lines"])


def test_metrics_of_the_validation_data_are_dashed_in_the_colour_of_the_training_with_a_dot_for_each_epoch(tmp_path):
    capture = trainings.small_training(tmp_path / "run.zarr", validated=True)
    history = progress_of(capture.training, 240)
    found = chart_of(history)
    lines = {line["name"]: line for line in found["lines"]}
    assert list(lines) == ["loss", "mean loss of the epoch", "accuracy", "val_loss", "val_accuracy"]
    assert [line["dashed"] for line in lines.values()] == [False, False, False, True, True]
    assert lines["val_loss"]["color"] == lines["mean loss of the epoch"]["color"] != lines["loss"]["color"]
    assert lines["val_accuracy"]["color"] == lines["accuracy"]["color"]
    assert lines["val_loss"]["dots"].count("M") == 3
    assert lines["loss"]["dots"] == ""
    x = [float(at) + 2 for at in re.findall(r"M([\d.]+) ", lines["val_loss"]["dots"])]
    assert x == pytest.approx([x_of(history, step) for step in trainings.VALIDATED], abs=0.1)
    assert x[-1] == WIDTH - RIGHT, "the axis reaches to the last epoch, after the last recorded step"
    up = {float(text): y for y, text in found["up"]}
    y = [float(at) for at in re.findall(r"M[\d.]+ ([\d.]+)a", lines["val_loss"]["dots"])]
    expected = np.interp([2.0, 1.0, 1.5], sorted(up), [up[tick] for tick in sorted(up)])
    assert y == pytest.approx(expected, abs=0.2)


def test_many_layers_have_fewer_columns():
    assert columns(3) == 240
    assert 60 <= columns(60) < 240
    assert columns(1000) == 60


def test_two_runs_stand_in_one_chart_on_one_axis(tmp_path, recorded_capture):
    other = trainings.training_of(tmp_path / "run2.zarr", np.array([5, 100]), trainings.figures(2)).training
    alone = progress_of(recorded_capture.training, 240)
    found = compared(alone, progress_of(other, 240))
    assert (found.first, found.last) == (1, 100)
    assert (found.other.first, found.other.last) == (1, 100)
    chart = chart_of(found, "run2.zarr")
    lines = {line["name"]: line for line in chart["lines"]}
    assert list(lines)[-1] == "loss · run2.zarr"
    assert [line["dotted"] for line in lines.values()] == [False] * len(alone.names) + [True]
    ends = [[float(x) for x in re.findall(r"[ML]([\d.]+) ", lines[name]["d"])] for name in ("loss", "loss · run2.zarr")]
    assert ends[0][-1] == round(LEFT + 49 / 99 * (WIDTH - LEFT - RIGHT), 1), "step 50 of the first run"
    assert ends[1] == [round(LEFT + 4 / 99 * (WIDTH - LEFT - RIGHT), 1), WIDTH - RIGHT]
    assert len({line["color"] for line in lines.values()}) == len(lines)
    heights = re.findall(r"[ML][\d.]+ ([\d.]+)", lines["loss · run2.zarr"]["d"])
    assert len(set(heights)) == 1, "its loss is 1 at both steps"
    assert compared(alone, None) is alone
