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
_PLAIN = 16
"""Most points of a connection that is one curve; others go around blocks, so all their points matter."""

# Much shorter than VTK's own shader for lines, because software rasterizers run it for every pixel.
_SHADER = """//VTK::System::Dec
//VTK::Output::Dec
//VTK::CustomUniforms::Dec
in vec4 vertexColorVSOutput;
void main()
{
  gl_FragData[0] = vec4(vertexColorVSOutput.rgb, vertexColorVSOutput.a * lineOpacity);
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
        self._many: tuple[NDArray[np.float32], NDArray[np.float32], float] | None = None

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
        self._bend()

    def look_from(self, eye: Sequence[float], pixel: float, *, moving: bool) -> None:
        """Draw very many connections with fewer straight pieces each while the picture moves.

        Parameters
        ----------
        eye
            World coordinates of the camera.
        pixel
            World size of a pixel at distance 1.
        """
        bends = 0
        if moving and self._many is not None:
            low, high, length = self._many
            away = float(np.linalg.norm(np.maximum(0, np.maximum(low - eye, eye - high))))
            bends = 2 if length < _SHORT * pixel * away else _BENDS
        if bends != self._bends:
            self._bends = bends
            self._bend()

    def _bend(self) -> None:
        for drawn in self.runs:
            drawn.bend(self._bends)

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
        self._lines: Sequence[Lines] = ()
        self._bends = 0
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
        shader.SetFragmentShaderCode(_SHADER)
        self._uniforms = shader.GetFragmentCustomUniforms()
        renderer.AddActor(self.actor)

    def update(self, lines: Sequence[Lines], scale: float) -> None:
        """Show these lines, of one width and opacity, instead of the earlier ones."""
        before, self._lines = self._lines, lines
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

    def bend(self, most: int) -> None:
        """Draw each curve through at most so many of its points, its ends among them; through all of them if it is 0."""
        if most != self._bends:
            self._bends = most
            data = self.mapper.GetInput()
            data.SetLines(self._cells())
            data.Modified()

    def _cells(self) -> vtkCellArray:
        """Return the lines as indices of their points."""
        lengths = np.concatenate([np.full(len(p.points), p.points.shape[1], dtype=np.int64) for p in self._lines])
        starts = np.cumsum(lengths) - lengths
        curve = np.concatenate([np.full(len(p.points), _is_curve(p)) for p in self._lines])
        kept = np.where(curve, np.minimum(lengths, self._bends or lengths.max()), lengths)
        ends = np.cumsum(kept)
        line = np.repeat(np.arange(len(kept)), kept)
        place = np.arange(ends[-1]) - np.repeat(ends - kept, kept)
        # Evenly along each line, from its first point to its last one.
        step = (lengths - 1) / np.maximum(kept - 1, 1)
        indices = starts[line] + np.rint(place * step[line]).astype(np.int64)
        cells = vtkCellArray()
        offsets = numpy_to_vtkIdTypeArray(np.concatenate([[0], ends]), deep=True)
        cells.SetData(offsets, numpy_to_vtkIdTypeArray(indices, deep=True))
        return cells

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
        data.SetLines(self._cells())
        data.GetPointData().SetScalars(numpy_to_vtk(self._colors))
        self.mapper.SetInputData(data)


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
