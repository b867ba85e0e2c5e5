"""Test of the example that trains a U-Net: its map has each shape where the photograph has it."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capture import open_capture
from tests.examples.programs import EXAMPLES, run

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


def test_network_learns_and_the_next_command_shows_its_map(tmp_path: Path):
    done = run(EXAMPLES / "train_segmentation.py", "--epochs", 12, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    reached, serve, snapshot = done.stdout.splitlines()[-3:]
    said = re.fullmatch(r"Intersection over union on 64 other pictures: (0\.\d\d); 120,852 parameters", reached)
    assert said is not None
    assert float(said[1]) >= 0.6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo.png", "shapes.txt", "unet.keras"]
    command, *words = shlex.split(snapshot.partition(": nnviz3d ")[2])
    assert (command, *words[:-2]) == ("snapshot", *shlex.split(serve.partition(": nnviz3d serve ")[2]))

    done = run("-m", "nnviz3d", "capture", *words[:-2], "-o", "run.zarr", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    capture = open_capture(tmp_path / "run.zarr")
    assert capture.classes == ("other", "triangle", "square", "circle")
    found = capture.activation("shapes").argmax(axis=-1)
    assert found.shape == (96, 96)
    photo = capture.picture("photo", 0)
    example = runpy.run_path(str(EXAMPLES / "train_segmentation.py"))
    photos, classes = example["pictures"](1000 + 64, np.random.default_rng(0))
    (same,) = np.flatnonzero(np.all(photos == photo, axis=(1, 2, 3)))
    assert same >= 1000, "it was not used for training"
    assert example["overlap"](found, classes[same]) > 0.5
