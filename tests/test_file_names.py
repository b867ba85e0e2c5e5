"""Tests of files whose names are not UTF-8: they open like others, and their names can be printed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.data.json_lines import read_event, read_invitation, read_request, to_line
from nnviz3d.data.request import CaptureRequest, Invitation, Notice
from nnviz3d.data.sample_sources import expand

pytestmark = pytest.mark.slow

MODEL, PICTURE, CAPTURE = (os.fsdecode(name) for name in (b"m\xff.keras", b"x\xfe.png", b"r\xfd.zarr"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("names")
    try:
        shutil.copy(bundled("digits.keras"), found / MODEL)
    except OSError:
        pytest.skip("This file system takes names in UTF-8 only.")
    pixels = np.random.default_rng(0).integers(0, 255, (28, 28), np.uint8)
    with (found / PICTURE).open("wb") as file:
        Image.fromarray(pixels).save(file, "PNG")
    return found


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "nnviz3d", *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=300,
        env={**os.environ, **environment},
    )


def test_messages_carry_any_file_name():
    request = CaptureRequest(model=MODEL, inputs=(PICTURE, "grün.png"), out=Path(CAPTURE), classes=Path(PICTURE))
    assert read_request(to_line(request)) == request
    invitation = Invitation(port=1, token="t", request=request, samples=((PICTURE, PICTURE),))
    assert read_invitation(to_line(invitation)) == invitation
    notice = Notice(text=f"{PICTURE} was cropped.\n")
    assert read_event(to_line(notice)) == notice
    assert to_line(notice).isascii()
    assert "\n" not in to_line(notice)


@pytest.mark.parametrize("line", ["hello", "{}", "[" * 100_000, "\x00", '{"event": "finished"}', "1" * 10_000])
def test_invalid_message_lines_are_refused(line: str):
    for read in (read_request, read_event, read_invitation):
        with pytest.raises(ValueError):  # noqa: PT011 - any kind of ValueError is right
            read(line)


def test_samples_get_readable_names_and_keep_their_sources(folder: Path):
    (found,) = expand((str(folder / PICTURE),))
    assert (found.name, found.source) == (r"x\udcfe.png", str(folder / PICTURE))


@pytest.mark.tensorflow
def test_inspect_opens_a_model_whose_name_is_not_utf_8(folder: Path):
    done = run(folder, "inspect", "--json", MODEL, "--input", PICTURE)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["nodes"]) == 9  # JSON is UTF-8


@pytest.mark.tensorflow
def test_capture_and_snapshot_take_files_whose_names_are_not_utf_8(folder: Path):
    done = run(folder, "capture", MODEL, "--input", PICTURE, "-o", CAPTURE)
    assert done.returncode == 0, done.stderr
    provenance = open_capture(folder / CAPTURE).provenance
    assert (provenance.model, provenance.samples) == (r"m\udcff.keras", (r"x\udcfe.png",))
    done = run(folder, "snapshot", CAPTURE, "-o", PICTURE.replace("x", "drawn"), "--size", "320x200")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (folder / PICTURE.replace("x", "drawn")).exists()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("name", [os.fsdecode(b"no\xff.keras"), "猫.keras"])
def test_sentences_about_any_file_name_are_printed(folder: Path, name: str, encoding: str):
    done = run(folder, "inspect", name, PYTHONIOENCODING=encoding)
    assert done.returncode == 2
    assert done.stderr.startswith(b"nnviz3d: There is no model at ")
    assert done.stderr.count(b"\n") == 1


def test_tables_are_printed_in_encodings_without_some_letters(folder: Path):
    assert run(folder, "inspect", "digits", PYTHONIOENCODING="ascii").returncode == 0
