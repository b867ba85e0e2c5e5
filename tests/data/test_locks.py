"""Locks for writing: one writer per name at a time, and locks of dead processes do not block."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict

import pytest

from nnviz3d.data.capture import open_capture
from nnviz3d.data.files.locks import Owner, WriterLock, check_free, lock_file
from nnviz3d.errors import CaptureError, UserError
from tests.support.captures import small_capture
from tests.support.recorder import OtherProcess, Recorder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.zarr"


def leave_lock(path, pid=None, **changes):
    """Write the lock of another process, and return its file."""
    lock_file(path).write_text(json.dumps(asdict(Owner.of(os.getpid() if pid is None else pid)) | changes))
    return lock_file(path)


def dead_process():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_writing_is_refused_with_the_number_of_the_process_that_holds_the_lock(path):
    other = OtherProcess(path)
    try:
        leave_lock(path, pid=other.process.pid)
        with pytest.raises(UserError, match=rf"run.zarr is being written by process {other.process.pid} since"):
            WriterLock(path).take()
    finally:
        other.kill()
    WriterLock(path).take()


@pytest.mark.parametrize(
    "changes",
    [{"pid": dead_process()}, {"started": "another boot 12"}],
    ids=["dead", "number given anew"],
)
def test_stale_lock_is_taken_over(path, changes):
    file = leave_lock(path, **changes)
    lock = WriterLock(path)
    lock.take()
    assert Owner.read(file).alive
    lock.give_back()
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_unreadable_lock_is_taken_over(path, text):
    lock_file(path).write_text(text)
    check_free(path)
    WriterLock(path).take()


def test_refusal_for_a_lock_of_another_machine_names_machine_and_file(path):
    leave_lock(path, pid=dead_process(), host="elsewhere")
    with pytest.raises(UserError, match=r"on elsewhere since .* remove .*\.run\.zarr\.lock"):
        check_free(path)


def test_second_lock_in_one_process_is_refused_while_the_first_holder_writes(path):
    first, second = WriterLock(path), WriterLock(path)
    first.take()
    with pytest.raises(UserError, match="another recorder of this program"):
        second.take()
    first.give_back()
    second.take()
    assert second.held
    assert not first.held


def test_lock_of_a_holder_that_no_longer_writes_is_taken_over(path):
    first, second = WriterLock(path, busy=lambda: False), WriterLock(path)
    first.take()
    second.take()
    assert (first.held, second.held) == (False, True)
    first.give_back()
    assert lock_file(path).exists(), "the file belongs to the second lock by now"


def test_lock_that_is_garbage_collected_is_released(path):
    lock = WriterLock(path)
    lock.take()
    del lock
    assert not lock_file(path).exists()


def test_lock_is_given_to_only_one_of_many_threads(path):
    got, start = [], threading.Barrier(8)

    def work():
        lock = WriterLock(path)
        start.wait()
        try:
            lock.take()
        except UserError:
            return
        got.append(lock)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_capture_onto_a_locked_name_is_refused_and_changes_nothing(path):
    recorder = Recorder(path)
    recorder.go_on(2)
    lock = WriterLock(path)
    lock.take()
    with pytest.raises(UserError, match="is being written"):
        small_capture(path)
    assert len(open_capture(path).training) == 2
    lock.give_back()
    small_capture(path)
    assert open_capture(path).training is None
    assert [file.name for file in path.parent.iterdir()] == ["run.zarr"]


@pytest.mark.parametrize("fate", ["removed", "replaced"])
def test_recording_into_a_missing_capture_is_refused_and_creates_nothing(path, fate):
    recorder = Recorder(path)
    recorder.go_on(2)
    path.rename(path.with_name("elsewhere.zarr"))
    if fate == "replaced":
        small_capture(path)
    with pytest.raises(CaptureError, match=f"run.zarr was {fate}"):
        recorder.go_on(1)
    with pytest.raises(CaptureError, match=fate):
        recorder.finish()
    assert path.exists() == (fate == "replaced")
    assert len(open_capture(path.with_name("elsewhere.zarr")).training) == 2
