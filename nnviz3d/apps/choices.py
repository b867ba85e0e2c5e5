"""What there is to look at of the sample that is shown: quantities, targets, methods, and samples to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain, islice

from nnviz3d.apps.session import Session
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.data.targets import LOSS, Explained, Target
from nnviz3d.scene.colors import score
from nnviz3d.scene.context import head_of, top_classes, two_classes, vector_outputs
from nnviz3d.scene.view_specs import Activations, Attributions

QUANTITIES: Mapping[Quantity, str] = {
    "activation": "Activation",
    "gradient": "Gradient of the score",
    "gradient_x_activation": "Gradient × activation",
    "difference": "Difference",
}
BEST = 10
"""So many of a model's largest scores are gone through one after another."""
_LISTED = 20_000
"""Outputs of more numbers than this are not listed."""


class Subject:
    """Tells what can be chosen of a session, and chooses it. What its scene does not show cannot be chosen.

    Parameters
    ----------
    session
        What is looked at.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        views = session.scene.spec.views
        self._activations = next((view for view in views if isinstance(view, Activations)), None)
        self._attributions = next((view for view in views if isinstance(view, Attributions)), None)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What the cells can show; gradients also where the model can be asked for them."""
        if self._activations is None:
            return ()
        capture = self._session.scene.context.capture
        gradients = capture.has_gradients() or (self._session.asks and head_of(capture.graph) is not None)
        lacking: set[Quantity] = set(OF_GRADIENTS) if not gradients else set()
        lacking |= {"difference"} if not self.others else set()
        return tuple(name for name in QUANTITIES if name not in lacking)

    @property
    def quantity(self) -> Quantity:
        """What the cells show."""
        said: Quantity = "activation" if self._activations is None else self._activations.quantity
        return self._session.selection.quantity or said

    def show(self, quantity: Quantity) -> None:
        """Let the cells show another quantity, a difference by default from the sample before."""
        if quantity == "difference" and self.against is None:
            self._session.select(against=self._session.samples[self._before].index)
        self._session.show(quantity)

    @property
    def methods(self) -> tuple[str, ...]:
        """The attribution methods whose maps can be shown."""
        return self._session.scene.context.capture.methods if self._attributions is not None else ()

    @property
    def method(self) -> str:
        """The method whose map is shown; empty if there is none."""
        said = None if self._attributions is None else self._attributions.method
        return self._session.selection.method or said or next(iter(self.methods), "")

    # Whose score is explained.

    @property
    def explains(self) -> bool:
        """Whether anything that can be shown depends on a target."""
        return bool(self._session.targets)

    @property
    def explained(self) -> Explained | None:
        """The target that is shown, with its score."""
        found = self._session.scene.context.explained(self._session.selection)
        return None if found is None or found.target == LOSS else found

    def title(self, quantity: Quantity) -> str:
        """Return what people call a quantity; gradients are of a score, or of a training's loss."""
        found = self._session.scene.context.explained(self._session.selection)
        if quantity == "gradient" and found is not None and found.target == LOSS:
            return "Gradient of the loss"
        return QUANTITIES[quantity]

    @property
    def targets(self) -> tuple[Target, ...]:
        """All targets that the model can be asked for, in the order of its outputs; the head's first."""
        graph = self._session.scene.context.graph
        head = head_of(graph)
        outputs = sorted(vector_outputs(graph), key=lambda name: name != head)
        capture = self._session.context.capture
        against = (Target(name, 0, against=True) for name in outputs if two_classes(capture, name) is not None)
        every = (Target(name, index) for name in outputs for index in range(graph.node(name).size))
        return tuple(islice(chain(every, against), _LISTED))

    @property
    def best(self) -> tuple[Target, ...]:
        """The targets to go through: what was explained, and before it the largest scores if the model can be asked."""
        found = [one.target for one in self._session.targets]
        context, selection = self._session.context, self._session.selection
        head = head_of(context.graph)
        if not self._session.asks or head is None or not context.capture.has_activations(head):
            return tuple(found)
        scores = context.values(head, selection.sample).values.reshape(-1)
        largest = [Target(head, index) for index in top_classes(scores, BEST)]
        return tuple(dict.fromkeys((*largest, *found)))

    def name(self, target: Target) -> str:
        """Return what people call a target."""
        return self._session.scene.context.name_of(target)

    def names(self, targets: Sequence[Target]) -> dict[Target, str]:
        """Name targets so that they can be told apart: with its number where two have one name."""
        names = {target: self.name(target) for target in targets}
        count = Counter(names.values())
        return {one: f"{name} ({one.index})" if count[name] > 1 else name for one, name in names.items()}

    def words(self, found: Explained) -> str:
        """Write a target as people call it, with its probability or its score."""
        value = f"score {score(found.score)}" if found.probability is None else score(found.probability)
        return f"{self.name(found.target)} · {value}"

    # What the sample is compared with.

    @property
    def others(self) -> tuple[int, ...]:
        """Positions of the samples that the one that is shown can be compared with."""
        chosen = self._session.chosen
        return tuple(i for i, one in enumerate(self._session.samples) if one.index is not None and i != chosen)

    @property
    def against(self) -> int | None:
        """The position of the sample that is taken off."""
        said = None if self._activations is None else self._activations.against
        index = said if self._session.selection.against is None else self._session.selection.against
        return next((i for i in self.others if self._session.samples[i].index == index), None)

    def compare(self, position: int) -> None:
        """Take another sample off, one of `others`."""
        self._session.select(against=self._session.samples[position].index)

    @property
    def _before(self) -> int:
        """The position of the sample before, around the ends."""
        earlier = [i for i in self.others if i < self._session.chosen]
        return (earlier or list(self.others))[-1]
