"""The view of a training's history: heights and colours of the ridges, texts, the line of the step, and picks."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.data.training import STATISTICS
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, colormap
from nnviz3d.scene.panel_rows import ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Callout, Labels, Lines, Panel, Ridges
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.history import HistoryPick, step_ticks
from tests.support import captures, trainings
from tests.support.number_words import read_number

NORM, BROKEN = STATISTICS.index("gradient_norm"), STATISTICS.index("nonfinite_gradients")
LAYERS = [1, 4, 5]
"""Layers of the small network with weights."""


def scene_of(path, series=None, steps=None, **view) -> Scene:
    series = trainings.figures(6) if series is None else series
    capture = trainings.training_of(path / "run.zarr", np.array(steps or trainings.STEPS), series)
    return Scene.build(parse_scene({"format": 1, "views": [{"kind": "history", **view}]}), capture)


def of(kind: type, scene: Scene, selection: Selection | None = None) -> dict:
    return {p.name: p for p in scene.at(scene.duration, selection).primitives if isinstance(p, kind)}


def words(scene: Scene) -> str:
    rows = of(Panel, scene)["history"].rows
    return "\n".join(row.text for row in rows if isinstance(row, TextRow))


def ends(scene: Scene) -> tuple[float, float]:
    """The numbers of the first and the last colour in the legend."""
    (scale,) = (row for row in of(Panel, scene)["history"].rows if isinstance(row, ScaleRow))
    (low, first), (high, last) = scale.ticks[0], scale.ticks[-1]
    assert (low, high) == pytest.approx((0.0, 1.0))
    return read_number(first), read_number(last)


class TestHeights:
    def test_heights_and_colours_follow_the_recorded_numbers_on_the_scale_of_the_legend(self, tmp_path):
        series = trainings.figures(6)
        scene = scene_of(tmp_path, series)
        ridges = of(Ridges, scene)["history of gradient_norm"]
        low, high = ends(scene)
        share = np.log(series[:, LAYERS, NORM].T / low) / np.log(high / low)
        tallest = (ridges.heights[:, :, 1] / share).mean()
        assert np.allclose(ridges.heights, tallest * share[:, :, np.newaxis], rtol=1e-5)
        table = colormap("plasma").table
        assert np.allclose(ridges.colors[:, :, 1] * 255, table[np.round(share * 255).astype(int)], atol=1)
        assert 0 <= share.min() < share.max() <= 1

    def test_columns_are_at_their_steps(self, tmp_path):
        ridges = of(Ridges, scene_of(tmp_path))["history of gradient_norm"]
        steps = np.array(trainings.STEPS)
        assert np.allclose(ridges.along / ridges.along[-1], (steps - 1) / 49)

    def test_ridge_of_the_first_layer_is_in_front_and_lowest(self, tmp_path):
        feet = of(Ridges, scene_of(tmp_path))["history of gradient_norm"].feet
        assert (np.diff(feet[:, 1]) > 0).all()
        assert (np.diff(feet[:, 2]) < 0).all()

    def test_ridges_are_above_the_network(self, tmp_path):
        scene = scene_of(tmp_path)
        assert scene.extent()[:, 1].max() > max(row.top for row in scene.context.plan.rows)
        ridges = of(Ridges, scene)["history of gradient_norm"]
        assert ridges.feet[:, 1].min() > max(row.top for row in scene.context.plan.rows)

    def test_other_statistics_than_norms_have_a_linear_scale_with_zero(self, tmp_path):
        series = trainings.figures(6)
        scene = scene_of(tmp_path, series, statistic="mean")
        ridges = of(Ridges, scene)["history of mean"]
        values = series[:, :, STATISTICS.index("mean")].T
        share = (values - values.min()) / (values.max() - values.min())
        assert np.allclose(ridges.heights[:, :, 1] / ridges.heights.max(), share, atol=1e-5)
        assert "logarithm" not in words(scene)

    def test_zeros_are_at_the_foot_of_a_logarithmic_scale(self, tmp_path):
        series = trainings.figures(6)
        series[2, 1, NORM] = 0
        scene = scene_of(tmp_path, series)
        assert of(Ridges, scene)["history of gradient_norm"].heights[0, 2].tolist() == [0, 0]
        assert "including zero, are drawn at the bottom" in words(scene)


class TestWhatIsNotFinite:
    def test_nan_and_infinity_have_bars_in_their_colours(self, tmp_path):
        series = trainings.figures(6)
        series[2, 1, [NORM, BROKEN]] = np.nan, 4
        series[4, 5, [NORM, BROKEN]] = np.inf, 1
        scene = scene_of(tmp_path, series)
        ridges, marks = (of(Ridges, scene)[f"history of gradient_norm{more}"] for more in ("", " (not finite)"))
        marked = np.argwhere(np.isfinite(marks.heights[:, :, 1])).tolist()
        assert marked == [[0, 2], [2, 4]]
        assert np.allclose(marks.colors[0, 2], NAN_COLOR)
        assert np.allclose(marks.colors[2, 4], INF_COLOR)
        assert np.isnan(ridges.heights[0, 2]).all()
        assert np.isnan(ridges.heights[2, 4]).all()
        (row,) = (row for row in of(Panel, scene)["history"].rows if isinstance(row, SwatchRow))
        assert row.swatches == ((NAN_COLOR, "NaN"), (INF_COLOR, "infinite"))

    def test_finite_numbers_have_no_bars(self, tmp_path):
        assert list(of(Ridges, scene_of(tmp_path))) == ["history of gradient_norm"]


class TestWhatItSays:
    def test_legend_has_the_number_and_distance_of_the_steps(self, tmp_path):
        assert "6 recorded steps, every 10" in words(scene_of(tmp_path))

    def test_legend_says_that_a_column_covers_several_steps(self, tmp_path):
        series = trainings.figures(700)
        scene = scene_of(tmp_path, series, list(range(1, 701)))
        assert "700 recorded steps in 640 columns, least to greatest" in words(scene)
        ridges = of(Ridges, scene)["history of gradient_norm"]
        low, high = ends(scene)
        share = np.log(series[:, LAYERS, NORM].max(axis=0) / low) / np.log(high / low)
        top = ridges.heights[:, :, 1].max(axis=1)
        assert np.allclose(top / top[0], share / share[0], rtol=1e-4)

    def test_labels_name_the_layers_and_round_steps(self, tmp_path):
        said = [label.lines[0] for label in of(Labels, scene_of(tmp_path))["history"].labels]
        assert said[:3] == ["conv", "dense", "scores"]
        assert {"1", "10", "20", "30", "40", "50"} <= set(said)

    def test_legend_says_that_nothing_was_recorded_yet(self, tmp_path):
        capture = trainings.training_of(tmp_path / "run.zarr", np.array([], int), trainings.figures(0))
        scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "history"}]}), capture)
        assert "no step has been recorded yet" in words(scene)
        assert not of(Ridges, scene)

    @pytest.mark.parametrize(
        ("first", "last", "expected"),
        [
            (1, 5000, (1, 1000, 2000, 3000, 4000, 5000)),
            (10, 200, (10, 50, 100, 150, 200)),
            (7, 7, (7,)),
            (1, 3, (1, 2, 3)),
        ],
    )
    def test_step_ticks_are_round(self, first, last, expected):
        assert step_ticks(first, last) == expected


def test_continued_training_has_further_columns_and_one_scale_for_all(tmp_path):
    series = trainings.figures(6)
    series[-1, 1, NORM] = 3e4
    steps = np.array(trainings.STEPS)
    before = trainings.training_of(tmp_path / "before.zarr", steps[:4], series[:4])
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "history"}]}), before)
    later = scene.revised(trainings.training_of(tmp_path / "after.zarr", steps, series))
    short, long = (of(Ridges, one)["history of gradient_norm"] for one in (scene, later))
    assert short.heights.shape[:2] == (3, 4)
    assert long.heights.shape[:2] == (3, 6)
    assert np.array_equal(short.feet, long.feet)
    assert ends(scene)[1] < 3e4 == ends(later)[1]


class TestTheStepThatIsShown:
    def test_line_is_at_the_step_and_ends_at_the_numbers(self, tmp_path):
        scene = scene_of(tmp_path)
        ridges = of(Ridges, scene)["history of gradient_norm"]
        for place, step in enumerate(trainings.STEPS):
            line = of(Lines, scene, Selection(step=step))["history/now"]
            assert np.allclose(line.points[:, :, 0], ridges.feet[0, 0] + ridges.along[place])
            assert np.allclose(np.diff(line.points[:, :, 1])[:, 0], ridges.heights[:, place, 1], atol=1e-5)
            (label,) = of(Labels, scene, Selection(step=step))["history/now"].labels
            assert label.lines == (f"step {step}",)

    def test_line_among_many_steps_ends_at_the_numbers_of_its_step(self, tmp_path):
        series = trainings.figures(700)
        scene = scene_of(tmp_path, series, list(range(1, 701)))
        low, high = ends(scene)
        line = of(Lines, scene, Selection(step=333))["history/now"].points
        share = np.log(series[332, LAYERS, NORM] / low) / np.log(high / low)
        rise = np.diff(line[:, :, 1])[:, 0]
        assert np.allclose(rise / rise[0], share / share[0], rtol=1e-4)

    def test_part_after_the_step_is_darker(self, tmp_path):
        scene = scene_of(tmp_path)
        whole, before = (
            of(Ridges, scene, Selection(step=step))["history of gradient_norm"] for step in (50, trainings.STEPS[2])
        )
        assert np.array_equal(whole.colors[:, :3], before.colors[:, :3])
        assert (before.colors[:, 3:].sum(axis=3) < 0.6 * whole.colors[:, 3:].sum(axis=3)).all()
        assert whole.heights is before.heights

    def test_last_step_is_shown_by_default(self, tmp_path):
        (label,) = of(Labels, scene_of(tmp_path))["history/now"].labels
        assert label.lines == ("step 50",)


class TestChoices:
    def test_selected_layer_is_bright(self, tmp_path):
        scene = scene_of(tmp_path)
        plain, chosen = (
            of(Ridges, scene, Selection(layer=layer))["history of gradient_norm"].colors for layer in (None, "dense")
        )
        assert np.array_equal(plain[1], chosen[1])
        assert (chosen[0] < 0.5 * plain[0] + 1e-6).all()

    def test_another_statistic_can_be_selected(self, tmp_path):
        series = trainings.figures(6)
        scene = scene_of(tmp_path, series)
        chosen = Selection(statistic="weight_norm", pick=HistoryPick("dense", "weight_norm", 10))
        assert list(of(Ridges, scene, chosen)) == ["history of weight_norm"]
        assert of(Ridges, scene, chosen)["history of weight_norm"].heights.argmax() // 2 == (
            series[:, LAYERS, STATISTICS.index("weight_norm")].T.argmax()
        )
        assert "pick" in of(Callout, scene, chosen)
        assert "pick" not in of(Callout, scene, Selection(pick=chosen.pick))

    def test_description_of_a_pick_has_the_exact_number(self, tmp_path):
        series = trainings.figures(6)
        scene = scene_of(tmp_path, series)
        pick = HistoryPick("dense", "gradient_norm", 20)
        callout = next(
            p for p in scene.at(0, Selection(pick=pick)).primitives if p.name == "pick" and hasattr(p, "rows")
        )
        said = [row.text for row in callout.rows if isinstance(row, TextRow)]
        assert said[0] == "dense: gradient norm at step 20"
        assert np.float32(read_number(said[1])) == series[2, 4, NORM]

    def test_unknown_statistic_is_refused_in_one_sentence(self):
        with pytest.raises(SceneError, match="there is no figure 'gradients'; choose one of gradient_norm"):
            parse_scene({"format": 1, "views": [{"kind": "history", "statistic": "gradients"}]})

    def test_capture_without_a_training_is_refused_in_one_sentence(self, tmp_path):
        capture = captures.small_capture(tmp_path / "small.zarr")
        with pytest.raises(SceneError, match="holds no training; record one with"):
            Scene.build(parse_scene({"format": 1, "views": [{"kind": "history"}]}), capture)
