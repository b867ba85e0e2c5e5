"""Curves over a training keep extremes, NaN, infinite numbers and gaps."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.analysis.history import history_of
from nnviz3d.data.training import STATISTICS
from tests.support import trainings

CONV, DENSE = (next(i for i, node in enumerate(trainings.graph()) if node.id == name) for name in ("conv", "dense"))
NORM, BROKEN = STATISTICS.index("gradient_norm"), STATISTICS.index("nonfinite_gradients")


def follow(path, steps, series, statistic="gradient_norm", most=640):
    capture = trainings.training_of(path / "run.zarr", np.asarray(steps), series)
    return history_of(capture.training, capture.graph, statistic, most)


def test_each_recorded_step_is_a_column(tmp_path):
    series = trainings.figures(6)
    found = follow(tmp_path, trainings.STEPS, series)
    assert found.names == ("conv", "dense", "scores")
    assert found.at.tolist() == list(trainings.STEPS)
    assert np.array_equal(found.low, series[:, [CONV, DENSE, 5], NORM].T)
    assert np.array_equal(found.low, found.high)
    assert found.telling.tolist() == [list(trainings.STEPS)] * 3
    assert found.joined.all()
    assert not found.reduced
    assert not (found.nan | found.infinite).any()


def test_columns_keep_the_extremes_of_all_their_steps(tmp_path):
    steps, series = np.arange(1, 301), trainings.figures(300)
    found = follow(tmp_path, steps, series, most=7)
    assert len(found.at) == 7
    assert found.reduced
    edges = 1 + np.arange(8) * 299 / 7
    for j in range(7):
        within = (steps >= edges[j] - 1e-9) & ((steps < edges[j + 1] - 1e-9) | (j == 6))
        for k, layer in enumerate((CONV, DENSE, 5)):
            numbers = series[within, layer, NORM]
            assert (found.low[k, j], found.high[k, j]) == (numbers.min(), numbers.max())
            assert found.telling[k, j] == steps[within][numbers.argmax()]
    assert found.high.max() == series[:, [CONV, DENSE, 5], NORM].max()


@pytest.mark.parametrize("most", [640, 5])
def test_single_nan_or_infinite_number_is_found_in_its_column(tmp_path, most):
    steps, series = np.arange(1, 101), trainings.figures(100)
    series[41, CONV, NORM], series[41, CONV, BROKEN] = np.nan, 3
    series[77, DENSE, NORM], series[77, DENSE, BROKEN] = np.inf, 1
    found = follow(tmp_path, steps, series, most=most)
    assert (found.nan.sum(), found.infinite.sum()) == (1, 1)
    assert found.telling[found.nan].tolist() == [42]
    assert found.telling[found.infinite].tolist() == [78]
    assert found.nan[0].any()
    assert found.infinite[1].any()


def test_missing_number_is_a_gap_and_not_nan(tmp_path):
    series = trainings.figures(6)
    series[3, CONV, :] = np.nan
    found = follow(tmp_path, trainings.STEPS, series)
    assert not found.nan.any()
    assert np.flatnonzero(np.isnan(found.low[0])).tolist() == [3]
    assert found.joined[0].tolist() == [True, True, False, False, True]
    assert found.joined[1].all()


def test_curve_has_a_gap_at_steps_that_were_not_recorded(tmp_path):
    steps = np.array([10, 20, 30, 80, 90, 100])
    found = follow(tmp_path, steps, trainings.figures(6))
    assert found.joined.tolist() == [[True, True, False, True, True]] * 3


def test_reduced_columns_have_a_gap_at_missing_steps(tmp_path):
    steps = np.concatenate([np.arange(1, 101), np.arange(501, 601)])
    found = follow(tmp_path, steps, trainings.figures(200), most=30)
    between = np.flatnonzero((found.at[:-1] < 300) & (found.at[1:] > 300))
    assert np.flatnonzero(~found.joined[0]).tolist() == between.tolist()


def test_statistic_that_was_never_measured_has_no_history(tmp_path):
    assert follow(tmp_path, [1, 2], trainings.figures(2) * np.nan) is None
