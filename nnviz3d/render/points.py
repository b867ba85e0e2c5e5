"""VTK actor for `Points`: opaque lit balls, each drawn by a shader on a square of pixels that faces the camera.

The squares of a small cloud are meshes. A large cloud is one vertex a point, read from the arrays of `Points` without a
copy, and the rasterizer makes the squares.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkDataObject, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer

from nnviz3d.render.drawers import cell_array
from nnviz3d.render.shader_texts import glsl
from nnviz3d.scene.primitives import Points

FEW = 20_000
"""Maximum number of points that are drawn as meshes."""
MOVING = 60_000
"""Maximum number of points of a cloud that are drawn while the picture moves."""
_SQUARE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32)
_VARYINGS = ("vec4 ballFill", "vec4 ballRing", "vec2 ballDepth", "vec2 ballFront", "float ballAhead")
_ATTRIBUTES = {"ballCorner": 3, "ballColor": 4, "ringColor": 4}
_PROGRAM_POINT_SIZE = 0x8642
"""OpenGL's constant: shaders choose the size of each point."""


class PointsActor:
    """Draws `Points`; of a large cloud fewer points on request, always the same ones."""

    def __init__(self, renderer: vtkRenderer, cloud: Points, scale: float) -> None:
        self._renderer = renderer
        self._whole: _Squares | _Vertices | None = None
        self._part: _Vertices | None = None
        self._partial = False
        self._chosen_of = 0
        self._chosen: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._moving = False
        self._cloud: Points | None = None
        self.update(cloud, scale)

    def update(self, cloud: Points, scale: float) -> None:
        """Show these points instead of the earlier ones."""
        self._scale = scale
        if self._cloud is cloud:
            return
        self._cloud = cloud
        kind = _Squares if len(cloud.points) <= FEW else _Vertices
        if not isinstance(self._whole, kind):
            if self._whole is not None:
                self._whole.remove()
            self._whole = kind(self._renderer)
        self._whole.update(cloud)
        self._partial = False
        self._show(len(cloud.points))

    def look(self, *, moving: bool) -> tuple[int, int]:
        """Prepare the next frame of a picture that moves or not; return the number of drawn points, and of all."""
        if self._cloud is None or not len(self._cloud.points):
            return 0, 0
        count = len(self._cloud.points)
        if moving != self._moving:
            self._moving = moving
            self._show(count)
        self._set_uniforms(self._cloud)
        return min(count, MOVING) if moving else count, count

    def remove(self) -> None:
        """Remove the points from the picture."""
        for drawn in (self._whole, self._part):
            if drawn is not None:
                drawn.remove()

    def _show(self, count: int) -> None:
        """Show all points or, while the picture moves, as many as can be drawn in time."""
        fewer = self._moving and count > MOVING
        if fewer and not self._partial and self._cloud is not None:
            if self._part is None:
                self._part = _Vertices(self._renderer)
            self._part.update(self._some(self._cloud))
            self._partial = True
        for drawn, wanted in ((self._whole, not fewer), (self._part, fewer)):
            if drawn is not None:
                drawn.actor.SetVisibility(wanted and count > 0)

    def _some(self, cloud: Points) -> Points:
        """Return the points that are drawn while the picture moves."""
        if self._chosen_of != len(cloud.points):
            self._chosen_of = len(cloud.points)
            self._chosen = np.sort(np.random.default_rng(0).choice(self._chosen_of, MOVING, replace=False))
        some = self._chosen
        rings = None if cloud.rings is None else cloud.rings[some]
        return replace(
            cloud, points=cloud.points[some], colors=cloud.colors[some], sizes=cloud.sizes[some], rings=rings
        )

    def _set_uniforms(self, cloud: Points) -> None:
        """Set the shaders' uniforms for the size of a pixel and for the range of distances of the points."""
        camera = self._renderer.GetActiveCamera()
        direction = np.array(camera.GetDirectionOfProjection())
        ahead = cloud.points @ direction.astype(np.float32)
        start = float(direction @ np.array(camera.GetPosition()))
        size = self._renderer.GetRenderWindow().GetSize()
        for drawn in (self._whole, self._part):
            if drawn is not None and drawn.actor.GetVisibility():
                vertex, fragment = drawn.uniforms
                vertex.SetUniform2f("pixelShare", [self._scale / length for length in size])
                vertex.SetUniformf("nearestBall", float(ahead.min()) - start)
                vertex.SetUniformf("farthestBall", float(ahead.max()) - start)
                fragment.SetUniformf("farthestHaze", cloud.haze)
                fragment.SetUniform3f("groundColor", list(self._renderer.GetBackground()))
                drawn.look(self._scale, size)


