"""VTK actor for `Surface`: an opaque mesh, lit from the upper left in front of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkRenderer

from nnviz3d.render.drawers import Mesh, mesh, rgba
from nnviz3d.scene.primitives import Surface

_LIGHT = np.array([-0.45, 0.75, 0.5]) / np.linalg.norm([-0.45, 0.75, 0.5])
"""Unit vector from the surface towards the light."""
_AMBIENT = 0.42
"""Brightness in full shade, relative to a part that faces the light."""


class SurfaceActor(Mesh):
    """Draws a `Surface`. Nothing is uploaded while its arrays stay the same."""

    def __init__(self, renderer: vtkRenderer, surface: Surface, scale: float) -> None:
        super().__init__(renderer)
        self.mapper.SetScalarModeToUsePointData()
        self.actor.ForceOpaqueOn()
        self._shape: tuple[object, ...] = (None, None, None)
        self._colors: object = None
        self.update(surface, scale)

    def update(self, surface: Surface, scale: float) -> None:
        """Show this surface instead of the earlier one."""
        shape = (surface.along, surface.across, surface.heights)
        same = all(a is b for a, b in zip(shape, self._shape, strict=True))
        if same and self._colors is surface.colors:
            return
        if not same:
            self.mapper.SetInputData(mesh(surface.points.reshape(-1, 3), surface.triangles, lines=False))
        lit = (surface.colors * shade(surface)[..., np.newaxis]).reshape(-1, 3)
        opaque = np.concatenate([lit, np.ones((len(lit), 1))], axis=1)
        self.mapper.GetInput().GetPointData().SetScalars(rgba(opaque))
        self._shape, self._colors = shape, surface.colors


def shade(surface: Surface) -> NDArray[np.float64]:
    """Return the brightness of the light at each grid point, ``(m, n)`` in [0, 1] (Lambert's cosine law)."""
    heights = np.where(np.isfinite(surface.heights), surface.heights, np.nan).astype(np.float64)
    across, along = surface.across.astype(np.float64), surface.along.astype(np.float64)
    slopes = np.gradient(heights, across, along) if min(heights.shape) > 1 else np.zeros((2, *heights.shape))
    slopes = np.nan_to_num(slopes)  # beside a hole the surface is lit as if it were flat
    normal = np.stack([-slopes[1], np.ones(heights.shape), -slopes[0]], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return np.asarray(_AMBIENT + (1 - _AMBIENT) * np.clip(normal @ _LIGHT, 0, 1))
