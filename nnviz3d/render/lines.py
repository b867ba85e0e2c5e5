"""VTK actors for all `Lines` of a picture and for the frames of all boxes: few draw calls, blended in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, zip_longest

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer

from nnviz3d.render.observers import observe
from nnviz3d.scene.primitives import Lines

_MANY = 60_000
"""Of more straight pieces in all lines of a picture, each connection has few of them while the picture moves."""
_BENDS = 4
"""Number of points of such a connection."""
_SHORT = 24.0
"""Length in pixels up to which most such connections are straight."""
MOVING = 12_000
"""Maximum number of connections that are drawn while the picture moves; of more, the strongest."""
_PLAIN = 16
"""Most points of a connection that is one curve; others go around blocks, so all their points matter."""

# Much shorter than VTK's own shaders for lines, because software rasterizers run them for every point and pixel. The colour
# is that of the line, so it is not interpolated.
_VERTEX = """//VTK::System::Dec
in vec4 vertexMC;
in vec4 scalarColor;
uniform mat4 MCDCMatrix;
flat out vec4 lineColor;
void main()
{
  lineColor = scalarColor;
  gl_Position = MCDCMatrix * vertexMC;
}
"""
_FRAGMENT = """//VTK::System::Dec
//VTK::Output::Dec
//VTK::CustomUniforms::Dec
flat in vec4 lineColor;
void main()
{
  gl_FragData[0] = vec4(lineColor.rgb, lineColor.a * lineOpacity);
}
"""


class LinesDrawing:
    """Draws all lines of a picture.

    Lines are blended in their order. Neighbours of the same width and opacity are one run, which is drawn by one call.

    Parameters
    ----------
    begin
        Called in each frame before the first line is drawn, when all that is opaque has been drawn; it is not called if
        no line is in the picture.
    """

    def __init__(self, renderer: vtkRenderer, begin: Callable[[], None]) -> None:
        self._renderer = renderer
        self._begin = begin
        self._lines: tuple[Lines, ...] = ()
        self._scale = 0.0
        self.runs: list[LineRun] = []
        self._bends = 0
        self._fewer = False
        self._many: tuple[NDArray[np.float32], NDArray[np.float32], float] | None = None
        self._count = 0

    def update(self, lines: Iterable[Lines], scale: float) -> None:
        """Show these lines instead of the earlier ones."""
        seen = tuple(p for p in lines if p.opacity > 0 and p.points.size)
        if scale == self._scale and len(seen) == len(self._lines) and all(map(_same, seen, self._lines)):
            return
        self._lines, self._scale = seen, scale
        runs = [tuple(run) for _, run in groupby(seen, key=lambda p: (p.width, p.opacity))]
        while len(self.runs) > len(runs):
            self.runs.pop().remove()
        while len(self.runs) < len(runs):
            self.runs.append(LineRun(self._renderer))
            if len(self.runs) == 1:
                observe(self.runs[0].mapper, "UpdateShaderEvent", lambda *_: self._begin())
        for drawn, run in zip(self.runs, runs, strict=True):
            drawn.update(run, scale)
        self._many = self._connections()
        self._count = sum(len(p.points) for p in seen if p.ends is not None)
        self._show()

    def look_from(self, eye: Sequence[float], pixel: float, *, moving: bool) -> tuple[int, int]:
        """Draw very many connections with fewer straight pieces each, and the strongest only, while the picture moves.

        Parameters
        ----------
        eye
            World coordinates of the camera.
        pixel
            World size of a pixel at distance 1.

        Returns
        -------
        drawn, count
            Number of drawn connections, and of all.
        """
        bends = 0
        if moving and self._many is not None:
            low, high, length = self._many
            away = float(np.linalg.norm(np.maximum(0, np.maximum(low - eye, eye - high))))
            bends = 2 if length < _SHORT * pixel * away else _BENDS
        fewer = moving and self._count > MOVING
        if (bends, fewer) != (self._bends, self._fewer):
            self._bends, self._fewer = bends, fewer
            self._show()
        return MOVING if fewer else self._count, self._count

    def _show(self) -> None:
        """Choose the points through which each line is drawn."""
        strong = self._strongest() if self._fewer else {}
        for run in self.runs:
            run.show([self._through(p, strong.get(id(p))) for p in run.lines])

    def _through(self, lines: Lines, strong: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        """Return which points of some lines are drawn, ``(n, p)``."""
        count, length, _ = lines.points.shape
        kept = np.ones((count, length), dtype=np.bool_)
        if self._bends and length > self._bends and _is_curve(lines):
            # Evenly along each line, from its first point to its last one.
            kept[:] = False
            kept[:, np.rint(np.linspace(0, length - 1, self._bends)).astype(np.int64)] = True
        if strong is not None:
            kept &= strong[:, np.newaxis]
        return kept

    def _strongest(self) -> dict[int, NDArray[np.bool_]]:
        """Return which connections are drawn while the picture moves, the most opaque ones, by the id of their lines."""
        found = [p for p in self._lines if p.ends is not None]
        opacity = np.concatenate([p.colors[:, 3] * p.opacity for p in found])
        strong = np.zeros(len(opacity), dtype=np.bool_)
        strong[np.argsort(-opacity, kind="stable")[:MOVING]] = True
        ends = np.cumsum([len(p.points) for p in found])
        return {id(p): part for p, part in zip(found, np.split(strong, ends[:-1]), strict=True)}

    def _connections(self) -> tuple[NDArray[np.float32], NDArray[np.float32], float] | None:
        """Return the corners around all connections and their median length, if they have very many pieces."""
        curves = [p.points for p in self._lines if _is_curve(p)]
        if sum(p.shape[0] * (p.shape[1] - 1) for p in curves) <= _MANY:
            return None
        ends = np.concatenate([p[:, [0, -1]] for p in curves])
        length = float(np.median(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)))
        return ends.min(axis=(0, 1)), ends.max(axis=(0, 1)), length

    def remove(self) -> None:
        """Remove the lines from the picture."""
        self.update((), self._scale)


class LineRun:
    """Draws lines of one width and opacity. Arrays that changed are written into the same memory."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self.lines: Sequence[Lines] = ()
        self._drawn: list[NDArray[np.bool_]] = []
        self.mapper = vtkPolyDataMapper()
        self.mapper.SetColorModeToDirectScalars()
        # Each point has its line's colour, because VTK would look up a cell's colour again for every pixel.
        self.mapper.SetScalarModeToUsePointData()
        self.actor = vtkActor()
        self.actor.SetMapper(self.mapper)
        self.actor.ForceTranslucentOn()
        self.actor.PickableOff()
        self.actor.GetProperty().LightingOff()
        shader = self.actor.GetShaderProperty()
        shader.SetVertexShaderCode(_VERTEX)
        shader.SetFragmentShaderCode(_FRAGMENT)
        self._uniforms = shader.GetFragmentCustomUniforms()
        renderer.AddActor(self.actor)

    def update(self, lines: Sequence[Lines], scale: float) -> None:
        """Show these lines, of one width and opacity, instead of the earlier ones."""
        before, self.lines = self.lines, lines
        self.actor.GetProperty().SetLineWidth(lines[0].width * scale)
        self._uniforms.SetUniformf("lineOpacity", lines[0].opacity)
        if [p.points.shape for p in before] != [p.points.shape for p in lines]:
            self._make(lines)
            before = ()
        moved = colored = False
        end = 0
        for old, new in zip_longest(before, lines):
            n, p, _ = new.points.shape
            start, end = end, end + n * p
            if old is None or old.points is not new.points:
                self._points[start:end] = new.points.reshape(-1, 3)
                moved = True
            if old is None or old.colors is not new.colors:
                self._colors[start:end] = np.repeat(as_bytes(new.colors), p, axis=0)
                colored = True
        data = self.mapper.GetInput()
        if moved:
            data.GetPoints().GetData().Modified()
            data.GetPoints().Modified()
        if colored:
            data.GetPointData().GetScalars().Modified()
        if moved or colored:
            data.Modified()

    def show(self, drawn: Sequence[NDArray[np.bool_]]) -> None:
        """Draw each line through some of its points, ``(n, p)`` for each `Lines`; a line of fewer than two is left out."""
        if len(drawn) != len(self._drawn) or not all(map(np.array_equal, drawn, self._drawn)):
            self._drawn = list(drawn)
            data = self.mapper.GetInput()
            data.SetLines(_cells(drawn))
            data.Modified()

    def remove(self) -> None:
        """Remove the lines from the picture."""
        self._renderer.RemoveActor(self.actor)

    def _make(self, lines: Sequence[Lines]) -> None:
        """Make the mesh for lines of these shapes; VTK reads the arrays without a copy."""
        count = sum(p.points.shape[0] * p.points.shape[1] for p in lines)
        self._points = np.zeros((count, 3), dtype=np.float32)
        self._colors = np.zeros((count, 4), dtype=np.uint8)
        data = vtkPolyData()
        points = vtkPoints()
        points.SetData(numpy_to_vtk(self._points))
        data.SetPoints(points)
        self._drawn = []
        data.GetPointData().SetScalars(numpy_to_vtk(self._colors))
        self.mapper.SetInputData(data)