class _Balls:
    """An actor whose shaders draw balls."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self._cloud: Points | None = None
        self._data = vtkPolyData()
        self._mapper = vtkPolyDataMapper()
        self._mapper.SetVBOShiftScaleMethod(0)  # the shader needs the vertices in world units
        self._mapper.ScalarVisibilityOff()
        self.actor = vtkActor()
        self.actor.SetMapper(self._mapper)
        self.actor.ForceOpaqueOn()
        self.actor.PickableOff()
        self.actor.GetProperty().LightingOff()
        shader = self.actor.GetShaderProperty()
        self.uniforms = shader.GetVertexCustomUniforms(), shader.GetFragmentCustomUniforms()
        renderer.AddActor(self.actor)

    def look(self, scale: float, size: tuple[int, int]) -> None:
        """Prepare the next frame."""

    def remove(self) -> None:
        self._renderer.RemoveActor(self.actor)

    def _attribute(self, name: str, values: NDArray[np.float32]) -> None:
        """Make an array of the vertices that VTK reads without a copy; the caller keeps it."""
        kept = numpy_to_vtk(values)
        kept.SetName(name)
        self._data.GetPointData().AddArray(kept)
        self._mapper.MapDataArrayToVertexAttribute(name, name, vtkDataObject.FIELD_ASSOCIATION_POINTS, -1)


class _Squares(_Balls):
    """Balls on squares. Arrays that changed are written into the same memory; others are not touched."""

    def __init__(self, renderer: vtkRenderer) -> None:
        super().__init__(renderer)
        shader = self.actor.GetShaderProperty()
        inputs = "".join(f"in vec{n} {name};\n" for name, n in _ATTRIBUTES.items())
        varyings = (*_VARYINGS, "vec2 ballPlace")
        out, into = ("".join(f"{way} {v};\n" for v in varyings) for way in ("out", "in"))
        tag = "//VTK::PositionVC::Dec"
        shader.AddVertexShaderReplacement(tag, True, f"{tag}\n{inputs}{out}", False)
        shader.AddVertexShaderReplacement("//VTK::PositionVC::Impl", True, glsl("points.vert.glsl"), False)
        shader.AddFragmentShaderReplacement(tag, True, f"{tag}\n{into}", False)
        shader.AddFragmentShaderReplacement("//VTK::Light::Impl", True, glsl("points.frag.glsl"), False)

    def update(self, cloud: Points) -> None:
        """Show these points instead of the earlier ones."""
        before, self._cloud = self._cloud, cloud
        if before is cloud:
            return
        if before is None or len(before.points) != len(cloud.points):
            self._make(len(cloud.points))
            before = None
        if before is None or before.points is not cloud.points:
            self._places[:] = cloud.points[:, np.newaxis]
            self._data.GetPoints().Modified()
        if before is None or before.sizes is not cloud.sizes:
            self._write("ballCorner", np.concatenate([self._corners, _each(cloud.sizes)], axis=2))
        if before is None or before.colors is not cloud.colors:
            self._write("ballColor", cloud.colors[:, np.newaxis])
        if before is None or before.rings is not cloud.rings:
            rings = np.zeros((len(cloud.points), 4), dtype=np.float32) if cloud.rings is None else cloud.rings
            self._write("ringColor", rings[:, np.newaxis])
        self._data.Modified()

    def _make(self, count: int) -> None:
        """Make the mesh for a number of points."""
        self._places = np.zeros((count, 4, 3), dtype=np.float32)
        self._corners = np.broadcast_to(_SQUARE, (count, 4, 2))
        self._arrays = {name: np.zeros((count, 4, n), dtype=np.float32) for name, n in _ATTRIBUTES.items()}
        self._data = vtkPolyData()
        points = vtkPoints()
        points.SetData(numpy_to_vtk(self._places.reshape(-1, 3)))
        self._data.SetPoints(points)
        self._data.SetPolys(cell_array(np.arange(count * 4).reshape(count, 4)))
        for name, array in self._arrays.items():
            self._attribute(name, array.reshape(count * 4, -1))
        self._mapper.SetInputData(self._data)

    def _write(self, name: str, values: NDArray[np.floating]) -> None:
        self._arrays[name][:] = values
        self._data.GetPointData().GetArray(name).Modified()


class _Vertices(_Balls):
    """Balls at vertices, whose squares the rasterizer makes."""

    def update(self, cloud: Points) -> None:
        """Show these points instead of the earlier ones."""
        before, self._cloud = self._cloud, cloud
        if before is cloud:
            return
        if before is None or len(before.points) != len(cloud.points) or (before.rings is None) != (cloud.rings is None):
            self._make(cloud)
            before = None
        # VTK reads these arrays themselves, so they are kept.
        self._kept = [
            np.ascontiguousarray(one, dtype=np.float32)
            for one in (cloud.points, cloud.sizes, cloud.colors, cloud.rings)
            if one is not None
        ]
        places = vtkPoints()
        places.SetData(numpy_to_vtk(self._kept[0]))
        self._data.SetPoints(places)
        for name, one in zip(("ballSize", "ballColor", "ringColor"), self._kept[1:], strict=False):
            self._attribute(name, one)
        self._data.Modified()

    def look(self, scale: float, size: tuple[int, int]) -> None:
        """Prepare the next frame."""
        self._renderer.GetRenderWindow().GetState().vtkglEnable(_PROGRAM_POINT_SIZE)
        self.uniforms[0].SetUniformf("ballScale", scale)
        self.uniforms[0].SetUniform2f("windowSize", [float(length) for length in size])

    def _make(self, cloud: Points) -> None:
        """Make the mesh and the shaders for a number of points with or without rings."""
        count, ringed = len(cloud.points), cloud.rings is not None
        self._data = vtkPolyData()
        all_of_them = vtkCellArray()
        offsets = numpy_to_vtkIdTypeArray(np.array([0, count]), deep=True)
        all_of_them.SetData(offsets, numpy_to_vtkIdTypeArray(np.arange(count), deep=True))
        self._data.SetVerts(all_of_them)
        self._mapper.SetInputData(self._data)
        varyings = (*_VARYINGS, "vec3 ballMiddle")
        out, into = ("".join(f"flat {way} {v};\n" for v in varyings) for way in ("out", "in"))
        shader = self.actor.GetShaderProperty()
        shader.SetVertexShaderCode(
            _VERTEX.format(
                out=out,
                input="in vec4 ringColor;" if ringed else "const vec4 ringColor = vec4(0.0);",
                body=glsl("points.vert.glsl"),
            )
        )
        shader.SetFragmentShaderCode(_FRAGMENT.format(into=into, body=glsl("points.frag.glsl")))


_VERTEX = """//VTK::System::Dec
//VTK::CustomUniforms::Dec
in vec4 vertexMC;
in float ballSize;
in vec4 ballColor;
{input}
uniform mat4 MCDCMatrix;
{out}
void main()
{{
  vec2 ballPlace;
  vec3 ballCorner = vec3(0.0, 0.0, ballSize);
{body}
  gl_PointSize = ballSize * ballScale;
  vec2 middle = gl_Position.xy / gl_Position.w;
  ballMiddle = vec3((middle * 0.5 + 0.5) * windowSize, 2.0 / gl_PointSize);
  // A vertex outside of the picture is not drawn: of a ball that reaches into it, a larger square begins at the border.
  vec2 border = clamp(middle, -1.0, 1.0);
  vec2 away = abs(middle - border) * 0.5 * windowSize;
  float farthest = max(away.x, away.y);
  if (gl_Position.w > 0.0 && farthest > 0.0 && farthest * 2.0 < gl_PointSize)
  {{
    gl_Position.xy = border * gl_Position.w;
    gl_PointSize += 2.0 * farthest;
  }}
}}
"""
# VTK declares the output `fragOutput0` if `gl_FragData[0]` is in the text.
_FRAGMENT = """//VTK::System::Dec
//VTK::Output::Dec
//VTK::CustomUniforms::Dec
{into}
void main()
{{
  gl_FragData[0] = vec4(0.0);
  vec2 ballPlace = (gl_FragCoord.xy - ballMiddle.xy) * ballMiddle.z;
{body}
}}
"""


def _each(sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat a number of each point, ``(n,)``, for its four corners: ``(n, 4, 1)``."""
    return np.broadcast_to(sizes[:, np.newaxis, np.newaxis], (len(sizes), 4, 1))
