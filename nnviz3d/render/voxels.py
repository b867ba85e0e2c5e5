"""Draws `Voxels`: one box for each tensor, whose fragment shader walks the grid of its numbers.

The cost follows pixels, not cells, and the numbers in the texture are the captured float32 themselves: colours,
threshold and reveal are uniforms, so changing them uploads nothing.
"""

from __future__ import annotations

import math
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkCommonCore import VTK_FLOAT, VTK_UNSIGNED_CHAR
from vtkmodules.vtkFiltersSources import vtkCubeSource
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow
from vtkmodules.vtkRenderingOpenGL2 import vtkOpenGLTexture, vtkTextureObject

from nnviz3d.errors import UserError
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR
from nnviz3d.scene.primitives import Color, Voxels

PAIR, BRICK = 2, 8
"""Cells along each side of the two levels that a ray may jump over; the shader knows the same numbers."""
_MAX_TEXTURE = 16384
_ALL = 1e30
"""More cells than any block has."""
_SHADERS = files("nnviz3d.render") / "shaders"
_UNIFORM_TYPES = {1: "f", 2: "2f", 3: "3f"}


def atlas_tiles(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Say how many slices of constant z lie side by side, and in how many rows, for a texture that is about square."""
    x, y, z = shape
    across = max(1, min(z, round(math.sqrt(z * y / max(x, 1))), _MAX_TEXTURE // max(x, 1)))
    return across, -(-z // across)


def pack_atlas(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Lay the slices of a grid into one picture.

    Parameters
    ----------
    values
        ``(X, Y, Z)``.

    Returns
    -------
    atlas
        ``(rows * Y, across * X)`` float32, contiguous; unused tiles are zero.
    across
        How many slices lie side by side.
    """
    x, y, z = values.shape
    across, rows = atlas_tiles((x, y, z))
    if across * x > _MAX_TEXTURE or rows * y > _MAX_TEXTURE:
        raise UserError(
            f"A layer of {x} x {y} x {z} cells is too large to draw at once: at most {_MAX_TEXTURE**2:,} cells fit. "
            "Choose fewer layers, or a smaller input."
        )
    atlas = np.zeros((rows, y, across, x), dtype=np.float32)
    for k in range(z):
        atlas[k // across, :, k % across, :] = values[:, :, k].T
    return atlas.reshape(rows * y, across * x), across


def block_maxima(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Reduce a grid to the largest |number| of each cube of ``side`` cells, NaN counting as infinite.

    Parameters
    ----------
    values
        ``(X, Y, Z)``, any strides; the far ends need not be multiples of `side`.
    """
    reduced = np.abs(values)
    for axis in np.argsort(values.strides):
        reduced = np.maximum.reduceat(reduced, np.arange(0, reduced.shape[axis], side), axis=axis)
    reduced[np.isnan(reduced)] = np.inf
    return reduced


class _Texture:
    """A texture of exact numbers: VTK's own path from image data rescales floats, the texture object does not."""

    def __init__(self, window: vtkRenderWindow, pixels: NDArray[np.float32] | NDArray[np.uint8]) -> None:
        self._object = vtkTextureObject()
        self._object.SetContext(window)
        self._object.SetMinificationFilter(vtkTextureObject.Nearest)
        self._object.SetMagnificationFilter(vtkTextureObject.Nearest)
        self.texture = vtkOpenGLTexture()
        self.texture.SetTextureObject(self._object)
        self.texture.InterpolateOff()
        self.texture.MipmapOff()
        self.upload(pixels)

    def upload(self, pixels: NDArray[np.float32] | NDArray[np.uint8]) -> None:
        """Replace the texture: ``(H, W)`` or ``(H, W, components)``."""
        height, width = pixels.shape[:2]
        components = 1 if pixels.ndim == 2 else pixels.shape[2]
        kind = VTK_FLOAT if pixels.dtype == np.float32 else VTK_UNSIGNED_CHAR
        if not self._object.Create2DFromRaw(width, height, components, kind, np.ascontiguousarray(pixels)):
            raise UserError(f"The graphics driver refused a texture of {width} x {height}; choose fewer layers.")

    def release(self, window: vtkRenderWindow) -> None:
        self._object.ReleaseGraphicsResources(window)


class VoxelActor:
    """One drawn block. `update` uploads only what changed."""

    def __init__(self, renderer: vtkRenderer, block: Voxels, ground: Color) -> None:
        self._renderer = renderer
        self._window: vtkRenderWindow = renderer.GetRenderWindow()
        self._block: Voxels | None = None
        self._source = vtkCubeSource()
        mapper = vtkPolyDataMapper()
        mapper.SetInputConnection(self._source.GetOutputPort())
        mapper.SetVBOShiftScaleMethod(0)  # the shader wants the vertices in world units
        self.actor = vtkActor()
        self.actor.SetMapper(mapper)
        self.actor.ForceOpaqueOn()
        self._mapper = mapper
        self._textures: dict[str, _Texture] = {}
        self._set_up_shader()
        self._uniform("groundColor", ground)
        self._uniform("nanColor", NAN_COLOR)
        self._uniform("infColor", INF_COLOR)
        self._uniform("gapShare", (0.07,))
        self.update(block)
        renderer.AddActor(self.actor)

    def _set_up_shader(self) -> None:
        surface = self.actor.GetProperty()
        surface.FrontfaceCullingOn()
        surface.BackfaceCullingOff()
        surface.LightingOff()
        shader = self.actor.GetShaderProperty()
        varyings = ("vec3 cornerMC", "vec4 depthRow", "vec4 scaleRow")
        # Flat: the two rows of the matrix are the same at every corner. The corner itself is interpolated.
        out = "".join(f"{'' if 'corner' in v else 'flat '}out {v};\n" for v in varyings)
        into = "".join(f"{'' if 'corner' in v else 'flat '}in {v};\n" for v in varyings)
        shader.AddVertexShaderReplacement("//VTK::PositionVC::Dec", True, f"//VTK::PositionVC::Dec\n{out}", False)
        shader.AddVertexShaderReplacement("//VTK::PositionVC::Impl", True, _glsl("voxels.vert.glsl"), False)
        # VTK declares custom uniforms and samplers at tags of its own; the clip tag is the first after both.
        shader.AddFragmentShaderReplacement("//VTK::PositionVC::Dec", True, f"//VTK::PositionVC::Dec\n{into}", False)
        shader.AddFragmentShaderReplacement("//VTK::Clip::Dec", True, _glsl("voxels.decl.glsl"), False)
        shader.AddFragmentShaderReplacement("//VTK::Light::Impl", True, _glsl("voxels.frag.glsl"), False)
        self._uniforms = shader.GetFragmentCustomUniforms()

    def _uniform(self, name: str, value: tuple[float, ...]) -> None:
        numbers = [float(v) for v in value]
        setter = getattr(self._uniforms, f"SetUniform{_UNIFORM_TYPES[len(numbers)]}")
        setter(name, numbers if len(numbers) > 1 else numbers[0])

    def _texture(self, name: str, pixels: NDArray[np.float32] | NDArray[np.uint8]) -> None:
        if name in self._textures:
            self._textures[name].upload(pixels)
        else:
            self._textures[name] = _Texture(self._window, pixels)
            self.actor.GetProperty().SetTexture(name, self._textures[name].texture)

    def update(self, block: Voxels) -> None:
        """Draw this block from now on."""
        before = self._block
        if before is block:
            return
        if before is None or before.values is not block.values:
            self._upload(block.values)
        if before is None or before.colormap is not block.colormap:
            self._texture("lookup", block.colormap.table.reshape(1, 256, 3))
        grid = block.values.shape
        end = (min(grid[0], math.ceil(grid[0] * block.reveal)), grid[1], grid[2])
        low = np.array(block.origin)
        high = low + np.array(block.size)
        self._source.SetBounds(low[0], high[0], low[1], high[1], low[2], high[2])
        self._source.Update()
        # With texture coordinates VTK would multiply the colour by the numbers.
        self._source.GetOutput().GetPointData().SetTCoords(None)
        self._uniform("gridSize", grid)
        self._uniform("gridEnd", end)
        self._uniform("origin", block.origin)
        self._uniform("cellSize", block.cell)
        self._uniform("realCount", (block.count if block.count is not None else _ALL,))
        self._uniform("limits", block.limits)
        self._uniform("threshold", (block.threshold,))
        self._uniform("emphasis", (block.emphasis,))
        self.actor.SetVisibility(block.reveal > 0 and block.values.size > 0)
        self._block = block

    def _upload(self, values: NDArray[np.float32]) -> None:
        atlas, across = pack_atlas(values)
        self._texture("numbers", atlas)
        self._uniform("tilesAcross", (across,))
        pairs = block_maxima(values, PAIR)
        for name, maxima in (("pair", pairs), ("brick", block_maxima(pairs, BRICK // PAIR))):
            atlas, across = pack_atlas(maxima)
            self._texture(f"{name}s", atlas)
            self._uniform(f"{name}TilesAcross", (across,))
            self._uniform(f"{name}Grid", maxima.shape)

    def look_from(
        self, position: tuple[float, ...], direction: tuple[float, ...], pixel: float, parallel: bool
    ) -> None:
        """Tell the shader where the camera is.

        Parameters
        ----------
        position, direction
            World coordinates of the eye, and the unit vector it looks along.
        pixel
            World size of a pixel at distance 1, or anywhere for a parallel projection.
        """
        self._uniform("cameraMC", position)
        self._uniform("viewDirection", direction)
        self._uniform("pixelSize", (pixel,))
        self._uniform("parallel", (float(parallel),))
        self._uniform("farAway", (1e4,))

    def remove(self) -> None:
        """Take the block out of the picture and free its textures."""
        self._renderer.RemoveActor(self.actor)
        for texture in self._textures.values():
            texture.release(self._window)


def _glsl(name: str) -> str:
    return (_SHADERS / name).read_text(encoding="utf-8")
