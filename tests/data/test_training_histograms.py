"""Histograms follow their definition, and are read as they were written."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from nnviz3d.data.capture import open_capture
from nnviz3d.data.packing import Packing
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_training
from nnviz3d.data.training import STATISTICS
from nnviz3d.data.training_histograms import BINS, histogram_of
from tests.support import captures

GRAPH = captures.small_graph()
ENTRIES = (("conv", "weights"), ("conv", "gradients"), ("dense", "weights"))


def counted(values, limits):
    """Count by comparing each number with the borders, as the definition says."""
    low, high = limits
    borders = np.linspace(low, high, BINS + 1)
    inner = [np.sum((values >= a) & ((values < b) | ((b == high) & (values == b)))) for a, b in pairwise(borders)]
    return [np.sum(values < low), *inner, np.sum(values > high)]


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e20])
def test_counts_are_those_of_the_definition(scale):
    values = (np.random.default_rng(1).standard_t(2, 5_000) * scale).astype(np.float32)
    limits, counts = histogram_of(values)
    mean, reach = values.mean(dtype="f8"), 4 * values.std(dtype="f8")
    assert limits == pytest.approx([max(values.min(), mean - reach), min(values.max(), mean + reach)], rel=1e-6)
    assert counts.tolist() == counted(values.astype("f8"), limits)
    assert counts.sum() == 5_000
    assert counts[0] > 0
    assert counts[-1] > 0, "a few large numbers are beyond the bins"


def test_limits_are_the_least_and_the_greatest_number_if_they_are_near():
    values = np.linspace(-1, 1, 1_001, dtype=np.float32)
    limits, counts = histogram_of(values)
    assert limits.tolist() == [-1, 1]
    assert counts.tolist() == counted(values.astype("f8"), limits)
    assert counts[0] == counts[-1] == 0


def test_equal_numbers_numbers_that_are_not_finite_and_no_numbers():
    limits, counts = histogram_of(np.full(7, 0.1, np.float32))
    assert limits.tolist() == [np.float32(0.1)] * 2
    assert counts.sum() == counts[1 + BINS // 2] == 7
    limits, counts = histogram_of(np.array([np.nan, 1, np.inf, 3], np.float32))
    assert limits.tolist() == [1, 3]
    assert counts.sum() == 2
    limits, counts = histogram_of(np.array([np.nan], np.float32))
    assert np.isnan(limits).all()
    assert not counts.any()


def test_histograms_and_updates_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "run.zarr"
    weights = Packing((("conv", "kernel", (3, 3, 1, 4)), ("conv", "bias", (4,)), ("dense", "kernel", (36, 20))))
    updates = Packing(weights.entries[:2])
    with CaptureWriter(path, graph=GRAPH, provenance=Provenance("hand"), samples=0, growing=True) as capture:
        announce_training(capture, GRAPH, weights=weights, updates=updates, histograms=ENTRIES)
        capture.commit(0)
    writer = TrainingWriter(path)
    training = open_capture(path).training
    assert len(training.histograms) == 0
    assert training.histograms.of("conv", "weights") is None
    assert training.update("conv", "bias", 9) is None
    random = np.random.default_rng(2)
    written = {}
    for step in (1, 5, 9):
        limits, counts = random.normal(size=(3, 2)), random.integers(0, 2**24, (3, BINS + 2))
        limits[1] = np.nan
        rows = random.normal(size=(3, weights.width)).astype("f4")
        if step != 5:
            writer.weights(step, rows[0])
            writer.updates(step, rows[1, : updates.width], rows[2, : updates.width])
        writer.histograms(step, limits, counts)
        writer.step({"step": step, "epoch": 0, "learning_rate": step / 10}, {}, _nothing(), np.empty(0, np.float32))
        written[step] = limits, counts, rows
    training = training.refreshed()
    found = training.histograms
    assert found.steps.tolist() == [1, 5, 9]
    assert found.layers == ("conv", "dense")
    assert found.of("conv", "gradients") is None, "no number was recorded at any step"
    assert found.of("conv", "updates") is None
    dense = found.of("dense", "weights")
    for at, (limits, counts, _) in enumerate(written.values()):
        assert dense.limits[at] == pytest.approx(limits[2], rel=1e-6)
        assert dense.counts[at].tolist() == counts[2].tolist()
    assert training.update_steps.tolist() == [1, 9]
    for asked, step in ((1, 1), (8, 1), (9, 9), (99, 9)):
        update = training.update("conv", "bias", asked)
        after, before, gradient = (row[36:40] for row in written[step][2])
        assert update.step == step
        assert update.learning_rate == pytest.approx(step / 10)
        assert np.array_equal(update.before, before)
        assert np.array_equal(update.gradient, gradient)
        assert np.array_equal(update.after, after)
    assert training.update("dense", "kernel", 9) is None, "it was not recorded one by one"
    assert training.update("conv", "kernel", 0) is None


def _nothing():
    return np.full((len(GRAPH), len(STATISTICS)), np.nan, np.float32)
