"""What stands where on the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html, rca
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme
from nnviz3d.apps.web.picture_view import AREA

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

GONE = """<div class="gone">
  <b>The connection to nnviz3d has ended.</b>
  <span class="faint">If it was stopped, start it again and open the address that it prints.</span>
</div>"""
"""What stands in the page's place once the server is gone."""


def build_page(app: WebApp) -> Any:
    """Lay the page out: a bar on top, the panels at the left, time below, and the picture in all that is left."""
    with VAppLayout(app.server, vuetify_config=theme.VUETIFY) as layout:
        with v.VAppBar(height=48, flat=True, classes="bar"):
            v.VBtn(icon="mdi-dock-left", click="drawer = !drawer", id="toggle", **theme.icon_button("Layers, settings"))
            _heading()
            v.VSpacer()
            _buttons(app)
        app.transport.build()
        with v.VNavigationDrawer(
            v_model=("drawer", None), width=316, mobile_breakpoint=("900",), floating=True, classes="drawer"
        ):
            with html.Div(classes="panels"):
                app.samples.build()
                app.steps.build()
                app.history.build()
                app.insights.build()
                app.views.build()
                app.appearance.build()
                app.layers.build()
        with v.VMain(classes="stage"):
            with html.Div(id="view"):
                rca.RemoteControlledArea(
                    name=AREA,
                    display="image",
                    event_throttle_ms=("12",),
                    image_style=("{ width: '100%', height: '100%', objectFit: 'contain', display: 'block' }",),
                )
                app.samples.build_busy()
        v.VSnackbar(
            "{{ message }}",
            model_value=("!!message",),
            update_modelValue="message = ''",
            timeout=9000,
            id="message",
            classes="message",
        )
    return layout


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


def _buttons(app: WebApp) -> None:
    with html.Div(v_if="training", classes="shared", id="training", title="What the recorder has written so far"):
        html.Span(classes=("['light', { on: training.endsWith('live') }]",))
        html.Span("{{ training }}")
    with html.Div(v_if="clients > 1", classes="shared", id="shared", title="What one changes, all see"):
        v.VIcon("mdi-account-multiple-outline", size=15)
        html.Span("shared view")
    v.VBtn(
        icon="mdi-image-filter-center-focus",
        click=app.guarded(app.view.home),
        id="home",
        **theme.icon_button("Reset the view (R)"),
    )
    v.VBtn(
        icon="mdi-tray-arrow-down",
        click=f"utils.download('{_file_name(app.title)}', trigger('picture'), 'image/png')",
        id="save",
        **theme.icon_button("Save this picture (PNG)"),
    )


def _file_name(title: str) -> str:
    """Make a file's name of a title."""
    return f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-') or 'nnviz3d'}.png"
