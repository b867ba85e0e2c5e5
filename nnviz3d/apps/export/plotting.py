"""A plotter of PyVista that shows a scene, to go on with."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import numpy as np
import pyvista as pv

from nnviz3d.apps.export.flat_labels import label_lines
from nnviz3d.apps.export.multi_block import picture_of
from nnviz3d.apps.export.reduced import ShownBlock, within
from nnviz3d.apps.export.solids import (
    CORNERS,
    EDGES,
    box_mesh,
    cells_of,
    colored,
    polylines,
    quads,
    ridge_mesh,
    surface_mesh,
)
from nnviz3d.render.fonts import SIZES
from nnviz3d.scene.camera import CameraPose, height_seen
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, Colormap
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import (
    Box,
    DrawList,
    Image,
    Labels,
    Lines,
    Panel,
    Points,
    Ridges,
    Surface,
    Tiles,
    Voxels,
    vector,
)

MOST_FACES = 1_000_000
"""Maximum number of faces of cells that a plotter shows."""
_LIT = {"ambient": 0.6, "diffuse": 0.5, "specular": 0.0}
_FEW_CELLS = 3000
"""Maximum number of cells of a block whose edges are drawn."""
_SCALE = 720
"""Height of the picture to which widths of lines and sizes of text refer."""


def plotter_of(drawn: DrawList, pose: CameraPose, quantity: str, **options: Any) -> pv.Plotter:
    """Return a plotter with everything that PyVista can show of a picture.

    Parameters
    ----------
    drawn, pose
        The picture and its camera.
    quantity
        Name of the numbers of the cells.
    **options
        Of `pyvista.Plotter`: ``off_screen``, ``window_size``, ``notebook``, ...

    Returns
    -------
    pyvista.Plotter
        Its actors are named after the layers; the mesh of a layer has the exact numbers as cell data.
    """
    if sys.platform.startswith("linux") and options.get("off_screen", pv.OFF_SCREEN):
        # Otherwise VTK first tries the X server, and prints warnings if there is none.
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    plotter = pv.Plotter(**{"window_size": (1600, 900), "title": "nnviz3d", **options})
    bottom, top = drawn.background
    plotter.set_background(bottom, top=top)
    scale = plotter.window_size[1] / _SCALE
    voxels = [one for one in drawn.primitives if isinstance(one, Voxels) and one.visible]
    blocks = within(voxels, MOST_FACES)
    for block in blocks:
        _add_block(plotter, block, quantity)
    for one in drawn.primitives:
        _add(plotter, one, pose, scale)
    _add_names(plotter, drawn, pose, scale)
    _add_words(plotter, drawn, blocks, quantity, scale)
    plotter.camera.position, plotter.camera.focal_point = pose.position, pose.target
    plotter.camera.up, plotter.camera.view_angle = pose.up, pose.field_of_view
    plotter.renderer.ResetCameraClippingRange()
    plotter.camera_set = True
    return plotter


def _add_block(plotter: pv.Plotter, shown: ShownBlock, quantity: str) -> None:
    """Add the visible faces of a block, coloured by its numbers."""
    block, faces = shown.block, shown.faces
    if not len(faces):
        return
    values = faces.values(block)
    mesh = quads(faces.corners(block))
    mesh.cell_data[quantity] = values
    plotter.add_mesh(
        mesh,
        name=block.name,
        scalars=quantity,
        cmap=_palette(block.colormap),
        clim=block.limits,
        nan_color=NAN_COLOR,
        show_edges=shown.cells <= _FEW_CELLS,
        edge_color="#0b0e14",
        edge_opacity=0.5,
        opacity=1.0,
        show_scalar_bar=False,
        copy_mesh=False,
        **_LIT,
    )
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        # Their colour is not that of the end of the map.
        odd = quads(faces.corners(block)[infinite])
        plotter.add_mesh(odd, name=f"{block.name}: infinite", color=INF_COLOR, show_scalar_bar=False, **_LIT)


def _palette(colormap: Colormap) -> Any:
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormap.table / 255, name=colormap.name)


def _add(plotter: pv.Plotter, one: Any, pose: CameraPose, scale: float) -> None:
    """Add a primitive that is neither cells nor text."""
    plain = {"lighting": False, "show_scalar_bar": False}
    match one:
        case Image() if one.opacity > 0:
            picture = picture_of(one.pixels, one.origin, one.size)
            plotter.add_mesh(picture, name=f"picture {one.name}", scalars="rgb", rgb=True, opacity=one.opacity, **plain)
        case Tiles() if one.opacity > 0:
            for number, tile in enumerate(_tiles(one)):
                name = f"picture {one.name} {number}"
                plotter.add_mesh(tile, name=name, scalars="rgb", rgb=True, opacity=one.opacity, **plain)
        case Lines() if one.opacity > 0 and len(one.points):
            mesh = polylines(list(one.points))
            colors = one.colors.copy()
            colors[:, 3] *= one.opacity
            mesh.cell_data["color"] = colored(colors)
            width = one.width * scale
            plotter.add_mesh(mesh, name=f"lines {one.name}", scalars="color", rgba=True, line_width=width, **plain)
        case Points() if len(one.points):
            _add_balls(plotter, one, pose)
        case Box() if one.fill > 0:
            mesh = box_mesh(one)
            plotter.add_mesh(mesh, name=f"body {one.name}", scalars="color", rgba=True, show_scalar_bar=False, **_LIT)
        case Box() if one.edge > 0:
            points = np.asarray(np.array(one.origin) + CORNERS * np.array(one.size), dtype=np.float32)
            frame = pv.PolyData(points, lines=cells_of(EDGES))
            color, opacity = one.color, min(one.edge, 1.0)
            plotter.add_mesh(frame, name=f"frame {one.name}", color=color, opacity=opacity, line_width=scale, **plain)
        case Surface() if len(one.triangles):
            mesh = surface_mesh(one)
            plotter.add_mesh(mesh, name=one.name, scalars="color", rgb=True, show_scalar_bar=False, smooth_shading=True)
        case Ridges():
            plotter.add_mesh(ridge_mesh(one), name=one.name, scalars="color", rgb=True, **plain)


def _add_balls(plotter: pv.Plotter, cloud: Points, pose: CameraPose) -> None:
    """Add points as balls; those with a ring are in a larger ball that is seen from its inside."""
    plain = {"lighting": False, "show_scalar_bar": False}
    middle = vector(cloud.points.mean(axis=0).astype(np.float64))
    radius = cloud.sizes / _SCALE * height_seen(pose, middle) / 2
    ball = pv.Sphere(radius=1.0, theta_resolution=16, phi_resolution=12)
    mesh = pv.PolyData(cloud.points)
    mesh.point_data["radius"] = radius
    mesh.point_data["color"] = colored(cloud.colors)
    balls = mesh.glyph(geom=ball, scale="radius", orient=False)
    plotter.add_mesh(balls, name=f"points {cloud.name}", scalars="color", rgba=True, show_scalar_bar=False, **_LIT)
    if cloud.rings is not None and (ringed := cloud.rings[:, 3] > 0).any():
        rings = pv.PolyData(cloud.points[ringed])
        rings.point_data["radius"] = radius[ringed] * 1.25
        rings.point_data["color"] = colored(cloud.rings[ringed])
        shells = rings.glyph(geom=ball, scale="radius", orient=False)
        name = f"rings {cloud.name}"
        plotter.add_mesh(shells, name=name, scalars="color", rgba=True, culling="front", **plain)


def _tiles(tiles: Tiles) -> Iterable[pv.ImageData]:
    right, up = np.array(tiles.right), np.array(tiles.up)
    for pixels, origin in zip(tiles.pixels, tiles.origins, strict=True):
        tile = picture_of(pixels, origin, tiles.size)
        tile.direction_matrix = np.stack([right, up, np.cross(right, up)], axis=1)
        yield tile


def _add_names(plotter: pv.Plotter, drawn: DrawList, pose: CameraPose, scale: float) -> None:
    """Add the names that have room in the picture; they face the viewer from everywhere."""
    labels = [label for one in drawn.primitives if isinstance(one, Labels) for label in one.labels]
    lines = [one.points for one in drawn.primitives if isinstance(one, Lines) and one.avoided]
    found = label_lines(labels, pose, lines)
    for style in dict.fromkeys(one.style for one in found):
        some = [one for one in found if one.style == style]
        plotter.add_point_labels(
            np.array([one.middle for one in some]),
            [one.text for one in some],
            name=f"names ({style})",
            font_file=_font("Regular" if style == "detail" else "SemiBold"),
            font_size=round(SIZES[style] * scale),
            bold=False,
            text_color="#9aa3b5" if style == "detail" else "#e9edf5",
            shape=None,
            show_points=False,
            justification_horizontal="center",
            justification_vertical="center",
            always_visible=True,
            margin=0,
        )


def _font(weight: str) -> str:
    """Return the path of the font of our own pictures."""
    return str(files("nnviz3d.render") / "fonts" / f"Inter-{weight}.otf")


def _add_words(plotter: pv.Plotter, drawn: DrawList, blocks: Iterable[ShownBlock], quantity: str, scale: float) -> None:
    """Add the title, and a scale of the colours, from 0 to the end of each layer's own scale."""
    panels = {one.name: one.rows for one in drawn.primitives if isinstance(one, Panel)}
    words = [row.text for row in panels.get("title", ()) if isinstance(row, TextRow)]
    plain = {"color": "#e9edf5", "viewport": True}
    for number, (text, size) in enumerate(zip(words[:2], (15, 11), strict=False)):
        font = _font("Regular" if number else "SemiBold")
        place, size = (0.018, 0.94 - 0.038 * number), round(size * scale / 2)
        plotter.add_text(text, position=place, font_size=size, font_file=font, name=f"title {number}", **plain)
    notes = [note for block in blocks if (note := block.note)]
    if notes:
        note = f"Faces shown of {len(notes)} large layers: {'; '.join(notes[:3])}{' ...' if len(notes) > 3 else ''}"
        size, font = round(4 * scale), _font("Regular")
        plotter.add_text(note, position=(0.018, 0.02), font_size=size, font_file=font, name="notes", **plain)
    first = next(iter(blocks), None)
    if first is not None:
        low = -1.0 if any(block.block.limits[0] < 0 for block in blocks) else 0.0
        signed = next((block.block for block in blocks if block.block.limits[0] < 0), first.block)
        table = pv.LookupTable(_palette(signed.colormap), scalar_range=(low, 1.0))
        bar = pv.DataSetMapper(pv.PolyData(np.zeros((1, 3))))
        bar.lookup_table = table
        bar.scalar_range = (low, 1.0)
        plotter.add_scalar_bar(
            title=f"{quantity} / end of the layer's scale",
            mapper=bar,
            n_labels=2,
            fmt="%.0f",
            color="#e9edf5",
            title_font_size=round(10 * scale),
            label_font_size=round(9 * scale),
            position_x=0.02,
            position_y=0.06,
            width=0.22,
            height=0.06,
        )
