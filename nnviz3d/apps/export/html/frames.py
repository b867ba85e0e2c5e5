"""Tables of frames: a scene at the moments of its timeline, for each layout, sample and quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nnviz3d.apps.export.html.looks import LookMoments, table_looks
from nnviz3d.apps.export.html.pick_sums import sum_words
from nnviz3d.apps.open_target import Opened
from nnviz3d.client.encoding import Encoder, Frame
from nnviz3d.client.pick_tables import pick_tables
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.scene.primitives import DrawList, Lines, Points, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.points.embedding import EmbeddingView

LAYOUTS: Mapping[str, float] = {"wide": 16 / 9, "tall": 0.52}
"""Aspects of the pictures that the scene is laid out for: a screen, and a telephone held upright."""
_FPS = 30
_MOST = 3600
"""Maximum number of moments; a longer timeline has fewer of them in a second."""


POINT_PICTURES = "*points"
"""Name of the pictures of points among what is left out; no layer has it."""


@dataclass(frozen=True)
class TableKey:
    """Content of a table of frames.

    Attributes
    ----------
    layout
        Name of the layout.
    sample
        Index of the sample.
    quantity
        The quantity of the cells; `None` if the scene has no cells to choose one for.
    """

    layout: str
    sample: int
    quantity: Quantity | None


@dataclass(frozen=True)
class FrameTable:
    """The frames of one layout, sample and quantity.

    Attributes
    ----------
    frames
        The different frames in their order. The first one is the indices of its records. Each further one is the
        places and the indices that differ from the frame before, ``[place, index, ...]``, or ``[-1, index, ...]`` for a
        frame of another length.
    runs
        Number of moments that each frame lasts.
    arrays
        Indices of all arrays of the frames.
    looks
        What other scales, thresholds and colour maps change.
    picks
        Records of what can be picked, and for each frame the position of its record among them.
    left_out
        Sentences on picks that the table does not describe.
    blocks
        The indices of the cells of each layer.
    sums
        Why some numbers are what they are, as `sum_words` tells; none if another table of the sample tells it.
    motions
        For arrays of moving points: the array of the points of all steps, and the moments between them.
    """

    key: TableKey
    background: list[list[float]]
    frames: list[list[int]]
    runs: list[int]
    arrays: frozenset[int]
    looks: dict[str, Any]
    picks: tuple[list[int], list[int]]
    left_out: tuple[str, ...]
    blocks: dict[str, set[int]]
    motions: dict[int, tuple[int, tuple[float, ...]]]
    sums: list[dict[str, Any]]


def moments(duration: float) -> list[float]:
    """Return the moments of a timeline, from 0 to its end: 30 a second, and fewer in a very long one."""
    count = min(int(duration * _FPS) + 1, _MOST)
    step = max(1 / _FPS, duration / _MOST)
    found = [k * step for k in range(count) if k * step < duration]
    return [*found, duration]


def scenes_of(found: Opened, selection: Selection) -> dict[str, Scene]:
    """Build the scene for each layout, with the groups around the selected layer open."""
    return {name: found.scene(selection, aspect=aspect) for name, aspect in LAYOUTS.items()}


def quantities_of(scene: Scene, selection: Selection) -> tuple[Quantity | None, ...]:
    """Return the quantities that the cells can show for a sample, the shown one first."""
    view = next((view for view in scene.spec.views if isinstance(view, ActivationsSpec)), None)
    if view is None:
        return (None,)
    first: Quantity = selection.quantity or view.quantity
    # A scene that plays a backward pass shows gradients in its course.
    if first in ("difference", "change") or scene.timeline.backward is not None:
        return (first,)
    held = ("activation", *(OF_GRADIENTS if scene.context.has_gradients(selection) else ()))
    return (first, *(name for name in held if name != first))


def selection_for(key: TableKey, selection: Selection) -> Selection:
    """Return the selection that a table shows, from that of the options."""
    explained = selection.target if key.sample == selection.sample else None
    return replace(selection, sample=key.sample, quantity=key.quantity, target=explained, pick=None)


def table_of(
    encoder: Encoder,
    scene: Scene,
    key: TableKey,
    selection: Selection,
    *,
    gradients: bool,
    dropped: frozenset[str] = frozenset(),
    explains: bool = False,
) -> FrameTable:
    """Encode all frames of a scene.

    Parameters
    ----------
    dropped
        Layers whose cells are left out, and `POINT_PICTURES` if the pictures of points are.
    gradients
        Whether the description of a picked cell has its gradient.
    explains
        Whether the table tells why numbers of the sample are what they are.
    """
    chosen = selection_for(key, selection)
    frames: list[list[int]] = []
    runs: list[int] = []
    before: list[int] | None = None
    background: list[list[float]] = []
    shown: list[Frame] = []
    drawn: list[tuple[float, DrawList]] = []
    look_moments = LookMoments()
    motions: dict[int, tuple[int, tuple[float, ...]]] = {}
    for moment in moments(scene.duration):
        what = _without(scene.at(moment, chosen), dropped)
        frame = encoder.frame(what)
        now = frame["primitives"]
        background = frame["background"]
        if now == before:
            runs[-1] += 1
            continue
        frames.append(now if before is None else _changes(before, now))
        runs.append(1)
        before = now
        shown.append(frame)
        drawn.append((moment, what))
        motions |= _motions(scene, moment, chosen, what, encoder)
        look_moments.add(moment, what)
    found = pick_tables(scene, drawn, chosen, gradients=gradients, without=dropped)
    picks = [encoder.record(table) for table in found.tables], list(found.of_frame)
    looks = table_looks(scene, chosen, look_moments.moments, encoder)
    blocks: dict[str, set[int]] = {}
    for _, what in look_moments.moments:
        for one in what.primitives:
            if isinstance(one, Voxels) and one.source is not None and one.source.layer is not None:
                blocks.setdefault(one.source.layer, set()).add(encoder.cells(one))
    sums = sum_words(scene, chosen) if explains else []
    arrays = encoder.arrays_in(shown)
    return FrameTable(key, background, frames, runs, arrays, looks, picks, found.left_out, blocks, motions, sums)


def _motions(
    scene: Scene, t: float, selection: Selection, what: DrawList, encoder: Encoder
) -> dict[int, tuple[int, tuple[float, ...]]]:
    """Return what the points and the trails of a training's picture are computed from, by the index of their array."""
    view = scene.find(EmbeddingView)
    motion = None if view is None else view.motion(t, selection)
    if view is None or motion is None:
        return {}
    way = encoder.array(motion.way)
    found = {}
    for one in what.primitives:
        if isinstance(one, Points) and one.name == view.shown(selection):
            found[encoder.array(one.points)] = way, motion.moments["points"]
        elif isinstance(one, Lines) and one.name == "trails":
            found[encoder.array(one.points)] = way, motion.moments["trails"]
    return found


