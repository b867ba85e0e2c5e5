"""Panel for the choice of a sample: its picture, name, label and prediction; and for uploads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.perspectives import State
from nnviz3d.apps.sample_notes import SampleNote, note_of, notes_of
from nnviz3d.apps.session import Session
from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.sample_files import RUN
from nnviz3d.apps.web.value_checks import asked_index
from nnviz3d.data.capabilities.embeddings import embedding_names
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
    sample_notes, samples_wrong
        The prediction and label of each sample of which they are known, by position; and the positions of those whose
        prediction is wrong.
    predictions_words, predictions_findable
        How many samples' predictions are known; and whether the perspective of embeddings finds all.
    samples_order
        The order of the list in words; empty if it is plain.
    pictures
        Whether the samples can be shown as pictures.
    uploads
        Whether the user can add samples.
    """

    samples: list[dict[str, Any]]
    sample_notes: dict[int, str]
    samples_wrong: list[int]
    pictures: bool
    uploads: bool
    sample: int = 0
    predictions_words: str = ""
    predictions_findable: bool = False
    samples_order: str = ""


class SamplesPanel(PagePanel[SamplesState]):
    """Choice of the sample, and upload of further samples."""

    def __init__(self, page: PageContext) -> None:
        session = page.session
        self._step_records, self._scene = session.context.capture.step_records, session.scene
        self._told, self._embeddings = notes_of(session), _embeddings(session)
        self._own: set[int] = set()
        state = SamplesState(
            samples=sample_items(session),
            sample_notes={},
            samples_wrong=[],
            pictures=has_pictures(session),
            uploads=session.queries.runner is not None,
            samples_order=order_words(session),
        )
        super().__init__(page, _with_notes(state, self._told, session))
        page.client_only(sample_menu=False, sample_filter="", sample_wrong=False)
        page.on_trigger("choose_sample", self.choose)

    def synchronize(self) -> None:
        """Show the samples and which one is selected."""
        session, listed = self.page.session, self.state.samples
        position = session.samples.chosen
        drawing = session.samples[position].drawing  # each stroke changes it
        self._renew()
        run = session.samples[position].index is not None
        if run and (position not in self._own or drawing):
            self._told = {**self._told, position: note_of(session, position)}
            self._own.add(position)
        if len(listed) != len(session.samples) or drawing:
            listed = sample_items(session)
        state = _with_notes(self.state, self._told, session)
        self.show(replace(state, samples=listed, sample=position))

    def tick(self) -> None:
        """Show the predictions at the clock's step of a training."""
        if self._renew():
            self.show(_with_notes(self.state, self._told, self.page.session))

    def _renew(self) -> bool:
        """Read the notes of all samples anew after a step of a training or for a new embedding, which tell others."""
        session = self.page.session
        records, scene = session.context.capture.step_records, session.scene
        same = records == self._step_records and (scene is self._scene or not session.training_status)
        embeddings = self._embeddings if scene is self._scene else _embeddings(session)
        self._scene = scene
        if same and embeddings == self._embeddings:
            return False
        self._told, self._own = notes_of(session), set()
        self._step_records, self._embeddings = records, embeddings
        return True

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
        of_kind = "(!sample_wrong || !samples_wrong.length || samples_wrong.includes(s.index))"
        found = "`${s.name} ${sample_notes[s.index] || ''}`.includes(sample_filter || '')"
        shown = f"samples.filter((s) => {of_kind} && {found})"
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
            with html.Label(v_if="samples_wrong.length", classes="points-wrong samples-wrong"):
                html.Input(
                    type="checkbox",
                    checked=("sample_wrong",),
                    change="sample_wrong = $event.target.checked",
                    id="sample-wrong",
                )
                html.Span("Only wrong predictions ({{ samples_wrong.length }})")
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
            html.Div("{{ samples_order }}", v_if="samples_order", classes="faint sample-words", id="samples-order")
            with html.Div(v_if="predictions_words", classes="faint sample-words", id="predictions"):
                html.Div("{{ predictions_words }}")
                html.Button(
                    "Find wrong ones among all: open Embedding",
                    v_if="predictions_findable",
                    click="sample_menu = false; trigger('look_at', ['embedding'])",
                    classes="cloud-button wide",
                    id="find-predictions",
                )


def _build_item(name: str) -> None:
    html.Img(
        v_if=f"pictures && {name}",
        src=(f"`samples/${{{name}.index}}/thumbnail?run={RUN}&of=${{{name}.version}}&secret=${{secret}}`",),
        key=(f"{name}.index",),
        loading="lazy",
        classes="thumb",
        alt="",
        error="$event.target.classList.add('none')",  # a file that is no picture, such as a text
        __events=["error"],
    )
    note = f"sample_notes[{name}.index]"
    with html.Div(classes="sample-text", v_if=name, title=(f"`${{{name}.name}} ${{{note} || ''}}`",)):
        html.Div(f"{{{{ {name}.name }}}}", classes="line")
        with html.Div(classes="line faint", v_if=note):
            html.Span("wrong: ", v_if=f"samples_wrong.includes({name}.index)", classes="sample-wrong")
            html.Span(f"{{{{ {note} }}}}")


def _with_notes(state: SamplesState, told: Mapping[int, SampleNote], session: Session) -> SamplesState:
    refused = {
        position: SampleNote(f"refused: {session.samples[position].refused}") for position in session.samples.refused
    }
    told = {**told, **refused}
    known = sum(note.text.startswith("predicted") for note in told.values())
    count = len(session.samples)
    unknown = known < count and count > 1
    offered = session.perspectives.availability("embedding").state is not State.IMPOSSIBLE if unknown else False
    return replace(
        state,
        sample_notes={position: note.text for position, note in told.items()},
        samples_wrong=[position for position, note in told.items() if note.wrong],
        predictions_words=f"Predictions of {known:,} of {count:,} samples are known." if unknown and known else "",
        predictions_findable=offered,
    )


def _embeddings(session: Session) -> tuple[str, ...]:
    return tuple(embedding_names(session.context.capture.stored))


def sample_items(session: Session) -> list[dict[str, Any]]:
    """Return the samples for the page: ``index``, the position, ``name``, and ``version``, another one for each stroke."""
    return [
        {"index": index, "name": sample.name, "version": (sample.index or 0) if sample.drawing else 0}
        for index, sample in enumerate(session.samples)
    ]


def order_words(session: Session) -> str:
    """Return the order of the samples in words, if captured ones come before others; else nothing."""
    captured = next((i for i, sample in enumerate(session.samples) if sample.index is None), 0)
    if captured < 2:
        return ""
    return f"First the {captured:,} samples of the capture, then the others in the order of the data set."


def has_pictures(session: Session) -> bool:
    """Whether samples can be shown as pictures."""
    capture = session.scene.context.capture
    try:
        return any(capture.picture(node, 0) is not None for node in capture.graph.inputs)
    except CaptureError:
        return False
