"""Changes of an exported page's frames by other scales, thresholds and colour maps; `client/static/looks.js` applies them.

A look changes a few fields of the blocks, and a few legends. The scene itself is asked for them, at each moment at which
other numbers are shown; the page changes these fields of its frames, so that a frame of any look needs no frame of its
own in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args

import numpy as np

from nnviz3d.client.encoding import Encoder
from nnviz3d.scene.colors import DIVERGING, SEQUENTIAL, Normalize, colormap
from nnviz3d.scene.primitives import Box, DrawList, Image, Labels, Lines, Panel, Primitive, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.legends import words_for

_MOST = 40
"""Maximum number of moments at which a table's looks are found."""
_MOST_LAYERS = 64
"""Maximum number of layers whose highlights are written; of larger networks the page dims cells, lines and names only."""
_DIMMED_CELLS, _DIMMED_PICTURE = 0.3, 0.45
"""Factors of the brightness of all layers but the highlighted one, as `looks.js` has them."""

Moment = tuple[float, DrawList]
Block = list[Any]
"""Name of a block, index of its cells, and what a look changes."""


def page_looks(scene: Scene, selection: Selection, encoder: Encoder) -> dict[str, Any] | None:
    """Return the looks to choose from and the one at first; `None` if the scene draws no cells."""
    view = next((view for view in scene.spec.views if isinstance(view, ActivationsSpec)), None)
    if view is None:
        return None
    return {
        "colormap": selection.colormap or view.colormap,
        "sequential": view.colormap,
        "diverging": view.diverging,
        "normalize": selection.normalize or view.normalize,
        "threshold": view.threshold if selection.threshold is None else selection.threshold,
        "colormaps": [{"name": name, "record": encoder.record(colormap(name))} for name in SEQUENTIAL + DIVERGING],
        "scales": list(get_args(Normalize)),
    }


