"""Fixtures that draw pictures off screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList

SIZE = (240, 180)
Shoot = Callable[[DrawList, CameraPose], np.ndarray]


@pytest.fixture(scope="session")
def studio() -> Iterator[Offscreen]:
    """One off-screen renderer for all pictures of `SIZE`, so that each test also checks that it removed the last scene."""
    studio = Offscreen(SIZE, antialias=False)
    yield studio
    studio.close()


@pytest.fixture
def shoot(studio: Offscreen) -> Shoot:
    """Return a function that draws a draw list from a pose: ``(H, W, 3)`` uint8."""
    return studio.picture
