"""Frames per second at 1280 x 720: VGG16 against meshes, textured quads and fewer cells, whole pictures against parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkTexture

from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.render.drawers import _color_cells, image_data, mesh
from nnviz3d.render.offscreen import Offscreen, halved, offscreen_window
from nnviz3d.scene.camera import CameraPose, default_view
from nnviz3d.scene.primitives import DrawList, Labels, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import Keyframe, default_scene
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import interleaved, table

SIZE = (1280, 720)
ASPECT = SIZE[0] / SIZE[1]
ROUNDS = 7


@pytest.fixture(scope="module")
def scene(vgg: Path) -> Scene:
    return Scene.build(default_scene(), open_capture(vgg), aspect=ASPECT)


@pytest.fixture(scope="module")
def blocks(scene: Scene) -> list[Voxels]:
    """All blocks of the picture, every cell drawn."""
    picture = scene.at(scene.duration, Selection(threshold=0.0))
    return [p for p in picture.primitives if isinstance(p, Voxels)]


@pytest.fixture(scope="module")
def poses(scene: Scene) -> list[CameraPose]:
    """The pose of the scene, and others around it."""
    azimuth, elevation = default_view(len(scene.context.plan.rows))
    return [
        scene.poses.of(Keyframe(azimuth=azimuth + 2.0 * k, elevation=elevation), ASPECT)
        for k in (0, 1, 2, 3, 4, 5, 6, -1, -2, -3, -4)
    ]


def surface(block: Voxels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The outer faces of a block, one quad a cell: points ``(4n, 3)``, quads ``(n, 4)``, colours ``(n, 4)``."""
    origin, cell = np.array(block.origin), np.array(block.cell)
    low, high = block.limits
    at = np.clip((np.nan_to_num(block.values) - low) / (high - low), 0, 1)
    entry = np.round(at * 255).astype(np.uint8)
    points, colors = [], []
    for axis in range(3):
        u, w = (a for a in range(3) if a != axis)
        for end in (0, -1):
            side = np.take(entry, end, axis=axis)
            i, j = (g.ravel() for g in np.indices(side.shape))
            quad = np.zeros((i.size, 4, 3))
            quad[:, :, axis] = 0 if end == 0 else block.values.shape[axis]
            quad[:, :, u] = i[:, None] + (0, 1, 1, 0)
            quad[:, :, w] = j[:, None] + (0, 0, 1, 1)
            points.append(origin + quad.reshape(-1, 3) * cell)
            colors.append(block.colormap.table[side.ravel()] / 255)
    all_points = np.concatenate(points).astype(np.float32)
    rgba = np.concatenate(colors)
    return all_points, np.arange(len(all_points)).reshape(-1, 4), np.column_stack([rgba, np.ones(len(rgba))])


