"""Help of the page: what mouse, fingers and keys do, and what the perspectives show."""

from __future__ import annotations

from collections.abc import Sequence

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.page_keys import POINTER, described, key_actions

_TITLE = "Help: keys and perspectives (?)"


def build_help(page: PageContext) -> None:
    """Make the button and the dialog; each page opens its own."""
    page.client_only(help=False)
    page.show({"key_actions": key_actions()})
    v.VBtn(icon="mdi-help-circle-outline", click="help = true", id="help-button", **theme.icon_button(_TITLE))
    with v.VDialog(v_model=("help",), width=860, content_class="help-frame", aria_labelledby="help-title"):
        with html.Div(classes="help", id="help"):
            with html.Div(classes="help-head"):
                html.H2("Finding your way", id="help-title")
                v.VBtn(icon="mdi-close", click="help = false", id="help-close", **theme.icon_button("Close (Esc)"))
            with html.Div(classes="help-columns"):
                with html.Div():
                    html.H3("On the picture")
                    _pairs(POINTER)
                    html.H3("Keys")
                    _pairs(described())
                with html.Div():
                    html.H3("Perspectives")
                    html.P("The bar above the picture. A ring: a click lets the model compute it.", classes="faint")
                    with html.Div(classes="help-pairs wide"):
                        with v.Template(v_for="one in perspectives", key="one.name"):
                            html.Span("{{ one.title }}", classes="help-key")
                            html.Span("{{ one.words }}")
                    html.H3("Finding a layer")
                    html.P(
                        "Type a part of its name or kind above the list of layers: layers inside closed groups are found "
                        "too. Enter, or a click on a result, opens its group and flies to it. A number behind the name is "
                        "a channel or neuron: conv2d 3. The path above the picture leads back, step by step, from a cell "
                        "to the whole network."
                    )


def _pairs(pairs: Sequence[tuple[str, str]]) -> None:
    with html.Div(classes="help-pairs"):
        for label, words in pairs:
            html.Span(label, classes="help-key")
            html.Span(words)
