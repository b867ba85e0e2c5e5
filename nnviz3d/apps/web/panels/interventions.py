"""Panel of interventions: buttons that mute, scale or freeze, the list of changes, and the scores before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trame.widgets import html

from nnviz3d.apps.layer_search import FoundPlace, show_place, units_of
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice, asked_flag, asked_index, asked_number
from nnviz3d.data.axes import unit_word
from nnviz3d.data.capabilities.interventions import Action
from nnviz3d.errors import UserError
from nnviz3d.scene.colors import number, score

_ACTIONS: dict[str, tuple[Action, float, str]] = {
    "Mute": ("mute", 0.0, "Set it to 0"),
    "× ½": ("scale", 0.5, "Halve it; a slider then sets any factor"),
    "× 2": ("scale", 2.0, "Double it; a slider then sets any factor"),
    "Freeze": ("freeze", 0.0, "Keep it as it is, whatever changes before it"),
}
"""The action, factor and help of each button."""
_LOWEST, _HIGHEST = -2.0, 4.0
"""Ends of the slider of a factor."""


@dataclass(frozen=True)
class InterventionsState:
    """Values that the widgets show.

    Attributes
    ----------
    whatif_places
        The numbers that can be changed at the pick, in words: its channel, itself, its layer.
    whatif_layer
        The layer whose channel can be chosen by its number; empty if there is none.
    whatif_unit
        What its channels are called: channel or neuron.
    whatif_units
        Their number; 0 if it has none.
    whatif_channel
        The picked one; `None` if none is.
    whatif_listed
        The interventions in words.
    whatif_factors
        The factor of each of them; `None` if it does not scale.
    whatif_undo
        Whether the last change can be undone.
    whatif_answer
        What they do to the model's answer, in one sentence.
    whatif_scores
        The largest scores: ``name``, ``before``, ``after``, their ``difference`` and its ``sign``, -1, 0 or 1.
    """

    whatif_places: list[str] = field(default_factory=list)
    whatif_layer: str = ""
    whatif_unit: str = ""
    whatif_units: int = 0
    whatif_channel: int | None = None
    whatif_listed: list[str] = field(default_factory=list)
    whatif_factors: list[float | None] = field(default_factory=list)
    whatif_undo: bool = False
    whatif_answer: str = ""
    whatif_scores: list[dict[str, Any]] = field(default_factory=list)


class InterventionsPanel(PagePanel[InterventionsState]):
    """Buttons for the pick, and the list of interventions; empty if there is no model to run."""

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, InterventionsState())
        page.client_only(whatif_slides=False)
        page.on_trigger("intervene", self._intervene)
        page.on_trigger("choose_unit", self._choose_unit)
        page.on_trigger("scale_intervention", self._scale)
        page.on_trigger("remove_intervention", self._remove)
        page.on_trigger("undo_intervention", self._undo)
        page.on_trigger("reset_interventions", self._reset)

    def synchronize(self) -> None:
        """Show the interventions, and the buttons for the pick."""
        session = self.page.session
        found = session.interventions
        if not session.scene.blocks:
            self.show(InterventionsState())
            return
        scores = [
            {
                "name": one.name,
                "before": score(one.before),
                "after": score(one.after),
                "difference": f"{'+' if one.after > one.before else ''}{number(one.after - one.before)}",
                "sign": (one.after > one.before) - (one.after < one.before),
            }
            for one in found.scores()
        ]
        places = list(found.places()) if found.possible else []
        listed = found.listed
        factors = [one.factor if one.action == "scale" else None for one in listed]
        undo = found.possible and found.can_undo
        state = InterventionsState(
            whatif_places=places,
            whatif_listed=[one.shown_text for one in listed],
            whatif_factors=factors,
            whatif_undo=undo,
            whatif_answer=found.told_answer(),
            whatif_scores=scores,
        )
        layer = found.layer if found.possible else None
        if layer is not None:
            node = session.context.graph.node(layer)
            state = replace(
                state,
                whatif_layer=layer,
                whatif_unit=unit_word(node.axes),
                whatif_units=units_of(node),
                whatif_channel=found.unit,
            )
        self.show(state)
        found.expect()

    @property
    def keys(self) -> Mapping[str, Callable[[], None]]:
        """The keys that mute the pick, and undo the last change."""
        return {"mute": self._toggle, "undo": self._undo}

    def _intervene(self, place: Any, button: Any) -> None:
        found = self.page.session.interventions
        places = found.places() if found.possible else {}
        action, factor, _ = _ACTIONS[asked_choice("intervention", button, _ACTIONS)]
        found.add(replace(places[asked_choice("place", place, places)], action=action, factor=factor))
        self.page.refresh()

    def _choose_unit(self, number: Any) -> None:
        """Pick the strongest number of a channel of the layer, or a neuron of it."""
        session = self.page.session
        layer = session.interventions.layer
        if layer is None:
            raise UserError("Choose a layer first.")
        node = session.context.graph.node(layer)
        word, count = unit_word(node.axes), units_of(node)
        unit = int(asked_number(word, number))
        if not 0 <= unit < count:
            raise UserError(f"{layer} has the {word}s 0 to {count - 1:,}; there is no {word} {unit:,}.")
        show_place(session, FoundPlace(layer, word, unit))
        self.page.refresh()

    def _scale(self, position: Any, factor: Any, goes_on: Any) -> None:
        found = self.page.session.interventions
        at = asked_index("intervention", position, len(found.listed))
        found.scale(at, asked_number("factor", factor), goes_on=asked_flag("movement of a slider", goes_on))
        self.page.refresh()

    def _remove(self, position: Any) -> None:
        found = self.page.session.interventions
        found.remove(asked_index("intervention", position, len(found.listed)))
        self.page.refresh()

    def _toggle(self) -> None:
        if self.page.session.scene.blocks:
            self.page.session.interventions.toggle()
            self.page.refresh()

    def _undo(self) -> None:
        if not self.page.session.interventions.undo():
            raise UserError("There is no change to undo.")
        self.page.refresh()

    def _reset(self) -> None:
        self.page.session.interventions.reset()
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(
            classes="section whatif", id="whatif", v_if="whatif_places.length || whatif_listed.length || whatif_undo"
        ):
            with html.Div(classes="section-head steps-head"):
                html.Span("What if", classes="section-title")
                with html.Span(classes="whatif-ends"):
                    _button("Undo", "undo_intervention", "whatif_undo", "Undo the last change (D)", "whatif-undo")
                    _button("Reset", "reset_interventions", "whatif_listed.length", "Undo all changes", "whatif-reset")
            with html.Label(v_if="whatif_units > 1", classes="whatif-place whatif-unit"):
                html.Span(
                    "{{ whatif_unit[0].toUpperCase() + whatif_unit.slice(1) }} of {{ whatif_layer }}",
                    classes="line",
                    title=("whatif_layer",),
                )
                html.Input(
                    type="number",
                    min=0,
                    max=("whatif_units - 1",),
                    step=1,
                    value=("whatif_channel",),
                    placeholder=("`0 to ${whatif_units - 1}`",),
                    change="$event.target.value !== '' && trigger('choose_unit', [Number($event.target.value)])",
                    id="whatif-unit",
                    aria_label=("`${whatif_unit} of ${whatif_layer}`",),
                    __events=["change"],
                )
            with html.Div(v_for="place in whatif_places", key="place", classes="whatif-place"):
                html.Span("{{ place }}", classes="line", title=("place",))
                with html.Span(classes="whatif-buttons"):
                    for words, (_, _, told) in _ACTIONS.items():
                        html.Button(
                            words,
                            click=f"trigger('intervene', [place, '{words}'])",
                            classes="whatif-button",
                            title=told,
                            type="button",
                        )
            with html.Template(v_for="(text, index) in whatif_listed", key="index"):
                with html.Div(classes="whatif-change"):
                    html.Span("{{ text }}")
                    html.Button(
                        "×",
                        click="trigger('remove_intervention', [index])",
                        title="Undo this change",
                        aria_label="Undo this change",
                        type="button",
                    )
                html.Input(
                    type="range",
                    v_if="whatif_factors[index] !== null",
                    min=_LOWEST,
                    max=_HIGHEST,
                    step=0.05,
                    value=("whatif_factors[index]",),
                    input=(
                        "trigger('scale_intervention', [index, Number($event.target.value), whatif_slides]); "
                        "whatif_slides = true"
                    ),
                    change="whatif_slides = false",
                    classes="whatif-factor",
                    title="Factor",
                    aria_label=("`Factor of ${text}`",),
                    __events=["input", "change"],
                )
            html.Div(
                "The scores listed under Class are those without the changes.",
                v_if="whatif_listed.length && targets.length",
                classes="faint",
                id="whatif-class",
            )
            html.Div("{{ whatif_answer }}", v_if="whatif_answer", classes="whatif-answer", id="whatif-answer")
            with html.Div(v_if="whatif_scores.length", classes="whatif-scores", id="whatif-scores"):
                html.Span("Score", classes="faint")
                html.Span("before", classes="faint")
                html.Span("after", classes="faint")
                html.Span("change", classes="faint")
                with html.Template(v_for="one in whatif_scores", key="one.name"):
                    html.Span("{{ one.name }}", classes="line")
                    html.Span("{{ one.before }}")
                    html.Span("{{ one.after }}")
                    html.Span(
                        "{{ one.difference }}", classes=("['whatif-less', 'faint', 'whatif-more'][one.sign + 1]",)
                    )


def _button(words: str, trigger: str, shown: str, title: str, name: str) -> None:
    html.Button(
        words,
        v_if=shown,
        click=f"trigger('{trigger}')",
        classes="whatif-button",
        id=name,
        title=title,
        type="button",
    )
