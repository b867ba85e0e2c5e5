"""The view of histograms: heights follow the recorded counts, steps light up, and a bin is described exactly."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.data.training_histograms import BINS, Histograms
from nnviz3d.errors import SceneError
from nnviz3d.scene.hits import RidgeHit
from nnviz3d.scene.layout.histograms import COLUMNS, MOST, histogram_ridges
from nnviz3d.scene.primitives import Labels, Lines, Panel, Ridges
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.histograms import HistogramPick
from tests.support.trainings import STEPS, histogrammed_training, small_training

SPEC = parse_scene(
    {"format": 1, "views": [{"kind": "structure"}, {"kind": "training"}, {"kind": "histograms", "layer": "dense"}]}
)


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    return histogrammed_training(tmp_path_factory.mktemp("histograms") / "run.zarr")


@pytest.fixture(scope="module")
def scene(capture):
    return Scene.build(SPEC, capture)


def of(kind, drawn):
    return {p.name: p for p in drawn.primitives if isinstance(p, kind)}


def words(drawn):
    return "\n".join(row.text for row in of(Panel, drawn)["histograms"].rows)


def test_heights_on_the_common_axis_are_the_numbers_in_each_column():
    counts = np.zeros((2, BINS + 2), np.int64)
    counts[0, 1:-1] = np.arange(BINS)  # from 0 to 1
    counts[1, 1] = 8  # from 1 to 2: the first bin only
    counts[1, [0, -1]] = 99
    found = histogram_ridges(np.array([1, 7]), Histograms(np.array([[0.0, 1.0], [1.0, 2.0]]), counts))
    assert (found.low, found.high, found.steps.tolist(), found.recorded) == (0, 2, [7, 1], 2)
    last, first = found.shares
    half = COLUMNS // 2
    each = np.repeat(np.arange(BINS), half // BINS)
    assert first[:half] == pytest.approx(each / (BINS - 1))
    assert not first[half:].any()
    assert last[half : half + 2].tolist() == [1, 1]
    assert np.count_nonzero(last) == 2
    assert found.at[half] == pytest.approx(1 + 1 / COLUMNS)
    assert [found.number_of(step) for step in (0, 1, 6, 7, 99)] == [1, 1, 1, 0, 0]


def test_histogram_ridges_leave_out_steps_without_numbers_and_some_of_many_steps():
    limits = np.tile([-1.0, 1.0], (200, 1))
    limits[::2] = np.nan
    found = histogram_ridges(np.arange(1, 201), Histograms(limits, np.ones((200, BINS + 2), np.int64)))
    assert len(found.steps) == MOST
    assert found.recorded == 100
    assert (found.steps % 2 == 0).all()
    assert found.steps[[0, -1]].tolist() == [200, 2]


def test_numbers_that_are_all_equal_are_one_column():
    counts = np.zeros((1, BINS + 2), np.int64)
    counts[0, BINS // 2] = 5
    found = histogram_ridges(np.array([1]), Histograms(np.zeros((1, 2)), counts))
    assert found.low < 0 < found.high
    assert np.count_nonzero(found.shares) == 1


def test_steps_up_to_the_shown_one_are_bright(scene, capture):
    shown = scene.at(scene.duration, Selection(step=20))
    ridges = of(Ridges, shown)["histograms of weights"]
    assert ridges.heights.shape == (len(STEPS), COLUMNS, 2)
    brightest = ridges.colors.max(axis=(1, 2, 3))
    now = len(STEPS) - 1 - STEPS.index(20)
    assert brightest.argmax() == now
    assert (brightest[:now] < 0.4).all()
    assert (brightest[now:] > 0.5).all()
    line = of(Lines, shown)["histograms/now"].points[0]
    assert line[:, 1] == pytest.approx(ridges.feet[now, 1] + ridges.heights[now, :, 1])
    texts = [label.lines[0] for label in of(Labels, shown)["histograms"].labels]
    assert {"step 20", "step 50", "step 1", "30"} <= set(texts)
    assert "dense: weights over the training" in words(shown)
    assert of(Ridges, scene.at(scene.duration, Selection(step=20)))["histograms of weights"] is ridges


def test_selected_layer_and_quantity_are_drawn(scene):
    drawn = scene.at(scene.duration, Selection(layer="conv", histogram="gradients"))
    assert list(of(Ridges, drawn)) == ["histograms of gradients"]
    assert "conv: gradients of the weights over the training" in words(drawn)
    drawn = scene.at(scene.duration, Selection(layer="pool", histogram="updates"))
    assert "dense: updates of the weights over the training" in words(drawn), "it has no weights of its own"


def test_picked_column_is_the_recorded_bin(scene, capture):
    selection = Selection(layer="conv")
    ridges = of(Ridges, scene.at(scene.duration, selection))["histograms of weights"]
    found = capture.training.histograms.of("conv", "weights")
    for ridge in (0, 3):
        row = len(STEPS) - 1 - ridge
        low, high = found.limits[row]
        shared = found.limits[:, 0].min(), found.limits[:, 1].max()
        value = low + 0.41 * (high - low)
        column = int((value - shared[0]) / (shared[1] - shared[0]) * COLUMNS)
        pick = scene.pick(RidgeHit(ridges, ridge, column), selection)
        assert isinstance(pick, HistogramPick)
        assert pick.step == STEPS[row]
        assert abs(pick.bin - 16) <= 1
        facts = scene.describe(pick, selection)
        assert facts.title == f"conv: weights at step {STEPS[row]}"
        assert facts.value == f"{found.counts[row, 1 + pick.bin]:,} of {found.counts[row].sum():,}"
        assert scene.mark(pick, scene.duration, selection)
    assert not scene.mark(pick, scene.duration, Selection(layer="dense")), "another layer is shown"


def test_recordings_without_histograms_say_so(tmp_path):
    old = small_training(tmp_path / "old.zarr")
    spec = SPEC.views[-1]
    assert spec.cannot_show(old) == (
        "old.zarr cannot show histograms: it holds no histograms; record the training again with this version's "
        "TrainingRecorder."
    )
    assert "no histograms of weights are recorded" in words(Scene.build(SPEC, old).at(0.0))
    with pytest.raises(SceneError, match="should be 'weights', 'gradients' or 'updates'"):
        parse_scene({"format": 1, "views": [{"kind": "histograms", "of": "losses"}]})
