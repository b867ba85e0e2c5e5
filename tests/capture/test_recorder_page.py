"""Tests of the page that shows a training while it is recorded."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
import pytest

from nnviz3d import TrainingRecorder, read_scene
from nnviz3d.api.viewer import Viewer
from nnviz3d.data.capture import open_capture
from tests.capture.test_recorder import build, compiled, fit, numbers
from tests.support import waiting

pytestmark = pytest.mark.slow

wait_until = partial(waiting.wait_until, patience=60.0, pause=0.05)


def answers(url: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", urlsplit(url).port)) == 0


def test_training_gives_the_same_weights_while_a_viewer_shows_it(tmp_path, capfd):
    plain = compiled(build(built=False))
    fit(plain)
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=2)
    viewer = recorder.show(open=False, port=0)
    assert recorder.show() is viewer
    assert not viewer.running, "there is nothing to be looked at yet"
    watched = compiled(build(built=False))
    fit(watched, [recorder])
    for mine, theirs in zip(numbers(plain), numbers(watched), strict=True):
        assert np.array_equal(mine, theirs)
    assert viewer.running
    url = wait_until(lambda: viewer.url, "it answers")
    with urlopen(url) as page:
        assert page.status == 200
    assert wait_until(lambda: capfd.readouterr().out, "the address is printed").strip() == url
    viewer.close()
    assert not viewer.running
    assert not answers(url)
    with contextlib.closing(recorder.show(open=False, port=0)) as another:
        assert another.running, "it can be opened again"
    assert len(open_capture(tmp_path / "run.zarr").training) == 6


def test_error_of_the_viewer_is_printed_and_the_training_continues(tmp_path, capfd):
    recorder = TrainingRecorder(tmp_path / "run.zarr", every=10)
    viewer = recorder.show(scene="nothing", open=False)
    fit(compiled(build()), [recorder])
    viewer.wait()
    said = capfd.readouterr().err
    assert "nnviz3d: There is no 'nothing': neither a file nor one of the bundled scenes" in said
    assert "Traceback" not in said
    assert viewer.url == ""
    viewer.close()
    assert len(open_capture(tmp_path / "run.zarr").training) == 2


@pytest.mark.parametrize("closed", [False, True])
def test_viewer_does_not_open_before_the_first_step(closed):
    ends = []
    viewer = Viewer("serve", ["nothing.zarr"], on_close=lambda: ends.append("closed"), in_background=True)
    if closed:
        viewer.close()
        viewer.start()
        viewer.close()
    viewer.wait()
    assert not viewer.running
    assert viewer.closed == closed
    assert ends == ["closed"] * closed
    viewer.close()


def test_recorder_shows_the_training_by_a_scene_made_in_python(tmp_path):
    recorder = TrainingRecorder(tmp_path / "run.zarr")
    viewer = recorder.show(
        scene=read_scene({"title": "My training", "views": [{"kind": "training"}]}), open=False, port=0
    )
    fit(compiled(build()), [recorder])
    with urlopen(wait_until(lambda: viewer.url, "it answers")) as page:
        assert page.status == 200
    viewer.close()
