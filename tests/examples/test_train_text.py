"""Test of the example that trains a transformer on sentences: the order of the words decides its answer."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from nnviz3d.data.capture import open_capture
from tests.examples.programs import EXAMPLES, run

PRAISE, COMPLAINT = "that film was never dull", "the ending was not very good"

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the folder with the files of the example, and the last lines of its output."""
    folder = tmp_path_factory.mktemp("text")
    done = run(EXAMPLES / "train_text.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout.splitlines()[-4:]


def test_network_learns_and_the_next_commands_are_said(trained: tuple[Path, list[str]]):
    folder, (accuracy, *commands) = trained
    said = re.fullmatch(r"Accuracy on 500 other sentences: (\d+\.\d)%; 118,610 parameters", accuracy)
    assert said is not None
    assert float(said[1]) >= 95
    assert sorted(path.name for path in folder.iterdir()) == ["text.keras", "text.txt"]
    words = [shlex.split(command.partition(": nnviz3d ")[2]) for command in commands]
    assert [line[0] for line in words] == ["serve", "snapshot", "snapshot"]
    done = run("-m", "nnviz3d", *words[1], "--size", "640x360", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "text.png").is_file()


def test_order_of_two_clauses_decides_the_answer(trained: tuple[Path, list[str]]):
    folder, _ = trained
    sentences = [f"{PRAISE} but {COMPLAINT}", f"{COMPLAINT} but {PRAISE}", f"{PRAISE} although {COMPLAINT}", PRAISE]
    inputs = [word for sentence in sentences for word in ("--input", sentence)]
    done = run("-m", "nnviz3d", "capture", "text.keras", "--classes", "text.txt", *inputs, "-o", "run.zarr", cwd=folder)
    assert done.returncode == 0, done.stderr
    capture = open_capture(folder / "run.zarr")
    answers = [capture.classes[k] for k in capture.activations("sentiment").values.argmax(axis=1)]
    assert answers == ["negative", "positive", "positive", "positive"]
    for sample, sentence in enumerate(sentences):
        words = sentence.split()
        assert capture.tokens(sample) == (*words, *[""] * (12 - len(words)))
