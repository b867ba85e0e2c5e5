"""Data with which an exported page finds the receptive field of a picked cell: reach of the edges, and places of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from nnviz3d.analysis.reach_tables import AxisReach, EdgeReach, reach_tables
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.grouped_capture import originals, without_groups
from nnviz3d.scene.derived.cell_fields import known_shapes
from nnviz3d.scene.scene import Scene


def field_words(scenes: Mapping[str, Scene]) -> dict[str, Any] | None:
    """Return the tables as JSON; `None` if no cell can be picked, or the tables cannot say what all layers read.

    Parameters
    ----------
    scenes
        The scene in each layout.
    """
    scene = next(iter(scenes.values()))
    if not scene.blocks:
        return None
    context = scene.context
    capture, shown = without_groups(context.capture), originals(context.capture)
    shapes = known_shapes(capture)
    if shapes is None:
        return None
    tables = reach_tables(capture.graph, shapes.__getitem__)
    if tables is None:
        return None
    return {
        "tables": table_words(shapes, tables),
        "shown": [[node.id, shown[node.id]] for node in context.graph if node.id in shown],
        "edges": [[edge.source, edge.target] for edge in context.graph.edges],
        "layouts": {name: _placements(one) for name, one in scenes.items()},
    }


def table_words(shapes: Mapping[str, tuple[int, ...]], tables: tuple[EdgeReach, ...]) -> dict[str, Any]:
    """Return the tables of edges as JSON, by the shapes of the nodes in the order of the graph."""
    return {
        "nodes": [{"id": name, "shape": list(shape)} for name, shape in shapes.items()],
        "edges": [
            {
                "source": one.source,
                "target": one.target,
                "axes": [_axis(axis) for axis in one.axes],
                "flat": one.flat,
                "unclear": one.unclear,
                "idle": [np.flatnonzero(mask).tolist() for mask in one.idle],
            }
            for one in tables
        ],
    }


def _axis(found: AxisReach | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"axis": found.axis, "low": found.low.tolist(), "high": found.high.tolist(), "step": found.step}


def _placements(scene: Scene) -> dict[str, dict[str, Any]]:
    """Return the place of each layer's block."""
    graph, found = scene.context.graph, {}
    for name, one in scene.context.plan.placements.items():
        grid = asdict(one.grid)
        found[name] = {
            "grid": {key: grid[key] for key in ("shape", "size", "count", "tokens", "backwards")},
            "channel_axis": channel_axis(one.grid.axes),
            "origin": one.origin,
            "cell": one.cell,
            "size": one.size,
            "row": one.row,
            "pictured": name in graph.inputs and one.grid.picture is not None,
        }
    return found
