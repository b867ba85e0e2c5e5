"""Panel for the choice of a sample: its picture, name, label and prediction; and for uploads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.provenance import answering_output, sample_note
from nnviz3d.apps.session import Session
from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.sample_files import RUN
from nnviz3d.apps.web.value_checks import asked_index
from nnviz3d.errors import CaptureError

_LONG = 12
"""Lists with more samples than this have a search field."""


@dataclass(frozen=True)
class SamplesState:
    """Values that the widgets show.

    Attributes
    ----------
    samples, sample
        The samples to choose from, as `sample_items` returns them, and the position of the shown one.
    sample_notes
        The prediction and label of each sample that the model was run on, by position.
    pictures
        Whether the samples can be shown as pictures.
    uploads
        Whether the user can add samples.
    """

    samples: list[dict[str, Any]]
    sample_notes: dict[int, str]
    pictures: bool
    uploads: bool
    sample: int = 0


class SamplesPanel(PagePanel[SamplesState]):
    """Choice of the sample, and upload of further samples."""

    def __init__(self, page: PageContext) -> None:
        session = page.session
        self._step_records, self._scene = session.context.capture.step_records, session.scene
        state = SamplesState(
            samples=sample_items(session),
            sample_notes=notes_of(session),
            pictures=has_pictures(session),
            uploads=session.queries.runner is not None,
        )
        super().__init__(page, state)
        page.client_only(sample_menu=False, sample_filter="")
        page.on_trigger("choose_sample", self.choose)

    def synchronize(self) -> None:
        """Show the samples and which one is selected."""
        session, listed = self.page.session, self.state.samples
        position, notes = session.samples.chosen, self._notes()
        drawing = session.samples[position].drawing  # each stroke changes it
        if position not in notes or drawing:
            notes = {**notes, position: note_of(session, position)}
        if len(listed) != len(session.samples) or drawing:
            listed = sample_items(session)
        self.show(replace(self.state, samples=listed, sample_notes=notes, sample=position))

    def tick(self) -> None:
        """Show the predictions at the clock's step of a training."""
        self.show(replace(self.state, sample_notes=self._notes()))

    def _notes(self) -> dict[int, str]:
        """Return the notes of all samples: new ones after each step of a training, since it changes the predictions."""
        session = self.page.session
        records, scene = session.context.capture.step_records, session.scene
        if records == self._step_records and (scene is self._scene or not session.training_status):
            return self.state.sample_notes
        found = notes_of(session)
        self._step_records, self._scene = records, scene
        return found

    @property
    def keys(self) -> Mapping[str, Callable[[], None]]:
        """The keys for the previous and the next sample."""
        return {"previous": lambda: self.step(-1), "next": lambda: self.step(1)}

    def choose(self, position: int) -> None:
        """Show another sample."""
        session = self.page.session
        session.choose(asked_index("sample", position, len(session.samples)))
        self.page.refresh()

    def step(self, by: int) -> None:
        """Choose the next sample or the previous one, around the ends."""
        self.page.session.choose_next(by)
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        guarded = self.page.guarded
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
                            _build_item("samples[sample]")
                            v.VIcon("mdi-unfold-more-horizontal", size=16, classes="faint", v_if="samples.length > 1")
                    self._build_list()
                with html.Div(classes="steps", v_if="samples.length > 1"):
                    for icon, by, title in (
                        ("mdi-chevron-left", -1, "Previous sample (←)"),
                        ("mdi-chevron-right", 1, "Next sample (→)"),
                    ):
                        v.VBtn(icon=icon, click=(guarded(self.step), f"[{by}]"), **theme.icon_button(title))
                with html.Div(classes="steps", v_if="uploads"):
                    html.Input(
                        type="file",
                        id="file",
                        multiple=True,
                        accept="image/*,.npy,.npz,.csv,.tsv,.txt,.wav",
                        style="display: none",
                    )
                    v.VBtn(
                        icon="mdi-image-plus-outline",
                        click="window.document.getElementById('file').click()",
                        id="upload",
                        **theme.icon_button("Run the model on your own pictures (or drop them anywhere)"),
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
                        click="sample_menu = false; trigger('choose_sample', [item.index])",
                    ):
                        _build_item("item")
            html.Div(
                "No sample matches “{{ sample_filter }}”.",
                v_if=f"sample_filter && !{shown}.length",
                classes="faint empty",
                id="no-sample",
            )


def _build_item(name: str) -> None:
    html.Img(
        v_if=f"pictures && {name}",
        src=(f"`samples/${{{name}.index}}/thumbnail?run={RUN}&of=${{{name}.version}}&secret=${{secret}}`",),
        key=(f"{name}.index",),
        loading="lazy",
        classes="thumb",
        alt="",
    )
    note = f"sample_notes[{name}.index]"
    with html.Div(classes="sample-text", v_if=name, title=(f"`${{{name}.name}} ${{{note} || ''}}`",)):
        html.Div(f"{{{{ {name}.name }}}}", classes="line")
        html.Div(f"{{{{ {note} }}}}", classes="line faint", v_if=note)


def sample_items(session: Session) -> list[dict[str, Any]]:
    """Return the samples for the page: ``index``, the position, ``name``, and ``version``, another one for each stroke."""
    return [
        {"index": index, "name": sample.name, "version": (sample.index or 0) if sample.drawing else 0}
        for index, sample in enumerate(session.samples)
    ]


def has_pictures(session: Session) -> bool:
    """Whether samples can be shown as pictures."""
    capture = session.scene.context.capture
    try:
        return any(capture.picture(node, 0) is not None for node in capture.graph.inputs)
    except CaptureError:
        return False


def notes_of(session: Session) -> dict[int, str]:
    """Return the prediction and label, by position, of each sample that the model has been run on."""
    capture = session.context.capture
    head = answering_output(capture)
    try:
        scores = None if head is None else capture.activations(head).values
    except (CaptureError, ValueError, OSError):
        scores = None  # drawing the picture reports the damaged capture
    return {
        position: sample_note(capture, head, sample.index, None if scores is None else scores[sample.index])
        for position, sample in enumerate(session.samples)
        if sample.index is not None
    }


def note_of(session: Session, position: int) -> str:
    """Return the prediction and label of one sample; empty if the model has not been run on it."""
    capture, index = session.context.capture, session.samples[position].index
    if index is None:
        return ""
    head = answering_output(capture)
    return sample_note(capture, head, index, None if head is None else capture.activation(head, index))
