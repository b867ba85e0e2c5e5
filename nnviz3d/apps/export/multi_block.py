"""Conversion of a scene to PyVista's data: exact numbers as cells, and edges and points as meshes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyvista as pv
from numpy.typing import NDArray

from nnviz3d.apps.export.points_table import point_columns
from nnviz3d.apps.export.solids import box_mesh, colored, polylines, ridge_mesh, surface_mesh
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.note_words import ROUNDED
from nnviz3d.data.quantities import Quantity
from nnviz3d.data.rounding import is_rounded
from nnviz3d.render.text_arrays import add_texts
from nnviz3d.scene.context import LayerValues, SceneContext
from nnviz3d.scene.layout.plan import Placement
from nnviz3d.scene.layout.routes import Route
from nnviz3d.scene.primitives import Box, Image, Labels, Lines, Points, Primitive, Ridges, Surface, Tiles
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection

HIDDEN = 32
"""VTK's mark of a cell without content (vtkDataSetAttributes::HIDDENCELL)."""


def multi_block(scene: Scene, selection: Selection) -> pv.MultiBlock:
    """Convert a scene to a tree of data sets, as it is shown first: at its saved time, or at its end.

    Returns
    -------
    pv.MultiBlock
        Its blocks; those without content are left out:

        - ``layers``: an ``ImageData`` for each layer with numbers, by the layer's name. Its cell data, named after the
          quantity, are the exact float32 numbers. Spare cells of a wrapped vector are NaN and hidden.
        - ``edges``: the data flow as lines, with the names of source and target.
        - ``connections``: the strongest connections of each pair of layers as lines, with weights, and with the flat
          indices (C order) of the numbers at their ends; of units, if the scene shows units.
        - ``lines``: other lines, such as axes and contours.
        - ``points``: samples or neurons as points, with labels and names.
        - ``pictures``: pictures with their colours as cell data.
        - ``meshes``: surfaces, curves and solid boxes.
        - ``labels``: the names in the picture, as points with a text.
    """
    moment = scene.first_time
    context = scene.as_of(moment, selection).context
    primitives = scene.at(moment, selection).primitives
    quantity = selection.quantity or "activation"
    parts: dict[str, pv.MultiBlock | pv.PolyData] = {
        "layers": _layers(context, quantity, selection),
        "edges": _edges(context.routes) if scene.blocks else pv.PolyData(),
        "connections": _connections(primitives),
        "lines": _named(_other_lines(primitives)),
        "points": _named((one.name, _points(one, context)) for one in primitives if isinstance(one, Points)),
        "pictures": _named(_pictures(primitives)),
        "meshes": _named(_meshes(primitives)),
        "labels": _labels(primitives),
    }
    found = pv.MultiBlock({name: part for name, part in parts.items() if part.GetNumberOfPoints()})
    for name, texts in _described(scene, context, quantity, selection).items():
        add_texts(found.GetFieldData(), name, texts)
    return found


def image_of(layer: LayerValues, placement: Placement, quantity: str) -> pv.ImageData:
    """Return the numbers of a layer as cells at the place of its block.

    Cells run along x, y and z of the world, x fastest. `CellGrid.cells` tells the cell of each number of the tensor.
    """
    x, y, z = layer.cells.shape
    image = pv.ImageData(dimensions=(x + 1, y + 1, z + 1), spacing=placement.cell, origin=placement.origin)
    values = layer.cells.ravel(order="F")
    if layer.grid.count < values.size:
        spare = np.ones(layer.cells.shape, dtype=bool)
        spare[tuple(layer.grid.cells(np.arange(layer.grid.count)).T)] = False
        hidden = spare.ravel(order="F")
        values = np.where(hidden, np.float32("nan"), values)
        image.cell_data["vtkGhostType"] = np.where(hidden, HIDDEN, 0).astype(np.uint8)
    image.cell_data[quantity] = values
    image.set_active_scalars(quantity, preference="cell")
    return image


def _layers(context: SceneContext, quantity: Quantity, selection: Selection) -> pv.MultiBlock:
    """Return the numbers of all layers that have some."""
    found = pv.MultiBlock()
    for node in context.graph:
        if not context.capture.has_activations(node.id):
            continue
        layer = context.shown(node.id, quantity, selection)
        if layer is None or not layer.values.size:
            continue
        image = image_of(layer, context.placement(node.id), quantity)
        for name, texts in _layer_words(node, layer, context, selection.sample).items():
            add_texts(image.GetFieldData(), name, texts)
        image.field_data["shape"] = np.array(layer.values.shape, dtype=np.int64)
        found[node.id] = image
    return found


def _layer_words(node: LayerNode, layer: LayerValues, context: SceneContext, sample: int) -> dict[str, tuple[str, ...]]:
    words = {"layer": (node.id,), "kind": (node.kind,), "axes": layer.grid.axes}
    if is_rounded(context.capture, node.id, sample):
        words["stored"] = (ROUNDED,)
    units = context.capture.unit_names(node.id)
    if units is not None:
        words["units"] = units
    if node.id in context.graph.outputs and context.capture.classes is not None:
        words["classes"] = context.capture.classes
    return words


def _edges(routes: Iterable[Route]) -> pv.PolyData:
    found = list(routes)
    mesh = polylines([one.points for one in found])
    add_texts(mesh.GetCellData(), "source", [one.edge.source for one in found])
    add_texts(mesh.GetCellData(), "target", [one.edge.target for one in found])
    mesh.cell_data["output"] = np.array([one.edge.output for one in found], dtype=np.int64)
    return mesh


