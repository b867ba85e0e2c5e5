"""The sample picker: pictures, names, and what they are and were taken for."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.session import Session
from nnviz3d.apps.web import theme
from nnviz3d.data.capture import Capture
from nnviz3d.errors import CaptureError
from nnviz3d.scene.stage import class_name, head_of, is_classifier, top_classes

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_THUMB = 64
"""Pixels of a thumbnail's longer side."""
_THUMBS = 256
"""How many samples get one."""


class Samples:
    """Chooses the sample."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        self._entries = entries(app.session)
        app.state.update({"samples": self._entries, "provenance": provenance(app.session)})
        self.synchronize()

    def synchronize(self) -> None:
        """Show which one is selected."""
        chosen = self._app.session.selection.sample
        entry = self._entries[chosen] if 0 <= chosen < len(self._entries) else {"name": ""}
        model = self._app.session.scene.stage.capture.provenance.model
        self._app.state.update({"sample": chosen, "caption": " · ".join(t for t in (model, entry["name"]) if t)})

    def choose(self, index: int) -> None:
        """Look at another sample."""
        index = int(index)
        if 0 <= index < len(self._entries) and index != self._app.session.selection.sample:
            self._app.select(sample=index)

    def step(self, by: int) -> None:
        """Go to the next or the previous one, around the ends."""
        self.choose((self._app.session.selection.sample + by) % len(self._entries))

    def build(self) -> None:
        """Make the widgets."""
        guarded = self._app.guarded
        with html.Div(classes="section", v_if="samples.length", id="samples"):
            with html.Div(classes="sample-bar"):
                with v.VMenu(location="bottom start", offset=4, max_height=420, min_width=280):
                    with v.Template(v_slot_activator="{ props }"):
                        with html.Button(v_bind="props", classes="sample", id="sample", title="Choose a sample"):
                            _entry("samples[sample]")
                            v.VIcon("mdi-unfold-more-horizontal", size=16, classes="faint", v_if="samples.length > 1")
                    with v.VVirtualScroll(items=("samples",), item_height=58, max_height=420, classes="sample-list"):
                        with v.Template(v_slot_default="{ item }"):
                            with html.Button(
                                classes=("['sample', { chosen: item.index === sample }]",),
                                click=(guarded(self.choose), "[item.index]"),
                            ):
                                _entry("item")
                with html.Div(classes="steps", v_if="samples.length > 1"):
                    for icon, by, title in (
                        ("mdi-chevron-left", -1, "Previous sample (←)"),
                        ("mdi-chevron-right", 1, "Next sample (→)"),
                    ):
                        v.VBtn(icon=icon, click=(guarded(self.step), f"[{by}]"), **theme.icon_button(title))


def _entry(name: str) -> None:
    html.Img(v_if=f"{name}.picture", src=(f"{name}.picture",), classes="thumb", alt="")
    with html.Div(classes="sample-text", title=(f"`${{{name}.name}} ${{{name}.note}}`",)):
        html.Div(f"{{{{ {name}.name }}}}", classes="line")
        html.Div(f"{{{{ {name}.note }}}}", classes="line faint", v_if=f"{name}.note")


def entries(session: Session) -> list[dict[str, Any]]:
    """Describe each sample for the page: its index, name, thumbnail, and true and predicted class."""
    capture = session.scene.stage.capture
    notes = _notes(session)
    found = []
    for index, name in enumerate(session.samples):
        picture = None
        if index < _THUMBS:
            try:
                pictures = (capture.picture(node, index) for node in capture.graph.inputs)
                picture = next((p for p in pictures if p is not None), None)
            except CaptureError:
                notes[index] = "its picture is damaged"
        uri = None if picture is None else thumbnail(picture)
        found.append({"index": index, "name": name, "note": notes.get(index, ""), "picture": uri})
    return found


def _notes(session: Session) -> dict[int, str]:
    capture = session.scene.stage.capture
    head, labels = head_of(capture.graph), capture.labels
    scores = None
    if head is not None and is_classifier(capture, head) and capture.has_activations(head):
        try:
            scores = capture.activations(head).values
        except (CaptureError, ValueError, OSError):
            scores = None  # the picture itself will say that the capture is damaged
    notes = {}
    for index in range(capture.committed):
        parts = []
        if scores is not None and np.isfinite(scores[index]).any():
            parts.append(f"predicted {_name(capture, top_classes(scores[index], 1)[0])}")
        if labels is not None:
            parts.append(f"label {_name(capture, int(labels[index]))}")
        notes[index] = " · ".join(parts)
    return notes


def _name(capture: Capture, index: int) -> str:
    return str(index) if capture.classes is None else class_name(capture.classes, index)


def thumbnail(picture: NDArray[np.uint8]) -> str:
    """Shrink a picture, ``(H, W, 3)``, to a small PNG in a data URI."""
    image = Image.fromarray(picture)
    image.thumbnail((_THUMB, _THUMB))
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def provenance(session: Session) -> list[list[str]]:
    """Say where the numbers come from, as names and values."""
    origin = session.scene.stage.capture.provenance
    lines = [["model", origin.model]]
    if origin.sha256:
        lines.append(["sha256", f"{origin.sha256[:16]}…"])
    lines.append(["preprocessing", origin.preprocessing])
    if origin.preprocessing_reason:
        lines.append(["because", origin.preprocessing_reason])
    if origin.created:
        lines.append(["captured", origin.created])
    if origin.versions:
        lines.append(["with", ", ".join(f"{name} {version}" for name, version in origin.versions.items())])
    lines.extend(["note", note] for note in origin.notes)
    return lines
