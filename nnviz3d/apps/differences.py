"""The places at which a session's difference is largest: their words, and showing one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nnviz3d.apps.choices import Choices
from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.groups import Groups
from nnviz3d.data.axes import strongest_of_channel
from nnviz3d.data.compared import counterpart_of
from nnviz3d.data.grouped_capture import without_groups
from nnviz3d.data.targets import Target
from nnviz3d.scene.class_names import top_classes
from nnviz3d.scene.colors import number, score
from nnviz3d.scene.context import SceneContext, head_of
from nnviz3d.scene.derived.differences import Differences, DifferingPlace, differences_of
from nnviz3d.scene.derived.kernels import KERNELS, KernelPick
from nnviz3d.scene.selection import CellPick, Pick, Selection
from nnviz3d.scene.views.counterpart import CounterpartView
from nnviz3d.scene.views.kernels import KernelsView

KINDS: Mapping[str, str] = {
    "layers": "layers",
    "units": "channels",
    "cells": "single numbers",
    "variables": "weights of layers",
    "weights": "single weights",
}
"""The lists, with their names for users."""
_SCORES = 5
"""Number of scores that are compared."""


@dataclass(frozen=True)
class ListedPlace:
    """A place with its words.

    Attributes
    ----------
    name
        Layer, and channel, index or variable.
    size
        The size of the difference in words: ``12 %``.
    told
        A sentence on both numbers, or on what the size is.
    """

    place: DifferingPlace
    name: str
    size: str
    told: str


@dataclass(frozen=True)
class ComparedScore:
    """A number of the model's output on both sides of a difference."""

    name: str
    here: float
    there: float


class DifferencePlaces:
    """Lists where the shown difference is largest, and shows a place of the list.

    Parameters
    ----------
    frame
        The frame whose selection is changed.
    groups
        The groups of layers, which are opened around a place.
    choices
        Says what is subtracted.
    """

    def __init__(self, frame: FrameState, groups: Groups, choices: Choices) -> None:
        self._frame = frame
        self._groups = groups
        self._choices = choices
        self._last: DifferingPlace | None = None

    @property
    def exist(self) -> bool:
        """Whether something is compared with the shown sample: a model, or a sample while cells show the difference."""
        scene, selection = self._frame.scene, self._selection
        models = selection.against is None and counterpart_of(scene.capture) is not None
        return scene.blocks and scene.context.compares(selection) and (models or self._choices.quantity == "difference")

    @property
    def key(self) -> tuple[object, ...]:
        """The key of the lists: capture and samples, but not the layout, which changes when groups of layers are opened."""
        return without_groups(self._frame.context.capture), self._selection.sample, self._selection.against

    @property
    def names(self) -> tuple[str, str]:
        """The names of both sides."""
        return self._frame.scene.context.compared_names(self._selection)

    @property
    def of_other_inputs(self) -> bool:
        """Whether two models are compared on different inputs."""
        return self._frame.scene.context.inputs_differ(self._selection)

    def finding(self) -> Callable[[], Differences | None]:
        """Return a function that finds the places, which takes time for a large network; any thread may call it."""
        context, selection = self._frame.context, self._selection
        return lambda: differences_of(context, selection)

    @property
    def numbers(self) -> int:
        """About how many numbers are compared."""
        capture = self._frame.scene.capture
        return sum(math.prod(n or 1 for n in node.shape) + node.parameters for node in capture.graph)

    def listed(self, found: Differences, kind: str) -> tuple[ListedPlace, ...]:
        """Return the places of a list, with their words."""
        places: tuple[DifferingPlace, ...] = getattr(found, kind)
        return tuple(self._listed(place, kind) for place in places)

    def go(self, place: DifferingPlace) -> None:
        """Show a place: its layer highlighted, its number picked, and its difference unless both networks are drawn."""
        self._groups.reveal(place.layer)
        if self._choices.quantity != "difference" and self._frame.scene.find(CounterpartView) is None:
            self._choices.show("difference")
        index = place.index if not place.variable else None
        if place.unit is not None:
            index = self._strongest(place.layer, place.unit)
        pick: Pick | None = None if index is None else CellPick(place.layer, index)
        if place.variable in KERNELS and place.index is not None and self._frame.scene.find(KernelsView) is not None:
            pick = KernelPick(place.layer, place.index)
        self._frame.select(layer=place.layer, pick=pick)
        self._last = place

    def next(self) -> ListedPlace | None:
        """Show the next one of the layers and channels that differ most; `None` if nothing differs."""
        found = self.finding()() if self.exist else None
        places = () if found is None else (*self.listed(found, "layers"), *self.listed(found, "units"))
        if not places:
            return None
        at = next((k for k, one in enumerate(places) if one.place == self._last), -1)
        following = places[(at + 1) % len(places)]
        self.go(following.place)
        return following

    def scores(self) -> tuple[ComparedScore, ...]:
        """Return the largest scores of both sides, the largest first; none without an output that is a vector."""
        context, selection = self._frame.context, self._selection
        head = head_of(context.graph)
        if head is None or not context.capture.has_activations(head) or not context.compares(selection, head):
            return ()
        here = context.values(head, selection.sample).values.reshape(-1)
        there = context.subtracted(head, selection).reshape(-1)
        if here.shape != there.shape:
            return ()
        best = top_classes(np.maximum(here, there), _SCORES)
        return tuple(ComparedScore(context.name_of(Target(head, i)), float(here[i]), float(there[i])) for i in best)

    @property
    def _selection(self) -> Selection:
        """The selection with the sample that the scene file subtracts, if the user has chosen none."""
        selection, position = self._frame.selection, self._choices.against
        if selection.against is not None or position is None:
            return selection
        return self._choices.subtracting(position)

    def _strongest(self, layer: str, unit: int) -> tuple[int, ...] | None:
        """Return the index of a channel's largest difference."""
        context: SceneContext = self._frame.context
        if layer not in context.graph:
            return None
        axes, change = context.graph.node(layer).axes, context.difference(layer, self._selection)
        return strongest_of_channel(change, axes, unit) if len(axes) == change.ndim else None

    def _listed(self, place: DifferingPlace, kind: str) -> ListedPlace:
        capture = without_groups(self._frame.scene.context.capture)
        one, other = self.names
        name = place.layer
        if place.variable:
            name = f"{name} {place.variable}"
        if place.unit is not None:
            units = capture.unit_names(place.layer)
            name = f"{name} · {'channel ' + str(place.unit) if units is None else units[place.unit]}"
        if place.index is not None:
            name = f"{name} [{', '.join(map(str, place.index))}]"
        scale = "the variable" if place.variable else "the layer"
        told = f"{name}: the root mean square of the difference is {_share(place.size)} of that of {scale}'s numbers"
        if kind in ("cells", "weights"):
            told = f"{name}: {number(place.here)} in {one}, {number(place.there)} in {other}"
        if place.unlike:
            told = f"{name}: {place.unlike:,} numbers are NaN or infinite on one side"
        return ListedPlace(place, name, "NaN" if place.unlike else _share(place.size), told)


def _share(size: float) -> str:
    """Write a size in percent: with two digits, ``12 %``, ``0.034 %``."""
    return f"{float(f'{100 * size:.2g}'):g} %"


def score_words(one: ComparedScore) -> tuple[str, str]:
    """Return both numbers of a score in words."""
    return score(one.here), score(one.there)
