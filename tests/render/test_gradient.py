"""Backgrounds that change their colour from the bottom to the top."""

from __future__ import annotations

from contextlib import closing

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
from vtkmodules.vtkRenderingCore import vtkRenderer

from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.colors import Color
from nnviz3d.scene.primitives import Box, DrawList

DARK, BLUE = (0.02, 0.025, 0.035), (0.055, 0.07, 0.10)
RED, GREEN = (0.4, 0.1, 0.0), (0.1, 0.9, 0.2)


def gradient_of_vtk(size: tuple[int, int], low: Color, high: Color) -> NDArray[np.uint8]:
    """Return a window's pixels, as VTK draws a gradient."""
    window, renderer = offscreen_window(size), vtkRenderer()
    window.SetMultiSamples(0)
    window.AddRenderer(renderer)
    renderer.SetBackground(*low)
    renderer.SetBackground2(*high)
    renderer.SetGradientBackground(True)
    window.Render()
    buffer = vtkUnsignedCharArray()
    window.GetPixelData(0, 0, size[0] - 1, size[1] - 1, 0, buffer, 0)
    found = vtk_to_numpy(buffer).reshape(size[1], size[0], 3)[::-1].copy()
    window.Finalize()
    return found


def test_every_frame_has_the_gradient_of_vtk_after_changes_of_size_colors_and_care() -> None:
    with closing(Renderer(offscreen_window((160, 90)))) as renderer:
        for size, low, high in (
            ((160, 90), DARK, BLUE),
            ((200, 131), DARK, BLUE),
            ((200, 131), RED, GREEN),
            ((64, 64), RED, GREEN),
        ):
            renderer.window.SetSize(*size)
            renderer.draw(DrawList((), background=(low, high)))
            expected = gradient_of_vtk(size, low, high)
            for careful in (True, True, False, True):
                renderer.careful = careful
                renderer.render()
                found = renderer.pixels()
                if careful:
                    assert np.array_equal(found, expected)
                else:
                    assert len(np.unique(found.reshape(-1, 3), axis=0)) == 1


def test_background_has_nothing_of_the_picture_before() -> None:
    size = (160, 90)
    box = Box("box", (-1.0, -1.0, -1.0), (2.0, 2.0, 2.0), (1.0, 1.0, 1.0), fill=1.0)
    with closing(Renderer(offscreen_window(size))) as renderer:
        renderer.draw(DrawList((box,), background=(DARK, BLUE)))
        renderer.renderer.ResetCamera()
        renderer.render()
        with_box = renderer.pixels()
        renderer.render()
        again = renderer.pixels()
        renderer.draw(DrawList((), background=(DARK, BLUE)))
        renderer.render()
        expected = gradient_of_vtk(size, DARK, BLUE)
        assert np.array_equal(with_box, again)
        assert (with_box != expected).any()
        assert np.array_equal(renderer.pixels(), expected)