def _connections(primitives: Iterable[Primitive]) -> pv.MultiBlock:
    """Return the connections of each pair of layers as one mesh, named ``source -> target``."""
    pairs: dict[tuple[str, str], list[Lines]] = {}
    for one in primitives:
        if isinstance(one, Lines) and one.ends is not None and len(one.points):
            pairs.setdefault((one.ends.source, one.ends.target), []).append(one)
    found = pv.MultiBlock()
    for (source, target), parts in pairs.items():
        ends = [one.ends for one in parts if one.ends is not None]
        mesh = polylines([line for one in parts for line in one.points])
        mesh.cell_data["color"] = colored(np.concatenate([one.colors for one in parts]))
        index = np.concatenate([one.index for one in ends])
        mesh.cell_data["source_index"], mesh.cell_data["target_index"] = index[:, 0], index[:, 1]
        mesh.cell_data["weight"] = np.concatenate([one.weight for one in ends])
        mesh.set_active_scalars("weight", preference="cell")
        add_texts(mesh.GetFieldData(), "source", [source])
        add_texts(mesh.GetFieldData(), "target", [target])
        found[f"{source} -> {target}"] = mesh
    return found


def _other_lines(primitives: Iterable[Primitive]) -> Iterable[tuple[str, pv.PolyData]]:
    """Yield the lines that are neither connections nor edges of the network, such as axes and contours."""
    for one in primitives:
        if isinstance(one, Lines) and one.ends is None and len(one.points) and not _are_edges(one):
            mesh = polylines(list(one.points))
            mesh.cell_data["color"] = colored(one.colors)
            yield one.name, mesh


def _are_edges(lines: Lines) -> bool:
    return lines.source is not None and lines.source.part == "edges"


def _points(cloud: Points, context: SceneContext) -> pv.PolyData:
    """Return points with their colours, and what is known of the samples or the units that they are."""
    mesh = pv.PolyData(cloud.points)
    mesh.point_data["color"] = colored(cloud.colors)
    for name, column in point_columns(cloud, context).items():
        if isinstance(column, np.ndarray):
            mesh.point_data[name] = column
        else:
            add_texts(mesh.GetPointData(), name, column)
    return mesh


def _pictures(primitives: Iterable[Primitive]) -> Iterable[tuple[str, pv.ImageData | pv.MultiBlock]]:
    for one in primitives:
        if isinstance(one, Image):
            yield one.name, picture_of(one.pixels, one.origin, one.size)
        elif isinstance(one, Tiles) and len(one.pixels):
            tiles = pv.MultiBlock()
            right, up = np.array(one.right), np.array(one.up)
            for channel, pixels, origin in zip(one.channels, one.pixels, one.origins, strict=True):
                tile = picture_of(pixels, origin, one.size)
                tile.direction_matrix = np.stack([right, up, np.cross(right, up)], axis=1)
                tiles[f"{one.name} channel {channel}"] = tile
            yield one.name, tiles


def picture_of(pixels: NDArray[np.uint8], origin: Iterable[float], size: tuple[float, float]) -> pv.ImageData:
    """Return a picture, ``(H, W, 3)``, as flat cells with colours ``rgb``."""
    height, width = pixels.shape[:2]
    spacing = (size[0] / width, size[1] / height, 1.0)
    image = pv.ImageData(dimensions=(width + 1, height + 1, 1), spacing=spacing, origin=tuple(map(float, origin)))
    image.cell_data["rgb"] = pixels[::-1].reshape(-1, 3)
    return image


def _meshes(primitives: Iterable[Primitive]) -> Iterable[tuple[str, pv.PolyData]]:
    for one in primitives:
        if isinstance(one, Surface):
            yield one.name, surface_mesh(one)
        elif isinstance(one, Ridges):
            yield one.name, ridge_mesh(one)
        elif isinstance(one, Box) and one.fill > 0:
            yield one.name, box_mesh(one)


def _labels(primitives: Iterable[Primitive]) -> pv.PolyData:
    labels = [label for one in primitives if isinstance(one, Labels) for label in one.labels]
    if not labels:
        return pv.PolyData()
    middle = [np.array(one.anchor) + np.array(one.span) * (0.5, 0.0, 1.0) for one in labels]
    mesh = pv.PolyData(np.array(middle, dtype=np.float32))
    add_texts(mesh.GetPointData(), "text", ["\n".join(one.lines) for one in labels])
    return mesh


def _named(parts: Iterable[tuple[str, pv.DataObject]]) -> pv.MultiBlock:
    """Return parts as one block; a name that is there twice gets a number."""
    found = pv.MultiBlock()
    for name, part in parts:
        taken, number, free = set(found.keys()), 2, name
        while free in taken:
            free, number = f"{name} ({number})", number + 1
        found[free] = part
    return found


def _described(
    scene: Scene, context: SceneContext, quantity: str, selection: Selection
) -> Mapping[str, tuple[str, ...]]:
    """Return model, sample and settings as texts by name."""
    capture, sample = context.capture, selection.sample
    step = scene.step(scene.first_time, selection)
    words = {
        "model": (capture.provenance.model,),
        "sample": (capture.sample_name(sample) if sample < capture.committed else "",),
        "quantity": (quantity,),
        "title": (scene.title(sample),),
        "notes": capture.provenance.notes_of(sample),
        "classes": capture.classes or (),
        "step": () if step is None else (str(step),),
    }
    return {name: texts for name, texts in words.items() if texts}
