"""Tests of a session's clock."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnviz3d.apps.session import Session
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.support.recorder import Recorder


@pytest.fixture
def session(small_capture):
    return Session(Scene.build(default_scene(), small_capture), SimpleNamespace())


@pytest.fixture
def trained(tmp_path):
    """A session that shows five recorded steps of a training over time."""
    recorder = Recorder(tmp_path / "run.zarr")
    recorder.go_on(5)
    scene = Scene.build(default_scene().with_view("training"), open_capture(tmp_path / "run.zarr"))
    return Session(scene, SimpleNamespace())


def test_clock_is_at_the_end_at_first_and_plays_from_the_start(session):
    clock, duration = session.clock, session.scene.duration
    assert (clock.t, clock.playing, session.moving) == (duration, False, False)
    assert not session.advance(1.0)
    clock.play()
    assert (clock.t, clock.playing, session.moving) == (0.0, True, True)


def test_advance_moves_the_time_by_the_speed_and_stops_at_the_end(session):
    clock, duration = session.clock, session.scene.duration
    clock.play()
    clock.speed = 2.0
    assert session.advance(0.25)
    assert clock.t == pytest.approx(0.5)
    assert session.advance(duration)
    assert (clock.t, clock.playing) == (duration, False)


def test_pause_keeps_the_time_and_play_continues_from_it(session):
    clock = session.clock
    clock.play()
    session.advance(0.5)
    clock.pause()
    assert not session.advance(1.0)
    clock.play()
    assert clock.t == pytest.approx(0.5)


@pytest.mark.parametrize(("t", "expected"), [(-1.0, 0.0), (0.75, 0.75)])
def test_seek_stays_in_the_scene(session, t, expected):
    session.clock.seek(t)
    assert session.clock.t == expected
    session.clock.seek(session.scene.duration + 1)
    assert session.clock.t == session.scene.duration


def test_capture_without_a_training_has_no_recorded_step(session):
    session.clock.show_recorded(0)
    assert (session.clock.recorded_index, session.selection.step) == (None, None)


def test_chosen_step_stays_until_the_time_changes(trained):
    clock, training = trained.clock, trained.scene.context.capture.training
    assert clock.recorded_index == len(training) - 1
    clock.show_recorded(1)
    assert (clock.recorded_index, trained.selection.step) == (1, training.steps[1])
    clock.seek(trained.scene.duration)
    assert (clock.recorded_index, trained.selection.step) == (len(training) - 1, None)


def test_newest_step_or_none_lets_the_step_follow_the_time(trained):
    clock = trained.clock
    for index in (len(trained.scene.context.capture.training) - 1, None):
        clock.show_recorded(1)
        clock.show_recorded(index)
        assert trained.selection.step is None
