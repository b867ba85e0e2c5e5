"""The sample picker: pictures, names, what they are and were taken for; and pictures that people hand in."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web import theme
from nnviz3d.apps.web.files import RUN
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import CaptureError
from nnviz3d.scene.context import class_name, head_of, is_classifier, top_classes

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_LONG = 12
"""More samples than this can be searched."""


class Samples:
    """Chooses the sample."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        session = app.session
        self._notes = notes_of(session)
        self._step_records = session.context.capture.step_records
        app.state.update(
            {
                "samples": entries(session),
                "sample_notes": self._notes,
                "pictures": has_pictures(session),
                "uploads": session.queries.runner is not None,
            }
        )
        self._show()
        self._choose = app.guarded(self.choose)
        app.state.client_only("sample_menu", "sample_filter")
        app.server.trigger("uploaded")(self._choose)

    def synchronize(self) -> None:
        """Show which one is selected, and which one is waited for."""
        session = self._app.session
        self.follow()
        position = session.samples.chosen
        if position not in self._notes:
            self._notes = {**self._notes, position: note_of(session, position)}
            self._app.state.sample_notes = self._notes
        self._show()

    def follow(self) -> None:
        """Say what samples are taken for at the training's step that is shown now."""
        records = self._app.session.context.capture.step_records
        if records != self._step_records:
            self._step_records, self._notes = records, notes_of(self._app.session)
            self._app.state.sample_notes = self._notes

    def _show(self) -> None:
        session = self._app.session
        name = session.samples[session.samples.chosen].name
        model = session.scene.context.capture.provenance.model
        self._app.state.update(
            {
                "sample": session.samples.chosen,
                "busy": session.queries.busy,
                "caption": " · ".join(t for t in (model, name) if t),
                "provenance": provenance(session),
            }
        )

    def listen(self) -> None:
        """Hear of what the model has said, and how its training goes on, on the event loop of the caller."""
        loop = asyncio.get_running_loop()
        answered = self._app.guarded(self._answered)

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody looks any more
                loop.call_soon_threadsafe(answered)

        self._app.session.on_news(told)

    def _answered(self) -> None:
        app = self._app
        before = app.session.scene
        changed = app.session.poll()
        if app.session.training_status and app.session.scene is not before:
            self._notes = notes_of(app.session)  # the same samples, by a model that has learned since
            app.state.sample_notes = self._notes
        app.synchronize()
        if app.session.queries.message:
            app.say(app.session.queries.message)
            app.session.queries.message = ""
        if changed:
            app.view.changed()

    def choose(self, position: int) -> None:
        """Look at another sample."""
        session = self._app.session
        position = int(position)
        if 0 <= position < len(session.samples):
            session.choose(position)
            self._app.refresh()

    def step(self, by: int) -> None:
        """Go to the next or the previous one, around the ends."""
        self._app.session.choose_next(by)
        self._app.refresh()

    def add(self, name: str, source: str) -> int:
        """List a sample that somebody handed in; returns its position."""
        position = self._app.session.samples.add(Sample(name, None, source))
        with self._app.state:
            self._app.state.samples = entries(self._app.session)
        return position

    def build(self) -> None:
        """Make the widgets."""
        guarded = self._app.guarded
        with html.Div(classes="section", v_if="samples.length", id="samples"):
            with html.Div(classes="sample-bar"):
                with v.VMenu(
                    v_model=("sample_menu", False),
                    location="bottom start",
                    offset=4,
                    max_height=460,
                    min_width=288,
                    close_on_content_click=False,
                ):
                    with v.Template(v_slot_activator="{ props }"):
                        with html.Button(v_bind="props", classes="sample", id="sample", title="Choose a sample"):
                            _entry("samples[sample]")
                            v.VIcon("mdi-unfold-more-horizontal", size=16, classes="faint", v_if="samples.length > 1")
                    self._build_list()
                with html.Div(classes="steps", v_if="samples.length > 1"):
                    for icon, by, title in (
                        ("mdi-chevron-left", -1, "Previous sample (←)"),
                        ("mdi-chevron-right", 1, "Next sample (→)"),
                    ):
                        v.VBtn(icon=icon, click=(guarded(self.step), f"[{by}]"), **theme.icon_button(title))
                with html.Div(classes="steps", v_if="uploads"):
                    html.Input(type="file", id="file", accept="image/*,.npy", style="display: none")
                    v.VBtn(
                        icon="mdi-image-plus-outline",
                        click="window.document.getElementById('file').click()",
                        id="upload",
                        **theme.icon_button("Run the model on a picture of yours (or drop one anywhere)"),
                    )

    def _build_list(self) -> None:
        shown = "samples.filter((s) => `${s.name} ${sample_notes[s.index] || ''}`.includes(sample_filter || ''))"
        with html.Div(classes="sample-list"):
            v.VTextField(
                v_model=("sample_filter", ""),
                v_if=f"samples.length > {_LONG}",
                placeholder="Filter by name or class",
                prepend_inner_icon="mdi-magnify",
                clearable=True,
                autofocus=True,
                id="sample-filter",
                classes="filter",
            )
            with v.VVirtualScroll(items=(shown,), item_height=58, max_height=400):
                with v.Template(v_slot_default="{ item }"):
                    with html.Button(
                        classes=("['sample', { chosen: item.index === sample }]",),
                        click=(
                            f"sample_menu = false; trigger('{self._app.server.trigger_name(self._choose)}', [item.index])"
                        ),
                    ):
                        _entry("item")

    @staticmethod
    def build_busy() -> None:
        """Make the sign, over the picture, that says what is waited for."""
        with html.Div(classes="busy", v_if="busy", id="busy"):
            v.VProgressCircular(indeterminate=True, size=14, width=2, color="primary")
            html.Span("{{ busy }}")


