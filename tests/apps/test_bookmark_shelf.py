"""Bookmarks of the window in the user's file: other windows have them, and what cannot be kept is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.apps import bookmark_shelf
from nnviz3d.apps.bookmark_shelf import BookmarkShelf, identity, state_file
from nnviz3d.apps.session import Session
from nnviz3d.apps.window.controls import Controls
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.apps.test_brush import press
from tests.apps.test_window_status import Camera
from tests.support.window_status import status_lines

POSE = CameraPose((1 / 3, 2.0, 30.0), (0.1, 1.0, 0.0))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "nnviz3d" / "bookmarks.json"


def opened(capture) -> Controls:
    return Controls(Session(Scene.build(default_scene(), capture), Camera()), save=str, write=str, printed=print)


def test_bookmark_is_there_in_the_next_window_of_the_network_and_in_no_other(small_capture, long_capture):
    window = opened(small_capture)
    window._session.select(layer="dense")
    window._look(POSE)
    press(window, "v")
    assert status_lines(window) == ("bookmark 1: Activations · sample 0 · dense · V: next bookmark",)
    press(other := opened(long_capture), "V")
    assert status_lines(other) == ("There is no bookmark; v keeps this view as one",)
    again = opened(small_capture)
    press(again, "V")
    assert status_lines(again) == ("bookmark 1 of 1: Activations · sample 0 · dense",)
    assert again._session.selection.layer == "dense"
    assert np.allclose(again._session.renderer.pose().position, POSE.position, atol=1e-5)
    press(again, "v")
    assert status_lines(again) == ("removed the bookmark: Activations · sample 0 · dense",)
    press(last := opened(small_capture), "V")
    assert status_lines(last) == ("There is no bookmark; v keeps this view as one",)


KEEPER = """
import sys
from nnviz3d.apps.bookmark_shelf import BookmarkShelf, state_file
shelf = BookmarkShelf("net", state_file())
print("ready", flush=True)
sys.stdin.readline()
for k in range(20):
    shelf.put(f"{sys.argv[1]} {k}", f"bookmark {k}")
    if k % 2:
        shelf.put(f"{sys.argv[1]} {k}", None)
"""


def test_windows_that_keep_bookmarks_at_the_same_time_lose_none(state):
    windows = [
        subprocess.Popen(
            [sys.executable, "-c", KEEPER, str(w)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for w in range(4)
    ]
    for window in windows:
        assert window.stdout.readline() == "ready\n"
    for window in windows:
        window.stdin.write("\n")
        window.stdin.flush()
    for window in windows:
        window.communicate()
        assert window.returncode == 0
    kept = [view for _, view in BookmarkShelf("net", state).read()]
    assert sorted(kept) == sorted(f"{w} {k}" for w in range(4) for k in range(0, 20, 2))


def test_refused_bookmark_leaves_the_file_free_for_the_next_one(state, monkeypatch):
    shelf = BookmarkShelf("net", state)
    with monkeypatch.context() as small:
        small.setattr(bookmark_shelf, "_LARGEST", 8)
        with pytest.raises(UserError, match="is full"):
            shelf.put("view", "name")
    shelf.put("view", "name")
    assert shelf.read() == [("name", "view")]


def test_bookmark_that_does_not_fit_is_told_and_can_be_removed(small_capture, state):
    state.parent.mkdir(parents=True)
    of = identity(opened(small_capture)._session)
    state.write_text(json.dumps([{"name": "other data", "view": "1~s900", "of": of}]))
    window = opened(small_capture)
    press(window, "V")
    assert status_lines(window)[0].startswith(
        "bookmark 1 of 1 does not fit, and v removes it: sample: there is no sample 900"
    )
    press(window, "v")
    assert status_lines(window) == ("removed the bookmark: other data",)
    assert json.loads(state.read_text()) == []
    press(window, "v")
    assert status_lines(window)[0].startswith("bookmark 1: ")


def test_bookmark_that_does_not_fit_is_removed_also_where_the_view_has_a_bookmark(small_capture, state):
    window = opened(small_capture)
    press(window, "v")
    kept = json.loads(state.read_text())
    state.write_text(json.dumps([*kept, {**kept[0], "name": "other data", "view": "1~s900"}]))
    window = opened(small_capture)
    press(window, "V")
    press(window, "V")
    assert status_lines(window)[0].startswith("bookmark 2 of 2 does not fit, and v removes it")
    press(window, "v")
    assert status_lines(window) == ("removed the bookmark: other data",)
    assert json.loads(state.read_text()) == kept
    press(window, "v")
    assert json.loads(state.read_text()) == []


def test_file_never_grows_larger_than_it_may_be_when_it_is_read(small_capture, state, monkeypatch):
    window = opened(small_capture)
    press(window, "v")
    content = state.read_bytes()
    monkeypatch.setattr(bookmark_shelf, "_LARGEST", len(content))
    window._session.select(layer="dense")
    press(window, "v")
    assert status_lines(window)[0].endswith(f"{state} is full; remove bookmarks of this or other networks.")
    assert state.read_bytes() == content
    window._session.select(layer=None)
    press(window, "v")
    assert json.loads(state.read_text()) == []


@pytest.mark.parametrize("content", [b"\xff\x00", b"{}[", b'{"name": 1}', b'[{"name": "a"}]', b"[" * 10**5])
def test_strange_file_stays_as_it_is_and_bookmarks_last_as_long_as_the_window(small_capture, state, content):
    state.parent.mkdir(parents=True)
    state.write_bytes(content)
    window = opened(small_capture)
    press(window, "V")
    reason = f"{state} holds something else than bookmarks; move it away."
    assert status_lines(window) == (f"There is no bookmark; v keeps this view as one · {reason}",)
    press(window, "v")
    assert status_lines(window)[0].endswith(f"V: next bookmark · only until the window closes: {reason}")
    press(window, "V")
    assert status_lines(window) == ("bookmark 1 of 1: Activations · sample 0",)
    assert state.read_bytes() == content


def test_folder_that_cannot_be_made_is_told_in_one_sentence(small_capture, tmp_path, state):
    (tmp_path / "state").write_text("a file")
    window = opened(small_capture)
    press(window, "v")
    assert "only until the window closes" in status_lines(window)[0]
    assert str(state) in status_lines(window)[0]


def test_folder_is_the_home_folder_unless_an_absolute_one_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for relative in ("", "state"):
        monkeypatch.setenv("XDG_STATE_HOME", relative)
        assert state_file() == tmp_path / ".local" / "state" / "nnviz3d" / "bookmarks.json"
    monkeypatch.setattr(os.path, "expanduser", lambda name: name)
    assert not state_file().is_absolute()
