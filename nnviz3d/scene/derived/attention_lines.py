"""Lines from keys to queries: how much each token of an attention layer takes from each token of its keys."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.colors import Color
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.layout.routes import bezier
from nnviz3d.scene.primitives import Lines, Source

_POINTS = 20
_REACH = 0.45
"""How far a line leaves its block horizontally, as a share of the distance between the blocks."""


def keys_of(context: SceneContext, layer: str, count: int) -> str | None:
    """Return the sheet whose rows are the keys of an attention layer; `None` if no source has `count` tokens.

    The sources of an attention layer are query, value and key, in this order; of equal ones there is one.
    """
    grids = {name: context.placement(name).grid for name in context.graph.sources(layer)}
    found = [name for name, grid in grids.items() if grid.tokens and len(grid.shape) == 2 and grid.shape[0] == count]
    return found[-1] if found else None


def attention_lines(
    context: SceneContext,
    layer: str,
    scores: NDArray[np.float32],
    name: str,
    color: Color,
    *,
    strongest: int | None = None,
    farthest: float = math.inf,
    width: float = 1.4,
) -> Lines | None:
    """Return lines from the rows of the keys' sheet to the rows of the layer's sheet: the root of a score is the opacity.

    Parameters
    ----------
    scores
        ``(queries, keys)``; NaN for scores without a line.
    strongest
        Number of keys of each query that have a line; by default all.
    farthest
        World distance of the two sheets beyond which there are no lines.

    Returns
    -------
    `None` if the keys have no sheet of their own or a far one, or no score has a line.
    """
    target = context.placement(layer)
    keys = keys_of(context, layer, scores.shape[1])
    if keys is None or not target.grid.tokens or target.grid.shape[0] != scores.shape[0]:
        return None
    block, known = context.placement(keys), np.nan_to_num(scores)
    rank = np.argsort(np.argsort(-known, axis=1, kind="stable"), axis=1, kind="stable")
    query, key = np.nonzero((known > 0) & (rank < (scores.shape[1] if strongest is None else strongest)))
    if not len(query) or target.origin[0] - block.origin[0] - block.size[0] > farthest:
        return None
    start = np.stack([np.full(len(key), block.origin[0] + block.size[0]), _heights(context, keys)[key]], axis=1)
    end = np.stack([np.full(len(query), target.origin[0]), _heights(context, layer)[query]], axis=1)
    ends = [np.concatenate([points, np.zeros((len(points), 1))], axis=1) for points in (start, end)]
    reach = (ends[1] - ends[0]) * np.array([_REACH, 0.0, 0.0])
    points = bezier(ends[0], ends[0] + reach, ends[1] - reach, ends[1], _POINTS)
    opacity = np.sqrt(np.clip(known[query, key], 0, 1))[:, np.newaxis]
    colors = np.concatenate([np.tile(np.array(color), (len(query), 1)), opacity], axis=1)
    source = Source("attention", layer)
    return Lines(name, points.astype(np.float32), colors.astype(np.float32), width=width, source=source)


def _heights(context: SceneContext, node_id: str) -> NDArray[np.float64]:
    """Return the world height of the middle of each row of a sheet, ``(T,)``."""
    placement = context.placement(node_id)
    return np.asarray(placement.origin[1] + (placement.grid.token_rows + 0.5) * placement.cell[1])
