"""Interventions of a session: their list, requests for runs with another list, and the scores before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.changed_answer import changed_answer
from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.model_queries import ModelQueries
from nnviz3d.apps.model_requests import NAME_IT
from nnviz3d.apps.samples import SampleList
from nnviz3d.apps.wanted_change import possible_interventions
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.grouped_capture import originals
from nnviz3d.data.quantities import Quantity
from nnviz3d.data.request import Insights
from nnviz3d.data.targets import Target
from nnviz3d.errors import UserError
from nnviz3d.scene.class_names import top_classes
from nnviz3d.scene.context import head_of
from nnviz3d.scene.selection import CellPick, LayerPick
from nnviz3d.scene.views.connections import EdgePick

_SCORES = 5
"""Number of scores that are compared."""
_WORDS = "Running the model with interventions on"
_MOST = 100
"""Most lists that `undo` goes back to."""
LARGEST_FACTOR = 1000.0
"""Largest factor, positive or negative, that a user chooses."""


@dataclass(frozen=True)
class ChangedScore:
    """A number of the model's output without and with the interventions."""

    name: str
    before: float
    after: float


class Interventions:
    """List of the interventions in the shown sample's changed run; a change of the list asks the model for another run.

    Parameters
    ----------
    frame
        The frame that shows the change when it arrives.
    samples
        The samples of the session.
    queries
        Queries to the model.
    """

    def __init__(self, frame: FrameState, samples: SampleList, queries: ModelQueries) -> None:
        self._frame = frame
        self._samples = samples
        self._queries = queries
        self._past: list[tuple[Intervention, ...]] = []
        self._expected: tuple[Intervention, ...] = ()

    @property
    def listed(self) -> tuple[Intervention, ...]:
        """The interventions of the shown sample, or those that the model is asked for."""
        pending = self._queries.interventions
        if pending is not None:
            return pending
        return self._frame.scene.context.explanations(self._frame.selection.sample).interventions

    @property
    def changed(self) -> bool:
        """Whether the interventions of the shown sample differ from those in the first capture of the session."""
        series, sample = CaptureSeries.of(self._frame.scene.capture), self._frame.selection.sample
        return sample in series.changed or sample >= series.first.committed

    @property
    def possible(self) -> bool:
        """Whether the model can be asked for other interventions."""
        return self._queries.possible

    def places(self) -> dict[str, Intervention]:
        """Return the interventions at the pick, by their words: on its unit, itself, its layer, or its connection.

        Without a pick it is the chosen layer that can be changed.
        """
        pick, graph = self._frame.selection.pick, self._frame.scene.context.graph
        names = originals(self._frame.scene.context.capture)
        if isinstance(pick, EdgePick) and {pick.source, pick.target} <= names.keys():
            return self._edge_places(pick, names[pick.source], names[pick.target])
        layer = self.layer
        if layer is None:
            return {}
        return _cell_places(graph.node(layer), names[layer], pick.index if isinstance(pick, CellPick) else ())

    @property
    def layer(self) -> str | None:
        """The layer of the pick, or else the chosen layer, whose channels can be changed; `None` if there is none."""
        selection = self._frame.selection
        pick = selection.pick
        layer = pick.layer if isinstance(pick, CellPick | LayerPick) else selection.layer if pick is None else None
        return layer if layer in originals(self._frame.scene.context.capture) else None

    @property
    def unit(self) -> int | None:
        """The channel or neuron of the pick; `None` if no number of a layer is picked."""
        pick, layer = self._frame.selection.pick, self.layer
        if layer is None or not isinstance(pick, CellPick):
            return None
        axis = channel_axis(self._frame.scene.context.graph.node(layer).axes)
        return pick.index[axis] if axis is not None and axis < len(pick.index) else None

    def _edge_places(self, pick: EdgePick, source: str, reader: str) -> dict[str, Intervention]:
        """Return the interventions at a connection: on it alone, on all between two channels, or on the reader's input."""
        graph = self._frame.scene.context.graph
        starts = _cell_places(graph.node(pick.source), source, pick.source_index)
        ends = _cell_places(graph.node(pick.target), reader, pick.target_index)
        found: dict[str, Intervention] = {}
        if len(starts) > 1 and len(ends) > 1:
            # The first of both is the unit, the last but one the number; for a neuron they are the same.
            (start, *_), (end, *_) = starts, ends
            found["This connection"] = _joined([*starts.values()][-2], [*ends.values()][-2])
            if len(starts) + len(ends) > 4:
                found[f"{start} for {end.lower()}"] = _joined(starts[start], ends[end])
        return found | {f"{words} for {reader}": replace(one, reader=reader) for words, one in starts.items()}

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier list of interventions."""
        listed = self.listed
        return any(self._fitting(one, self._samples.chosen) != listed for one in self._past)

    def add(self, intervention: Intervention, *, goes_on: bool = False) -> None:
        """Ask for a run with one more intervention; one at the same place is replaced.

        Parameters
        ----------
        goes_on
            Whether this continues the last change, such as the movement of a slider: then `undo` undoes both.
        """
        painted = bool(intervention.picture)
        kept = [one for one in self.listed if one.place != intervention.place or bool(one.picture) != painted]
        self._change((*kept, intervention), goes_on=goes_on)

    def scale(self, position: int, factor: float, *, goes_on: bool = False) -> None:
        """Ask for a run with another factor of one of the interventions, at its place in the list.

        Raises
        ------
        UserError
            If the factor is too large.
        """
        if abs(factor) > LARGEST_FACTOR:
            raise UserError(f"A factor is at most {LARGEST_FACTOR:g}, positive or negative; got {factor:g}.")
        scaled = replace(self.listed[position], action="scale", factor=factor)
        self._change(
            [scaled if i == position else one for i, one in enumerate(self.listed)],
            goes_on=goes_on,
        )

    def paint(self, layer: str, picture: Path, *, goes_on: bool = False) -> None:
        """Ask for a run with the opaque pixels of a picture over an input."""
        self.add(Intervention(layer, action="paint", picture=str(picture)), goes_on=goes_on)

    def clear_paint(self) -> None:
        """Ask for a run without the paint."""
        self._change([one for one in self.listed if not one.picture])

    def remove(self, position: int) -> None:
        """Ask for a run without one of the interventions."""
        self._change([one for i, one in enumerate(self.listed) if i != position])

    def reset(self) -> None:
        """Show the sample without interventions."""
        self._change(())

    def change_to(self, interventions: tuple[Intervention, ...], quantity: Quantity | None) -> None:
        """Ask for another list of interventions, and show a quantity when the run with them arrives."""
        self._change(interventions, quantity)

    def undo(self) -> bool:
        """Ask for the list of interventions before the last change; returns whether there is one."""
        listed, position = self.listed, self._samples.chosen
        while self._past and self._fitting(self._past[-1], position) == listed:  # the model refused a change
            self._past.pop()
        if not self._past:
            return False
        self._ask(self._fitting(self._past[-1], position))
        self._past.pop()
        return True

    def part(self, words: str = "") -> Intervention:
        """Return the intervention that mutes a part of the pick.

        Parameters
        ----------
        words
            One of `places`; by default, and if the pick has no such part, the first: its unit or its connection.

        Raises
        ------
        UserError
            If nothing is picked that can be changed.
        """
        places = self.places()
        if not places:
            raise UserError("Click a cell or a line first: its channel, neuron or connection is changed.")
        return places.get(words) or next(iter(places.values()))

    def toggle(self, words: str = "") -> str:
        """Mute a part of the pick, as in `part`, or undo that; returns a sentence on what was done.

        Raises
        ------
        UserError
            If there is nothing to mute, or no model to ask.
        """
        one = self.part(words)
        if one in self.listed:
            self._change([other for other in self.listed if other != one])
            return f"no longer muted: {one.place}"
        self.add(one)
        return one.shown_text

    def expect(self) -> None:
        """Let the model compile what a change at the pick will need."""
        place = next(iter(self.places().values()), None) if self.possible else None
        if place is None:
            return
        expected = (*(one for one in self.listed if one.place != place.place), place)
        if expected != self._expected:
            self._expected = expected
            self._queries.expect_changed(expected)

    def going_to(self, position: int) -> tuple[Intervention, ...]:
        """Return the listed interventions that are kept when another sample is shown; a drawing keeps no paint."""
        return self._fitting(self.listed, position)

    def _fitting(self, interventions: tuple[Intervention, ...], position: int) -> tuple[Intervention, ...]:
        """Return the interventions that a sample can have."""
        return possible_interventions(interventions, self._samples[position])

    def follow(self, position: int) -> bool:
        """Ask for the listed interventions on another sample that the model has run on without them.

        For the shown sample they are under way already.

        Returns
        -------
        Whether the sample lacks them and the model can be asked.
        """
        index, listed = self._samples[position].index, self.going_to(position)
        if index is None or position == self._samples.chosen:
            return False
        if self._frame.scene.context.capture.explanations(index).interventions == listed:
            return False
        return self._queries.run_again(Insights(interventions=listed), {}, _WORDS, position)

    def _change(
        self, interventions: Sequence[Intervention], quantity: Quantity | None = "change", *, goes_on: bool = False
    ) -> None:
        """Ask for another list of interventions, unless it is the same; `undo` returns to the list before."""
        before = self.listed
        differs = tuple(interventions) != before
        if not differs and not self._queries.waits_for_change:
            return
        self._ask(tuple(interventions), quantity)
        if differs and (not goes_on or not self._past):
            self._past = [*self._past[1 - _MOST :], before]

    def scores(self) -> tuple[ChangedScore, ...]:
        """Return the largest scores of the shown sample without and with its interventions, the largest first."""
        context, found = self._frame.scene.context, self._outputs()
        if found is None:
            return ()
        head, before, after = found
        best = top_classes(np.maximum(before, after), _SCORES)
        return tuple(ChangedScore(context.name_of(Target(head, i)), float(before[i]), float(after[i])) for i in best)

    def told_answer(self) -> str:
        """Return one sentence on what the interventions do to the model's answer; empty if there is no such answer."""
        context, found = self._frame.scene.context, self._outputs()
        if found is None:
            return ""
        listed = context.explanations(self._frame.selection.sample).interventions
        return changed_answer(self._frame.scene.capture, listed, *found)

    def _outputs(self) -> tuple[str, NDArray[np.float32], NDArray[np.float32]] | None:
        """Return the output with the answer and its numbers without and with the interventions, if there are any."""
        context, sample = self._frame.scene.context, self._frame.selection.sample
        head, explanations = head_of(context.graph), context.explanations(sample)
        if head is None or not explanations.interventions or not context.capture.has_activations(head):
            return None
        before = context.values(head, sample).values.reshape(-1)
        changed = explanations.changed(head)
        return head, before, before if changed is None else np.asarray(changed, np.float32).reshape(-1)

    def _ask(self, interventions: tuple[Intervention, ...], quantity: Quantity | None = "change") -> None:
        then = {"quantity": quantity if interventions or quantity != "change" else None}
        if not self._queries.run_changed(interventions, then, _WORDS):
            raise UserError(f"There is no model to run with interventions; {NAME_IT}.")


def _cell_places(node: LayerNode, name: str, index: tuple[int, ...]) -> dict[str, Intervention]:
    """Return the interventions at a number, by their words: on its channel and itself, or its neuron, and on the layer.

    Without a number, an empty index, it is the layer alone.
    """
    axis = channel_axis(node.axes)
    found: dict[str, Intervention] = {}
    if axis is not None and len(index) == len(node.shape):
        if len(index) > 1:
            found[f"Channel {index[axis]}"] = Intervention(name, unit=index[axis])
            found["This number"] = Intervention(name, index=index)
        else:
            found[f"Neuron {index[axis]}"] = Intervention(name, unit=index[axis])
    found["Whole layer"] = Intervention(name)
    return found


def _joined(start: Intervention, end: Intervention) -> Intervention:
    """Return the intervention on the connections from one number or unit to another."""
    return replace(start, reader=end.layer, reader_unit=end.unit, reader_index=end.index)
