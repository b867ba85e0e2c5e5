"""Tests of the README: its pictures and links exist, and its commands use options that the commands have."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from tests.support.command_line import run

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = (REPOSITORY / "README.md").read_text(encoding="utf-8")
WITH_COMMANDS = TEXT + "".join(
    (REPOSITORY / "docs" / name).read_text(encoding="utf-8") for name in ("anywhere.md", "export.md")
)


def commands() -> list[list[str]]:
    """Return the words after ``nnviz3d`` of each command in a code block or in a line of the text."""
    blocks = re.findall(r"```sh\n(.*?)```", WITH_COMMANDS, flags=re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [part for line in lines for part in line.split("&&") if "nnviz3d " in part]
    found += re.findall(r"`(nnviz3d [^`]+)`", WITH_COMMANDS.replace("\n", " "))
    return [shlex.split(part.partition("nnviz3d ")[2]) for part in found]


@cache
def help_of(command: str) -> str:
    return run(command, "--help", cwd=REPOSITORY).stdout


def test_commands_are_found():
    assert {words[0] for words in commands()} >= {"serve", "show", "snapshot", "record", "capture", "inspect"}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_options_of_a_command_are_in_its_help(words: list[str]):
    options = [word for word in words if re.fullmatch(r"--?[a-z-]+", word) and word != "--help"]
    missing = [option for option in options if not re.search(rf"{option}\b", help_of(words[0]))]
    assert missing == []


def test_pictures_and_linked_files_exist():
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert len(targets) > 20
    assert [target for target in targets if not (REPOSITORY / target).exists()] == []
