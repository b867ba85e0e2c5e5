"""A studio without a window."""

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
    """One studio for all pictures of `SIZE`: each test also finds that nothing of the last one is left."""
    studio = Offscreen(SIZE, antialias=False)
    yield studio
    studio.close()


@pytest.fixture
def shoot(studio: Offscreen) -> Shoot:
    """Draw a list from a pose: ``(H, W, 3)`` uint8."""
    return studio.picture
