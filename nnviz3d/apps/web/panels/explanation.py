"""What the cells show, of which class, against which other sample, and by which method: the rest has no control."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web.panels.fields import field
from nnviz3d.data.capabilities.attributions import TITLES
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_ALL = "[...targets, ...classes.filter((one) => !targets.some((found) => found.value === one.value))]"
"""What was explained, with its score, before all else that the model can be asked for."""
_CAPTURED = "samples.filter((one) => one.index in sample_notes && one.index !== sample)"
"""The samples that the one that is shown can be compared with."""


class Insights:
    """Chooses what of the sample is shown."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        self._choices = app.session.choices
        capture = app.session.scene.context.capture
        listed = self._choices.targets if app.session.queries.runner is not None else ()
        self._known = {target.slot: target for target in listed}
        names = self._choices.names(listed)
        only = f"{capture.path.name} explains no other; capture the model with --class for more"
        app.state.update(
            {
                "classes": [
                    _item(one.slot, names[one]) for one in sorted(listed, key=lambda one: _natural(names[one]))
                ],
                "no_class": "There is no such class" if listed else only,
                "methods": [{"title": TITLES.get(name, (name, False))[0], "value": name} for name in self._methods],
            }
        )
        self.synchronize()
        for name, change in (
            ("quantity", self._set_quantity),
            ("against", self._set_against),
            ("explained", self._set_explained),
            ("method", self._set_method),
        ):
            app.state.change(name)(app.guarded(change))

    @property
    def _methods(self) -> tuple[str, ...]:
        return self._choices.methods

    @property
    def _present(self) -> bool:
        return len(self._choices.quantities) > 1 or bool(self._methods)

    def synchronize(self) -> None:
        """Show what is selected, or else what the scene says."""
        choices, state = self._choices, self._app.state
        found = choices.explained
        state.insights = self._present
        state.quantities = [{"title": choices.title(name), "value": name} for name in choices.quantities]
        targets = self._app.session.choices.explained_targets
        state.targets = [_item(one.target.slot, choices.name(one.target), choices.words(one)) for one in targets]
        state.explained = "" if found is None else found.target.slot
        state.quantity = choices.quantity
        state.against = choices.against
        state.method = choices.method

    # The pages and this program both change the state; only what differs from the session is a person's wish.

    def _set_quantity(self, quantity: Any, **_: Any) -> None:
        if self._present and quantity != self._choices.quantity:
            if quantity not in self._choices.quantities:
                raise ValueError(f"The page asked for an unknown quantity {quantity!r}.")
            self._choices.show(quantity)
            self._app.refresh()

    def _set_against(self, against: Any, **_: Any) -> None:
        session, choices = self._app.session, self._choices
        if against == choices.against:
            return
        if not isinstance(against, int) or not 0 <= against < len(session.samples):
            raise ValueError(f"The page asked for an unknown sample {against!r}.")
        if against not in choices.others:
            raise UserError(
                f"{session.samples[against].name} is not there to compare with; choose it as the sample first."
            )
        choices.compare(against)
        self._app.refresh()

    def _set_explained(self, explained: Any, **_: Any) -> None:
        found = self._choices.explained
        if found is None or explained == found.target.slot:
            return
        if not explained:  # the field was emptied, which is nobody's wish for another class
            self._app.synchronize()
            return
        known = self._known | {one.target.slot: one.target for one in self._app.session.choices.explained_targets}
        if not isinstance(explained, str) or explained not in known:
            raise ValueError(f"The page asked for an unknown target {explained!r}.")
        self._app.session.choices.explain(known[explained])
        self._app.refresh()

    def _set_method(self, method: Any, **_: Any) -> None:
        if self._methods and method != self._choices.method:
            if method not in self._methods:
                raise ValueError(f"The page asked for an unknown method {method!r}.")
            self._app.select(method=method)

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section appearance", id="insights", v_if="insights"):
            with field("Cells", "What the cells of the blocks show", v_if="quantities.length > 1"):
                v.VSelect(v_model=("quantity",), items=("quantities",), id="quantity", aria_label="Cells")
            with field("Against", "The sample that is taken off", v_if="quantity === 'difference'"):
                _search("against", _CAPTURED, "Against", item_title="name", item_value="index")
            with field("Class", "Whose score is explained: choose one, or type its name", v_if="targets.length"):
                _search("explained", _ALL, "Class", no_data_text=("no_class",))
            with field("Map", "The method that says which places count", v_if="methods.length"):
                v.VSelect(v_model=("method",), items=("methods",), id="method", aria_label="Map")


def _natural(name: str) -> list[str | int]:
    """Order as people do: 2 before 10, and a name before those that it begins."""
    return [int(part) if part.isdecimal() else part.casefold() for part in re.split(r"(\d+)", name)]


def _item(slot: str, name: str, title: str = "") -> dict[str, str]:
    """Write a target for the page: it is found by its name, whatever numbers stand behind that."""
    return {"title": title or name, "name": name, "value": slot}


def _search(key: str, items: str, label: str, **more: Any) -> None:
    """Make a field that is typed into to find one of many."""
    v.VAutocomplete(
        v_model=(key,),
        items=(items,),
        filter_keys=("['raw.name']",),
        id=key,
        aria_label=label,
        auto_select_first=True,
        click="$event.target.select?.()",  # so that what is typed takes the place of what stands there
        update_menu="$event || window.document.activeElement.blur()",  # keys are the picture's again
        **more,
    )
