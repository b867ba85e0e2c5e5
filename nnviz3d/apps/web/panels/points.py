"""Panel for the samples of an embedding: a search among them, and the nearest ones of a sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.embedded_samples import network_perspective, position_of, show_in_network
from nnviz3d.apps.web.data_address import png_address
from nnviz3d.apps.web.option_names import build_sentences
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import choice_list, labelled
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice, asked_flag, asked_index, asked_text
from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding
from nnviz3d.errors import UserError
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.selection import ColoredBy, PointFilter
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.points.neighbours import (
    ComparedSample,
    PointSpace,
    class_of,
    compared_sample,
    neighbours_of,
    space_of,
)
from nnviz3d.scene.views.points.samples import PointPick, facts_of_point
from nnviz3d.scene.views.points.search import can_be_wrong, classes_of, matching

_NEAREST = 12
"""Number of neighbours that are listed."""
_FOUND = 24
"""Maximum number of found samples that are listed."""
_ANY = ""
"""Value of the choice "any class"."""


@dataclass(frozen=True)
class PointsState:
    """Values that the widgets show.

    Attributes
    ----------
    has_points
        Whether the scene shows the samples of an embedding.
    point_search, point_class, point_wrong
        What is searched for: a part of a name, a class by its number, and whether only wrong predictions are selected.
    point_classes
        The classes to choose from, after the choice of any: ``title`` and ``value``.
    points_can_be_wrong
        Whether labels and predictions are known.
    points_found, points_found_words
        The found samples, as `point_item` returns them, and how many there are; empty if nothing is searched for.
    point_index, point_name, point_more, point_picture
        The sample whose neighbours are listed: the index of its point, -1 if it has none; its name, sentences, and its
        picture as an address.
    neighbours, neighbours_words
        Its nearest samples, with their distances, and what the distances are measured in.
    point_problem
        Why there are none, as a sentence.
    point_in_network
        Whether the network can be shown for the sample.
    """

    has_points: bool = False
    point_search: str = ""
    point_class: str = _ANY
    point_wrong: bool = False
    point_classes: list[dict[str, str]] = field(default_factory=list)
    points_can_be_wrong: bool = False
    points_found: list[dict[str, Any]] = field(default_factory=list)
    points_found_words: str = ""
    point_index: int = -1
    point_name: str = ""
    point_more: list[str] = field(default_factory=list)
    point_picture: str = ""
    neighbours: list[dict[str, Any]] = field(default_factory=list)
    neighbours_words: str = ""
    point_problem: str = ""
    point_in_network: bool = False


class PointsPanel(PagePanel[PointsState]):
    """Search among the samples of an embedding, and the neighbours of one; computed again when these change."""

    def __init__(self, page: PageContext) -> None:
        self._shown: tuple[object, ...] = (None,)
        self._space: PointSpace | None = None
        self._compared: ComparedSample | None = None
        super().__init__(page, PointsState())
        page.on_change("point_search", lambda part: self._search(name=asked_text("part of a name", part or "")))
        page.on_change("point_class", self._set_class)
        page.on_change("point_wrong", lambda wrong: self._search(wrong=asked_flag("choice of mistakes", wrong)))
        page.on_trigger("choose_point", self.choose)
        page.on_trigger("point_in_network", self.show_in_network)

    def synchronize(self) -> None:
        """Show the search and the neighbours."""
        session = self.page.session
        cloud, selection = session.scene.find(EmbeddingView), session.selection
        if cloud is None:
            self._shown, self._space, self._compared = (None,), None, None
            self.show(PointsState())
            return
        context, name, by = session.context, cloud.shown(selection), cloud.colored_by(selection)
        key = (name, by, selection.pick, selection.sample, selection.points, len(session.samples))
        if self._shown[0] is context and self._shown[1:] == key:
            return
        self._shown = (context, *key)
        self._space = space_of(context, name)
        self._compared = compared_sample(context, self._space, selection)
        selected = matching(self._space.embedding, selection.points, by, self._space.columns)
        state = _searched(context.capture.classes, self._space.embedding, selection.points, by)
        if not selection.points.everything:
            state = _with_found(state, context, self._space, selected)
        if self._compared is not None:
            state = _with_neighbours(state, context, self._space, self._compared, selected)
            in_network = self._position() is not None and network_perspective(session) is not None
            state = replace(state, point_in_network=in_network)
        self.show(state)

    def tick(self) -> None:
        """Show the neighbours at the clock's step of a training."""
        self.synchronize()

    def _position(self) -> int | None:
        """Return the position in the session's list of the sample whose neighbours are listed."""
        compared, samples = self._compared, self.page.session.samples
        if compared is None or self._space is None:
            return None
        if compared.sample is not None:
            return next((k for k, sample in enumerate(samples) if sample.index == compared.sample), None)
        return None if compared.index is None else position_of(self.page.session, self._space, compared.index)

    # The page and the session both change these values; a value that differs from the session's is the user's choice.

    def _search(self, **changes: Any) -> None:
        wanted = replace(self.page.session.selection.points, **changes)
        if self._space is not None and wanted != self.page.session.selection.points:
            self.page.select(points=wanted)

    def _set_class(self, value: object) -> None:
        if self._space is not None:
            chosen = asked_choice("class", value, [one["value"] for one in self.state.point_classes])
            self._search(of_class=None if chosen == _ANY else int(chosen))

    def choose(self, index: object) -> None:
        """Pick a point, and show its sample if the session's list has it."""
        if self._space is None:
            raise UserError("The scene shows no points.")
        session, found = self.page.session, self._space.embedding
        chosen = asked_index("point", index, len(found.names))
        session.select(pick=PointPick(found.name, chosen))
        position = position_of(session, self._space, chosen)
        if position is not None:
            session.choose(position)
        self.page.refresh()

    def show_in_network(self) -> None:
        """Show the network for the sample whose neighbours are listed."""
        position = self._position()
        if position is None:
            raise UserError("The sample is not in the list of samples, so the network cannot be shown for it.")
        show_in_network(self.page.session, position)
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section points", id="points", v_if="has_points"):
            html.Span("Samples", classes="section-title")
            v.VTextField(
                v_model=("point_search",),
                placeholder="Find by name or word",
                prepend_inner_icon="mdi-magnify",
                clearable=True,
                id="point-search",
                aria_label="Find a sample by its name, or by a word of the table about the samples",
                classes="filter",
            )
            with labelled(
                "Class", "Only samples of a class, by what the colours show", v_if="point_classes.length > 1"
            ):
                choice_list("point_class", "point_classes", "Class", id="point-class")
            with html.Label(v_if="points_can_be_wrong", classes="points-wrong"):
                html.Input(
                    type="checkbox",
                    checked=("point_wrong",),
                    change="point_wrong = $event.target.checked",
                    id="point-wrong",
                )
                html.Span("Only wrong predictions")
            with html.Div(v_if="points_found_words", id="points-found"):
                html.Div("{{ points_found_words }}", classes="pick-head")
                _build_items("points_found")
                _build_counts()
            with html.Div(v_if="point_name", id="point"):
                with html.Div(classes="point-head"):
                    html.Img(v_if="point_picture", src=("point_picture",), alt="", classes="thumb")
                    with html.Div(classes="sample-text"):
                        html.Div("{{ point_name }}", classes="line", title=("point_name",))
                        html.Div("{{ one }}", v_for="one in point_more", key="one", classes="faint")
                v.VBtn(
                    "Show it in the network",
                    v_if="point_in_network",
                    click="trigger('point_in_network')",
                    id="point-in-network",
                    variant="tonal",
                    size="small",
                    block=True,
                    classes="point-button",
                    title="Show the network's numbers for this sample",
                )
                with html.Div(v_if="neighbours_words", id="neighbours"):
                    html.Div("Nearest for the network", classes="pick-head")
                    _build_items("neighbours")
                    html.Div("{{ neighbours_words }}", classes="faint pick-words", id="neighbours-words")
                with html.Div(v_if="point_problem", classes="faint pick-words", id="point-problem"):
                    build_sentences("point_problem")


