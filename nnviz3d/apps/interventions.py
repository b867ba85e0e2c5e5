"""Interventions of a session: the list of what is changed, requests for another list, and the scores before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.model_queries import ModelQueries
from nnviz3d.apps.samples import SampleList
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.grouped_capture import originals
from nnviz3d.data.request import Insights
from nnviz3d.data.targets import Target
from nnviz3d.errors import UserError
from nnviz3d.scene.context import head_of, top_classes
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.views.connections import EdgePick

_SCORES = 5
"""Number of scores that are compared."""
_WORDS = "Running the model with interventions on"


@dataclass(frozen=True)
class ChangedScore:
    """A number of the model's output without and with the interventions."""

    name: str
    before: float
    after: float


class Interventions:
    """Lists the interventions of the shown sample's changed run, and asks the model for a run with other ones.

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

    @property
    def listed(self) -> tuple[Intervention, ...]:
        """The interventions of the shown sample, or those that the model is asked for."""
        pending = self._queries.interventions
        if pending is not None:
            return pending
        return self._frame.scene.context.explanations(self._frame.selection.sample).interventions

    @property
    def possible(self) -> bool:
        """Whether the model can be asked for other interventions."""
        return self._queries.possible

    def places(self) -> dict[str, Intervention]:
        """Return what can be changed at the pick, by the words for it: its number, its unit, its layer, or its edge."""
        pick, graph = self._frame.selection.pick, self._frame.scene.context.graph
        names = originals(self._frame.scene.context.capture)
        if isinstance(pick, EdgePick) and {pick.source, pick.target} <= names.keys():
            layer, index, reader = pick.source, pick.source_index, names[pick.target]
        elif isinstance(pick, CellPick) and pick.layer in names:
            layer, index, reader = pick.layer, pick.index, ""
        else:
            return {}
        node, original = graph.node(layer), names[layer]
        axis = channel_axis(node.axes)
        found: dict[str, Intervention] = {}
        if axis is not None and len(index) == len(node.shape):
            unit = Intervention(original, unit=index[axis], reader=reader)
            if len(index) > 1:
                found[f"Channel {index[axis]}"] = unit
                found["This number"] = Intervention(original, index=index, reader=reader)
            else:
                found[f"Neuron {index[axis]}"] = unit
        found["Whole layer"] = Intervention(original, reader=reader)
        return {f"{words} for {reader}" if reader else words: one for words, one in found.items()}

    def add(self, intervention: Intervention) -> None:
        """Ask for a run with one more intervention; one at the same place is replaced."""
        self._ask((*(one for one in self.listed if one.place != intervention.place), intervention))

    def remove(self, position: int) -> None:
        """Ask for a run without one of the interventions."""
        self._ask([one for i, one in enumerate(self.listed) if i != position])

    def reset(self) -> None:
        """Ask for the sample without interventions."""
        self._ask(())

    def follow(self, position: int) -> bool:
        """Ask for the listed interventions on another sample that the model has run on without them.

        Returns
        -------
        Whether the sample lacks them and the model can be asked.
        """
        index, listed = self._samples[position].index, self.listed
        if index is None or self._frame.scene.context.capture.explanations(index).interventions == listed:
            return False
        return self._queries.run_again(Insights(interventions=listed), {}, _WORDS, position)

    def scores(self) -> tuple[ChangedScore, ...]:
        """Return the largest scores of the shown sample without and with its interventions, the largest first."""
        context, sample = self._frame.scene.context, self._frame.selection.sample
        head, explanations = head_of(context.graph), context.explanations(sample)
        if head is None or not explanations.interventions or not context.capture.has_activations(head):
            return ()
        before = context.values(head, sample).values.reshape(-1)
        changed = explanations.changed(head)
        after = before if changed is None else np.asarray(changed, np.float32).reshape(-1)
        best = top_classes(np.maximum(before, after), _SCORES)
        return tuple(ChangedScore(context.name_of(Target(head, i)), float(before[i]), float(after[i])) for i in best)

    def _ask(self, interventions: Sequence[Intervention]) -> None:
        asked = Insights(interventions=tuple(interventions))
        then = {"quantity": "change" if interventions else None}
        if not self._queries.run_again(asked, then, _WORDS):
            raise UserError("There is no model to run with interventions; open the model's file, not only its capture.")
