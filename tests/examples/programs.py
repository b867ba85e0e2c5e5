"""Helpers that run the examples in processes of their own, and read their pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from nnviz3d.data.capture import Capture
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import SceneSpec
from tests.support.pinhole import to_pixels

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


class Picture:
    """A picture that a program wrote, and the rectangles of the blocks of its scene."""

    def __init__(self, path: Path, spec: SceneSpec, capture: Capture) -> None:
        self.pixels = np.asarray(Image.open(path)).astype(int)
        height, width = self.pixels.shape[:2]
        self._size = (width, height)
        self._scene = Scene.build(spec, capture, aspect=width / height)
        self._pose = self._scene.camera(self._scene.duration, aspect=width / height)

    def part(self, node: str) -> np.ndarray:
        """Return the pixels of the rectangle around a block, ``(H, W, 3)``."""
        columns, rows = to_pixels(self._scene.context.plan.corners([node]), self._pose, self._size).T
        return self.pixels[int(rows.min()) : int(rows.max()) + 1, int(columns.min()) : int(columns.max()) + 1]


def hot(pixels: np.ndarray) -> float:
    """Return the share of pixels from orange to yellow, the colours of large numbers."""
    r, g, b = (pixels[..., k] for k in range(3))
    return float(((r > 180) & (r > b + 60) & (g > b)).mean())


def cold(pixels: np.ndarray) -> float:
    """Return the share of blue pixels, the colour of negative numbers."""
    r, g, b = (pixels[..., k] for k in range(3))
    return float(((b > 120) & (b > r + 40) & (b > g)).mean())
