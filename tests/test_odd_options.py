"""Unusual option values and unwritable output are refused in one sentence each."""

import os
import subprocess
import sys

import pytest

from nnviz3d.apps.target import parse_size
from nnviz3d.apps.web.ports import choose_port
from nnviz3d.data.json_lines import invitation_in
from nnviz3d.errors import UserError
from nnviz3d.options import Model

DIGITS = "9" * 5000


@pytest.mark.parametrize("size", [f"{DIGITS}x64", f"64x{DIGITS}", "0x0"])
def test_size_of_any_length_is_refused_as_out_of_range(size):
    with pytest.raises(UserError, match="width and height are 64 to 8192 pixels"):
        parse_size(size)


@pytest.mark.parametrize("host", ["", "[]", "a..b", "a" * 5000])
def test_host_that_is_no_name_is_one_sentence(host):
    with pytest.raises(UserError, match=r"--host is empty|There is no host"):
        choose_port(host, 0)


@pytest.mark.parametrize("text", [None, "", "nonsense", "{}", "[" * 100_000])
def test_live_file_that_names_no_program_is_one_sentence(tmp_path, text):
    if text is not None:
        (tmp_path / "live.json").write_text(text)
    with pytest.raises(UserError, match="names no running program"):
        invitation_in(tmp_path / "live.json")


def test_live_file_that_is_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "live.json")
    with pytest.raises(UserError, match="is a device or a pipe"):
        invitation_in(tmp_path / "live.json")


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_limit_that_is_no_number_of_gigabytes_is_one_sentence(limit):
    with pytest.raises(UserError, match="--limit is a number of gigabytes"):
        Model(limit=limit).options()


def run(*arguments, stdout):
    return subprocess.run(
        [sys.executable, "-m", "nnviz3d", *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_output_to_a_full_device_is_one_sentence(arguments):
    with open("/dev/full", "w") as full:
        done = run(*arguments, stdout=full)
    assert (done.returncode, done.stderr) == (2, "nnviz3d: The output cannot be written: No space left on device.\n")


def test_infinite_time_is_one_sentence(tmp_path):
    done = run("snapshot", "-o", str(tmp_path / "x.png"), "--at", "inf", stdout=subprocess.DEVNULL)
    assert done.returncode == 2
    assert done.stderr.startswith("nnviz3d: --at is a time in seconds")
