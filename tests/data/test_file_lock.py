"""The lock around the reading and writing of a small file: one program at a time, and none after its end."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nnviz3d.data.files.file_lock import locked
from nnviz3d.errors import UserError

HOLDER = """
import sys
from pathlib import Path
from nnviz3d.data.files.file_lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.json"


def holder(path: Path) -> subprocess.Popen:
    """Start a program that holds the lock until its input ends."""
    found = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert found.stdout is not None
    assert found.stdout.readline() == "held\n"
    return found


def test_lock_of_another_program_is_waited_for_and_named_if_it_is_not_released(path):
    other = holder(path)
    with (
        pytest.raises(UserError, match=r"some\.json is being written by another program; try again"),
        locked(path, 0.05),
    ):
        raise AssertionError
    threading.Timer(0.05, other.stdin.close).start()
    with locked(path, 60):
        assert not path.exists(), "the file itself is not made"
    assert other.wait() == 0


def test_lock_of_a_killed_program_is_free_at_once(path):
    other = holder(path)
    other.kill()
    other.wait()
    with locked(path, 0):
        pass


def test_lock_is_free_after_an_error_and_for_the_next_program(path):
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    with locked(path, 0):
        pass
    other = holder(path)
    other.communicate("")
    assert other.returncode == 0


def test_second_lock_in_one_program_waits_too(path):
    with locked(path), pytest.raises(UserError), locked(path, 0):
        raise AssertionError


def test_file_system_without_locks_locks_nothing_and_other_errors_are_raised(path, monkeypatch):
    def refuse(number):
        def call(*_):
            raise OSError(number, "refused")

        monkeypatch.setattr(fcntl, "flock", call)

    refuse(errno.ENOLCK)
    with locked(path, 0):
        pass
    refuse(errno.EIO)
    with pytest.raises(OSError, match="refused"), locked(path, 0):
        raise AssertionError


def test_missing_folder_is_an_error_of_the_system(path):
    with pytest.raises(FileNotFoundError), locked(path.parent / "no" / "some.json"):
        raise AssertionError