class LookMoments:
    """The moments of a table at which blocks have other numbers, or other legends are shown; the last one always."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()
        self._kept: list[Moment] = []
        self._last: Moment | None = None

    def add(self, t: float, shown: DrawList) -> None:
        """Note a frame, in the order of time."""
        self._last = (t, shown)
        keys = {(one.name, id(one.values)) for one in shown.primitives if isinstance(one, Voxels)}
        keys |= {(one.name, id(one)) for one in shown.primitives if isinstance(one, Panel) and _is_scale(one)}
        if keys - self._seen and len(self._kept) < _MOST:
            self._kept.append(self._last)
            self._seen |= keys

    @property
    def moments(self) -> list[Moment]:
        """The moments, with what is shown then."""
        if self._last is None or (self._kept and self._kept[-1] is self._last):
            return self._kept
        return [*self._kept, self._last]


def table_looks(scene: Scene, selection: Selection, moments: Sequence[Moment], encoder: Encoder) -> dict[str, Any]:
    """Return what other looks change in a table.

    Parameters
    ----------
    selection
        What the table shows.
    moments
        The moments of `LookMoments`.
    """
    base = scene.spec.views
    view = next((view for view in base if isinstance(view, ActivationsSpec)), None)
    if view is None or not moments:
        return {}
    shown = selection.normalize or view.normalize
    scales: dict[Normalize, dict[str, Block]] = {name: {} for name in get_args(Normalize) if name != shown}
    tops: dict[str, Block] = {}
    legends: dict[int, list[Any]] = {}
    for t, frame in moments:
        for name, found in scales.items():
            other = scene.at(t, replace(selection, normalize=name))
            for before, after in _blocks(frame, other):
                changed = _changed(before, after, ("limits", "colormap"), encoder)
                if changed:
                    _note(found, before, changed, encoder)
        whole = scene.at(t, replace(selection, threshold=1.0))
        for before, after in _blocks(frame, whole):
            if after.threshold > 0:
                _note(tops, before, after.threshold, encoder)
        for panel in frame.primitives:
            if isinstance(panel, Panel) and _is_scale(panel):
                legends[encoder.record(panel)] = _words(panel, scene, selection)
    chosen = _chosen_layers(scene, selection, moments[-1], tops, encoder)
    return {
        "chosen": chosen,
        "scales": {name: list(found.values()) for name, found in scales.items()},
        "tops": list(tops.values()),
        "legends": [[record, *words] for record, words in legends.items()],
        **_maps(scene, selection, moments[-1], encoder),
        "steps": _threshold_steps(scene, selection, moments[-1], encoder),
    }


def _maps(scene: Scene, selection: Selection, last: Moment, encoder: Encoder) -> dict[str, Any]:
    """Return which views take the chosen colour map, and what else each map changes at the end of the scene."""
    t, frame = last
    views: set[tuple[str, bool]] = set()
    swaps: dict[str, list[list[int]]] = {}
    for names in (SEQUENTIAL, DIVERGING):
        for number, name in enumerate(names):
            other = scene.at(t, replace(selection, colormap=name))
            changed = list(_swapped(frame, other, encoder))
            if changed:
                swaps[name] = changed
            for before, after in _blocks(frame, other):
                if before.colormap is not after.colormap and before.source is not None:
                    views.add((before.source.view, before.limits[0] < 0))
            if number and not swaps.keys() & set(names) and any(signed == (names is DIVERGING) for _, signed in views):
                break  # only blocks change, and it is known which ones
    return {"views": [list(one) for one in sorted(views)], "swaps": swaps}


def _threshold_steps(scene: Scene, selection: Selection, last: Moment, encoder: Encoder) -> list[Any]:
    """Return legends other than the scales that depend on the threshold: the record, and that at each percent."""
    t, frame = last
    ends = [scene.at(t, replace(selection, threshold=share)) for share in (0.0, 1.0)]
    if not any(True for end in ends for _ in _panels(frame, end)):
        return []
    found: dict[int, list[int]] = {}
    for percent in range(101):
        other = scene.at(t, replace(selection, threshold=percent / 100))
        changed = {encoder.record(before): encoder.record(after) for before, after in _panels(frame, other)}
        for record in {*found, *changed}:
            found.setdefault(record, [record] * percent).append(changed.get(record, record))
    return [[record, steps] for record, steps in found.items()]


def _chosen_layers(
    scene: Scene, selection: Selection, last: Moment, tops: dict[str, Block], encoder: Encoder
) -> dict[str, Any]:
    """Return what a highlighted layer changes at the end of the scene, as far as the page does not dim it by itself.

    Returns
    -------
    For each layer the records that change with those in their place, `None` for nothing, and the records that come anew.
    """
    t, frame = last
    layers = [node.id for node in scene.context.graph]
    mine, usual = _by_name(frame), _by_name(scene.at(t, selection))
    found: dict[str, Any] = {}
    for layer in layers if len(layers) <= _MOST_LAYERS else ():
        lit = replace(selection, layer=layer)
        theirs = _by_name(scene.at(t, lit))
        changes: list[list[int | None]] = []
        for key, one in mine.items():
            other = theirs.get(key)
            if other is None:
                changes.append([encoder.record(one), None])
            elif (not same(one, other) and not _dimmed_by_page(one)) or _brightness(one, layer) != _brightness(other):
                changes.append([encoder.record(one), encoder.record(other)])
        new = [one for key, one in theirs.items() if key not in usual and not _is_scale(one)]
        if any(isinstance(one, Voxels) for one in new):
            whole = _by_name(scene.at(t, replace(lit, threshold=1.0)))
            for key, after in whole.items():
                if isinstance(after, Voxels) and key not in usual and after.threshold > 0:
                    _note(tops, after, after.threshold, encoder)
        if changes or new:
            found[layer] = [changes, [encoder.record(one) for one in new]]
    return found


def _by_name(frame: DrawList) -> dict[tuple[type, str], Primitive]:
    return {(type(one), one.name): one for one in frame.primitives}


def _dimmed_by_page(one: Primitive) -> bool:
    """Whether `looks.js` knows how a primitive looks when a layer is highlighted."""
    match one:
        case Voxels() | Image():
            return True  # as far as `_brightness` is right
        case Lines():
            return one.ends is not None
        case Box():
            return one.source is not None and one.source.view == "structure"
        case Labels():
            return one.name == "names"
        case _:
            return _is_scale(one)


def _brightness(one: Primitive, layer: str | None = None) -> float | None:
    """Return the brightness of cells, rounded, with that of other layers than the highlighted one as the page dims them."""
    own = getattr(one.source, "layer", None) if isinstance(one, Voxels | Image) else None
    other = layer is not None and own not in (None, layer)
    match one:
        case Voxels():
            return round(one.emphasis * (_DIMMED_CELLS if other else 1.0), 6)
        case Image():
            return round(one.opacity * (_DIMMED_PICTURE if other else 1.0), 6)
        case _:
            return None


def _blocks(frame: DrawList, other: DrawList) -> Iterator[tuple[Voxels, Voxels]]:
    """Yield the blocks of two looks of one moment in pairs."""
    by_name = {one.name: one for one in other.primitives if isinstance(one, Voxels)}
    for one in frame.primitives:
        if isinstance(one, Voxels) and one.name in by_name:
            yield one, by_name[one.name]


def _panels(frame: DrawList, other: DrawList) -> Iterator[tuple[Panel, Panel]]:
    """Yield the legends other than the scales that differ between two looks."""
    by_name = {one.name: one for one in other.primitives if isinstance(one, Panel)}
    for one in frame.primitives:
        if isinstance(one, Panel) and not _is_scale(one) and not same(one, by_name.get(one.name)):
            yield one, by_name[one.name]


def _swapped(frame: DrawList, other: DrawList, encoder: Encoder) -> Iterator[list[int]]:
    """Yield the records of what differs between two looks, blocks and scales aside, and the records of the other look."""
    by_key: dict[tuple[type, str], Primitive] = {
        (type(one), one.name): one for one in other.primitives if not isinstance(one, Voxels)
    }
    for one in frame.primitives:
        found = by_key.get((type(one), one.name))
        if found is not None and not (isinstance(one, Panel) and _is_scale(one)) and not same(one, found):
            yield [encoder.record(one), encoder.record(found)]


def _changed(before: Voxels, after: Voxels, names: Sequence[str], encoder: Encoder) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(after, name)
        if not same(getattr(before, name), value):
            found[name] = {"r": encoder.record(value)} if is_dataclass(value) and not isinstance(value, type) else value
    return found


def _note(found: dict[str, Block], block: Voxels, what: Any, encoder: Encoder) -> None:
    cells = encoder.cells(block)
    found[f"{block.name} {cells}"] = [block.name, cells, what]


def _words(panel: Panel, scene: Scene, selection: Selection) -> list[Any]:
    """Return the words of a scale for what its cells show, and whether they are those of the backward pass."""
    view = next(view for view in scene.spec.views if isinstance(view, ActivationsSpec))
    quantity = selection.quantity or view.quantity
    against = view.against if selection.against is None else selection.against
    compared = replace(selection, against=against)
    first = getattr(panel.rows[0], "text", "")
    if scene.timeline.backward is not None and quantity == "activation":
        back = words_for(scene.context, "gradient", compared)
        if back in first:
            return [back, True]
    return [words_for(scene.context, quantity, compared), False]


def _is_scale(one: Primitive) -> bool:
    """Whether a primitive is a legend that `looks.js` writes itself, because it depends on all choices together."""
    return isinstance(one, Panel) and one.source is not None and one.source.part == "scale"


def same(a: Any, b: Any) -> bool:
    """Whether two values of primitives are equal, arrays bit for bit."""
    if a is b:
        return True
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and all(same(getattr(a, one.name), getattr(b, one.name)) for one in fields(a))
    return bool(a == b)
