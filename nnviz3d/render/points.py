"""VTK actor for `Points`: each is a square that faces the camera, on which a shader draws an opaque lit ball."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkDataObject, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer

from nnviz3d.render.drawers import cell_array
from nnviz3d.render.observers import observe
from nnviz3d.scene.primitives import Points

_SHADERS = files("nnviz3d.render") / "shaders"
_SQUARE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float32)
_VARYINGS = (
    "vec2 ballPlace",
    "vec4 ballFill",
    "vec4 ballRing",
    "vec2 ballDepth",
    "vec2 ballFront",
    "float ballAhead",
)
_ATTRIBUTES = {"ballCorner": 3, "ballColor": 4, "ringColor": 4}


class PointsActor:
    """Draws `Points`. Arrays that changed are written into the same memory; others are not touched."""

    def __init__(self, renderer: vtkRenderer, cloud: Points, scale: float) -> None:
        self._renderer = renderer
        self._cloud: Points | None = None
        self._mapper = vtkPolyDataMapper()
        self._mapper.SetVBOShiftScaleMethod(0)  # the shader needs the vertices in world units
        self.actor = vtkActor()
        self.actor.SetMapper(self._mapper)
        self.actor.ForceOpaqueOn()
        self.actor.PickableOff()
        self.actor.GetProperty().LightingOff()
        self._set_up_shader()
        for name in _ATTRIBUTES:
            self._mapper.MapDataArrayToVertexAttribute(name, name, vtkDataObject.FIELD_ASSOCIATION_POINTS, -1)
        self._watch = observe(renderer, "StartEvent", self._look)
        self.update(cloud, scale)
        renderer.AddActor(self.actor)

    def _set_up_shader(self) -> None:
        shader = self.actor.GetShaderProperty()
        inputs = "".join(f"in vec{n} {name};\n" for name, n in _ATTRIBUTES.items())
        out, into = ("".join(f"{way} {v};\n" for v in _VARYINGS) for way in ("out", "in"))
        tag = "//VTK::PositionVC::Dec"
        shader.AddVertexShaderReplacement(tag, True, f"{tag}\n{inputs}{out}", False)
        shader.AddVertexShaderReplacement("//VTK::PositionVC::Impl", True, _glsl("points.vert.glsl"), False)
        shader.AddFragmentShaderReplacement(tag, True, f"{tag}\n{into}", False)
        shader.AddFragmentShaderReplacement("//VTK::Light::Impl", True, _glsl("points.frag.glsl"), False)
        self._vertex = shader.GetVertexCustomUniforms()
        self._fragment = shader.GetFragmentCustomUniforms()

    def update(self, cloud: Points, scale: float) -> None:
        """Show these points instead of the earlier ones."""
        self._scale = scale
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
        self.actor.SetVisibility(len(cloud.points) > 0)

    def remove(self) -> None:
        """Remove the points from the picture."""
        self._renderer.RemoveObserver(self._watch)
        self._renderer.RemoveActor(self.actor)

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
            kept = numpy_to_vtk(array.reshape(count * 4, -1))
            kept.SetName(name)
            self._data.GetPointData().AddArray(kept)
        self._mapper.SetInputData(self._data)

    def _write(self, name: str, values: NDArray[np.floating]) -> None:
        self._arrays[name][:] = values
        self._data.GetPointData().GetArray(name).Modified()

    def _look(self, *_: object) -> None:
        """Set the shader's uniforms for the size of a pixel and for the range of distances of the points."""
        width, height = self._renderer.GetRenderWindow().GetSize()
        self._vertex.SetUniform2f("pixelShare", [self._scale / width, self._scale / height])
        cloud = self._cloud
        if cloud is None or not len(cloud.points):
            return
        camera = self._renderer.GetActiveCamera()
        ahead = (cloud.points - np.array(camera.GetPosition())) @ np.array(camera.GetDirectionOfProjection())
        self._vertex.SetUniformf("nearestBall", float(ahead.min()))
        self._vertex.SetUniformf("farthestBall", float(ahead.max()))
        self._fragment.SetUniformf("farthestHaze", cloud.haze)
        self._fragment.SetUniform3f("groundColor", list(self._renderer.GetBackground()))


def _each(sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat a number of each point, ``(n,)``, for its four corners: ``(n, 4, 1)``."""
    return np.broadcast_to(sizes[:, np.newaxis, np.newaxis], (len(sizes), 4, 1))


def _glsl(name: str) -> str:
    return (_SHADERS / name).read_text(encoding="utf-8")
