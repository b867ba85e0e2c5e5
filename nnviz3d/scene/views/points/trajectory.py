"""The point cloud of a training: the computed points at each embedded step, interpolated points in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.embedding_trajectory import class_separation
from nnviz3d.data.training import Training
from nnviz3d.data.training_embedding import EmbeddedOutputs
from nnviz3d.scene.colors import Color
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.embedding_trajectory import embedding_at, known_trajectory
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Lines, Panel, Primitive
from nnviz3d.scene.selection import ColoredBy, PointFilter, Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.views.points.cloud import RADIUS, Cloud, CoordinateFrame
from nnviz3d.scene.views.points.painting import Painted
from nnviz3d.scene.views.points.samples import PointPick

_WRONG = 20.0
"""Diameter of a wrongly predicted point; smaller than usual, because at first nearly all predictions are wrong."""
_TRAIL = 0.38
"""Opacity of the trails."""
_PIECES = 8
"""Straight pieces of a trail per step."""


@dataclass(frozen=True, eq=False)
class PointMotion:
    """Arrays from which `on_spline` computes moving points.

    Attributes
    ----------
    way
        ``(E, M, 3)``: the points of all steps.
    moments
        The moments of the points, and those of the trails.
    """

    way: NDArray[np.float32]
    moments: dict[Literal["points", "trails"], tuple[float, ...]]


class TrajectoryCloud:
    """The points of a training. All steps have the same scale, and the rotation that fits the last step best.

    A moment is an index of the E embedded steps, 0 to E - 1, with fractions in between. At whole numbers the points are
    exactly the computed ones.

    Attributes
    ----------
    reach
        ``(E * M, 3)``: the positions of all points at all steps.
    count
        Number of points, M.
    moves
        Whether there are several steps.
    columns
        What is known of the samples at the last step, which can colour the points, by name.
    """

    def __init__(self, context: SceneContext, training: Training, embedded: EmbeddedOutputs, trails: float) -> None:
        self._context, self._training, self._embedded, self._trails = context, training, embedded, trails
        self._trajectory = known_trajectory(context, embedded)
        self._frame, self._way = _framed(self._trajectory.points)
        self.reach = self._way.reshape(-1, 3)
        self.count = self._way.shape[1]
        self.moves = len(self._way) > 1
        self._clouds: dict[int, Cloud] = {}
        self.columns = self._cloud(len(self._way) - 1).columns
        self._kept: dict[tuple[float, ColoredBy | None, PointFilter], tuple[Primitive, ...]] = {}

    def colored_by(self, wanted: ColoredBy) -> ColoredBy | None:
        """Return what colours the points: `wanted` if it is known, otherwise the first column."""
        return wanted if wanted in self.columns else next(iter(self.columns), None)

    def palette(self, by: ColoredBy | None) -> dict[str, Color]:
        """Return the colours of the most frequent categories of a column at the last step by their names."""
        return self._cloud(len(self._way) - 1).palette(by)

    def moment(self, t: float, share: float, timeline: Timeline, selection: Selection) -> float:
        """Return the shown moment: the selected step's, or the clock's.

        Parameters
        ----------
        share
            Finished share of the points' way, from 0 to 1, for a scene without a training phase.
        """
        last = len(self._way) - 1
        if selection.step is not None:
            return float(max(int(np.searchsorted(self._embedded.steps, selection.step, side="right")) - 1, 0))
        if timeline.training is None:
            return share * last
        recorded = len(self._training)
        index = min(timeline.trained(t) * recorded, recorded - 1.0)
        return float(np.interp(index, self._recorded_indices, np.arange(last + 1)))

    def at(self, moment: float, color: ColoredBy, sample: int, wanted: PointFilter) -> tuple[Primitive, ...]:
        """Return the primitives of a moment; the same objects as before if nothing has changed. `sample` is not used.

        Parameters
        ----------
        wanted
            The points that are searched for; the others are small.
        """
        by = self.colored_by(color)
        key = (moment, by, wanted)
        if key not in self._kept:
            # The end is cached too: the clock rests there, so it is uploaded only once.
            self._kept = {
                one: found for one, found in self._kept.items() if (one[0], one[2]) == (len(self._way) - 1, wanted)
            }
            step = self._cloud(int(moment))
            painted = step.paint(by, wanted)
            points = self.points(moment)
            cloud = step.balls(points, painted)
            trails = self._trailing(moment, painted)
            legend = self._legend(moment, painted)
            # The names stand at points that are dense at the last step, so that they do not jump from one step to the next.
            names = self._cloud(len(self._way) - 1).names(points, painted)
            self._kept[key] = (*trails, cloud, names, step.title, legend)
        return self._kept[key]

    def marked(self, moment: float, pick: PointPick, selected: int) -> tuple[Primitive, ...]:
        """Return brackets around a point, and the callout of its sample at the step. `selected` is not used."""
        return (self._cloud(int(moment)).callout(self.points(moment), pick.index),)

    def points(self, moment: float) -> NDArray[np.float32]:
        """Return the points, ``(M, 3)``, on splines through the computed points (Catmull and Rom 1974)."""
        return on_spline(self._way, moment)

    def motion(self, moment: float) -> PointMotion:
        """Return the moments of the way from which the points and the trails of a moment are computed."""
        return PointMotion(self._way, {"points": (moment,), "trails": self._trail_moments(moment)})

    @cached_property
    def _recorded_indices(self) -> NDArray[np.int64]:
        """Recorded indices of the embedded steps, ``(E,)``."""
        return np.searchsorted(self._training.steps, self._embedded.steps)

    def _cloud(self, at: int) -> Cloud:
        if at not in self._clouds:
            found = embedding_at(self._context, self._embedded, at)
            self._clouds[at] = Cloud(self._context, found, (self._frame, self._way[at : at + 1]), wrong=_WRONG)
        return self._clouds[at]

    def _trailing(self, moment: float, painted: Painted) -> tuple[Lines, ...]:
        moments = self._trail_moments(moment)
        if not moments:
            return ()
        way = np.stack([self.points(one) for one in moments], axis=1)
        return (
            Lines(
                "trails",
                np.ascontiguousarray(way),
                painted.colors * np.array([1, 1, 1, _TRAIL], dtype=np.float32),
                width=1.2,
            ),
        )

    def _trail_moments(self, moment: float) -> tuple[float, ...]:
        length = min(self._trails, moment)
        if length <= 0:
            return ()
        count = max(int(np.ceil(length * _PIECES)), 1) + 1
        return tuple(float(one) for one in np.linspace(moment - length, moment, count))

    def _legend(self, moment: float, painted: Painted) -> Panel:
        """Return the legend with the step above it and the distance between the classes."""
        k, steps = int(moment), self._embedded.steps
        words = f"the points of step {steps[k]:,}"
        if moment != k:
            words = f"points between step {steps[k]:,} and step {steps[k + 1]:,}"
        rows = [TextRow(words)]
        if not self._trajectory.quality[k]:
            remark = "the layer's outputs at this step are all equal or not finite, so the points did not move"
            rows.append(TextRow(remark, "quiet"))
        labels = self._embedded.samples.labels
        if len(np.unique(labels)) > 1 and self._way[k].any():
            apart = class_separation(self._trajectory.points[k], labels)
            rows.append(TextRow(f"distance between classes: {apart:.1f} mean class radii"))
        return replace(painted.legend, rows=(*rows, *painted.legend.rows))


def on_spline(way: NDArray[np.float32], moment: float) -> NDArray[np.float32]:
    """Return points on splines through the points of all steps (Catmull and Rom 1974).

    Parameters
    ----------
    way
        ``(E, M, 3)``.
    moment
        From 0 to E - 1; at whole numbers the points are those of a step.

    Returns
    -------
    ``(M, 3)``.
    """
    k = int(moment)
    if moment == k:
        return np.asarray(way[k])
    last, u = len(way) - 1, moment - k
    a, b, c, d = (way[min(max(i, 0), last)].astype(np.float64) for i in range(k - 1, k + 3))
    found = b + u / 2 * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
    return np.asarray(found, dtype=np.float32)


def _framed(points: NDArray[np.float32]) -> tuple[CoordinateFrame, NDArray[np.float32]]:
    """Transform the points of all steps, ``(E, M, d)``, to the world, ``(E, M, 3)``, all in the same way."""
    way = points.astype(np.float64)
    middle = way.mean(axis=(0, 1))
    way -= middle
    axes = np.linalg.eigh(way[-1].T @ way[-1])[1][:, ::-1]
    axes[:, -1] *= np.sign(np.linalg.det(axes))  # a rotation, not a reflection
    way = way @ axes
    scale = RADIUS / max(float(np.abs(way).max()), 1e-9)
    flat = np.zeros((*way.shape[:2], 3), dtype=np.float32)
    flat[..., : way.shape[2]] = way * scale
    return CoordinateFrame(middle, axes, scale), flat
