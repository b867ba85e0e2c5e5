"""Tests of films that several processes draw: equal files, and what happens when a process is killed or interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.apps.film import drawing_pool
from nnviz3d.apps.film.drawing_pool import DrawingCrashed, DrawingPool, processes_for
from nnviz3d.apps.film.frame_range import FilmPlan, draw_range
from nnviz3d.apps.film.record import record
from nnviz3d.data.capture import Capture
from nnviz3d.errors import UserError
from nnviz3d.scene.spec import default_scene

pytestmark = pytest.mark.slow

SIZE, FPS, SECONDS = (128, 96), 6, 2.0
TWO_PROCESSES = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import nnviz3d.apps.film.record as film
film.processes_for = lambda frames, size: 2
from nnviz3d.cli import main
main()
"""


def plan_of(capture: Capture) -> FilmPlan:
    return FilmPlan(
        captures=(str(capture.path.absolute()),),
        spec=default_scene(),
        tour="flythrough",
        size=SIZE,
        fps=FPS,
        seconds=SECONDS,
    )


def content(out: Path) -> dict[str, bytes]:
    files = sorted(out.iterdir()) if out.is_dir() else [out]
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize("name", ["x.mp4", "x.gif", "x"])
def test_film_does_not_depend_on_the_number_of_processes(small_capture: Capture, tmp_path: Path, name: str):
    found, told = [], []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        record(
            default_scene(),
            small_capture,
            folder / name,
            size=SIZE,
            fps=FPS,
            seconds=SECONDS,
            processes=processes,
            progress=lambda done, total: told.append((done, total)),
        )
        found.append(content(folder / name))
        assert os.listdir(folder) == [name]
    assert found[0] == found[1]
    assert told == [(number, 12) for number in range(1, 13)] * 2


def test_killed_process_costs_only_its_frames(small_capture: Capture):
    plan = plan_of(small_capture)
    pool, found = DrawingPool(plan, ".gif", 2), []
    try:
        for number, frame in pool.frames(range(12)):
            found.append(frame)
            if number in (1, 6):
                pool._drawers[number % 2]._process.send_signal(signal.SIGKILL)
    finally:
        pool.close()
    assert np.array_equal(found, [frame for _, frame in draw_range(plan, 0, 12)])


def test_process_that_does_not_respond_is_replaced(small_capture: Capture):
    plan = plan_of(small_capture)
    pool, found = DrawingPool(plan, ".gif", 2, patience=3.0), []
    try:
        for number, frame in pool.frames(range(12)):
            found.append(frame)
            if number == 1:
                pool._drawers[0]._process.send_signal(signal.SIGSTOP)
    finally:
        pool.close()
    assert np.array_equal(found, [frame for _, frame in draw_range(plan, 0, 12)])


def test_processes_that_are_always_killed_end_in_a_sentence(small_capture: Capture):
    pool = DrawingPool(plan_of(small_capture), ".gif", 1)

    def kill() -> None:
        for drawer in pool._drawers:
            drawer._process.send_signal(signal.SIGKILL)

    try:
        with pytest.raises(UserError, match="memory is too small; choose a smaller --size"):
            list(pool.frames(range(3), kill))
    finally:
        pool.close()


def test_refusal_of_a_process_is_the_sentence_that_it_gave(small_capture: Capture, tmp_path: Path):
    gone = plan_of(small_capture).model_copy(update={"captures": (str(tmp_path / "gone.zarr"),)})
    pool = DrawingPool(gone, ".mp4", 1)
    try:
        with pytest.raises(UserError, match=r"There is no capture at .*gone\.zarr"):
            list(pool.frames(range(3)))
    finally:
        pool.close()


def test_bug_in_a_process_is_shown_with_its_traceback(small_capture: Capture):
    pool = DrawingPool(plan_of(small_capture), ".mp4", 1)
    try:
        with pytest.raises(DrawingCrashed, match=r"(?s)Traceback.*IndexError"):
            list(pool.frames([99]))
    finally:
        pool.close()


def test_short_films_are_drawn_by_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(drawing_pool, "_free_memory", lambda: None)
    assert processes_for(30, (1280, 720)) == 1
    assert processes_for(100, (1280, 720)) == 2
    assert processes_for(2000, (1280, 720)) == 4
    assert processes_for(2, (3840, 2160)) == 1


def test_number_of_drawing_processes_is_limited_by_the_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    for gigabytes, processes in ((1, 1), (8, 3), (64, 16)):
        monkeypatch.setattr(drawing_pool, "_free_memory", lambda free=gigabytes * 10**9: free)
        assert processes_for(500, (3840, 2160)) == processes
    monkeypatch.undo()
    assert drawing_pool._free_memory() is None or drawing_pool._free_memory() > 10**6


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes by /proc")
@pytest.mark.parametrize(
    ("name", "number"), [("x.mp4", signal.SIGINT), ("x", signal.SIGTERM)], ids=["ctrl-c", "sigterm"]
)
def test_interrupted_processes_leave_no_part_and_no_process(small_capture, tmp_path, name, number):
    arguments = [str(small_capture.path), "-o", name, "--size", "128x96", "--fps", "50", "--seconds", "120"]
    command = [sys.executable, "-c", TWO_PROCESSES, "record", *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (drawers(process.pid) == 2 and (name != "x" or list((tmp_path / "x").glob("frame_*")))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (128 + number, "")
    assert drawers(process.pid) == 0
    assert [path.name for path in tmp_path.rglob(".*")] == []


def drawers(parent: int) -> int:
    """Return the number of drawing processes of a program."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        found += b"drawing_process" in words and f"NNVIZ3D_PARENT={parent}".encode() in environment
    return found
