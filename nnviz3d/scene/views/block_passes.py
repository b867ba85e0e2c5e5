"""The part of each block that the forward pass and the backward pass have reached."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.primitives import Image, Lines, Primitive, Source, Voxels
from nnviz3d.scene.timeline import Timeline

_SUNK = 0.32
"""Opacity of the forward pass's blocks during the backward pass."""
_GLOW = 0.5
"""Additional brightness of a block right after the backward pass has reached it."""


class BlockPasses:
    """The two passes through the blocks of a scene, by its timeline."""

    def __init__(self, context: SceneContext, timeline: Timeline) -> None:
        self._context = context
        self._timeline = timeline

    def reached(self, layer: str, t: float) -> float:
        """Return the share of a layer that the forward pass has revealed, from 0 to 1."""
        return self._timeline.revealed(self._rank(layer), t)

    def revealed(self, block: Primitive, t: float) -> Primitive:
        """Return the part of a block or of its curves that the forward pass has revealed."""
        if isinstance(block, Lines):
            return self._drawn_to(block, t)
        if not isinstance(block, Voxels | Image):
            return block
        share = self.reached(block.name, t)
        if share >= 1:
            return block
        return (
            replace(block, reveal=share) if isinstance(block, Voxels) else replace(block, opacity=share * block.opacity)
        )

    def _drawn_to(self, lines: Lines, t: float) -> Lines:
        """Return the part of a block's curves on the revealed side of the block."""
        if lines.source is None or lines.source.layer is None:
            return lines
        placement = self._context.placement(lines.source.layer)
        share = self.reached(lines.source.layer, t)
        if share >= 1:
            return lines
        kept = lines.points[:, -1, 0] <= placement.origin[0] + share * placement.size[0]
        return replace(lines, points=lines.points[kept], colors=lines.colors[kept])

    def dimmed(self, block: Primitive, t: float, replaced: Collection[str]) -> Primitive:
        """Return a block of the forward pass during the backward pass: dimmed, and hidden where gradients replace it."""
        turned = self._timeline.turned(t)
        if turned <= 0 or not isinstance(block, Voxels | Image):
            return block
        rest = 1 - self._timeline.returned(self._rank(block.name), t) if block.name in replaced else 1.0
        seen = 1 - (1 - _SUNK) * turned
        if isinstance(block, Image):
            return replace(block, opacity=block.opacity * seen * rest)
        return replace(block, reveal=min(block.reveal, rest), emphasis=block.emphasis * seen)

    def returned(self, block: Voxels, t: float) -> Voxels:
        """Return the part of a block of gradients that the backward pass has revealed, from its end, with its light."""
        rank = self._rank(block.name)
        share = self._timeline.returned(rank, t)
        return replace(
            block,
            name=f"gradient:{block.name}",
            source=Source("activations", block.name, part="gradients"),
            since=1 - share,
            front=1 - share if 0 < share < 1 else None,
            glow=_GLOW * self._timeline.afterglow(rank, t) * share,
        )

    def _rank(self, name: str) -> int:
        return self._context.placement(name).rank
