"""Panel for the quantity of the cells, the explained target, the compared sample and the attribution method."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import RELEASE, choice_list, labelled
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice, asked_index
from nnviz3d.data.capabilities.attributions import TITLES
from nnviz3d.data.target_words import search_text
from nnviz3d.errors import UserError

_OTHER_MODEL = -1
"""Value of the compared model in the list of what can be subtracted; samples have their positions."""
_ALL = "[...targets, ...classes.filter((one) => !targets.some((found) => found.value === one.value))]"
"""Items of the target list: first the largest scores and the explained targets, then all others."""


@dataclass(frozen=True)
class ExplanationState:
    """Values that the widgets show. Items to choose from are mappings with a ``title`` and a ``value``.

    Attributes
    ----------
    classes
        All targets that the model can be asked for.
    no_class
        The sentence for a text that matches no target.
    methods, method
        The attribution methods to choose from, and the chosen one.
    explainable
        Whether there is anything to choose.
    quantities, quantity
        The quantities that the cells can show, and the one that they show.
    targets, explained
        The targets of the largest scores and those that were explained, with their scores, the largest first, if any
        was explained; and the one that is shown.
    comparable, against
        The samples and the model that the shown one can be compared with, listed while the cells show a difference; and
        what is subtracted: the position of a sample, or -1 for the model.
    """

    classes: list[dict[str, str]]
    no_class: str
    methods: list[dict[str, str]] = field(default_factory=list)
    explainable: bool = False
    quantities: list[dict[str, str]] = field(default_factory=list)
    quantity: str = ""
    targets: list[dict[str, str]] = field(default_factory=list)
    explained: str = ""
    comparable: list[dict[str, Any]] = field(default_factory=list)
    against: int | None = None
    method: str = ""


class ExplanationPanel(PagePanel[ExplanationState]):
    """Controls of the quantity that cells show, the explained target, the compared sample and the method."""

    def __init__(self, page: PageContext) -> None:
        self._choices = page.session.choices
        capture = page.session.scene.context.capture
        listed = self._choices.targets if page.session.queries.runner is not None else ()
        self._known = {target.slot: target for target in listed}
        names = self._choices.names(listed)
        only = f"{capture.path.name} explains no other; capture the model with --class for more"
        state = ExplanationState(
            classes=[_item(one.slot, names[one]) for one in sorted(listed, key=lambda one: _natural(names[one]))],
            no_class="There is no such class" if listed else only,
        )
        super().__init__(page, state)
        page.on_change("quantity", self._set_quantity)
        page.on_change("against", self._set_against)
        page.on_change("explained", self._set_explained)
        page.on_change("method", self._set_method)

    @property
    def _methods(self) -> tuple[str, ...]:
        return self._choices.methods

    @property
    def _present(self) -> bool:
        return len(self._choices.quantities) > 1 or bool(self._methods)

    def synchronize(self) -> None:
        """Show the selection; fields that it leaves open as the scene sets them."""
        choices = self._choices
        found, explained = choices.explained, {one.target for one in choices.explained_targets}
        self.show(
            replace(
                self.state,
                explainable=self._present,
                methods=[{"title": TITLES.get(name, (name, False))[0], "value": name} for name in self._methods],
                quantities=[{"title": choices.title(name), "value": name} for name in choices.quantities],
                quantity=choices.quantity,
                targets=[
                    _item(one.slot, choices.name(one), words)
                    for one, words in choices.listed_first.items()
                    if one.slot in self._known or one in explained
                ],
                explained="" if found is None else found.target.slot,
                comparable=self._comparable() if choices.quantity == "difference" else [],
                against=self._against,
                method=choices.method,
            )
        )

    @property
    def _against(self) -> int | None:
        position = self._choices.against
        return _OTHER_MODEL if position is None and self._choices.compares_models else position

    def _comparable(self) -> list[dict[str, Any]]:
        names = [(position, self.page.session.samples[position].name) for position in self._choices.others]
        if self._choices.compares_models and self._choices.other_model is not None:
            names.insert(0, (_OTHER_MODEL, self._choices.other_model))
        return [{"title": name, "name": name, "value": position} for position, name in names]

    # The page and the session both change these values; a value that differs from the session's is the user's choice.

    def _set_quantity(self, quantity: Any) -> None:
        if self._present and quantity != self._choices.quantity:
            asked_choice("quantity", quantity, self._choices.quantities)
            self._choices.show(quantity)
            self.page.refresh()

    def _set_against(self, against: Any) -> None:
        session, choices = self.page.session, self._choices
        if against == self._against:
            return
        if against == _OTHER_MODEL and choices.compares_models:
            choices.compare(None)
            self.page.refresh()
            return
        against = asked_index("sample", against, len(session.samples))
        if against not in choices.others:
            raise UserError(
                f"The model has not been run on {session.samples[against].name} yet; choose it as the sample first."
            )
        choices.compare(against)
        self.page.refresh()

    def _set_explained(self, explained: Any) -> None:
        found = self._choices.explained
        if found is None or explained == found.target.slot:
            return
        if not explained:  # the user emptied the field, which chooses nothing
            self.page.synchronize()
            return
        known = self._known | {one.target.slot: one.target for one in self.page.session.choices.explained_targets}
        self.page.session.choices.explain(known[asked_choice("target", explained, known)])
        self.page.refresh()

    def _set_method(self, method: Any) -> None:
        if self._methods and method != self._choices.method:
            self.page.select(method=asked_choice("method", method, self._methods))

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section appearance", id="insights", v_if="explainable"):
            with labelled("Cells", "Quantity that the cells of the blocks show", v_if="quantities.length > 1"):
                choice_list("quantity", "quantities", "Cells")
            with labelled(
                "Against", "What is subtracted: a sample, or the compared model", v_if="quantity === 'difference'"
            ):
                _search("against", "comparable", "Against")
            with labelled(
                "Class", "Class whose score is explained: choose one or type its name", v_if="targets.length"
            ):
                _search("explained", _ALL, "Class", no_data_text=("no_class",))
            with labelled("Map", "Attribution method of the map", v_if="methods.length"):
                choice_list("method", "methods", "Map", v_if="methods.length > 1")
                html.Span(
                    "{{ methods[0].title }}", v_if="methods.length === 1", classes="field-single", id="method-only"
                )


def _natural(name: str) -> list[str | int]:
    """Return a sort key for natural order: 2 before 10, and a name before its extensions."""
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", name)]


def _item(slot: str, name: str, title: str = "") -> dict[str, str]:
    """Return a list item for a target; the page searches its ``name``, without the score in its ``title``."""
    return {"title": title or name, "name": search_text(name), "value": slot}


def _search(key: str, items: str, label: str, **more: Any) -> None:
    """Make a field for a choice among many, which the user searches by typing."""
    v.VAutocomplete(
        v_model=(key,),
        items=(items,),
        filter_keys=("['raw.name']",),
        id=key,
        aria_label=label,
        auto_select_first=True,
        click="$event.target.select?.()",  # typing replaces the present text
        update_menu=RELEASE,
        **more,
    )
