"""Processes end when their parent has ended."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading

import pytest

from nnviz3d.parent_process import MAIN_THREAD, PARENT, ProcessOutput, parent_variables

CHILD = """
import ctypes
from nnviz3d.parent_process import end_with_parent
end_with_parent()
print("ready", flush=True)
ctypes.PyDLL(None).sleep(60)  # no thread of Python can run meanwhile
"""
STARTS_IT = """
import os, subprocess, sys, time
from nnviz3d.parent_process import parent_variables
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, **parent_variables()})
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_a_process_in_the_middle_of_a_long_call_ends_with_its_killed_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTS_IT, CHILD], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    try:
        assert parent.stdout.readline() == b"ready\n"
    finally:
        parent.kill()
        parent.wait()
    # The output ends when the child, which has inherited it, has ended.
    readable, _, _ = select.select([parent.stdout], [], [], 30)
    assert readable
    assert parent.stdout.read() == b""
    parent.stdout.close()


def test_only_a_process_of_the_main_thread_ends_with_the_thread_that_started_it() -> None:
    own, found = str(os.getpid()), [parent_variables()]
    thread = threading.Thread(target=lambda: found.append(parent_variables()))
    thread.start()
    thread.join()
    assert found == [{PARENT: own, MAIN_THREAD: own}, {PARENT: own, MAIN_THREAD: ""}]


def test_output_is_closed_only_after_another_thread_has_read_its_end(monkeypatch) -> None:
    output = ProcessOutput()
    output.file.write(b"one line\nthe last line\n")
    closing = threading.Thread(target=output.close)
    file = output.file

    class ReadMeanwhile:
        closed = False

        def __getattr__(self, name):
            if name == "tell":
                closing.start()
                closing.join(0.2)
                assert not file.closed
            return getattr(file, name)

    monkeypatch.setattr(output, "file", ReadMeanwhile())
    assert output.last(14) == "It printed last:\nthe last line"
    closing.join(60)
    assert file.closed
    monkeypatch.undo()
    assert output.last(14) == ""
