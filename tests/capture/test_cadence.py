"""The cadence of a recorder at its default settings; with a clock of the test's own."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nnviz3d.capture.training.cadence import Cadence, Schedule


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def recorded_for(seconds, *, step=0.01, cost=0.03, size=0, weights=0.0):
    """Train for some seconds in steps, recording whenever the cadence says so; returns times of records by part."""
    clock, times = Clock(), {"steps": [], "probes": [], "weights": []}
    cadence = Cadence(clock)
    while clock.now < seconds:
        clock.now += step
        if not cadence.is_due("steps"):
            continue
        due = [part for part in times if cadence.is_due(part)]
        costs = {"steps": cost / 3, "probes": 2 * cost / 3, "weights": weights}
        clock.now += sum(costs[part] for part in due)
        cadence.recorded({part: costs[part] for part in due}, {"probes": size})
        for part in due:
            times[part].append(clock.now)
    return times


@pytest.mark.parametrize(
    ("cost", "longest"), [(0.001, 0.3), (0.03, 0.9), (0.05, 0.9), (0.2, 2.8), (1.0, 14.0)], ids=str
)
def test_records_take_a_small_share_and_are_frequent_where_that_is_cheap(cost, longest):
    times = recorded_for(200, cost=cost)["steps"]
    assert len(times) * cost <= 0.085 * 200
    pauses = [b - a for a, b in itertools.pairwise(times)][3:]
    assert min(pauses) >= 0.25
    assert max(pauses) <= longest


def test_tensors_and_steps_are_recorded_together_until_the_tensors_fill_the_disk():
    small = recorded_for(100, size=1000)
    assert small["probes"] == small["steps"]
    large = recorded_for(3600, step=0.1, size=10 * 2**20)
    assert len(large["steps"]) > 2000, "the measurements are small"
    assert len(large["probes"]) * 10 < 9000, "megabytes in the first hour"
    assert len(recorded_for(36000, step=1, size=10 * 2**20)["probes"]) < 1.7 * len(large["probes"]), "it grows slowly"


def test_weights_are_recorded_rarely():
    assert len(recorded_for(100)["weights"]) == 19
    assert len(recorded_for(100, weights=0.2)["weights"]) <= 7


@pytest.mark.tensorflow
def test_default_settings_record_first_and_last_step_and_leave_the_weights_bit_identical(tmp_path):
    from nnviz3d import TrainingRecorder, open_capture
    from tests.capture.test_recorder import build, compiled, fit, numbers

    ends = []
    for recorder in (None, TrainingRecorder(tmp_path / "run.zarr")):
        if recorder is not None:
            # As if hours passed between two steps, so that every step is due.
            ticks = itertools.count(0, 10_000)
            recorder._schedule._cadence = Cadence(lambda ticks=ticks: float(next(ticks)))
        model = compiled(build(), jit_compile=False, run_eagerly=False)
        fit(model, [] if recorder is None else [recorder])
        ends.append(numbers(model))
    assert all(np.array_equal(a, b) for a, b in zip(*ends, strict=True))
    capture = open_capture(tmp_path / "run.zarr")
    assert capture.training.steps.tolist() == list(range(1, 11))
    assert capture.training.probe_steps.tolist() == list(range(1, 11))
    assert any("The cost of a record decided" in note for note in capture.provenance.notes)
    frozen = TrainingRecorder(tmp_path / "again.zarr")
    frozen._schedule._cadence = Cadence(lambda: 0.0)
    fit(compiled(build()), [frozen])
    assert open_capture(tmp_path / "again.zarr").training.steps.tolist() == [1, 10], "no time passed"


def test_last_step_of_a_short_fit_is_due_but_not_that_of_each_of_many_fits():
    now = 0.0
    schedule = Schedule(None, None, None)
    schedule._cadence = Cadence(lambda: now)
    schedule.recorded(1, ["steps", "probes", "weights"], {"steps": 0.01, "probes": 0.01, "weights": 0.01}, {})
    schedule.mark_end(False)
    assert schedule.due(2) == frozenset()
    schedule.mark_end(True)
    assert schedule.due(3) == {"steps", "probes", "weights"}
    schedule.recorded(3, ["steps", "probes", "weights"], {"steps": 0.01, "probes": 0.01, "weights": 0.01}, {})
    now = 0.1
    schedule.mark_end(True)
    assert schedule.due(4) == frozenset(), "the end of another fit was recorded just before"
    now = 0.3
    schedule.mark_end(True)
    assert schedule.due(5) == {"steps", "probes", "weights"}
