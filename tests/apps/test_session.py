"""Tests of a session that runs the model on further samples, with a stand-in for the worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.samples import SamplesPanel
from nnviz3d.apps.window.controls import Controls
from nnviz3d.apps.worker_connections import WorkerCrashed
from nnviz3d.data.capture import Capture
from nnviz3d.data.request import CaptureRequest, Finished, Progress
from nnviz3d.data.storage.capture_writer import zip_folder
from nnviz3d.data.targets import Target
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.views.connections import EdgePick

LISTED = ("first", "second", "third", "bad", "crash")


class StandIn:
    """A worker that answers with copies of one capture, when the test allows it."""

    def __init__(self, capture: Capture) -> None:
        self.asked: list[str] = []
        self.may_go_on = threading.Event()
        self.interrupted = threading.Event()
        self.closed = False
        self._capture = capture

    def run(self, request: CaptureRequest, on_event) -> Finished:
        (source,) = request.inputs
        self.asked.append(source)
        on_event(Progress(stage="load", done=0))
        while not self.may_go_on.wait(0.01):
            if self.interrupted.is_set():
                raise WorkerCrashed("The capture process died (signal 15).")
        if source == "bad":
            raise UserError("There is no input bad.")
        if source == "crash":
            raise WorkerCrashed("The capture process died (signal 9).\nmore")
        if source == "bug":
            raise RuntimeError("an unexpected error")
        zip_folder(self._capture.path, request.out)
        return Finished(out=request.out, samples=1, nodes=1, seconds={})

    def interrupt(self) -> None:
        self.interrupted.set()

    def close(self) -> None:
        self.closed = True
        self.may_go_on.set()


@pytest.fixture
def stand_in(small_capture):
    return StandIn(small_capture)


@pytest.fixture
def session(small_capture, stand_in, tmp_path: Path):
    request = CaptureRequest(model="m.keras", out=tmp_path / "run.zarr")
    runner = SampleRunner(stand_in, request, tmp_path)
    samples = (Sample("ready", 1, None), *(Sample(name, None, name) for name in LISTED))
    yield Session(Scene.build(default_scene(), small_capture), SimpleNamespace(), samples=samples, runner=runner)
    runner.close()
    assert stand_in.closed


def arrive(session: Session) -> None:
    deadline = time.monotonic() + 30
    while not session.poll():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_chosen_sample_is_shown_when_its_answer_arrives(session, stand_in):
    session.select(sample=1)
    before, scene = session.selection, session.scene
    session.choose(2)
    assert session.selection == before
    assert session.queries.busy.endswith("second")
    assert (session.samples.chosen, session.queries.position) == (0, 2)
    stand_in.may_go_on.set()
    arrive(session)
    assert (session.samples.chosen, session.queries.position, session.queries.busy) == (2, None, "")
    assert session.selection.sample == 3, "its index follows the three of the first capture"
    assert session.scene.context.capture.committed == 6
    assert session.scene.context.plan is scene.context.plan, "blocks stay where they are"
    assert scene.context.capture.committed == 3, "the earlier scene is what it was"


def test_model_is_not_run_twice_on_a_sample(session, stand_in):
    stand_in.may_go_on.set()
    session.choose(1)
    arrive(session)
    session.choose(0)
    assert (session.samples.chosen, session.selection.sample) == (0, 1)
    session.choose(1)
    assert (session.samples.chosen, stand_in.asked) == (1, ["first"])


def test_newest_request_goes_first_and_finished_answers_are_kept(session, stand_in):
    session.choose(1)
    while stand_in.asked != ["first"]:
        time.sleep(0.005)
    session.choose(2)  # dropped, because its work has not begun
    session.choose(3)
    stand_in.may_go_on.set()
    arrive(session)
    while session.queries.position is not None:
        session.poll()
        time.sleep(0.005)
    assert stand_in.asked == ["first", "third"]
    assert session.samples.chosen == 3
    assert session.samples[1].index is not None, "the first one is there as well"
    assert session.samples[2].index is None


def test_captured_sample_is_shown_at_once_and_cancels_a_pending_request(session, stand_in):
    session.choose(1)
    session.choose(0)
    assert (session.queries.busy, session.samples.chosen) == ("", 0)
    stand_in.may_go_on.set()
    arrive(session)
    assert session.samples.chosen == 0, "an answer that is not waited for is not shown"
    assert session.samples[1].index is not None


def test_error_is_one_sentence_and_the_selection_stays(session, stand_in, capsys):
    stand_in.may_go_on.set()
    before = session.selection
    session.choose(4)
    arrive(session)
    assert session.queries.message == "There is no input bad."
    session.choose(5)
    arrive(session)
    assert session.queries.message.startswith("The capture process died (signal 9). ")
    assert "choose a sample again" in session.queries.message
    assert "more" in capsys.readouterr().err
    assert (session.selection, session.queries.busy) == (before, "")
    session.choose(1)
    arrive(session)
    assert session.samples.chosen == 1, "the next request is served"


def test_choose_next_goes_around_the_ends_from_the_pending_sample(session):
    session.choose_next(-1)
    assert session.queries.position == 5
    session.choose_next(-1)
    assert session.queries.position == 4
    session.choose_next(2)
    assert (session.samples.chosen, session.queries.position) == (0, None)


def test_session_without_a_model_offers_the_captured_samples(small_capture):
    session = Session(Scene.build(default_scene(), small_capture), SimpleNamespace())
    assert [sample.name for sample in session.samples] == ["sample 0", "sample 1", "sample 2"]
    session.choose(2)
    assert (session.selection.sample, session.poll(), session.queries.busy) == (2, False, "")


def test_picture_that_is_listed_twice_is_run_once(session, stand_in):
    stand_in.may_go_on.set()
    twin = session.samples.add(Sample("first again", None, "first"))
    session.choose(twin)
    arrive(session)
    assert (session.queries.busy, session.samples[twin].index) == ("", session.samples[1].index)
    session.choose(1)
    assert stand_in.asked == ["first"]


def test_oldest_run_is_removed_when_runs_take_too_much_disk_space(small_capture, stand_in, tmp_path: Path):
    request = CaptureRequest(model="m.keras", out=tmp_path / "run.zarr")
    runner = SampleRunner(stand_in, request, tmp_path, room=1)
    samples = (Sample("ready", 1, None), *(Sample(name, None, name) for name in LISTED))
    session = Session(Scene.build(default_scene(), small_capture), SimpleNamespace(), samples=samples, runner=runner)
    stand_in.may_go_on.set()
    for position in (1, 2):
        session.choose(position)
        arrive(session)
        assert session.samples.chosen == position
        assert session.scene.at(8.0, session.selection).primitives, "the shown sample stays, however large it is"
    assert [s.index is None for s in session.samples] == [False, True, False, True, True, True]
    assert len(list(tmp_path.glob("live-*"))) == 1
    session.choose(0)
    session.choose(1)
    arrive(session)
    assert (session.samples.chosen, stand_in.asked) == (1, ["first", "second", "first"])
    runner.close()


@pytest.mark.usefixtures("ctrl_c_interrupts")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_interruption_during_the_start_of_the_thread_leaves_a_runner_that_can_be_closed(
    stand_in, tmp_path: Path, monkeypatch, moment
):
    runner = SampleRunner(stand_in, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    start = threading.Thread.start

    def interrupted_start(thread: threading.Thread) -> None:
        if moment == "after":
            start(thread)
        os.kill(os.getpid(), signal.SIGINT)
        if moment == "before":
            start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted_start)
    with pytest.raises(KeyboardInterrupt):
        runner.prepare("first")
    runner.close()
    assert stand_in.closed


def test_next_request_is_served_after_any_error(session, stand_in, capsys):
    stand_in.may_go_on.set()
    session.choose(session.samples.add(Sample("bug", None, "bug")))
    arrive(session)
    assert session.queries.message.startswith("an unexpected error ")
    assert "Traceback" in capsys.readouterr().err
    session.choose(1)
    arrive(session)
    assert session.samples.chosen == 1


def test_number_of_kept_runs_is_limited(session, stand_in, monkeypatch, tmp_path):
    monkeypatch.setattr("nnviz3d.apps.sample_runner.MOST", 2)
    stand_in.may_go_on.set()
    for position in (1, 2, 3):
        session.choose(position)
        arrive(session)
    assert [s.index is None for s in session.samples[1:4]] == [True, False, False]
    assert len(list(tmp_path.glob("live-*"))) == 2


def test_picked_connection_is_cleared_when_a_live_model_runs_again(session, stand_in):
    stand_in.may_go_on.set()
    session.select(pick=EdgePick("flatten", "dense", (0,), (1,), 0.5))
    session.choose(0)
    assert session.selection.pick is not None
    session.choose(1)
    arrive(session)
    assert session.selection.pick is None


def test_target_that_the_next_sample_lacks_is_replaced_by_its_own_answer(explained_capture):
    session = Session(Scene.build(default_scene(), explained_capture), SimpleNamespace())
    for sample in range(3):
        session.choose(sample)
        assert session.choices.explained_targets == explained_capture.explanations(sample).targets
    session.choose(0)
    answer, other = (found.target for found in session.choices.explained_targets)
    session.choices.explain(other)
    session.choose(1)
    assert session.selection.target == other, "all samples have it"
    session.choose(0)
    session.choices.explain(answer)
    session.choose(2)
    assert session.selection.target == (
        answer if answer in [f.target for f in session.choices.explained_targets] else None
    )
    with pytest.raises(UserError, match=r"explained.zarr does not explain ant; .* with --class 0\."):
        session.choices.explain(Target("scores", 0))


def next_in_session(session: Session) -> None:
    session.choose_next(1)


def next_in_window(session: Session) -> None:
    window = Controls(session, save=str, write=str, printed=lambda _text: None)
    window.follow({"type": "KeyPress", "key": "Right", "shiftKey": False, "repeat": False}, 0.0)


def next_in_page(session: Session) -> None:
    SamplesPanel.step(SimpleNamespace(page=SimpleNamespace(session=session, refresh=lambda: None)), 1)


@pytest.mark.parametrize("press_next", [next_in_session, next_in_window, next_in_page])
def test_next_skips_pictures_that_cannot_be_read(session, stand_in, press_next):
    stand_in.may_go_on.set()
    session.choose(3)
    arrive(session)
    for failed in ("bad", "crash"):
        press_next(session)
        arrive(session)
        assert (stand_in.asked[-1], session.samples.chosen) == (failed, 3)
    press_next(session)
    assert session.samples.chosen == 0
    session.choose_next(-1)
    arrive(session)
    assert stand_in.asked[-1] == "crash"
    session.choose_next(-2)
    assert session.samples.chosen == 3


def test_next_after_an_unreadable_choice_continues_from_the_visible_sample(session, stand_in):
    stand_in.may_go_on.set()
    session.choose(4)
    arrive(session)
    assert (session.queries.message, session.samples.chosen) == ("There is no input bad.", 0)
    session.choose_next(1)
    arrive(session)
    assert session.samples.chosen == 1


def test_next_skips_a_sample_that_cannot_be_drawn(small_capture):
    session = Session(Scene.build(default_scene(), small_capture), SimpleNamespace())
    session.choose_next(1)
    assert session.revert(), "its numbers are damaged, for example"
    assert session.samples.chosen == 0
    session.choose_next(1)
    assert session.samples.chosen == 2


def test_messages_do_not_show_the_folder_of_temporary_files(session, stand_in, tmp_path, monkeypatch):
    stand_in.may_go_on.set()
    handed_in = session.queries.runner.new_folder() / "cat.png"

    def refuse(request, _on_event):
        raise UserError(f"{handed_in} is no picture; {request.out} was not written, see /etc/motd.")

    monkeypatch.setattr(stand_in, "run", refuse)
    session.choose(1)
    arrive(session)
    assert session.queries.message == "cat.png is no picture; live-1.zarr.zip was not written, see /etc/motd."


def test_stopped_request_changes_nothing_and_the_next_one_is_served(session, stand_in):
    before = session.selection
    session.choose(1)
    deadline = time.monotonic() + 30
    while not stand_in.asked:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    session.queries.stop()
    assert session.queries.busy == ""
    assert stand_in.interrupted.wait(30)
    arrive(session)
    assert (session.selection, session.queries.message) == (before, "")
    stand_in.may_go_on.set()
    session.choose(2)
    arrive(session)
    assert session.samples[session.samples.chosen].name == "second"