class Peer:
    """A window with the background and the camera of our pictures, for another way to draw the same blocks."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.window = offscreen_window(size)
        self.renderer = vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.window.SetMultiSamples(0)
        low, high = DrawList(()).background
        self.renderer.SetBackground(*low)
        self.renderer.SetBackground2(*high)
        self.renderer.GradientBackgroundOn()

    def draw(self, pose: CameraPose) -> np.ndarray:
        camera = self.renderer.GetActiveCamera()
        camera.SetPosition(*pose.position)
        camera.SetFocalPoint(*pose.target)
        camera.SetViewUp(*pose.up)
        camera.SetViewAngle(pose.field_of_view)
        self.renderer.ResetCameraClippingRange()
        self.window.Render()
        width, height = self.window.GetSize()
        buffer = vtkUnsignedCharArray()
        self.window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, buffer, 0)
        return np.frombuffer(memoryview(buffer), dtype=np.uint8)


class Meshes(Peer):
    """The same blocks as meshes of their outer faces, as a viewer without a voxel shader would draw them."""

    def __init__(self, blocks: list[Voxels], size: tuple[int, int]) -> None:
        super().__init__(size)
        self.quads = 0
        for block in blocks:
            points, quads, colors = surface(block)
            self.quads += len(quads)
            data = mesh(points, quads, lines=False)
            _color_cells(data, colors)
            mapper = vtkPolyDataMapper()
            mapper.SetInputData(data)
            mapper.SetColorModeToDirectScalars()
            mapper.SetScalarModeToUseCellData()
            actor = vtkActor()
            actor.SetMapper(mapper)
            # Lit like the blocks.
            actor.GetProperty().SetInterpolationToFlat()
            self.renderer.AddActor(actor)


class TexturedQuads(Peer):
    """The same blocks as six quads each, in one draw call: all faces are in one texture, and their light is painted in.

    This is the least that can be drawn of a full block. It cannot show a block with gaps or a threshold.
    """

    def __init__(self, blocks: list[Voxels], size: tuple[int, int]) -> None:
        super().__init__(size)
        for block in blocks:
            low, high = block.limits
            at = np.clip((np.nan_to_num(block.values) - low) / (high - low), 0, 1)
            colors = block.colormap.table[np.round(at * 255).astype(np.uint8)]
            sides = [(axis, end, np.take(colors, end, axis=axis)) for axis in range(3) for end in (0, -1)]
            texture = np.zeros((max(s.shape[0] for *_, s in sides), sum(s.shape[1] for *_, s in sides), 3), np.uint8)
            corners, within, used = [], [], 0
            for axis, end, side in sides:
                i, j = side.shape[:2]
                texture[:i, used : used + j] = side * (0.80, 0.90, 1.0)[axis]
                u, w = (a for a in range(3) if a != axis)
                quad = np.zeros((4, 3))
                quad[:, axis] = 0 if end == 0 else block.values.shape[axis]
                quad[:, u], quad[:, w] = np.array([0, 1, 1, 0]) * i, np.array([0, 0, 1, 1]) * j
                corners.append(np.array(block.origin) + quad * np.array(block.cell))
                within.append((np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) * (j, i) + (used, 0)) / texture.shape[1::-1])
                used += j
            data = mesh(np.concatenate(corners).astype(np.float32), np.arange(24).reshape(6, 4), lines=False)
            data.GetPointData().SetTCoords(numpy_to_vtk(np.concatenate(within).astype(np.float32), deep=True))
            painted = vtkTexture()
            painted.SetInputData(image_data(texture[::-1]))
            painted.InterpolateOff()
            mapper = vtkPolyDataMapper()
            mapper.SetInputData(data)
            actor = vtkActor()
            actor.SetMapper(mapper)
            actor.SetTexture(painted)
            actor.GetProperty().LightingOff()
            self.renderer.AddActor(actor)


def test_against_meshes_and_quads(scene, blocks, poses, smallest):
    """Compare frames per second of voxels, meshes and textured quads, with read-back as for a film.

    Still: the same pose each time. Moving: another pose each time. Dragged: moving, in the quality of a drag, without
    darker creases and background gradient, at full resolution.
    """
    whole = scene.at(scene.duration, Selection(threshold=0.0))
    usual = scene.at(scene.duration)
    only = DrawList(tuple(blocks))
    # A renderer for each list, because changes between lists are not measured.
    lists = {"blocks": only, "whole": whole, "usual": usual}
    studios = {(name, fine): Offscreen(SIZE, antialias=fine) for name in lists for fine in (False, True)}
    large = (SIZE[0] * 2, SIZE[1] * 2)
    meshes = Meshes(blocks, SIZE)
    peers: dict[str, tuple[Peer, Peer]] = {
        "meshes": (meshes, Meshes(blocks, large)),
        "quads": (TexturedQuads(blocks, SIZE), TexturedQuads(blocks, large)),
    }

    def finely(peer: Peer, pose: CameraPose) -> np.ndarray:
        return halved(peer.draw(pose).reshape(large[1], large[0], 4))

    rows: list[list[object]] = [
        [
            "",
            "blocks",
            "whole picture",
            "its threshold",
            "meshes",
            "quads",
            "blocks : meshes",
            "blocks : quads",
            "whole : blocks",
        ]
    ]
    cells = sum(b.values.size for b in blocks)
    still, moving = (lambda k: poses[0]), (lambda k: poses[k % len(poses)])
    motions = {"moving": moving} if smallest else {"still": still, "moving": moving, "dragged": moving}
    for what, pose_of in motions.items():
        for studio in studios.values():
            studio.renderer.careful = what != "dragged"
        for fine in (False, True):
            drawers = {
                name: lambda k, s=studios[name, fine], d=drawn, p=pose_of: s.picture(d, p(k))
                for name, drawn in lists.items()
            }
            for name, pair in peers.items():
                drawers[name] = lambda k, pair=pair, p=pose_of, fine=fine: (
                    finely(pair[1], p(k)) if fine else pair[0].draw(p(k))
                )
            rounds = 1 if smallest else 3 if fine else 4 * ROUNDS
            seconds = interleaved(drawers, rounds, warm=1 if smallest else 2)
            ratios = [seconds["meshes"] / seconds["blocks"], seconds["quads"] / seconds["blocks"]]
            whole_share = seconds["blocks"] / seconds["whole"]
            label = what + (", 2x2 samples" if fine else "")
            rows.append([label, *(1 / s for s in seconds.values()), *ratios, whole_share])
            if what == "moving" and not fine:
                how = (
                    f"{cells:,} cells, 1280 x 720 with read-back, moving camera, median of {rounds} alternating frames"
                )
                rates = {name: 1 / s for name, s in seconds.items()}
                record_result("whole_picture", whole_share, f"{rates['whole']:.0f} of {rates['blocks']:.0f}; {how}")
                record_result("quads", ratios[1], f"{rates['blocks']:.0f} to {rates['quads']:.0f}; {how}")
    table(f"Frames a second, {cells:,} cells as blocks and {meshes.quads:,} quads as meshes", rows)
    for studio in studios.values():
        studio.close()


def test_without_text(vgg: Path, digits: Capture, long_capture: Capture, smallest: bool):
    """Compare pictures with and without labels and panels while the camera moves; a drag has no read-back."""
    rows: list[list[object]] = [["", "blocks", "labels", "with text", "without", "share of the text"]]
    captures = {"digits": digits, "VGG16": open_capture(vgg), "a long network": long_capture}
    for name, capture in list(captures.items())[: 1 if smallest else 3]:
        scene = Scene.build(default_scene(), capture, aspect=ASPECT)
        azimuth, elevation = default_view(len(scene.context.plan.rows))
        poses = [scene.poses.of(Keyframe(azimuth=azimuth + 2.0 * k, elevation=elevation), ASPECT) for k in range(9)]
        whole = scene.at(scene.duration).primitives
        labels = sum(len(p.labels) for p in whole if isinstance(p, Labels))
        lists = {"with": whole, "without": tuple(p for p in whole if not isinstance(p, Labels | Panel))}
        for careful in (True, False):
            studios = {key: Offscreen(SIZE, antialias=False) for key in lists}
            for key, studio in studios.items():
                studio.renderer.careful = careful
                studio.renderer.draw(DrawList(lists[key]))
            seconds = interleaved(
                {
                    key: lambda k, r=studio.renderer, p=poses: (r.look(p[k % len(p)]), r.render())
                    for key, studio in studios.items()
                },
                1 if smallest else 5 * ROUNDS,
                warm=1 if smallest else 3,
            )
            row = [name + ("" if careful else ", dragged"), sum(isinstance(p, Voxels) for p in whole), labels]
            frames = [1 / s for s in seconds.values()]
            rows.append([*row, *frames, f"{1 - seconds['without'] / seconds['with']:.0%}"])
            for studio in studios.values():
                studio.close()
    table("Frames a second of whole pictures, moving camera", rows)


def fewer(block: Voxels, share: float, values: np.ndarray | None = None) -> Voxels:
    """The same box with about a `share` of its cells."""
    values = block.values if values is None else values
    factor = share ** (1 / 3)
    index = [np.minimum((np.arange(max(1, round(n * factor))) / factor).astype(int), n - 1) for n in values.shape]
    less = np.ascontiguousarray(values[np.ix_(*index)])
    cell = tuple(s / n for s, n in zip(block.size, less.shape, strict=True))
    return replace(block, values=less, cell=cell, count=None)


def test_against_fewer_cells(blocks, poses, smallest):
    """Compare 15 million and 1 million cells in the same boxes, dense and with a fiftieth of the cells filled."""
    share = 1e6 / sum(b.values.size for b in blocks)
    random = np.random.default_rng(1)
    lists: dict[str, tuple[list[Voxels], list[Voxels]]] = {}
    many = [replace(b, count=None) for b in blocks]
    lists["dense"] = (many, [fewer(b, share) for b in many])
    strongest = [replace(b, threshold=float(np.percentile(b.values, 98))) for b in many]
    lists["2 %, the strongest"] = (
        strongest,
        [replace(f, threshold=float(np.percentile(f.values, 98))) for f in (fewer(b, share) for b in strongest)],
    )
    scattered = [
        replace(b, values=random.random(b.values.shape, dtype=np.float32), limits=(0.0, 1.0), threshold=0.98)
        for b in many
    ]
    lists["2 %, at random"] = (
        scattered,
        [
            replace(f, values=random.random(f.values.shape, dtype=np.float32))
            for f in (fewer(b, share) for b in scattered)
        ],
    )
    rows: list[list[object]] = [["", "cells", "filled", "fps", "cells", "filled", "fps", "ratio"]]
    for name, pair in list(lists.items())[: 1 if smallest else 3]:
        studios = [Offscreen(SIZE, antialias=False) for _ in pair]
        drawn = [DrawList(tuple(part)) for part in pair]
        seconds = interleaved(
            {
                f"{i}": lambda k, s=s, d=d: s.picture(d, poses[k % len(poses)])
                for i, (s, d) in enumerate(zip(studios, drawn, strict=True))
            },
            1 if smallest else ROUNDS,
            warm=1 if smallest else 2,
        )
        row: list[object] = [name]
        for part, spent in zip(pair, seconds.values(), strict=True):
            cells = sum(b.values.size for b in part)
            filled = sum(int((np.abs(b.values) >= b.threshold).sum()) for b in part)
            row += [f"{cells:,}", f"{filled / cells:.1%}", 1 / spent]
        rows.append([*row, seconds["1"] / seconds["0"]])
        for studio in studios:
            studio.close()
    table("Frames a second by the number of cells, moving camera", rows)
