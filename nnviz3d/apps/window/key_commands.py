"""Commands of the window's keys that change the quantity, class, method, colours and other settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, get_args

from nnviz3d.apps.model_requests import NAME_IT
from nnviz3d.apps.perspectives import State
from nnviz3d.apps.pick_examples import strongest_samples
from nnviz3d.apps.pick_requests import find_examples, lacks_examples
from nnviz3d.apps.session import Session
from nnviz3d.data.capabilities.attributions import TITLES
from nnviz3d.data.model_sources import without_gradients
from nnviz3d.data.quantities import OF_GRADIENTS
from nnviz3d.data.records import RANKINGS
from nnviz3d.errors import UserError
from nnviz3d.scene.colors import DIVERGING, SEQUENTIAL, Normalize, number
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.channels import ChannelsView
from nnviz3d.scene.views.connections import ConnectionsSpec
from nnviz3d.scene.views.node_link.spec import NodesSpec
from nnviz3d.scene.views.training import figures, step_text

_STEP = 0.05
"""Share by which a key changes the threshold."""
_TOLD = 4
"""Number of samples that a sentence lists."""
_T = TypeVar("_T")


class KeyCommands:
    """Methods that go from one choice to the next and show a sentence about it.

    Parameters
    ----------
    session
        The session that the window shows.
    tell
        Shows a sentence for some seconds.
    """

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        self._session = session
        self._tell = tell
        self._choices = session.choices
        self._named = self._named_from = ""

    # Perspectives.

    def next_perspective(self) -> None:
        """Show the next perspective, or say what it lacks."""
        self._perspective(1)

    def previous_perspective(self) -> None:
        """Show the perspective before, or say what it lacks."""
        self._perspective(-1)

    def _perspective(self, by: int) -> None:
        found = self._session.perspectives
        by_name = {one.name: one for one in found.all}
        self._named, self._named_from = next_of(tuple(by_name), self._named or found.current, by), found.current
        one, available = by_name[self._named], found.availability(self._named)
        if available.state is State.IMPOSSIBLE:
            self._tell(f"{one.title}: {available.reason}")
        elif available.state is State.COMPUTABLE:
            self._tell(f"{one.title}: {available.reason or 'not captured; press Return to let the model compute it'}")
        else:
            self._look_at(self._named)

    def compute_perspective(self) -> None:
        """Let the model compute the perspective that was named last."""
        if self._named:
            self._look_at(self._named)

    def _look_at(self, name: str) -> None:
        try:
            self._session.look_at(name)
        except UserError as error:
            self._tell(str(error))
            return
        if self._session.queries.perspective == name:
            title = self._session.perspectives.title(name)
            self._tell(f"{title}: shown when the model has computed it · Esc: stop")

    def tell_perspective(self) -> None:
        """Show which perspective is shown, unless the user has named another one since."""
        found = self._session.perspectives
        if self._named not in ("", found.current) and self._named_from == found.current:
            return
        self._named = ""
        one = next(one for one in found.all if one.name == found.current)
        self._tell(f"{one.title}: {one.words[0].lower()}{one.words[1:]}")

    # Classes, quantities and methods.

    def next_class(self) -> None:
        """Explain the class with the next smaller score."""
        self._class(1)

    def previous_class(self) -> None:
        """Explain the class with the next larger score."""
        self._class(-1)

    def _class(self, by: int) -> None:
        choices, session = self._choices, self._session
        if not choices.explains:
            kind = without_gradients(session.context.capture.provenance.model)
            more = "x shows gradients" if "gradient" in choices.quantities else "capture with --gradients"
            if kind:
                more = f"{kind} has no gradients, so capture the Keras model that it was made from"
            self._tell(f"Nothing in this scene depends on a class; {more}")
            return
        now = session.queries.target or (None if choices.explained is None else choices.explained.target)
        following = next_of(choices.best, now, by)
        if following == now:
            self._tell("Only one class was explained; capture the model with --class for others")
            return
        try:
            session.choices.explain(following)
        except UserError as error:
            self._tell(str(error))
        self.tell_class()

    def tell_class(self) -> None:
        """Show which class is explained, unless the model is still computing it."""
        found = self._choices.explained
        if found is not None and not self._session.queries.busy:
            self._tell(f"explained: {self._choices.words(found)}")

    def next_quantity(self) -> None:
        """Show the next quantity in the cells."""
        names = self._choices.quantities
        if self._numbers() is None:
            return
        if len(names) < 2:
            self._tell("Only activations were captured; capture the model with --gradients, or two samples")
            return
        name = next_of(names, self._session.queries.quantity or self._choices.quantity)
        self._choices.show(name)
        if not self._session.queries.busy:
            self._tell_quantity()

    def _tell_quantity(self) -> None:
        found = self._choices.explained
        words = self._choices.title(self._choices.quantity).lower()
        if self._choices.quantity == "difference":
            self._tell_against()
        elif self._choices.quantity not in OF_GRADIENTS or found is None:
            self._tell(f"cells: {words}")
        else:
            self._tell(f"cells: {words}, {self._choices.words(found)}")

    def next_against(self) -> None:
        """Compare with another sample, or with the compared model."""
        others: tuple[int | None, ...] = self._choices.others
        if self._choices.compares_models:
            others = (None, *others)
        if self._choices.quantity != "difference":
            self._tell(
                "The cells show no difference; press x until they show one" if others else "There is only one sample"
            )
            return
        self._choices.compare(next_of(others, self._choices.against))
        self._tell_against()

    def _tell_against(self) -> None:
        session, against = self._session, self._choices.against
        if against is not None:
            names = [session.samples[i].name for i in (session.samples.chosen, against)]
            self._tell(f"cells: {' − '.join(names)}")
        elif self._choices.compares_models:
            self._tell(f"cells: {' − '.join(session.scene.context.compared_names(session.selection))}")

    def next_method(self) -> None:
        """Show the map of another attribution method."""
        methods = self._choices.methods
        if not methods:
            self._tell("This scene shows no attribution map; Tab leads to the decisions")
            return
        name = next_of(methods, self._choices.method)
        title = TITLES.get(name, (name, False))[0]
        self._session.select(method=name)
        more = "" if len(methods) > 1 else ", the only one; open the model with --attribution for others"
        self._tell(f"map: {title}{more}")

    # A recorded training.

    def previous_step(self) -> None:
        """Show the recorded step before."""
        self._train(-1)

    def next_step(self) -> None:
        """Show the recorded step after."""
        self._train(1)

    def _train(self, by: int) -> None:
        session = self._session
        training, index = session.scene.context.capture.training, session.clock.recorded_index
        if training is None or index is None:
            self._tell("There is no recorded training; record one with nnviz3d.TrainingRecorder")
            return
        index = min(max(index + by, 0), len(training) - 1)
        session.clock.show_recorded(index)
        self._tell(" · ".join([step_text(training, index), *figures(training, index)]))

    # Channels.

    def next_channel_order(self) -> None:
        """Sort the unfolded channels in another order."""
        session = self._session
        layer = self._unfolded()
        if layer is not None:
            channels = session.scene.get(ChannelsView)
            name = next_of(channels.orders(session.selection), channels.order(layer, session.selection))
            session.select(channel_order=name)
            self._tell(f"channels by {name}")

    def next_channel_pictures(self) -> None:
        """Show the unfolded channels' activations, or other pictures of them."""
        session = self._session
        layer = self._unfolded()
        if layer is None:
            return
        channels = session.scene.get(ChannelsView)
        kinds = channels.kinds_of_pictures(layer)
        if len(kinds) < 2:
            held = "; ".join(channels.elsewhere(layer).values())
            self._tell(held or f"There are no features of {layer}; capture the model with --features {layer}")
            return
        name = next_of(kinds, channels.pictures(layer, session.selection))
        session.select(channel_pictures=name)
        self._tell(f"channels: their {name}")

    def tell_strongest_samples(self) -> None:
        """Tell which samples activate the channel of the pick most; the model finds them if it has to."""
        session, pick = self._session, self._session.selection.pick
        if not isinstance(pick, CellPick):
            self._tell("Click a cell first: this key tells which samples activate its channel most")
            return
        strong, heading = strongest_samples(session, pick)
        if heading:
            listed = ", ".join(f"{one.name} {number(one.mean)}" for one in strong[:_TOLD])
            self._tell(f"{heading}: {listed}" if listed else heading)
        elif lacks_examples(session, pick):
            find_examples(session, pick.layer)
            self._tell("Looking for the samples that activate it most; press E again when they are found")
        else:
            self._tell(f"No examples of {pick.layer} are known, and there is no model to look for them; {NAME_IT}")

    def _unfolded(self) -> str | None:
        if self._session.unfolding.layer is None:
            self._tell("No layer is unfolded; point at one, then press u")
        return self._session.unfolding.layer

    # Colours and threshold.

    def lower_threshold(self) -> None:
        """Draw more cells."""
        self._threshold(-_STEP)

    def raise_threshold(self) -> None:
        """Draw fewer cells."""
        self._threshold(_STEP)

    def _threshold(self, by: float) -> None:
        view = self._numbers()
        if view is not None:
            chosen = self._session.selection.threshold
            share = min(max(round((view.threshold if chosen is None else chosen) + by, 2), 0.0), 1.0)
            self._session.select(threshold=share)
            self._tell(f"cells from {share:.0%} of their layer's range")

    def next_colormap(self) -> None:
        """Use the next colour map."""
        view = self._numbers()
        if view is not None:
            name = next_of(SEQUENTIAL + DIVERGING, self._session.selection.colormap or view.colormap)
            self._session.select(colormap=name)
            self._tell(f"colours: {name}{' (for signed numbers)' if name in DIVERGING else ''}")

    def next_normalization(self) -> None:
        """Use the next way to map numbers to colours."""
        view = self._numbers()
        if view is not None:
            name = next_of(get_args(Normalize), self._session.selection.normalize or view.normalize)
            self._session.select(normalize=name)
            self._tell(f"scale: {name}")

    def next_ranking(self) -> None:
        """Draw the connections that are strongest by the next ranking."""
        view = view_of(self._session, ConnectionsSpec) or view_of(self._session, NodesSpec)
        if view is None:
            self._tell("This scene shows no connections")
            return
        name = next_of(RANKINGS, self._session.selection.ranking or view.ranking)
        self._session.select(ranking=name)
        self._tell(f"lines: strongest by {name}")

    def _numbers(self) -> ActivationsSpec | None:
        view = view_of(self._session, ActivationsSpec)
        if view is None:
            self._tell("This scene shows no activations; Tab leads to them")
        return view


def view_of(session: Session, kind: type[_T]) -> _T | None:
    """Return the first view spec of a kind; `None` if the scene has none."""
    return next((view for view in session.scene.spec.views if isinstance(view, kind)), None)


def next_of(choices: Sequence[_T], current: Any, by: int = 1) -> _T:
    """Return the choice `by` positions further, around the ends; the first if the current choice is unknown."""
    known = list(choices)
    return known[(known.index(current) + by) % len(known)] if current in known else known[0]
