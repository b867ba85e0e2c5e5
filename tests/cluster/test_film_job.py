"""Films on a cluster of processes of this machine, compared with the same films by one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed")

from nnviz3d.apps.film.record import record
from nnviz3d.cluster.connection import DRAWING, ClusterOptions, Connected, connected
from nnviz3d.cluster.film_job import drawing_on
from nnviz3d.data.capture import Capture
from nnviz3d.errors import UserError
from nnviz3d.scene.spec import default_scene
from tests.support.processes import descendants, not_ignoring_interrupts, runs
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

FILM = {"size": (160, 96), "fps": 10, "seconds": 1.6, "tour": "orbit"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Connected]:
    with connected(ClusterOptions(workers=2), DRAWING) as found:
        yield found


def worker_ids(cluster: Connected) -> list[int]:
    return sorted(cluster.on_all(os.getpid).values())


def test_film_by_two_workers_is_the_same_file_and_workers_import_neither_vtk_nor_tensorflow(
    cluster: Connected, small_capture: Capture, tmp_path: Path
):
    record(default_scene(), small_capture, tmp_path / "alone.mp4", **FILM)
    counted: list[int] = []
    record(
        default_scene(),
        small_capture,
        tmp_path / "spread.mp4",
        draws=drawing_on(cluster),
        progress=lambda done, total: counted.append(done),
        **FILM,
    )
    assert (tmp_path / "spread.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()
    assert counted == list(range(1, 17))
    for names in cluster.on_all(
        eval, "sorted({name.partition('.')[0] for name in __import__('sys').modules})"
    ).values():
        assert "nnviz3d" in names
        assert not {"vtkmodules", "tensorflow", "keras"} & set(names)


def test_folder_of_frames_is_continued(cluster: Connected, small_capture: Capture, tmp_path: Path):
    record(default_scene(), small_capture, tmp_path / "alone", **FILM)
    record(default_scene(), small_capture, tmp_path / "frames", draws=drawing_on(cluster), **FILM)
    kept, lost = tmp_path / "frames" / "frame_00003.png", tmp_path / "frames" / "frame_00011.png"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    counted: list[int] = []
    record(
        default_scene(),
        small_capture,
        tmp_path / "frames",
        draws=drawing_on(cluster),
        progress=lambda done, total: counted.append(done),
        **FILM,
    )
    assert kept.stat().st_mtime_ns == before
    assert counted == [16]
    for frame in (tmp_path / "alone").iterdir():
        assert (tmp_path / "frames" / frame.name).read_bytes() == frame.read_bytes()


def test_refusal_leaves_no_file(cluster: Connected, small_capture: Capture, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("nnviz3d.cluster.film_job.portable", lambda path: f"{path}.gone")
    with pytest.raises(UserError, match=r"does not see .*gone"):
        record(default_scene(), small_capture, tmp_path / "x.mp4", draws=drawing_on(cluster), **FILM)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_film_leaves_neither_files_nor_processes(tmp_path: Path):
    words = ("record", "-o", "x.mp4", "--size", "320x180", "--workers", "1")
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    for made in (work, temporary):
        made.mkdir()
    command = subprocess.Popen(
        [sys.executable, "-m", "nnviz3d", *words],
        cwd=work,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=not_ignoring_interrupts,
    )
    wait_until(lambda: list(work.iterdir()), "the film is begun", patience=90, pause=0.1)
    inner = descendants(command.pid)
    assert inner
    command.send_signal(signal.SIGINT)
    printed = command.communicate(timeout=60)[1]
    assert command.returncode == 130, printed
    assert b"Traceback" not in printed
    assert list(work.iterdir()) == []
    assert list(temporary.iterdir()) == []
    wait_until(lambda: not any(map(runs, inner)), "its processes end", patience=20, pause=0.1)


def test_film_survives_the_loss_of_a_worker(cluster: Connected, small_capture: Capture, tmp_path: Path):
    record(default_scene(), small_capture, tmp_path / "alone.gif", **FILM)
    victim = worker_ids(cluster)[0]

    def kill_once(done: int, _total: int) -> None:
        if done == 1:
            os.kill(victim, signal.SIGKILL)

    record(
        default_scene(), small_capture, tmp_path / "spread.gif", draws=drawing_on(cluster), progress=kill_once, **FILM
    )
    assert (tmp_path / "spread.gif").read_bytes() == (tmp_path / "alone.gif").read_bytes()
    assert victim not in worker_ids(cluster)


def test_film_without_any_worker_is_refused(cluster: Connected, small_capture: Capture, tmp_path: Path):
    for worker in worker_ids(cluster):
        os.kill(worker, signal.SIGKILL)
    with pytest.raises(UserError, match=r"All workers of the cluster .* have ended"):
        record(default_scene(), small_capture, tmp_path / "x.mp4", draws=drawing_on(cluster), **FILM)
    assert list(tmp_path.iterdir()) == []