def _build_counts() -> None:
    """Make the bars of the selected samples by category, which `CloudState` holds."""
    with html.Div(v_if="selected_counts.length", id="selected-samples"):
        html.Div("By {{ selected_by }}", classes="pick-head")
        with html.Div(classes="selected-counts"):
            with html.Template(v_for="one in selected_counts", key="one.title"):
                html.Span("{{ one.title }}", classes="line", title=("one.title",))
                with html.Span(classes="selected-bar"):
                    html.Span(style=("{ width: one.share + '%', background: one.color }",))
                html.Span("{{ one.count }}", classes="selected-count")


def _build_items(key: str) -> None:
    with html.Div(classes="point-items"):
        with html.Button(
            v_for=f"one in {key}",
            key="one.index",
            type="button",
            classes=("['point-item', { other: one.other, chosen: one.index === point_index }]",),
            click="trigger('choose_point', [one.index])",
            title=("one.words",),
        ):
            html.Img(v_if="one.picture", src=("one.picture",), alt="")
            html.Span("{{ one.name }}", v_if="!one.picture", classes="line")
            with html.Span(v_if="one.class || one.mistake", classes="point-class"):
                html.Span("{{ one.class }}", v_if="one.class", classes="line")
                html.Span("→ {{ one.mistake }}", v_if="one.mistake", classes="line")
            html.Span("{{ one.distance }}", v_if="one.distance", classes="line faint")


