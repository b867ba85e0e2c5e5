"""Menu of the button that saves what the page shows as one HTML file."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme

_TITLE = "Save as a page (HTML) that turns and plays without a server"
_SIZE = "export_sizes[export_every ? 1 : 0]?.[export_rounded ? 1 : 0]"


def build_export_menu() -> None:
    """Make the button and its menu, whose values `nnviz3d.apps.web.exports` sets."""
    with v.VMenu(
        v_model=("export_menu",),
        location="bottom end",
        offset=4,
        close_on_content_click=False,
        update_modelValue="export_menu = $event; if ($event) trigger('export_sizes')",
    ):
        with v.Template(v_slot_activator="{ props }"):
            v.VBtn(v_bind="props", icon="mdi-export-variant", id="export", **theme.icon_button(_TITLE))
        with html.Div(classes="export-menu", id="export-menu"):
            html.Div("Save as a page (HTML)", classes="section-title")
            html.Div("One file that turns, plays and can be clicked, with no server and no network.", classes="faint")
            with html.Div(v_if="export_stage === ''", classes="export-stage"):
                _choices()
            with html.Div(v_if="export_stage === 'packing'", classes="export-stage"):
                _progress()
            with html.Div(v_if="export_stage === 'ready'", classes="export-stage"):
                _result()
            html.Div("{{ note }}", v_for="note in export_notes", key="note", classes="export-note faint")


def _choices() -> None:
    with html.Div(v_if="export_count > 1", classes="export-choice"):
        for title, value, name in (("This sample", "false", "one"), ("All {{ export_count }} captured", "true", "all")):
            with html.Label(classes="export-line"):
                html.Input(
                    type="radio",
                    name="export-samples",
                    checked=(f"export_every === {value}",),
                    change=f"export_every = {value}",
                    id=f"export-{name}",
                )
                html.Span(title)
    with html.Label(classes="export-line", title="Smaller; the file says that its numbers are rounded"):
        html.Input(
            type="checkbox",
            checked=("export_rounded",),
            change="export_rounded = $event.target.checked",
            id="export-rounded",
        )
        html.Span("Round the numbers to float16, about three digits")
    html.Div(
        f"{{{{ {_SIZE} ? `About ${{{_SIZE}}}. ` : '' }}}}The exact size is told before you save it.",
        classes="faint",
        id="export-estimate",
    )
    v.VBtn(
        "Make the page",
        click="window.nnviz3dSaves.exportPage(export_every, export_rounded)",
        variant="tonal",
        color="primary",
        size="small",
        id="export-make",
    )


def _progress() -> None:
    v.VProgressLinear(model_value=("export_percent",), color="primary", id="export-progress")
    v.VBtn("Cancel", click="trigger('dismiss_export')", variant="text", size="small", id="export-cancel")


def _result() -> None:
    html.Div("{{ export_words }}", id="export-words")
    html.Div("{{ export_file }}", classes="line faint", title=("export_file",))
    with html.Div(classes="export-buttons"):
        v.VBtn(
            "Save",
            href=("`exports/${export_key}?secret=${secret}`",),
            raw_attrs=['download=""'],
            variant="tonal",
            color="primary",
            size="small",
            id="export-save",
        )
        v.VBtn(
            "Done",
            click="trigger('dismiss_export'); export_menu = false",
            variant="text",
            size="small",
            id="export-done",
        )