def _entry(name: str) -> None:
    html.Img(
        v_if=f"pictures && {name}",
        src=(f"`samples/${{{name}.index}}/thumbnail?run={RUN}`",),
        key=(f"{name}.index",),
        loading="lazy",
        classes="thumb",
        alt="",
    )
    note = f"sample_notes[{name}.index]"
    with html.Div(classes="sample-text", v_if=name, title=(f"`${{{name}.name}} ${{{note} || ''}}`",)):
        html.Div(f"{{{{ {name}.name }}}}", classes="line")
        html.Div(f"{{{{ {note} }}}}", classes="line faint", v_if=note)


def entries(session: Session) -> list[dict[str, Any]]:
    """List the samples for the page: position and name."""
    return [{"index": index, "name": sample.name} for index, sample in enumerate(session.samples)]


def has_pictures(session: Session) -> bool:
    """Whether samples can be shown as pictures."""
    capture = session.scene.context.capture
    try:
        return any(capture.picture(node, 0) is not None for node in capture.graph.inputs)
    except CaptureError:
        return False


def notes_of(session: Session) -> dict[int, str]:
    """Say of each sample that the model has been run on what it is and was taken for."""
    capture = session.context.capture
    head = _classes_of(capture)
    try:
        scores = None if head is None else capture.activations(head).values
    except (CaptureError, ValueError, OSError):
        scores = None  # the picture itself will say that the capture is damaged
    return {
        position: _note(capture, sample.index, None if scores is None else scores[sample.index])
        for position, sample in enumerate(session.samples)
        if sample.index is not None
    }


def note_of(session: Session, position: int) -> str:
    """Say of one sample what it is and was taken for."""
    capture, index = session.context.capture, session.samples[position].index
    if index is None:
        return ""
    head = _classes_of(capture)
    return _note(capture, index, None if head is None else capture.activation(head, index))


def _classes_of(capture: CaptureReader) -> str | None:
    """Return the output that tells classes, if there is one."""
    head = head_of(capture.graph)
    return head if head is not None and is_classifier(capture, head) and capture.has_activations(head) else None


def _note(capture: CaptureReader, index: int, scores: np.ndarray[Any, Any] | None) -> str:
    parts = []
    if scores is not None and np.isfinite(scores).any():
        parts.append(f"predicted {_name(capture, top_classes(scores, 1)[0])}")
    label = capture.label(index)
    if label is not None:
        parts.append(f"label {_name(capture, label)}")
    return " · ".join(parts)


def _name(capture: CaptureReader, index: int) -> str:
    return str(index) if capture.classes is None else class_name(capture.classes, index)


def provenance(session: Session) -> list[list[str]]:
    """Say where the numbers come from, as names and values."""
    origin = session.scene.context.capture.provenance
    lines = [["model", origin.model]]
    if origin.sha256:
        lines.append(["sha256", f"{origin.sha256[:16]}…"])
    mode, reason = session.scene.context.capture.preprocessing(session.selection.sample)
    lines.append(["preprocessing", mode])
    if reason:
        lines.append(["because", reason])
    if origin.created:
        lines.append(["captured", origin.created])
    if origin.versions:
        lines.append(["with", ", ".join(f"{name} {version}" for name, version in origin.versions.items())])
    lines.extend(["note", note] for note in origin.notes)
    return lines
