"""Test of the example that goes on with PyVista."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.examples.programs import EXAMPLES, run

pytestmark = pytest.mark.slow


def test_picture_shows_the_surface_in_the_layer(tmp_path: Path):
    done = run(EXAMPLES / "pyvista_contours.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("conv2d: 21,632 numbers; ")
    assert last == "Wrote pyvista.png"
    pixels = np.asarray(Image.open(tmp_path / "pyvista.png").convert("RGB")).astype(int)
    red, green, blue = pixels.reshape(-1, 3).T
    surface = (red > 150) & (green > 0.55 * red) & (green < 0.85 * red) & (blue < 0.55 * red)
    assert surface.sum() > 1500
