"""Requests to a training are good for some seconds, and anything else that lies there is no request."""

from __future__ import annotations

import pytest

from nnviz3d.data.training_control import LEASE, ControlFile, ControlRequest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "training").mkdir()
    return tmp_path


def test_request_is_read_until_it_is_too_old_unless_it_is_renewed(folder):
    now = (folder / "training").stat().st_mtime
    file = ControlFile(folder, clock=lambda: now)
    assert file.read() is None
    file.ask(ControlRequest(pause=True, steps=3))
    assert [path.name for path in (folder / "training").iterdir()] == ["control.json"]
    now = (folder / "training" / "control.json").stat().st_mtime
    assert file.read() == ControlRequest(pause=True, steps=3)
    now += LEASE + 1
    assert file.read() is None
    file.renew()
    now = (folder / "training" / "control.json").stat().st_mtime
    assert file.read() == ControlRequest(pause=True, steps=3)
    file.clear()
    file.clear()
    file.renew()
    assert file.read() is None


@pytest.mark.parametrize(
    "text", ["", "[]", '{"pause": 1e999}', '{"pause": true, "steps": -1}', "x" * 5000, '{"steps": 1}']
)
def test_anything_else_is_no_request(folder, text):
    (folder / "training" / "control.json").write_text(text)
    assert ControlFile(folder).read() is None


def test_a_capture_that_cannot_be_written_is_an_error_for_the_page_only(tmp_path):
    file = ControlFile(tmp_path)
    with pytest.raises(FileNotFoundError):
        file.ask(ControlRequest(pause=True))
    assert file.read() is None
    assert not list(tmp_path.iterdir())
