"""What the cells show, of which class, and by which method: only what was captured has a control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.data.insights import Explained
from nnviz3d.data.methods import TITLES
from nnviz3d.scene.colors import score
from nnviz3d.scene.selection import Quantity
from nnviz3d.scene.stage import class_name, is_classifier
from nnviz3d.scene.view_specs import Activations, Attributions

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_QUANTITIES: tuple[tuple[Quantity, str], ...] = (
    ("activation", "Activation"),
    ("gradient", "Gradient of the score"),
    ("attribution", "Gradient × activation"),
)


class Insights:
    """Chooses among what explains the sample that is shown."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        views, capture = app.session.scene.spec.views, app.session.scene.stage.capture
        self._activations = next((view for view in views if isinstance(view, Activations)), None)
        self._attributions = next((view for view in views if isinstance(view, Attributions)), None)
        self._quantities = self._activations is not None and capture.has_gradients()
        self._methods = capture.methods if self._attributions is not None else ()
        app.state.quantities = [{"title": title, "value": name} for name, title in _QUANTITIES]
        app.state.methods = [{"title": TITLES.get(name, (name, False))[0], "value": name} for name in self._methods]
        self.synchronize()
        for name, change in (
            ("quantity", self._set_quantity),
            ("explained", self._set_explained),
            ("method", self._set_method),
        ):
            app.state.change(name)(app.guarded(change))

    @property
    def _present(self) -> bool:
        return self._quantities or bool(self._methods)

    def synchronize(self) -> None:
        """Show what is selected, or else what the scene says."""
        session, state = self._app.session, self._app.state
        if not self._present:
            return
        targets = session.targets
        state.targets = [{"title": self._words(found), "value": found.target.slot} for found in targets]
        chosen = session.selection.target or (targets[0].target if targets else None)
        state.explained = "" if chosen is None else chosen.slot
        state.quantity = self._quantity
        state.method = self._method

    @property
    def _quantity(self) -> str:
        said = "activation" if self._activations is None else self._activations.quantity
        return self._app.session.selection.quantity or said

    @property
    def _method(self) -> str:
        said = None if self._attributions is None else self._attributions.method
        return self._app.session.selection.method or said or next(iter(self._methods), "")

    def _words(self, found: Explained) -> str:
        """Write a target as people call it, with its probability or its score."""
        capture, target = self._app.session.scene.stage.capture, found.target
        named = is_classifier(capture, target.output)
        name = class_name(capture.classes, target.index) if named else f"{target.output}[{target.index}]"
        value = f"score {score(found.score)}" if found.probability is None else score(found.probability)
        return f"{name} · {value}"

    # The pages and this program both change the state; only what differs from the session is a person's wish.

    def _set_quantity(self, quantity: str, **_: Any) -> None:
        if self._quantities and quantity != self._quantity:
            if quantity not in [name for name, _ in _QUANTITIES]:
                raise ValueError(f"The page asked for an unknown quantity {quantity!r}.")
            self._app.select(quantity=quantity)

    def _set_explained(self, explained: str, **_: Any) -> None:
        session = self._app.session
        known = {found.target.slot: found.target for found in session.targets} if self._present else {}
        if not known or explained == (session.selection.target or session.targets[0].target).slot:
            return
        if explained not in known:
            raise ValueError(f"The page asked for an unknown target {explained!r}.")
        session.explain(known[explained])
        self._app.refresh()

    def _set_method(self, method: str, **_: Any) -> None:
        if self._methods and method != self._method:
            if method not in self._methods:
                raise ValueError(f"The page asked for an unknown method {method!r}.")
            self._app.select(method=method)

    def build(self) -> None:
        """Make the widgets."""
        if not self._present:
            return
        with html.Div(classes="section appearance", id="insights"):
            if self._quantities:
                _choice("Cells", "quantity", "quantities", "What the cells of the blocks show")
            _choice("Class", "explained", "targets", "Whose score is explained")
            if self._methods:
                _choice("Map", "method", "methods", "The method that says which places count")


def _choice(name: str, key: str, items: str, title: str) -> None:
    with html.Div(classes="field", title=title):
        html.Span(name, classes="field-name")
        v.VSelect(v_model=(key,), items=(items,), id=key, aria_label=name)
