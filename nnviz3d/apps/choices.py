"""The quantity, target, method and subtracted numbers that a session shows, and what else can be chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import numpy as np

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.model_queries import ModelQueries
from nnviz3d.apps.samples import SampleList
from nnviz3d.data.axes import CHANNEL
from nnviz3d.data.capabilities.attributions import attribution_methods
from nnviz3d.data.compared import has_counterpart
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.data.request import Insights
from nnviz3d.data.target_words import map_targets
from nnviz3d.data.targets import LOSS, Explained, Target
from nnviz3d.errors import UserError
from nnviz3d.scene.class_names import is_classifier, top_classes, two_classes
from nnviz3d.scene.colors import score
from nnviz3d.scene.context import head_of, vector_outputs
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.attributions import AttributionsSpec

QUANTITIES: Mapping[Quantity, str] = {
    "activation": "Activation",
    "gradient": "Gradient of the score",
    "gradient_x_activation": "Gradient × activation",
    "difference": "Difference",
    "change": "Change by interventions",
}
"""The quantities of cells, with their labels."""
BEST = 10
"""Number of a model's largest scores that a key goes through."""
_LISTED = 20_000
"""Most targets that are listed."""


class Choices:
    """Lists what can be chosen for the sample that is shown, and chooses it. Choices without effect are not offered.

    Parameters
    ----------
    frame
        The frame whose selection is changed.
    samples
        The samples of the session.
    queries
        Queries to the model for gradients and targets that were not captured.
    """

    def __init__(self, frame: FrameState, samples: SampleList, queries: ModelQueries) -> None:
        self._frame = frame
        self._samples = samples
        self._queries = queries

    @property
    def _activations(self) -> ActivationsSpec | None:
        return next((view for view in self._frame.scene.spec.views if isinstance(view, ActivationsSpec)), None)

    @property
    def _attributions(self) -> AttributionsSpec | None:
        return next((view for view in self._frame.scene.spec.views if isinstance(view, AttributionsSpec)), None)

    # Quantities.

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The quantities that cells can show; gradients also where the model can compute them."""
        if self._activations is None:
            return ()
        capture = self._frame.scene.context.capture
        explainable = head_of(capture.graph) is not None or bool(map_targets(capture.graph))
        gradients = capture.has_gradients() or (self._queries.possible and explainable)
        lacking: set[Quantity] = set(OF_GRADIENTS) if not gradients else set()
        sample = self._frame.selection.sample
        lacking |= {"difference"} if not self.others and not self.compares_models else set()
        lacking |= {"change"} if not self._frame.scene.context.explanations(sample).interventions else set()
        return tuple(name for name in QUANTITIES if name not in lacking)

    @property
    def quantity(self) -> Quantity:
        """The quantity that cells show."""
        said: Quantity = "activation" if self._activations is None else self._activations.quantity
        return self._frame.selection.quantity or said

    def show(self, quantity: Quantity) -> None:
        """Show another quantity: at once, or when its gradients have been computed.

        A difference is by default that from the compared model, or else from the sample before.
        """
        if quantity == "difference" and self.against is None and not self.compares_models:
            self._frame.select(against=self._samples[self._before].index)
        needs = quantity in OF_GRADIENTS and not self._frame.scene.context.has_gradients(self._frame.selection)
        if not needs or not self.find_gradients({"quantity": quantity}):
            self._queries.cancel(other_look=True)
            self._frame.select(quantity=quantity)

    def find_gradients(self, then: Mapping[str, Any], position: int | None = None) -> bool:
        """Ask the model for the gradients of a sample, by default the sample that is shown.

        They are those of the model's answer; if it answers with a map, those of the class that fills most of the map.

        Parameters
        ----------
        then
            Fields of `Selection` that are set when the answer arrives.

        Returns
        -------
        Whether the model can be asked.
        """
        more, target = Insights(gradients=True), self._mapped(self._samples.chosen if position is None else position)
        if target is not None:
            more, then = Insights(gradients=True, targets=(target.text,)), {"target": target, **then}
        return self._queries.run_again(more, then, "Finding the gradients for", position)

    def _mapped(self, position: int) -> Target | None:
        """Return the class with the largest mean over a sample's map; `None` if the model's answer is no map.

        It is `None`, too, for a sample that has been explained already.
        """
        capture, index = self._frame.scene.context.capture, self._samples[position].index
        classes = map_targets(capture.graph)
        if index is None or not classes or capture.explanations(index).targets:
            return None
        node = capture.graph.node(classes[0].output)
        if not capture.has_activations(node.id):
            return classes[0]
        scores = np.moveaxis(capture.activation(node.id, index), node.axes.index(CHANNEL), 0)
        return classes[top_classes(scores.reshape(len(classes), -1).mean(axis=1), 1)[0]]

    def title(self, quantity: Quantity) -> str:
        """Return the label of a quantity; gradients are of a score, or of a training's loss."""
        found = self._frame.scene.context.explained(self._frame.selection)
        if quantity == "gradient" and found is not None and found.target == LOSS:
            return "Gradient of the loss"
        return QUANTITIES[quantity]

    # Attribution methods.

    @property
    def methods(self) -> tuple[str, ...]:
        """The attribution methods whose maps can be shown."""
        return attribution_methods(self._frame.scene.context.capture.stored) if self._attributions is not None else ()

    @property
    def method(self) -> str:
        """The method whose map is shown; empty if there is none."""
        said = None if self._attributions is None else self._attributions.method
        return self._frame.selection.method or said or next(iter(self.methods), "")

    # Targets.

    @property
    def explained_targets(self) -> tuple[Explained, ...]:
        """The targets that were explained for the sample that is shown, the model's own answer first; without the loss."""
        found = self._frame.scene.context.explanations(self._frame.selection.sample).targets
        return tuple(one for one in found if one.target != LOSS)

    @property
    def explained(self) -> Explained | None:
        """The target that is shown, with its score."""
        found = self._frame.scene.context.explained(self._frame.selection)
        return None if found is None or found.target == LOSS else found

    @property
    def explains(self) -> bool:
        """Whether anything that can be shown depends on a target."""
        return bool(self.explained_targets)

    @property
    def targets(self) -> tuple[Target, ...]:
        """All targets that the model can explain, in the order of its outputs; those of the head first.

        If no output is a vector, they are the channels of the last output, each over the whole map.
        """
        graph = self._frame.scene.context.graph
        head = head_of(graph)
        outputs = sorted(vector_outputs(graph), key=lambda name: name != head)
        capture = self._frame.context.capture
        against = (Target(name, 0, against=True) for name in outputs if two_classes(capture, name) is not None)
        every = (Target(name, index) for name in outputs for index in range(graph.node(name).size))
        return tuple(islice(chain(every, against, map_targets(graph)), _LISTED))

    @property
    def best(self) -> tuple[Target, ...]:
        """The targets that a key goes through: the explained ones, after the largest scores if the model can be asked."""
        found = [one.target for one in self.explained_targets]
        context, selection = self._frame.context, self._frame.selection
        head = head_of(context.graph)
        if self._queries.possible and head is None:
            return tuple(dict.fromkeys((*found, *map_targets(context.graph)[:BEST])))
        if not self._queries.possible or head is None or not context.capture.has_activations(head):
            return tuple(found)
        scores = context.values(head, selection.sample).values.reshape(-1)
        largest = [Target(head, index) for index in top_classes(scores, BEST)]
        return tuple(dict.fromkeys((*largest, *found)))

    @property
    def listed_first(self) -> dict[Target, str]:
        """The targets to choose from first, in words: the largest scores, and explained ones; none if none is explained."""
        found = {one.target: self.words(one) for one in self.explained_targets}
        context, head = self._frame.context, head_of(self._frame.context.graph)
        if not found or head is None or not context.capture.has_activations(head):
            return found
        scores = context.values(head, self._frame.selection.sample).values.reshape(-1)
        if len(scores) < 2:  # a single sigmoid, whose classes are the number and its opposite
            return found
        best = (one for one in self.best if one in found or one.output == head)
        return {one: found.get(one) or f"{self.name(one)} · {score(float(scores[one.index]))}" for one in best}

    def explain(self, target: Target | None) -> None:
        """Show another target, `None` for the model's own answer: at once, or when it has been explained.

        Raises
        ------
        UserError
            If it was not explained, and the model cannot be asked.
        """
        if target is None or target in [found.target for found in self.explained_targets]:
            self._queries.cancel()
            self._frame.select(target=target)
            return
        context = self._frame.scene.context
        name = context.name_of(target)
        named = context.capture.classes is not None and is_classifier(context.capture, target.output)
        words = f"Explaining class {name!r} for" if named else f"Explaining {name} for"
        if not self._queries.run_again(Insights(targets=(target.text,)), {"target": target}, words):
            plain = target.output == head_of(context.graph) and two_classes(context.capture, target.output) is None
            option = target.index if plain else target.text
            raise UserError(
                f"{context.capture.path.name} does not explain {name}; capture the model with --class {option}."
            )

    def name(self, target: Target) -> str:
        """Return a target's name for users."""
        return self._frame.scene.context.name_of(target)

    def names(self, targets: Sequence[Target]) -> dict[Target, str]:
        """Return different names for targets: names that occur twice get the target's index."""
        names = {target: self.name(target) for target in targets}
        count = Counter(names.values())
        return {one: f"{name} ({one.index})" if count[name] > 1 else name for one, name in names.items()}

    def words(self, found: Explained) -> str:
        """Return a target's name with its probability or its score."""
        value = f"score {score(found.score)}" if found.probability is None else score(found.probability)
        return f"{self.name(found.target)} · {value}"

    # The sample or the model that is subtracted.

    @property
    def other_model(self) -> str | None:
        """The name of the compared model; `None` if there is none."""
        other = self._frame.scene.context.counterpart
        return None if other is None else other.name

    @property
    def compares_models(self) -> bool:
        """Whether the compared model has numbers for the sample that is shown."""
        return has_counterpart(self._frame.scene.capture, self._frame.selection.sample)

    @property
    def others(self) -> tuple[int, ...]:
        """Positions of the samples that can be compared with the sample that is shown."""
        chosen = self._samples.chosen
        return tuple(i for i, one in enumerate(self._samples) if one.index is not None and i != chosen)

    @property
    def against(self) -> int | None:
        """The position of the sample that is subtracted."""
        said = None if self._activations is None else self._activations.against
        index = said if self._frame.selection.against is None else self._frame.selection.against
        return next((i for i in self.others if self._samples[i].index == index), None)

    def subtracting(self, position: int) -> Selection:
        """Return the selection with another sample that is subtracted, one of `others`."""
        return replace(self._frame.selection, against=self._samples[position].index)

    def compare(self, position: int | None) -> None:
        """Subtract another sample, one of `others`; `None` subtracts the compared model's numbers."""
        self._frame.select(against=None if position is None else self._samples[position].index)

    @property
    def _before(self) -> int:
        """The position of the sample before, around the ends."""
        earlier = [i for i in self.others if i < self._samples.chosen]
        return (earlier or list(self.others))[-1]