def _cells(drawn: Sequence[NDArray[np.bool_]]) -> vtkCellArray:
    """Return lines as indices of those of their points that are drawn."""
    kept = np.concatenate([which.sum(axis=1) for which in drawn])
    indices = np.flatnonzero(np.concatenate([which.ravel() for which in drawn]))
    if (kept == 1).any():
        indices, kept = indices[np.repeat(kept, kept) > 1], np.where(kept > 1, kept, 0)
    cells = vtkCellArray()
    offsets = numpy_to_vtkIdTypeArray(np.concatenate([[0], np.cumsum(kept[kept > 0])]).astype(np.int64), deep=True)
    cells.SetData(offsets, numpy_to_vtkIdTypeArray(indices, deep=True))
    return cells


def _is_curve(lines: Lines) -> bool:
    """Whether lines are connections, each of them one simple curve."""
    return lines.ends is not None and lines.points.shape[1] <= _PLAIN


def as_bytes(colors: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Convert colours in [0, 1] to bytes, any shape."""
    return np.ascontiguousarray(np.clip(colors, 0, 1) * 255 + 0.5, dtype=np.uint8)


def _same(some: Lines, other: Lines) -> bool:
    return some is other or (
        some.points is other.points
        and some.colors is other.colors
        and some.width == other.width
        and some.opacity == other.opacity
    )
