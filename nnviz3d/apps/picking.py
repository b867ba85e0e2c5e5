"""From a point of the picture to what is meant by it: shared by window and browser."""

from __future__ import annotations

import numpy as np

from nnviz3d.apps.session import Session
from nnviz3d.render.picking import (
    BoxHit,
    CellHit,
    Hit,
    LineHit,
    PixelHit,
    PointHit,
    RidgeHit,
    TileHit,
    UnitHit,
    nearest_box,
    pick,
)
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.kernels import filter_of, kernel_of
from nnviz3d.scene.derived.neurons import neurons_at
from nnviz3d.scene.derived.projected_samples import newcomer_of
from nnviz3d.scene.layout.attention import Sheet, hang
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.layout.ridges import history, statistic_of
from nnviz3d.scene.selection import CellPick, ChannelPick, EdgePick, HistoryPick, LayerPick, LinkPick, Pick, PointPick
from nnviz3d.scene.views.activations import GRADIENT
from nnviz3d.scene.views.attributions import layer_under
from nnviz3d.scene.views.facts import facts
from nnviz3d.scene.views.statistics import histogram_of

_PLAIN = str.maketrans({"→": "->", "×": "x", "∞": "inf", "−": "-"})


def pick_at(session: Session, at: tuple[float, float]) -> Pick | None:
    """Find what is seen at a point of the picture.

    Parameters
    ----------
    at
        Pixels of the renderer's picture, from its upper left corner.
    """
    what = session.scene.at(session.clock.t, session.selection)
    hit = pick(what, session.renderer.pose(), session.renderer.size, at)
    return None if hit is None else _meant(session.context, hit)


def layer_at(session: Session, at: tuple[float, float]) -> str | None:
    """Find the layer whose block, drawn or not, lies at a point of the picture."""
    if not session.scene.blocks:
        meant = pick_at(session, at)
        return meant.layer if isinstance(meant, CellPick | ChannelPick | LayerPick) else None
    places = list(session.scene.context.plan.placements.values())
    low = np.array([p.origin for p in places])
    size = np.array([p.size for p in places])
    found = nearest_box(low, low + size, session.renderer.pose(), session.renderer.size, at)
    return None if found is None else places[found].node


def say(session: Session) -> str:
    """Return the sentence for what is picked, in characters that any terminal knows; nothing if nothing is."""
    selection = session.selection
    found = None if selection.pick is None else facts(session.context, selection.pick, selection)
    return "" if found is None else found.sentence.translate(_PLAIN)


def _meant(context: SceneContext, hit: Hit) -> Pick | None:
    match hit:
        case CellHit() | PixelHit() if (under := layer_under(hit.name)) is not None:
            return _on_map(context, under, hit)
        case CellHit() if (sheet := Sheet.of_name(hit.name)) is not None:
            return next((hung.pick(hit.cell) for hung in hang(context) if hung.sheet == sheet), None)
        case CellHit() if (filter_ := filter_of(hit.name)) is not None:
            kernel = kernel_of(context.capture, context.graph.node(filter_[0]))
            return None if kernel is None else kernel.pick(filter_[1], hit.cell)
        case CellHit() if hit.name.startswith(GRADIENT):
            layer = hit.name.removeprefix(GRADIENT)
            index = context.place(layer).grid.index(hit.cell)
            return None if index is None else CellPick(layer, index)
        case CellHit():
            if hit.name not in context.graph:
                return next((LayerPick(node.id) for node in context.graph if histogram_of(node.id) == hit.name), None)
            index = context.place(hit.name).grid.index(hit.cell)
            return None if index is None else CellPick(hit.name, index)
        case PixelHit():
            return _on_picture(context, hit.name, hit)
        case TileHit():
            if not hit.tiles.maps:
                return LayerPick(hit.tiles.name)
            grid, channel = context.place(hit.tiles.name).grid, int(hit.tiles.channels[hit.number])
            return CellPick(hit.tiles.name, grid.full((hit.row, hit.column), channel))
        case RidgeHit():
            return _figure(context, hit)
        case BoxHit():
            return LayerPick(hit.name)
        case PointHit() if (newcomer := newcomer_of(hit.name)) is not None:
            return PointPick(*newcomer, placed=True)
        case PointHit():
            return PointPick(hit.name, hit.index)
        case UnitHit():
            if hit.unit is None:
                return LayerPick(hit.layer)
            if hit.layer not in neurons_at(context).vectors:
                return ChannelPick(hit.layer, hit.unit)
            shape = context.place(hit.layer).grid.shape
            return CellPick(hit.layer, tuple(int(i) for i in np.unravel_index(hit.unit, shape)) if shape else ())
        case LineHit():
            return _edge(context, hit)


def _on_map(context: SceneContext, layer: str, hit: CellHit | PixelHit) -> Pick | None:
    """Return the place of a layer at which a map was hit; its channels, of which a map knows nothing, are all meant."""
    if isinstance(hit, CellHit):
        grid = context.place(layer).grid
        if len(grid.shape) < 2:
            index = grid.index(hit.cell)
            return None if index is None else CellPick(layer, index)
        index = grid_for((*grid.places, 1)).index(hit.cell)
        return None if index is None else CellPick(layer, index[:-1])
    return _on_picture(context, layer, hit)


def _on_picture(context: SceneContext, layer: str, hit: PixelHit) -> CellPick:
    """Return the index that a pixel shows: of one number, or of a place with all its channels if there are several."""
    grid = context.place(layer).grid
    rows, columns = grid.places[-2:]
    place = (hit.row * rows // hit.shape[0], hit.column * columns // hit.shape[1])
    return CellPick(layer, grid.full(place, 0) if grid.channels == 1 else place)


def _figure(context: SceneContext, hit: RidgeHit) -> HistoryPick | None:
    """Return the figure that a column of a ridge stands for: its first that is not finite, or its greatest."""
    statistic, training = statistic_of(hit.ridges.name), context.capture.training
    found = None if statistic is None or training is None else history(training, context.graph, statistic)
    if found is None:
        return None
    return HistoryPick(found.names[hit.ridge], found.statistic, int(found.telling[hit.ridge, hit.column]))


def _edge(context: SceneContext, hit: LineHit) -> EdgePick | LinkPick | None:
    ends = hit.lines.ends
    if ends is None:
        return None
    if ends.taken is not None:
        units = (int(i) for i in ends.index[hit.number])
        return LinkPick(ends.source, ends.target, ends.taken, *units)
    source, target = (
        tuple(int(i) for i in np.unravel_index(int(flat), context.place(node).grid.shape))
        for node, flat in zip((ends.source, ends.target), ends.index[hit.number], strict=True)
    )
    return EdgePick(ends.source, ends.target, source, target, float(ends.weight[hit.number]))
