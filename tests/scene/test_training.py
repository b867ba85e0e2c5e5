"""The view of a recorded training: numbers of the shown step, timeline, panel and film."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.data.capture_at_step import at_step
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import number
from nnviz3d.scene.derived.kernels import kernel_of
from nnviz3d.scene.panel_rows import CurveRow, TextRow
from nnviz3d.scene.primitives import Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.tours.make_tour import make_tour
from tests.support.number_words import read_number
from tests.support.trainings import KEPT, STEPS, losses, small_training

SPEC = parse_scene(
    {
        "format": 1,
        "views": [
            {"kind": "structure"},
            {"kind": "activations", "reveal": {"start": 0.0, "duration": 3.0}},
            {"kind": "backward", "duration": 6.0},
            {"kind": "connections"},
            {"kind": "training", "duration": 12.0},
        ],
    }
)
LAYERS = ("conv", "pool", "flatten", "dense", "scores")
SEEN = {1: 0, 10: 0, 20: 1, 30: 1, 40: 1, 50: 2}
"""Index of the shown one of the recorded probe steps, by step."""


@pytest.fixture(scope="module")
def scene(recorded_capture):
    return Scene.build(SPEC, recorded_capture)


def of(kind, found):
    return {p.name: p for p in found.primitives if isinstance(p, kind)}


def words(found):
    return "\n".join(row.text for p in of(Panel, found).values() for row in p.rows if isinstance(row, TextRow))


def curve(found):
    return next(row for row in of(Panel, found)["training"].rows if isinstance(row, CurveRow))


class TestNumbers:
    @pytest.mark.parametrize("step", STEPS)
    @pytest.mark.parametrize("sample", [0, 1])
    def test_activations_are_the_last_recorded_ones(self, scene, recorded_capture, step, sample):
        blocks = of(Voxels, scene.at(scene.duration, Selection(sample, step=step)))
        for name in LAYERS:
            kept = recorded_capture.training.activation(name, SEEN[step])[sample]
            assert np.array_equal(blocks[name].values, scene.context.placement(name).grid.arrange(kept))

    @pytest.mark.parametrize("step", STEPS)
    def test_gradients_are_the_last_recorded_ones_of_the_loss(self, scene, recorded_capture, step):
        blocks = of(Voxels, scene.at(scene.duration, Selection(1, step=step, quantity="gradient")))
        for name in ("input", *LAYERS):
            kept = recorded_capture.training.gradient(name, SEEN[step])[1]
            assert np.array_equal(blocks[name].values, scene.context.placement(name).grid.arrange(kept))
        product = of(Voxels, scene.at(99, Selection(1, step=step, quantity="gradient_x_activation")))["dense"].values
        activation = recorded_capture.training.activation("dense", SEEN[step])[1]
        kept = recorded_capture.training.gradient("dense", SEEN[step])[1]
        assert np.array_equal(product, scene.context.placement("dense").grid.arrange(kept * activation))

    def test_unrecorded_step_is_the_last_one_before_it_or_the_first(self, scene):
        for asked, seen in ((0, 1), (9, 1), (10, 10), (29, 20), (49, 40), (50, 50), (1_000, 50)):
            assert scene.step(0, Selection(step=asked)) == seen

    @pytest.mark.parametrize(("step", "kept"), [(1, 0), (40, 0), (50, 1)])
    @pytest.mark.parametrize("ranking", ["weight", "contribution"])
    def test_connections_are_the_strongest_of_the_kernel_at_the_step(self, recorded_capture, step, kept, ranking):
        found = at_step(recorded_capture, step).connections("flatten", "dense", ranking, 1)
        kernel = recorded_capture.training.weights("dense", kept)["kernel"]
        source = recorded_capture.training.activation("flatten", SEEN[step])[1]
        products = kernel * source[:, np.newaxis]
        ordered = np.sort(np.abs(kernel if ranking == "weight" else products).ravel())[::-1]
        assert found.total == kernel.size == 720
        assert found.shown == 720
        assert np.array_equal(np.abs(found.weight if ranking == "weight" else found.contribution), ordered)
        assert np.array_equal(found.weight, kernel[tuple(found.index.T)])
        assert np.array_equal(found.contribution, products[tuple(found.index.T)])

    def test_gradient_of_a_connection_is_that_of_the_loss_by_the_weight(self, recorded_capture):
        seen = at_step(recorded_capture, 20)
        training = recorded_capture.training
        for source, target in (("flatten", "dense"), ("dense", "scores")):
            pair = seen.connections(source, target, "weight", 1)
            x, y, g = (
                found[1].astype(np.float64)
                for found in (
                    training.activation(source, 1),
                    training.activation(target, 1),
                    training.gradient(target, 1),
                )
            )
            by_entering = (
                g * (y > 0) if target == "dense" else g
            )  # for an output the gradient by its scores was recorded
            expected = np.outer(x, by_entering)[tuple(pair.index.T)]
            assert np.allclose(seen.explanations(1).connection_gradient(pair), expected, rtol=1e-5, atol=1e-7)

    def test_lines_kernels_and_picks_follow_the_step(self, scene, recorded_capture):
        lines = [of(Lines, scene.at(99, Selection(step=step))) for step in (40, 50)]
        weights = [np.concatenate([x.ends.weight for n, x in found.items() if "flatten|dense" in n]) for found in lines]
        for kept, drawn in enumerate(weights):
            kernel = recorded_capture.training.weights("dense", kept)["kernel"]
            assert np.array_equal(np.sort(np.abs(drawn)), np.sort(np.abs(kernel).ravel())[-160:])
        for step, kept in ((40, 0), (50, 1)):
            seen = scene.as_of(0, Selection(step=step)).context
            found = kernel_of(seen, seen.graph.node("conv"))
            assert np.array_equal(found.values, recorded_capture.training.weights("conv", kept)["kernel"])
        pick = CellPick("dense", (3,))
        for step in STEPS:
            told = dict(scene.as_of(0, Selection(step=step)).describe(pick, Selection(step=step)).parts)
            assert (
                np.float32(read_number(told["activation"]))
                == recorded_capture.training.activation("dense", SEEN[step])[0, 3]
            )
            assert (
                np.float32(read_number(told["gradient"]))
                == recorded_capture.training.gradient("dense", SEEN[step])[0, 3]
            )

    def test_step_of_a_series_is_that_of_its_first_capture(self, recorded_capture):
        series = at_step(CaptureSeries.of(recorded_capture), 20)
        assert np.array_equal(series.activation("conv", 1), recorded_capture.training.activation("conv", 1)[1])

    def test_capture_without_training_is_unchanged(self, small_capture):
        assert at_step(small_capture, 5) is small_capture


class TestTime:
    def test_timeline_has_forward_backward_and_training_in_order(self, scene):
        line = scene.timeline
        assert line.forward == (0.0, 3.0)
        assert line.backward == (4.0, 6.0)
        assert line.training[0] > line.passed > sum(line.backward)
        assert scene.duration == sum(line.training)

    def test_clock_gives_equal_time_to_all_recorded_steps(self, scene):
        start, duration = scene.timeline.training
        for t in (0.0, 3.5, 9.0, start):
            assert scene.step(t, Selection()) == STEPS[0]
        seen = [scene.step(start + duration * (i + 0.5) / len(STEPS), Selection()) for i in range(len(STEPS))]
        assert seen == list(STEPS)
        assert scene.step(scene.duration, Selection()) == scene.step(1e9, Selection()) == STEPS[-1]

    def test_selected_step_overrides_the_clock(self, scene):
        for t in (0.0, 8.0, scene.duration - 5, scene.duration):
            assert scene.step(t, Selection(step=20)) == 20
            assert "training step 20 · " in words(scene.at(t, Selection(step=20)))

    def test_backward_pass_is_hidden_when_the_training_begins(self, scene):
        start, _ = scene.timeline.training
        before = of(Voxels, scene.at(start - 1))
        assert before["gradient:conv"].since == 0
        assert before["conv"].reveal == 0
        after = of(Voxels, scene.at(start))
        assert all(block.since == 1 for name, block in after.items() if name.startswith("gradient:"))
        assert all(block.reveal == block.emphasis == 1 for name, block in after.items() if name in LAYERS)
        assert not [name for name in of(Lines, scene.at(start)) if name.startswith("backward")]

    def test_last_step_is_shown_without_the_training_view(self, recorded_capture):
        scene = Scene.build(default_scene(), recorded_capture)
        assert {scene.step(t, Selection()) for t in (0.0, 2.0, 99.0)} == {50}
        assert scene.step(0.0, Selection(step=20)) == 20

    def test_scene_sets_the_start_of_the_training(self):
        views = [{"kind": "structure"}, {"kind": "training", "start": 2.0, "duration": 3.0}]
        line = Timeline.of(parse_scene({"format": 1, "views": views}).views, 5)
        assert [line.trained(t) for t in (0.0, 2.0, 3.5, 5.0, 9.0)] == [0, 0, 0.5, 1, 1]
        assert line.duration == 5.0


class TestPanel:
    def test_point_and_numbers_of_the_panel_are_those_of_the_step(self, scene, recorded_capture):
        training = recorded_capture.training
        for place, step in enumerate(STEPS):
            found = scene.at(0.0, Selection(step=step))
            drawn = curve(found)
            assert drawn.now == place
            assert np.array_equal(drawn.at, STEPS)
            assert np.array_equal(drawn.values, losses(), equal_nan=True)
            assert drawn.ends == (f"step 1: {number(losses()[0])}", f"step 50: {number(losses()[-1])}")
            text = words(found)
            assert f"training step {step} · epoch {place // 4 + 1}" in text
            rate, accuracy = training.learning_rate[place], training.metrics["accuracy"][place]
            assert f"accuracy {number(accuracy)} · learning rate {number(rate)}" in text

    def test_legends_name_the_step_of_their_numbers(self, scene):
        text = words(scene.at(99, Selection(step=40)))
        assert "after training step 20" in text
        assert "by |weight|, after step 1" in text
        assert "flatten → dense: 160 of 720" in text
        assert "gradient of the probe samples' loss" in words(scene.at(99, Selection(step=40, quantity="gradient")))

    @pytest.mark.parametrize("kind", ["nodes", "kernels"])
    def test_legends_name_the_step_of_the_weights(self, recorded_capture, kind):
        scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": kind}]}), recorded_capture)
        for step, kept in ((40, 1), (50, 50)):
            found = scene.at(scene.duration, Selection(step=step))
            assert f", after step {kept}" in words(found)

    def test_unknown_loss_has_no_curve(self, recorded_capture, monkeypatch):
        monkeypatch.setattr(type(recorded_capture.training), "loss", np.full(len(STEPS), np.nan))
        rows = of(Panel, Scene.build(SPEC, recorded_capture).at(0.0))["training"].rows
        assert [type(row) for row in rows] == [TextRow, TextRow]

    def test_validation_is_dots_on_the_curve_and_the_last_one_is_told(self, tmp_path):
        capture = small_training(tmp_path / "run.zarr", validated=True)
        scene = Scene.build(SPEC, capture)
        for step, told in (
            (10, "validation"),
            (20, "val_loss 2 · val_accuracy 0.3"),
            (50, "val_loss 1 · val_accuracy 0.6"),
        ):
            found = scene.at(0.0, Selection(step=step))
            drawn = curve(found)
            assert drawn.dots_at.tolist() == [12, 32, 60]
            assert drawn.dots.tolist() == [2.0, 1.0, 1.5]
            text = words(found)
            assert text.endswith(f"dots: {told}") or f"dots: {told}\n" in text
        assert "overfits" not in text


class TestPurity:
    def test_equal_steps_give_the_same_arrays(self, scene):
        first = of(Voxels, scene.at(99, Selection(step=20)))
        for step in (1, 50, 10):
            scene.at(99, Selection(step=step))
        again = of(Voxels, scene.at(99, Selection(step=30)))
        assert all(first[name].values is again[name].values for name in LAYERS)

    def test_picture_does_not_depend_on_earlier_calls(self, scene, recorded_capture):
        fresh = Scene.build(SPEC, recorded_capture)
        for t in np.linspace(0, scene.duration, 23):
            scene.at(float(t), Selection(1))
        for t in (0.5, 7.0, scene.duration - 6.0, scene.duration):
            here, there = of(Voxels, scene.at(t)), of(Voxels, fresh.at(t))
            assert list(here) == list(there)
            for name, block in here.items():
                assert np.array_equal(block.values, there[name].values)
                assert (block.reveal, block.since, block.emphasis) == (
                    there[name].reveal,
                    there[name].since,
                    there[name].emphasis,
                )


def test_capture_without_training_has_no_training_phase(small_capture):
    views = [{"kind": "activations"}, {"kind": "training"}]
    scene = Scene.build(parse_scene({"format": 1, "views": views}), small_capture)
    assert scene.timeline.training is None
    assert "training" not in of(Panel, scene.at(0.0))
    with pytest.raises(SceneError, match=r"holds no training; record one with .*TrainingRecorder"):
        Scene.build(parse_scene({"format": 1, "views": [{"kind": "training"}]}), small_capture)


def test_probe_steps_are_those_that_were_written(recorded_capture):
    assert recorded_capture.training.probe_steps.tolist() == list(KEPT)
    assert recorded_capture.has_gradients()


class TestFilm:
    @pytest.mark.parametrize("seconds", [None, 12.0, 60.0])
    def test_film_ends_with_the_training_seen_from_the_overview(self, scene, seconds):
        film = make_tour(scene, 16 / 9, seconds=seconds)
        assert seconds is None or film.seconds == pytest.approx(seconds)
        taus = np.linspace(0, film.seconds, 400)
        moments = np.array([film.at(tau)[0] for tau in taus])
        assert np.all(np.diff(moments) >= -1e-9)
        assert moments[0] == 0
        assert moments[-1] == scene.duration
        start = scene.timeline.training[0]
        whole = scene.overview(aspect=16 / 9)
        during = taus[moments >= start]
        assert 0.2 * film.seconds < during[-1] - during[0]
        for tau in during:
            assert np.allclose(film.at(tau)[1].position, whole.position, atol=1e-3)
        steps = [scene.step(moment, Selection()) for moment in moments]
        assert list(dict.fromkeys(steps)) == list(STEPS)
        assert steps[-8:] == [STEPS[-1]] * 8, "the last one stays a little"

    def test_film_without_backward_pass_ends_with_the_training(self, recorded_capture):
        views = [{"kind": "activations"}, {"kind": "training"}]
        for reveal in (0.0, 2.0):
            views[0] = {"kind": "activations", "reveal": {"duration": reveal}}
            scene = Scene.build(parse_scene({"format": 1, "views": views}), recorded_capture)
            film = make_tour(scene, 16 / 9)
            moments = [film.at(tau)[0] for tau in np.linspace(0, film.seconds, 300)]
            assert np.all(np.diff(moments) >= -1e-9)
            assert moments[-1] == scene.duration