def _without(what: DrawList, dropped: frozenset[str]) -> DrawList:
    """Return a picture without the cells of some layers, or without the pictures of points."""
    if not dropped:
        return what
    kept = [
        one for one in what.primitives if not (isinstance(one, Voxels) and one.source and one.source.layer in dropped)
    ]
    if POINT_PICTURES in dropped:
        kept = [
            replace(one, pictures=None) if isinstance(one, Points) and one.pictures is not None else one for one in kept
        ]
    return replace(what, primitives=tuple(kept))


def has_point_pictures(scene: Scene, selection: Selection) -> bool:
    """Whether points of a scene have pictures."""
    shown = scene.at(scene.duration, selection).primitives
    return any(isinstance(one, Points) and one.pictures is not None for one in shown)


def _changes(before: list[int], now: list[int]) -> list[int]:
    if len(before) != len(now):
        return [-1, *now]
    return [word for place, (a, b) in enumerate(zip(before, now, strict=True)) if a != b for word in (place, b)]


def series_of(records: Mapping[int, Mapping[str, Any]]) -> Iterator[list[int]]:
    """Yield the indices of arrays that follow each other in one field of one primitive."""
    found: dict[tuple[str, str, str], list[int]] = {}
    kinds: dict[int, tuple[str, str]] = {}
    for index, record in records.items():
        kind, name = kinds.get(record.get("like", -1), ("", ""))
        kinds[index] = record.get("kind", kind), str(record.get("name", name))
        for field, value in record.items():
            if isinstance(value, dict) and "a" in value:
                indices = found.setdefault((*kinds[index], field), [])
                if not indices or indices[-1] != value["a"]:
                    indices.append(value["a"])
    yield from found.values()
