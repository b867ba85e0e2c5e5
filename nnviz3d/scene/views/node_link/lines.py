"""Lines of a node-link graph: weights between balls, and layers that pass units on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nnviz3d.scene.derived.neurons import Feed
from nnviz3d.scene.derived.unit_weights import Links
from nnviz3d.scene.layout.nodes import BallLayout, positions_of
from nnviz3d.scene.layout.routes import bezier
from nnviz3d.scene.primitives import Ends, Lines, Source
from nnviz3d.scene.views.node_link.colors import PASSING, WIDTHS, tint, width_bins

_OVER = 1.2
"""World height of an arc above the balls that it crosses."""
_BOW = 20
BallLayouts = Mapping[str, BallLayout]


def strongest(links: Links, layouts: BallLayouts, most: int) -> NDArray[np.int64]:
    """Return the `most` strongest finite links between shown balls, the weakest first."""
    source, target = layouts[links.feed.source], layouts[links.feed.target]
    between = np.isin(links.index[:, 0], source.units) & np.isin(links.index[:, 1], target.units)
    chosen = np.flatnonzero(between & np.isfinite(links.norm))
    return chosen[np.argsort(-links.norm[chosen], kind="stable")][:most][::-1]


def weighted(name: str, links: Links, chosen: NDArray[np.int64], layouts: BallLayouts, diverging: str) -> list[Lines]:
    """Draw the chosen links, one primitive for each width, thin ones first."""
    if not len(chosen):
        return []
    share = links.norm[chosen] / max(float(links.norm[chosen].max()), 1e-30)
    index, signed = links.index[chosen], links.signed[chosen]
    colors = tint(diverging, np.copysign(share, signed))
    ways = _between(links.feed, index, layouts)
    lines = []
    bins = width_bins(share)
    for k, width in enumerate(WIDTHS):
        mine = bins == k
        if mine.any():
            feed = links.feed
            ends = Ends(feed.source, feed.target, index[mine], signed[mine].astype(np.float32), taken=feed.taken)
            lines.append(Lines(f"{name}/{k}", ways[mine], colors[mine], width, ends=ends, source=Source("nodes")))
    return lines


def passing(name: str, feed: Feed, links: Links | None, layouts: BallLayouts) -> Lines:
    """Draw lines for units that are passed on unchanged; one line for all if single units are unknown."""
    chosen = np.empty(0, dtype=np.int64) if links is None else strongest(links, layouts, len(links.norm))
    if links is not None and len(chosen):
        points = _between(feed, links.index[chosen], layouts)
    else:
        start, end = (layouts[layer].points.mean(axis=0)[np.newaxis] for layer in (feed.source, feed.target))
        points = ways(feed, start, end, layouts)
    return Lines(name, points, np.tile(np.array(PASSING, dtype=np.float32), (len(points), 1)), 0.8)


def ways(feed: Feed, start: NDArray[np.float64], end: NDArray[np.float64], layouts: BallLayouts) -> NDArray[np.float32]:
    """Return straight lines to the next layer, and arcs over the balls in between, ``(n, p, 3)``."""
    first, last = layouts[feed.source].position.rank, layouts[feed.target].position.rank
    low, high = np.minimum(start[:, 1], end[:, 1]).min(), np.maximum(start[:, 1], end[:, 1]).max()
    hidden = [
        layout
        for layout in layouts.values()
        if first < layout.position.rank < last and layout.origin[1] <= high and layout.origin[1] + layout.size[1] >= low
    ]
    if not hidden:
        return np.stack([start, end], axis=1).astype(np.float32)
    top = max(layout.origin[1] + layout.size[1] for layout in hidden) + _OVER
    lift = np.zeros_like(start)
    # A cubic curve reaches three quarters of the height of its two middle points.
    lift[:, 1] = (top - (start[:, 1] + end[:, 1]) / 2) / 0.75
    reach = (end - start) * np.array([0.3, 0.0, 0.3])
    return bezier(start, start + reach + lift, end - reach + lift, end, _BOW).astype(np.float32)


def _between(feed: Feed, index: NDArray[np.int64], layouts: BallLayouts) -> NDArray[np.float32]:
    start, end = positions_of(layouts[feed.source], index[:, 0]), positions_of(layouts[feed.target], index[:, 1])
    return ways(feed, start, end, layouts)
