"""Layout of the page, and the values that it shows around its panels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html, rca
from trame.widgets import vuetify3 as v

from nnviz3d.apps.provenance import provenance_lines
from nnviz3d.apps.session import Session
from nnviz3d.apps.web import theme
from nnviz3d.apps.web.bookmarks import build_bookmarks
from nnviz3d.apps.web.export_menu import build_export_menu
from nnviz3d.apps.web.help import build_help
from nnviz3d.apps.web.option_names import build_sentences
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import AnyPanel
from nnviz3d.apps.web.picture_view import AREA

GONE = """<div class="gone" role="alert">
  <b>The connection to nnviz3d was lost.</b>
  <span class="faint" id="gone-state">Trying to connect again…</span>
  <button type="button" class="gone-button" id="gone-again" onclick="window.nnviz3dReconnect()">Try now</button>
</div>"""
"""Content of the page without a connection; `static/live.js` says how the attempts to connect again go on."""

HINTS = (
    "Click a cell in the picture: the page shows what made its number.",
    "Choose another perspective in the bar above. A ring: a click computes it.",
    "Press ? for all keys, / to search the layers.",
)
"""Hints that the page shows once, at the first visit."""


def build_page(server: Any, page: PageContext, panels: Sequence[AnyPanel], *, home: Callable[[], None]) -> Any:
    """Lay the page out: two bars on top, a drawer with panels at the left, a footer with panels, and the picture.

    Parameters
    ----------
    server
        Trame's server.
    panels
        The panels in their order.
    home
        Resets the picture's camera.
    """
    page.client_only(hints=False, waiting="Loading the scene…", heard=0)
    with VAppLayout(server, vuetify_config=theme.VUETIFY) as layout:
        with v.VAppBar(height=48, flat=True, classes="bar"):
            v.VBtn(icon="mdi-dock-left", click="drawer = !drawer", id="toggle", **theme.icon_button("Layers, settings"))
            _heading()
            v.VSpacer()
            _build(panels, "heading")
            _badges()
            _buttons(page, home)
        with v.VAppBar(height=36, flat=True, classes="bar perspectives-bar"):
            _build(panels, "bar")
        _build(panels, "footer")
        with v.VNavigationDrawer(
            v_model=("drawer", None), width=316, mobile_breakpoint=("900",), floating=True, classes="drawer"
        ):
            with html.Div(classes="panels"):
                _hints()
                _build(panels, "drawer")
        with v.VMain(classes="stage"):
            with html.Div(id="view"):
                html.Div(id="client", v_show="drawing === 'client'")
                # Its own kinds of display are slower; the canvas is filled by picture.js.
                with rca.RemoteControlledArea(
                    v_if="drawing === 'server'", name=AREA, display="none", event_throttle_ms=("33",)
                ):
                    html.Canvas(id="picture", width=1, height=1)
                html.Div("{{ waiting }}", classes="waiting", v_if="waiting", id="waiting", role="status")
                with html.Div(classes="busy", v_if="busy", id="busy", role="status"):
                    # It stands still: a turning sign takes half a core from the model where the browser draws in software.
                    v.VIcon("mdi-timer-sand", size=14, color="primary")
                    html.Span("{{ busy }}")
                    html.Button(
                        "×",
                        click="trigger('stop_model')",
                        type="button",
                        classes="stop",
                        id="stop-model",
                        title="Stop the model",
                        aria_label="Stop the model",
                    )
        with v.VSnackbar(
            # Another number makes another widget, whose time begins anew.
            key="said",
            model_value=("!!message && said !== heard",),
            update_modelValue="heard = said; trigger('heard', [said])",
            timeout=9000,
            id="message",
            classes="message",
            role="status",
        ):
            build_sentences("message")
    return layout


def _build(panels: Sequence[AnyPanel], area: str) -> None:
    for panel in panels:
        if panel.area == area:
            panel.build()


def _heading() -> None:
    with html.Div(classes="heading"):
        with v.VTooltip(location="bottom", open_delay=250, content_class="provenance"):
            with v.Template(v_slot_activator="{ props }"):
                with html.Div(v_bind="props", classes="heading-text", id="title"):
                    html.Span("{{ title }}", classes="heading-title")
                    html.Span("{{ caption }}", classes="heading-caption")
            with html.Div(v_for="line in provenance", key="line[0]", classes="provenance-line"):
                html.Span("{{ line[0] }}", classes="provenance-key")
                html.Span("{{ line[1] }}")


def _hints() -> None:
    with html.Div(classes="section hints", id="hints", v_if="hints", role="note", aria_label="Hints"):
        with html.Div(classes="hints-head"):
            html.Span("First steps", classes="section-title")
            v.VBtn(icon="mdi-close", click="hints = false", id="hints-close", **theme.icon_button("Close the hints"))
        with html.Ol():
            for hint in HINTS:
                html.Li(hint)


def _badges() -> None:
    with html.Div(
        v_if="training",
        classes="shared",
        id="training",
        title="Training that is being recorded, as far as it is written",
    ):
        html.Span(classes=("['light', { on: training.endsWith('live') }]",))
        html.Span("{{ training }}")
    with html.Div(v_if="drawing_reason", classes="shared", id="drawn-by-server", title=("drawing_reason",)):
        v.VIcon("mdi-server-outline", size=15)
        html.Span("drawn by the server")
    with html.Div(
        v_if="clients > 1", classes="shared", id="shared", title="Other pages are open; all show the same scene"
    ):
        v.VIcon("mdi-account-multiple-outline", size=15)
        html.Span("shared view")


def _buttons(page: PageContext, home: Callable[[], None]) -> None:
    build_bookmarks(page)
    v.VBtn(
        icon="mdi-image-filter-center-focus",
        click=page.guarded(home),
        id="home",
        **theme.icon_button("Reset the view (R)"),
    )
    name = f"{file_stem(page.session)}.png"
    page.show({"picture_name": name})
    v.VBtn(
        icon="mdi-tray-arrow-down",
        click=f"utils.download('{name}', trigger('picture'), 'image/png')",
        id="save",
        **theme.icon_button("Save this picture (PNG)"),
    )
    v.VBtn(
        icon="mdi-content-save-outline",
        click="window.nnviz3dSaves.write()",
        id="write",
        **theme.icon_button("Save a scene file that opens as it is shown here (W)"),
    )
    build_export_menu()
    build_help(page)


def file_stem(session: Session) -> str:
    """Return the name, without its ending, of a file that shows the session."""
    return re.sub(r"[^a-z0-9]+", "-", _title(session).lower()).strip("-")[:80] or "nnviz3d"


def page_values(session: Session) -> dict[str, Any]:
    """Return the values that the page shows around its panels, by their names in the page's state.

    Returns
    -------
    ``title``, ``caption`` and ``provenance`` of the heading, the browser's ``trame__title``; ``training``, the state of a
    training that is still being recorded; and ``busy``, what the model is running for.
    """
    title = _title(session)
    model, sample = session.scene.context.capture.provenance.model, session.samples[session.samples.chosen].name
    return {
        "title": title,
        "trame__title": f"{title} · nnviz3d",
        "caption": " · ".join(text for text in (model, sample) if text),
        "provenance": provenance(session),
        "training": session.training_status,
        "busy": session.queries.busy,
    }


def _title(session: Session) -> str:
    return session.scene.title(session.selection.sample)


def provenance(session: Session) -> list[list[str]]:
    """Return the origin of the numbers, as pairs of name and value."""
    return provenance_lines(session.scene.context.capture, session.selection.sample)
