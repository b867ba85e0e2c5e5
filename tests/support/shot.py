"""Picture of a scene, with the labels and panels that were placed on it."""

from __future__ import annotations

import numpy as np

from nnviz3d.render import placed_text as module
from nnviz3d.render.label_placement import PlacedLabel, Rect
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.primitives import Label
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from tests.support.pinhole import to_pixels


class Shot:
    """A picture, and the labels and panels on it."""

    def __init__(self, scene: Scene, size: tuple[int, int], selection: Selection | None = None) -> None:
        self.scene, self.size = scene, size
        self.labels: tuple[Label, ...] = ()
        self.placed: list[PlacedLabel] = []
        self.panels: list[Rect] = []
        real = module.place_labels

        def watched(ways, around, size, scale, occupied=(), lines=None):
            self.panels = list(occupied)
            self.labels = ways.labels
            self.placed = real(ways, around, size, scale, self.panels, lines)
            return self.placed

        self.pose = scene.camera(scene.duration, aspect=size[0] / size[1])
        studio = Offscreen(size)
        try:
            module.place_labels = watched
            self.pixels = studio.picture(scene.at(scene.duration, selection), self.pose)
        finally:
            module.place_labels = real
            studio.close()

    @property
    def cloud(self) -> bool:
        """Whether the scene shows samples as points, and no network."""
        return any(view.kind == "embedding" for view in self.scene.spec.views)

    def words(self) -> set[str]:
        return {line for p in self.placed for line in p.lines}

    def part(self, node: str) -> np.ndarray:
        """Return the pixels of the rectangle around a block, ``(H, W, 3)``."""
        columns, rows = to_pixels(self.scene.context.plan.corners([node]), self.pose, self.size).T
        return self.pixels[int(rows.min()) : int(rows.max()) + 1, int(columns.min()) : int(columns.max()) + 1].astype(
            int
        )