def _searched(
    classes: tuple[str, ...] | None, found: Embedding, wanted: PointFilter, by: ColoredBy | None
) -> PointsState:
    known = [{"title": title, "value": str(k)} for k, title in classes_of(found, classes, by)]
    return PointsState(
        has_points=True,
        point_search=wanted.name,
        point_class=_ANY if wanted.of_class is None else str(wanted.of_class),
        point_wrong=wanted.wrong,
        point_classes=[{"title": "any class", "value": _ANY}, *known],
        points_can_be_wrong=can_be_wrong(found),
    )


def _with_found(
    state: PointsState, context: SceneContext, space: PointSpace, selected: NDArray[np.bool_]
) -> PointsState:
    indices = np.flatnonzero(selected)
    listed = [point_item(context, space, int(index), None) for index in indices[:_FOUND]]
    words = f"{len(indices):,} of {len(selected):,} samples"
    more = f", the first {_FOUND} listed" if len(indices) > _FOUND else ""
    return replace(state, points_found=listed, points_found_words=words + more)


def _with_neighbours(
    state: PointsState, context: SceneContext, space: PointSpace, compared: ComparedSample, selected: NDArray[np.bool_]
) -> PointsState:
    state = replace(
        state,
        point_index=-1 if compared.index is None else compared.index,
        point_name=compared.name,
        point_more=list(compared.more),
        point_picture="" if compared.picture is None else png_address(compared.picture),
        point_problem=compared.problem,
    )
    near = neighbours_of(space, compared, _NEAREST, selected)
    if near is None:
        return state
    listed = [
        {**point_item(context, space, index, compared.label), "distance": number(distance)}
        for index, distance in zip(near.indices.tolist(), near.distances.tolist(), strict=True)
    ]
    words = f"Distances by {space.words}." if listed else "No other sample is searched for."
    if near.left_out:
        words += f" {near.left_out:,} samples whose outputs hold NaN or infinite numbers are left out."
    return replace(state, neighbours=listed, neighbours_words=words)


def point_item(context: SceneContext, space: PointSpace, index: int, beside: int | None) -> dict[str, Any]:
    """Return a point for the page.

    Parameters
    ----------
    beside
        The class of the sample that it is a neighbour of, if it is known.

    Returns
    -------
    ``index``; ``name``; ``picture``, an address that is empty if it is no picture; ``class``, the name of its label or
    else of its prediction; ``mistake``, that of a wrong prediction; ``other``, whether this is another class than
    `beside`; ``words``, all that is known of it; and an empty ``distance``.
    """
    found, pictures = space.embedding, len(space.embedding.thumbnails) > 0
    name = partial(_title_of_class, context.capture.classes, brief=pictures)
    facts = facts_of_point(context.capture, found, index, space.columns)
    shown, told = class_of(found, index), int(found.predictions[index]) if len(found.predictions) else None
    mistake = "" if told in (None, shown) else "NaN" if told == NO_CLASS else name(told)
    return {
        "index": index,
        "name": found.names[index],
        "picture": png_address(found.thumbnails[index]) if pictures else "",
        "class": "" if shown is None or shown == NO_CLASS else name(shown),
        "mistake": mistake,
        "other": beside is not None and shown is not None and shown != beside,
        "words": "\n".join((facts.title, *facts.more)),
        "distance": "",
    }


def _title_of_class(classes: tuple[str, ...] | None, index: int, *, brief: bool) -> str:
    """Return a class's name; where there is little room, only its number if the classes have no names."""
    return str(index) if brief and classes is None else class_name(classes, index)
