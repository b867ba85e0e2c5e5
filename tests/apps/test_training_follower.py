"""Tests of following a training while it is recorded."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from nnviz3d.apps.open_target import opened
from nnviz3d.apps.session import Session
from nnviz3d.apps.target import ModelOptions
from nnviz3d.apps.training_follower import TrainingFollower, duration
from nnviz3d.apps.worker import Worker
from nnviz3d.data.capture import open_capture
from nnviz3d.scene.primitives import Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.apps.conftest import Served
from tests.data.test_training import check, start
from tests.support.browser import looking, pixels, still, text, wait_until
from tests.support.recorder import OtherProcess, Recorder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """One step of a training."""
    made = Recorder(tmp_path / "run.zarr")
    made.go_on(1)
    return made


def follow(folder: Path, *, later: float = 0.0) -> TrainingFollower:
    """Return a follower, `later` seconds after the last step; only the test calls it."""
    capture = open_capture(folder / "run.zarr")
    assert capture.training is not None
    now = capture.training.written() + later
    follower = TrainingFollower(capture, clock=lambda: now)
    follower.prepare(Scene.build(default_scene(), capture).revised)
    return follower


def cells(session: Session, layer: str):
    found = session.scene.at(session.clock.t, session.selection).primitives
    return next(p.values for p in found if isinstance(p, Voxels) and p.name == layer)


class TestFollowing:
    def test_words_tell_step_epoch_and_loss(self, tmp_path, recorder):
        recorder.go_on(12)
        follower = follow(tmp_path)
        assert follower.status == "training: step 1,200, epoch 3, loss 0.125 · live"
        assert follower.news() is None
        recorder.go_on(1)
        follower.check()
        assert follower.status.startswith("training: step 1,300, epoch 3")
        news = follower.news()
        assert len(news.context.capture.training) == 14
        assert follower.news() is None, "it was taken"

    def test_news_is_only_what_is_new(self, tmp_path, recorder):
        follower, told = follow(tmp_path), []
        follower.on_news(lambda: told.append(follower.status))
        follower.check()
        assert told == []
        recorder.go_on(2)
        follower.check()
        follower.news()
        follower.check()
        assert [words.split(",")[0] for words in told] == ["training: step 200"]

    @pytest.mark.parametrize(
        ("seconds", "words"), [(5, "live"), (47, "nothing new for 40 s"), (400, "nothing new for 6 min")]
    )
    def test_words_tell_when_there_has_been_no_news_for_long(self, tmp_path, recorder, seconds, words):
        assert follow(tmp_path, later=seconds).status.endswith(f" · {words}")

    def test_words_tell_that_the_training_is_finished_until_it_goes_on(self, tmp_path, recorder):
        follower = follow(tmp_path)
        recorder.finish()
        follower.check()
        assert follower.status == "training: step 1, epoch 1, loss 150 · finished"
        recorder.go_on(1)
        follower.check()
        assert follower.status.startswith("training: step 100, ")
        assert follower.status.endswith(" · live")

    def test_removed_capture_is_found_again(self, tmp_path, recorder):
        follower = follow(tmp_path)
        shutil.move(tmp_path / "run.zarr", tmp_path / "away")
        follower.check()
        assert follower.status.endswith("run.zarr cannot be read any more")
        shutil.move(tmp_path / "away", tmp_path / "run.zarr")
        follower.check()
        assert follower.status.endswith("live")

    def test_restarted_training_is_followed(self, tmp_path, recorder):
        recorder.go_on(9)
        follower = follow(tmp_path)
        shutil.rmtree(tmp_path / "run.zarr")
        again = Recorder(tmp_path / "run.zarr")
        follower.check()
        assert follower.news() is None, "nothing is there to be shown yet"
        again.go_on(2)
        follower.check()
        assert follower.news().context.capture.training.steps.tolist() == [1, 100]

    def test_restarted_training_with_the_same_number_of_steps_is_news(self, tmp_path, recorder):
        follower = follow(tmp_path)
        written = open_capture(tmp_path / "run.zarr").training.written()
        shutil.rmtree(tmp_path / "run.zarr")
        Recorder(tmp_path / "run.zarr").go_on(1)
        os.utime(tmp_path / "run.zarr" / "training" / "zarr.json", (written + 60, written + 60))
        follower.check()
        assert follower.news() is not None
        follower.check()
        assert follower.news() is None

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_words_tell_when_following_stopped(self, tmp_path, recorder):
        capture = open_capture(tmp_path / "run.zarr")
        follower, told = TrainingFollower(capture, pause=0.01), threading.Event()
        follower.on_news(told.set)
        follower.prepare(lambda capture: capture.there_is_no_such_thing)
        recorder.go_on(1)
        with follower:
            assert told.wait(60)
        assert follower.status.endswith(" · following stopped; the terminal shows why")

    def test_follower_does_not_show_another_training_written_to_the_same_place(self, tmp_path, recorder):
        with follow(tmp_path) as follower:
            shutil.rmtree(tmp_path / "run.zarr")
            Recorder(tmp_path / "run.zarr", samples=0).go_on(2)
            follower.check()
        assert follower.status.endswith(" · run.zarr holds another training by now; open it again")
        assert follower.news() is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(20, "20 s"), (119, "110 s"), (120, "2 min"), (7200, "2 h"), (3e5, "3 days")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_session_shows_the_newest_step(tmp_path, recorder):
    follower = follow(tmp_path)
    capture = open_capture(tmp_path / "run.zarr")
    session = Session(Scene.build(default_scene(), capture), SimpleNamespace(), follower=follower)
    session.select(sample=1, layer="dense")
    before, first, selection = session.scene, cells(session, "conv"), session.selection
    assert not session.poll()
    assert session.scene is before, "nothing has come"
    recorder.go_on(7)
    follower.check()
    assert session.poll()
    assert session.selection == selection, "what was chosen stays"
    expected = open_capture(tmp_path / "run.zarr").activation("conv", 1)
    context = session.scene.context
    assert np.array_equal(context.values("conv", 1).values, expected)
    assert cells(session, "conv").shape == first.shape
    assert not np.array_equal(cells(session, "conv"), first)
    assert context.plan is before.context.plan, "all blocks stand where they did"
    assert session.training_status.startswith("training: step 700,")
    seventh = cells(session, "conv")
    recorder.go_on(1, probes=False)
    follower.check()
    assert session.poll()
    assert session.training_status.startswith("training: step 800,")
    assert cells(session, "conv") is seventh, "what is the same is not read and not drawn anew"


def test_earlier_step_stays_until_the_newest_step_is_selected_again(tmp_path, recorder):
    recorder.go_on(4)
    follower = follow(tmp_path)
    scene = Scene.build(default_scene(), open_capture(tmp_path / "run.zarr"))
    session = Session(scene, SimpleNamespace(), follower=follower)

    def shown(records: int) -> int:
        recorder.go_on(records)
        follower.check()
        session.poll()
        return session.context.capture.step_records.probe_step

    assert shown(1) == 500
    session.clock.show_recorded(2)
    assert session.context.capture.step_records.probe_step == 200
    earlier = cells(session, "conv")
    assert shown(2) == 200
    assert np.array_equal(cells(session, "conv"), earlier)
    session.clock.show_recorded(7)
    assert session.context.capture.step_records.probe_step == 700
    assert shown(1) == 800


def test_all_numbers_are_of_one_step_while_another_process_writes(tmp_path):
    child = start(tmp_path / "run.zarr", 300)  # every number that it writes tells its step
    while not len(open_capture(tmp_path / "run.zarr").training.probe_steps):
        time.sleep(0.01)
    follower = follow(tmp_path)
    scene = Scene.build(default_scene(), open_capture(tmp_path / "run.zarr"))
    session = Session(scene, SimpleNamespace(), follower=follower)
    seen = set()
    while not follower.status.endswith("finished"):
        follower.check()
        if session.poll():
            capture = session.scene.context.capture
            check(capture.training)
            for layer in ("input", "conv", "scores"):
                assert np.all(session.scene.context.values(layer, 1).values == capture.step_records.probe_step)
            assert np.all(capture.weights("conv")["kernel"] == capture.step_records.weight_step)
            seen.add(capture.step_records.probe_step)
    child.communicate()
    assert len(seen) > 3, "it was followed while it was written"
    assert max(seen) == 300


def test_training_is_followed_only_by_a_viewer_and_only_while_it_goes_on(tmp_path, recorder):
    def follower(**more):
        with opened(str(tmp_path / "run.zarr"), None, ModelOptions(), print, **more) as found:
            return found.follower

    def unused():
        raise AssertionError

    assert follower() is None, "a picture is of one moment"
    assert follower(worker=Worker(unused)) is not None
    assert threading.active_count() == len([t for t in threading.enumerate() if t.name != "training"])
    recorder.finish()
    assert follower(worker=Worker(unused)) is None


def alike(page: Page, before: NDArray[np.uint8]) -> bool:
    """Whether a page shows nearly the same picture of the network as before."""
    return bool(np.mean(np.abs(pixels(page).astype(int) - before)[120:500]) < 1)


@pytest.mark.chromium
def test_page_follows_a_training_and_stays_after_its_end(chromium: Browser, tmp_path: Path):
    training = OtherProcess(tmp_path / "run.zarr")
    training.ask("1")
    server = Served(str(tmp_path / "run.zarr"))
    try:
        with looking(chromium, server) as page:
            assert text(page, "#training").startswith("training: step 1, epoch 1, loss 150 · ")
            first = still(page)
            training.ask("12")
            said = "training: step 1,200, epoch 3, loss 0.125 · live"
            wait_until(lambda: text(page, "#training") == said, "it says that it went on")
            wait_until(lambda: not alike(page, first), "it shows what it has come to")
            training.kill()
            second = still(page)
            page.locator(".steps button").last.click()
            wait_until(lambda: "probe 1" in text(page, "#sample"), "another sample is chosen")
            wait_until(lambda: not alike(page, second), "it is shown")
    finally:
        training.kill()
        code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors
