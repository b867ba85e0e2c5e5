"""View of the alarms of a training: a frame and a label for each layer with an alarm, and a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nnviz3d.analysis.health import Alarm, alarms, groups, heading
from nnviz3d.scene.colors import Color, number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.panel_rows import Row, SwatchRow, TextRow
from nnviz3d.scene.primitives import Label, Labels, Lines, Panel, Primitive, Span, vector
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.view import View
from nnviz3d.scene.view_spec import TrainingUse, ViewSpec

GRAVE: Color = (1.0, 0.22, 0.20)
"""Colour of alarms that mean a lost layer or training."""
SERIOUS: Color = (1.0, 0.80, 0.16)
"""Colour of alarms that may recover."""
_MARGIN, _AMPLE = 0.09, 0.3
"""World distance of a frame from its block, and from the centres of balls, whose size on the screen is constant."""
_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
_EDGES = np.array([(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b).bit_count() == 1])
_TOLD_IN_FULL, _LISTED = 2, 4
"""Maximum number of kinds of alarms that the list explains, and maximum number that it names."""


class HealthSpec(ViewSpec):
    """The alarms of a recorded training at the shown step: a frame around each layer, and a list.

    It is added automatically to every scene of a capture with a training.

    Attributes
    ----------
    labels
        Maximum number of layers with the same alarm that have a label each; more layers share one label.
    """

    kind: Literal["health"]
    training: ClassVar[TrainingUse] = "automatic"
    labels: Annotated[int, Field(ge=1)] = 3


class HealthView(View):
    """The alarms of the shown step.

    Attributes
    ----------
    points_of
        Function that returns the points ``(n, 3)`` of a layer, none if it is not shown; `None` if blocks are shown.
    """

    points_of: Callable[[str], NDArray[np.float64]] | None = None

    spec_class = HealthSpec

    def __init__(self, spec: HealthSpec, context: SceneContext, timeline: Timeline) -> None:
        self._context = context
        self._labelled = spec.labels
        self._timeline = timeline
        self._kept: tuple[int | None, tuple[Primitive, ...]] = (None, ())

    def at(self, t: float, selection: Selection) -> tuple[Primitive, ...]:
        """Return marks and list; nothing without alarms or recorded steps."""
        training = self._context.capture.training
        index = None if training is None else self._timeline.recorded_index(training, t, selection.step)
        if training is None or index is None:
            return ()
        if self._kept[0] != index:
            found = alarms(training, self._context.graph, index)
            self._kept = (index, (*self._frames(found), *self._words(found)) if found else ())
        return self._kept[1]

    def _frames(self, found: Iterable[Alarm]) -> tuple[Lines, ...]:
        # The last entry of a layer wins, which is its gravest alarm.
        colors = {alarm.layer: color_of(alarm) for alarm in reversed(list(found))}
        boxes = [(span, color) for layer, color in colors.items() if (span := self._box(layer)) is not None]
        if not boxes:
            return ()
        edges = np.concatenate([_frame(span) for span, _ in boxes])
        paint = np.array([[*color, 1.0] for _, color in boxes], dtype=np.float32)
        return (Lines("health", edges.astype(np.float32), np.repeat(paint, len(_EDGES), axis=0), width=2.6),)

    def _box(self, layer: str) -> Span | None:
        """Return the frame of a layer, if it is shown."""
        if self.points_of is None:
            placement = self._context.placement(layer)
            return _widened(np.array(placement.origin), np.array(placement.size), _MARGIN)
        points = self.points_of(layer)
        if not len(points):
            return None
        low, high = points.min(axis=0), points.max(axis=0)
        return _widened(low, high - low, _AMPLE)

    def _words(self, found: Iterable[Alarm]) -> tuple[Primitive, ...]:
        kinds = groups(found)
        labels: dict[str, Label] = {}
        for alike in kinds:
            few = len(alike) <= self._labelled
            for alarm in alike if few else alike[:1]:
                first = alarm.title if few else f"{alarm.title} in {len(alike)} layers"
                # Only a layer's gravest alarm: the others are in the list.
                span = self._box(alarm.layer)
                if span is not None:
                    labels.setdefault(alarm.layer, _label(alarm, first, span))
        return Labels("health", tuple(labels.values())), Panel("health", "bottom-right", tuple(self._rows(kinds)))

    def _rows(self, kinds: Sequence[Sequence[Alarm]]) -> Iterator[Row]:
        layers = [node.id for node in self._context.graph]
        yield TextRow(f"alarms at training step {kinds[0][0].step:,}")
        for alike in kinds[:_LISTED]:
            worst, text = alike[0], heading(alike, layers)
            if len(kinds) > _TOLD_IN_FULL:
                yield SwatchRow(((color_of(worst), f"{text}: {brief(worst)}"),))
                continue
            yield SwatchRow(((color_of(worst), text),))
            whose = f"it began in {worst.layer}: " if worst.origin else f"{worst.layer}: "
            yield TextRow(f"{whose if len(alike) > 1 else ''}{worst.words}", "quiet")
        if len(kinds) > _LISTED:
            yield TextRow(f"and {len(kinds) - _LISTED} more of other kinds", "quiet")


def _label(alarm: Alarm, first: str, span: Span) -> Label:
    return Label(span.origin, (first, brief(alarm)), "above", 15.0 + alarm.grave, span=span.size)


def color_of(alarm: Alarm) -> Color:
    """Return the colour of an alarm."""
    return GRAVE if alarm.grave else SERIOUS


def brief(alarm: Alarm) -> str:
    """Write an alarm's figure for a label."""
    match alarm.kind:
        case "nonfinite":
            return alarm.words.partition(" (")[0]
        case "exploding":
            return f"norm {number(alarm.figure)}"
        case "vanishing":
            return f"{number(alarm.figure)} of the largest"
        case "dead" | "saturated":
            return f"{alarm.figure:.0%}"
        case "update":
            return f"{number(alarm.figure)} of the weights"


def _frame(span: Span) -> NDArray[np.float64]:
    """Return the edges of a box, ``(12, 2, 3)`` world coordinates."""
    corners = np.array(span.origin) + _CORNERS * np.array(span.size)
    return np.asarray(corners[_EDGES])


def _widened(origin: NDArray[np.float64], size: NDArray[np.float64], margin: float) -> Span:
    return Span(vector(origin - margin), vector(size + 2 * margin))
