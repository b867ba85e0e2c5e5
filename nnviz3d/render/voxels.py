"""VTK actor for `Voxels`: one box for each tensor, whose fragment shader walks the grid of its numbers.

The cost depends on pixels, not on cells. The texture holds the captured float32 numbers; colours, threshold and reveal
are uniforms, so changing them uploads nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkCommonCore import VTK_FLOAT, VTK_UNSIGNED_CHAR
from vtkmodules.vtkFiltersSources import vtkCubeSource
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow
from vtkmodules.vtkRenderingOpenGL2 import vtkOpenGLTexture, vtkTextureObject

from nnviz3d.errors import UserError
from nnviz3d.render.picking import GAP_SHARE
from nnviz3d.render.shader_texts import glsl
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, Color
from nnviz3d.scene.primitives import Voxels

LEVELS = 4
"""Number of sizes of empty cubes that a ray may skip: 2, 4, 8 and 16 cells a side, as in the shader."""
_RANKS = 255
_MAX_TEXTURE = 16384
_ALL = 1e30
"""More cells than any block has."""
_FRONT = 0.16
"""Width of the light that moves through a block, as a share of its length."""
_UNIFORM_TYPES = {1: "f", 2: "2f", 3: "3f"}


def atlas_tiles(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Return how many slices of constant z stand side by side, and the number of rows, for an about square texture."""
    x, y, z = shape
    across = max(1, min(z, round(math.sqrt(z * y / max(x, 1))), _MAX_TEXTURE // max(x, 1)))
    return across, -(-z // across)


def pack_atlas(values: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Arrange the slices of a grid in one picture.

    Parameters
    ----------
    values
        ``(X, Y, Z)``.

    Returns
    -------
    atlas
        ``(rows * Y, across * X)``, contiguous; unused tiles are zero.
    across
        Number of slices side by side.
    """
    x, y, z = values.shape
    across, rows = atlas_tiles((x, y, z))
    if across * x > _MAX_TEXTURE or rows * y > _MAX_TEXTURE:
        raise UserError(
            f"A layer of {x} x {y} x {z} cells is too large to draw at once: at most {_MAX_TEXTURE**2:,} cells fit. "
            "Choose fewer layers, or a smaller input."
        )
    atlas = np.zeros((rows, y, across, x), dtype=values.dtype)
    for k in range(z):
        atlas[k // across, :, k % across, :] = values[:, :, k].T
    return atlas.reshape(rows * y, across * x), across


def larger_of_pairs(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Halve an axis: keep the larger of each two neighbours, and the last number if their count is odd."""
    along = np.moveaxis(values, axis, 0)
    even = len(along) // 2 * 2
    half = np.maximum(along[:even:2], along[1:even:2])
    return np.moveaxis(half if even == len(along) else np.concatenate([half, along[even:]]), 0, axis)


def block_maxima(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reduce a grid to the largest |number| of each cube of two cells a side; NaN counts as infinite.

    Parameters
    ----------
    values
        ``(X, Y, Z)``, any strides; sizes may be odd.
    """
    reduced = np.abs(values)
    # Axes with large strides first: they compare whole runs of memory, and leave half of it for the other axes.
    for axis in np.argsort(reduced.strides)[::-1]:
        reduced = larger_of_pairs(reduced, int(axis))
    reduced[np.isnan(reduced)] = np.inf
    return reduced


def rank_levels(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return ranks of the largest |numbers| around each 2 x 2 x 2 cells, one byte for each size of cube.

    A rank is the count of bounds that a number reaches. A number whose rank is lower than the threshold's is below the
    threshold, so one texel tells a ray the largest empty cube around it.

    Returns
    -------
    levels
        ``(ceil(X / 2), ceil(Y / 2), ceil(Z / 2), LEVELS)``: rank of the largest |number| of the cube of 2, 4, 8 and 16
        cells a side that contains these cells. NaN and infinite numbers have the highest rank.
    bounds
        At most 255 numbers, ascending, chosen so that about the same number of cubes lies between each two.
    """
    maxima = block_maxima(values)
    some = maxima.reshape(-1)[:: max(1, maxima.size // 20_000)]
    some = np.sort(some[np.isfinite(some) & (some > 0)])
    evenly = some[np.linspace(0, some.size - 1, _RANKS - 1).astype(int)] if some.size else some
    # The first bound is the smallest number above zero, so that zeros are empty at any threshold.
    bounds = np.unique(np.append(evenly, np.finfo(np.float32).smallest_subnormal))
    level = np.searchsorted(bounds, maxima.reshape(-1), side="right").astype(np.uint8).reshape(maxima.shape)
    levels = np.empty((*maxima.shape, LEVELS), dtype=np.uint8)
    for k in range(LEVELS):
        spread = level
        for axis, size in enumerate(maxima.shape):
            spread = np.repeat(spread, 2**k, axis=axis).take(range(size), axis=axis)
            level = larger_of_pairs(level, axis)
        levels[..., k] = spread
    return levels, bounds


@dataclass(frozen=True, eq=False)
class Packed:
    """A grid of numbers in the form that the shader reads.

    Attributes
    ----------
    atlas, across
        The numbers, from `pack_atlas`.
    levels, levels_across
        The ranks from `rank_levels`, arranged in the same way, with one texel of four bytes for each 2 x 2 x 2 cells.
    pairs
        Number of such cubes along x, y and z.
    bounds
        From `rank_levels`.
    """

    atlas: NDArray[np.float32]
    across: int
    levels: NDArray[np.uint8]
    levels_across: int
    pairs: tuple[int, int, int]
    bounds: NDArray[np.float32]


def pack(values: NDArray[np.float32]) -> Packed:
    """Pack a grid ``(X, Y, Z)``. Pure, and mostly NumPy's own loops, so that threads can pack grids in parallel."""
    atlas, across = pack_atlas(values)
    levels, bounds = rank_levels(values)
    texels, levels_across = pack_atlas(levels.view(np.uint32)[..., 0])
    x, y, z, _ = levels.shape
    return Packed(atlas, across, texels.view(np.uint8).reshape(*texels.shape, LEVELS), levels_across, (x, y, z), bounds)


class _Texture:
    """A texture of exact numbers, by VTK's texture object: VTK's textures from image data rescale floats."""

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


class VoxelBoxes:
    """An actor of boxes whose fragment shader walks grids of numbers.

    Parameters
    ----------
    renderer
        Where it is drawn.
    ground
        Colour towards which faint blocks fade.
    declarations, corners
        Texts for the vertex shader: outputs and uniforms, and what is computed at each corner.
    definitions
        Text for the fragment shader, before its functions.
    """

    def __init__(
        self, renderer: vtkRenderer, ground: Color, *, declarations: str = "", corners: str = "", definitions: str = ""
    ) -> None:
        self._renderer = renderer
        self._window: vtkRenderWindow = renderer.GetRenderWindow()
        self._mapper = vtkPolyDataMapper()
        self._mapper.SetVBOShiftScaleMethod(0)  # the shader needs the vertices in world units
        self._mapper.StaticOn()  # otherwise each frame checks the pipeline several times for changes
        self.actor = vtkActor()
        self.actor.SetMapper(self._mapper)
        self.actor.ForceOpaqueOn()
        self._textures: dict[str, _Texture] = {}
        self._sent: dict[str, tuple[float, ...]] = {}
        surface = self.actor.GetProperty()
        surface.FrontfaceCullingOn()
        surface.BackfaceCullingOff()
        surface.LightingOff()
        shader = self.actor.GetShaderProperty()
        varyings = ("vec3 cornerMC", "vec4 depthRow", "vec4 scaleRow")
        # The two rows of the matrix are flat, because they are the same at every corner; the corner is interpolated.
        out = "".join(f"{'' if 'corner' in v else 'flat '}out {v};\n" for v in varyings)
        into = "".join(f"{'' if 'corner' in v else 'flat '}in {v};\n" for v in varyings)
        place = "//VTK::PositionVC::Dec"
        vertex = glsl("voxels.vert.glsl") + corners
        shader.AddVertexShaderReplacement(place, True, f"{place}\n{out}{declarations}", False)
        shader.AddVertexShaderReplacement("//VTK::PositionVC::Impl", True, vertex, False)
        # VTK declares custom uniforms and samplers at its own tags; the clip tag is the first after both.
        functions = definitions + glsl("voxels.decl.glsl")
        shader.AddFragmentShaderReplacement(place, True, f"{place}\n{into}", False)
        shader.AddFragmentShaderReplacement("//VTK::Clip::Dec", True, functions, False)
        shader.AddFragmentShaderReplacement("//VTK::Light::Impl", True, glsl("voxels.frag.glsl"), False)
        self._uniforms = shader.GetFragmentCustomUniforms()
        self._uniform("groundColor", ground)
        self._uniform("nanColor", NAN_COLOR)
        self._uniform("infColor", INF_COLOR)
        self._uniform("gapShare", (GAP_SHARE,))

    def _uniform(self, name: str, value: tuple[float, ...]) -> None:
        if self._sent.get(name) == value:
            return
        self._sent[name] = value
        numbers = [float(v) for v in value]
        setter = getattr(self._uniforms, f"SetUniform{_UNIFORM_TYPES[len(numbers)]}")
        setter(name, numbers if len(numbers) > 1 else numbers[0])

    def _texture(self, name: str, pixels: NDArray[np.float32] | NDArray[np.uint8]) -> None:
        if name in self._textures:
            self._textures[name].upload(pixels)
        else:
            self._textures[name] = _Texture(self._window, pixels)
            self.actor.GetProperty().SetTexture(name, self._textures[name].texture)

    def look_from(
        self,
        position: tuple[float, ...],
        direction: tuple[float, ...],
        pixel: float,
        *,
        parallel: bool,
        creases: bool,
    ) -> None:
        """Set the shader's uniforms for the camera and for the shading.

        Parameters
        ----------
        position, direction
            World coordinates of the camera, and the unit vector of its view direction.
        pixel
            World size of a pixel at distance 1, or at any distance for a parallel projection.
        parallel
            Whether the projection is parallel.
        creases
            Whether corners and creases are darker than open faces.
        """
        self._uniform("cameraMC", position)
        self._uniform("viewDirection", direction)
        self._uniform("pixelSize", (pixel,))
        self._uniform("parallel", (float(parallel),))
        self._uniform("farAway", (1e4,))
        self._uniform("neighbours", (9.0 if creases else 0.0,))

    def remove(self) -> None:
        """Remove the boxes from the picture and free their textures."""
        self._renderer.RemoveActor(self.actor)
        for texture in self._textures.values():
            texture.release(self._window)


class VoxelActor(VoxelBoxes):
    """Draws one block. `update` uploads only what changed."""

    def __init__(self, renderer: vtkRenderer, block: Voxels, ground: Color, packed: Packed | None = None) -> None:
        super().__init__(renderer, ground)
        self._block: Voxels | None = None
        self._source = vtkCubeSource()
        self._mapper.SetInputConnection(self._source.GetOutputPort())
        self._bounds: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self.update(block, packed)
        renderer.AddActor(self.actor)

    def shows(self, values: NDArray[np.float32]) -> bool:
        """Whether the block shows this array of numbers."""
        return self._block is not None and self._block.values is values

    def update(self, block: Voxels, packed: Packed | None = None) -> None:
        """Show this block instead of the earlier one.

        Parameters
        ----------
        packed
            Its packed numbers; by default they are packed here if needed.
        """
        before = self._block
        if before is block:
            return
        if not self.shows(block.values):
            self._upload(pack(block.values) if packed is None else packed)
        if before is None or before.colormap is not block.colormap:
            self._texture("lookup", block.colormap.table.reshape(1, 256, 3))
        grid = block.values.shape
        begin, end = block.columns
        low = np.array(block.origin)
        high = low + np.array(block.size)
        self._source.SetBounds(low[0], high[0], low[1], high[1], low[2], high[2])
        self._source.Update()
        # If there were texture coordinates, VTK would multiply the colour by the numbers.
        self._source.GetOutput().GetPointData().SetTCoords(None)
        self._uniform("gridSize", grid)
        self._uniform("gridStart", (begin, 0, 0))
        self._uniform("gridEnd", (end, grid[1], grid[2]))
        self._uniform("front", front_of(block))
        self._uniform("glow", (block.glow,))
        self._uniform("origin", block.origin)
        self._uniform("cellSize", block.cell)
        self._uniform("realCount", (real_count(block),))
        self._uniform("limits", block.limits)
        self._uniform("threshold", (block.threshold,))
        self._uniform("lowestRank", (lowest_rank(self._bounds, block.threshold),))
        self._uniform("emphasis", (block.emphasis,))
        self.actor.SetVisibility(block.visible)
        self._block = block

    def _upload(self, packed: Packed) -> None:
        self._texture("numbers", packed.atlas)
        self._uniform("tilesAcross", (packed.across,))
        self._texture("levels", packed.levels)
        self._uniform("pairTilesAcross", (packed.levels_across,))
        self._uniform("pairGrid", packed.pairs)
        self._bounds = packed.bounds


def front_of(block: Voxels) -> tuple[float, float, float]:
    """Return the position of the light that moves through a block, its width, and whether there is one."""
    width = max(_FRONT * block.size[0], 1.5 * block.cell[0])
    return block.origin[0] + block.size[0] * (block.front or 0.0), width, float(block.front is not None)


def real_count(block: Voxels) -> float:
    """Return the number of cells with a number, or more than any block has."""
    return block.count if block.count is not None else _ALL


def lowest_rank(bounds: NDArray[np.float32], threshold: float) -> float:
    """Return the rank, as the shader reads it, that a cube of cells needs to have one that reaches a threshold."""
    return (int(np.searchsorted(bounds, np.float32(threshold), side="right")) - 0.5) / 255
