"""Panel for the points of an embedding: layer, colour, filter by a column, and samples enclosed on the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.embedded_samples import embed_layer, embeddable_layers
from nnviz3d.apps.enclosing import WAYS, with_enclosed
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import RELEASE, choice_buttons, choice_list, labelled
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice, asked_flag, asked_limit, asked_outline, asked_pose
from nnviz3d.scene.colors import OTHERS, Color, number
from nnviz3d.scene.selection import EVERY_POINT, PointFilter
from nnviz3d.scene.views.points.columns import CLASSES
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.points.neighbours import PointSpace, space_of
from nnviz3d.scene.views.points.search import SelectedCounts

_FEW = 3
"""Most columns among which buttons choose; of more a list."""
_COUNTED = 12
"""Most categories that are counted among the selected samples."""
_WORDS = 1000
"""Most words of a column that can be chosen from."""
_ANY = ""
"""Value of the choice that leaves nothing out."""
_ANY_ASPECT = 1.0
"""Width over height for which a pose without one is the same as for any other."""


@dataclass(frozen=True)
class CloudState:
    """Values that the widgets show.

    Attributes
    ----------
    has_cloud
        Whether the scene shows the samples of an embedding.
    embeddings, embedding
        The layers to choose from, ``title`` and ``value``, those that are embedded first; and the one that is shown.
    layer_to_embed
        The highlighted or picked layer, if the model can embed it.
    point_colors, colored_by
        The columns that the colours of points can show, and the one that they show.
    few_colors
        Whether buttons choose among them.
    filter_columns, filter_column
        The columns by which samples are left out, after the choice of none: ``title`` and ``value``.
    filter_kind
        Whether the column holds ``words`` or ``numbers``; empty if there is none.
    filter_words, filter_value
        The words to choose from, after the choice of any, and the chosen one.
    filter_low, filter_high
        The limits of numbers as text; empty: none.
    filter_range
        The least and the greatest number of the column.
    enclosed_points
        Number of enclosed samples; -1 if none were enclosed.
    points_isolated
        Whether all others are hidden.
    selected_words, selected_counts
        How many samples are selected, and how many of each category: ``title``, ``count``, ``share`` of the largest, and
        ``color`` if the points have it.
    selected_by
        The column of these categories.
    """

    has_cloud: bool = False
    embeddings: list[dict[str, str]] = field(default_factory=list)
    embedding: str = ""
    layer_to_embed: str = ""
    point_colors: list[str] = field(default_factory=list)
    colored_by: str | None = None
    few_colors: bool = True
    filter_columns: list[dict[str, str]] = field(default_factory=list)
    filter_column: str = _ANY
    filter_kind: str = ""
    filter_words: list[dict[str, str]] = field(default_factory=list)
    filter_value: str = _ANY
    filter_low: str = ""
    filter_high: str = ""
    filter_range: list[str] = field(default_factory=list)
    enclosed_points: int = -1
    points_isolated: bool = False
    selected_words: str = ""
    selected_counts: list[dict[str, Any]] = field(default_factory=list)
    selected_by: str = ""


class CloudPanel(PagePanel[CloudState]):
    """The controls of the points: colour, search, and the selected points."""

    def __init__(self, page: PageContext) -> None:
        self._key: tuple[object, ...] = ()
        super().__init__(page, CloudState())
        page.client_only(enclose="")
        page.on_change("embedding", self._set_embedding)
        page.on_change("colored_by", self._set_colors)
        page.on_change("filter_column", self._set_column)
        page.on_change("filter_value", self._set_value)
        page.on_change("filter_low", lambda text: self._set_limit("low", text))
        page.on_change("filter_high", lambda text: self._set_limit("high", text))
        page.on_change("points_isolated", lambda on: self._search(isolated=asked_flag("choice to isolate", on)))
        page.on_trigger("embed_layer", self.embed)
        page.on_trigger("enclose_points", self.enclose)
        page.on_trigger("clear_points", self.clear)

    @property
    def _cloud(self) -> EmbeddingView | None:
        return self.page.session.scene.find(EmbeddingView)

    def synchronize(self) -> None:
        """Show the selection; fields that it leaves open as the scene sets them."""
        session, cloud = self.page.session, self._cloud
        selection = session.selection
        layer = selection.layer or (None if selection.pick is None else selection.pick.of_layer)
        possible = session.queries.possible
        key = (session.context, selection.embedding, selection.colored_by, selection.points, layer, possible)
        if len(self._key) == len(key) and self._key[0] is key[0] and self._key[1:] == key[1:]:
            return
        self._key = key
        others = embeddable_layers(session)
        to_embed = layer if layer in others else ""
        if cloud is None:
            self.show(CloudState(layer_to_embed=to_embed))
            return
        space = space_of(session.context, cloud.shown(selection))
        by = cloud.colored_by(selection)
        names = list(space.columns)
        state = CloudState(
            has_cloud=True,
            embeddings=[
                *({"title": name, "value": name} for name in cloud.names),
                *({"title": f"{name} · compute", "value": name} for name in others),
            ],
            embedding=cloud.shown(selection),
            layer_to_embed=to_embed,
            point_colors=names,
            colored_by=by,
            few_colors=len(names) <= _FEW,
        )
        state = _with_filter(_with_column(state, space, selection.points), space, selection.points, by)
        self.show(_with_colors(state, cloud.palette(selection)))

    def tick(self) -> None:
        """Show the numbers at the clock's step of a training."""
        self.synchronize()

    # The page and the session both change these values; a value that differs from the session's is the user's choice.

    def _set_embedding(self, embedding: object) -> None:
        cloud = self._cloud
        if cloud is None or embedding == cloud.shown(self.page.session.selection):
            return
        if embedding in cloud.names:
            self.page.select(embedding=embedding, pick=None)
        else:
            self.embed(embedding)
            # Until the model has answered, the choice is the embedding that is shown.
            self.page.show({"embedding": cloud.shown(self.page.session.selection)})

    def _set_colors(self, colored_by: object) -> None:
        cloud = self._cloud
        if cloud is not None and colored_by != cloud.colored_by(self.page.session.selection):
            self.page.select(colored_by=asked_choice("colour", colored_by, self.state.point_colors))

    def _set_column(self, value: object) -> None:
        if self._cloud is None or value == self.page.session.selection.points.column:
            return
        chosen = asked_choice("column", value or _ANY, [one["value"] for one in self.state.filter_columns])
        self._search(column=chosen, value="", low=None, high=None)

    def _set_value(self, value: object) -> None:
        if self._cloud is not None and self.state.filter_kind == "words":
            self._search(value=asked_choice("word", value or _ANY, [one["value"] for one in self.state.filter_words]))

    def _set_limit(self, which: str, text: object) -> None:
        shown = self.state.filter_low if which == "low" else self.state.filter_high
        if self._cloud is not None and self.state.filter_kind == "numbers" and text != shown:
            self._key = ()  # after an error the field shows the earlier limit again
            self._search(**{which: asked_limit("limit", text)})

    def _search(self, **changes: Any) -> None:
        wanted = replace(self.page.session.selection.points, **changes)
        if self._cloud is not None and wanted != self.page.session.selection.points:
            self.page.select(points=wanted)

    def embed(self, layer: object) -> None:
        """Show the samples as points by a layer, which the model computes if it has to."""
        known = [*embeddable_layers(self.page.session), *(one["value"] for one in self.state.embeddings)]
        embed_layer(self.page.session, asked_choice("layer", layer, known))
        self.page.refresh()

    def enclose(self, pose: object, outline: object, way: object) -> None:
        """Mean the samples inside an outline: only these, or these too, or all but these.

        Parameters
        ----------
        pose
            The camera of the page that draws the picture; `None` if the server draws it.
        outline
            As for `enclosed`.
        """
        session = self.page.session
        how = asked_choice("way to enclose", way, WAYS)
        camera = session.renderer.pose() if pose is None else asked_pose(pose).pose(_ANY_ASPECT)
        found = with_enclosed(session, camera, asked_outline(outline), how)
        if found != session.selection.points:
            self.page.select(points=found)

    def clear(self) -> None:
        """Mean all samples again."""
        if self.page.session.selection.points != EVERY_POINT:
            self.page.select(points=EVERY_POINT)

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section", v_if="layer_to_embed && !has_cloud"):
            _build_embed()
        with html.Div(classes="section appearance cloud", id="cloud", v_if="has_cloud"):
            words = "Layer whose outputs place the points: samples with similar outputs are close together"
            with labelled("Points", words, v_if="embeddings.length > 1"):
                choice_list("embedding", "embeddings", "Points")
            words = "What the colour of a point shows"
            choice_buttons("Colour", "colored_by", "point_colors", words, v_if="few_colors && point_colors.length > 1")
            with labelled("Colour", words, v_if="!few_colors"):
                choice_list("colored_by", "point_colors", "Colour")
            with labelled("Only", "Only samples with a word or numbers in a column", v_if="filter_columns.length > 1"):
                choice_list("filter_column", "filter_columns", "Only", id="filter-column")
            with labelled("", "The word in this column", v_if="filter_kind === 'words'"):
                v.VAutocomplete(
                    v_model=("filter_value",),
                    items=("filter_words",),
                    id="filter-value",
                    aria_label="Word",
                    update_menu=RELEASE,
                )
            with html.Div(classes="field", v_if="filter_kind === 'numbers'", title="The numbers in this column"):
                html.Span("", classes="field-name")
                with html.Div(classes="limits"):
                    for which, at, words in (("low", 0, "at least"), ("high", 1, "at most")):
                        # A lazy model leaves what is being typed alone when the page changes elsewhere meanwhile.
                        html.Input(
                            v_model_lazy=(f"filter_{which}",),
                            placeholder=(f"filter_range[{at}]",),
                            id=f"filter-{which}",
                            title=words,
                            aria_label=words,
                            inputmode="decimal",
                        )
                        if which == "low":
                            html.Span("to", classes="faint")
            with html.Div(classes="cloud-buttons"):
                _build_way("box", "mdi-selection-drag", "Box", "Enclose samples: drag a box across the picture")
                _build_way("lasso", "mdi-lasso", "Lasso", "Enclose samples: draw around them on the picture")
                html.Button(
                    "Isolate",
                    type="button",
                    v_if="selected_words",
                    click="points_isolated = !points_isolated",
                    classes=("['cloud-button', { chosen: points_isolated }]",),
                    id="isolate",
                    title="Hide all other samples",
                    v_bind="{ 'aria-pressed': points_isolated }",
                )
                html.Button(
                    "Clear",
                    type="button",
                    v_if="selected_words || points_isolated",
                    click="trigger('clear_points')",
                    classes="cloud-button",
                    id="clear-points",
                    title="Show all samples alike again",
                )
            html.Div(
                "Drag across the picture. With Shift to add, with Alt to take away; Esc ends it.",
                v_if="enclose",
                classes="faint pick-words",
                id="enclose-hint",
            )


def _build_embed() -> None:
    with html.Button(
        type="button",
        click="trigger('embed_layer', [layer_to_embed])",
        classes="cloud-button wide",
        id="embed-layer",
        title="Let the model place all samples as points: alike for this layer is near",
    ):
        html.Span("Show all samples as points by {{ layer_to_embed }}", classes="line")


def _build_way(way: str, icon: str, name: str, words: str) -> None:
    with html.Button(
        type="button",
        click=f"enclose = enclose === '{way}' ? '' : '{way}'",
        classes=(f"['cloud-button', {{ chosen: enclose === '{way}' }}]",),
        id=f"enclose-{way}",
        title=words,
        v_bind=f"{{ 'aria-pressed': enclose === '{way}' }}",
    ):
        v.VIcon(icon, size=15)
        html.Span(name)


def _with_column(state: CloudState, space: PointSpace, wanted: PointFilter) -> CloudState:
    """Return the state with the column by which samples are left out."""
    offered = [column for name, column in space.columns.items() if name not in CLASSES]
    columns = [{"title": "any sample", "value": _ANY}, *({"title": one.name, "value": one.name} for one in offered)]
    state = replace(state, filter_columns=columns)
    column = next((one for one in offered if one.name == wanted.column), None)
    if column is None:
        return state
    if column.numbers is None:
        known = [{"title": title, "value": title} for title in [*column.titles.values()][:_WORDS]]
        words = [{"title": "any word", "value": _ANY}, *known]
        return replace(
            state, filter_column=column.name, filter_kind="words", filter_words=words, filter_value=wanted.value
        )
    return replace(
        state,
        filter_column=column.name,
        filter_kind="numbers",
        filter_low="" if wanted.low is None else f"{wanted.low:.12g}",
        filter_high="" if wanted.high is None else f"{wanted.high:.12g}",
        filter_range=[number(end) for end in column.range],
    )


def _with_filter(state: CloudState, space: PointSpace, wanted: PointFilter, by: str | None) -> CloudState:
    """Return the state with the number of selected samples, of all and of each category."""
    state = replace(
        state,
        enclosed_points=-1 if wanted.chosen is None else len(wanted.chosen),
        points_isolated=wanted.isolated,
    )
    if wanted.everything:
        return state
    selected = SelectedCounts.of(space.embedding, wanted, by, space.columns)
    first, others, count_of_others = selected.split(_COUNTED)
    largest = max((count for _, count in first), default=1)
    listed = [{"title": title, "count": f"{count:,}", "share": round(100 * count / largest)} for title, count in first]
    if others:
        listed.append({"title": f"{others} others", "count": f"{count_of_others:,}", "share": 0})
    words = selected.words + (f", by {selected.by}" if listed else "")
    return replace(state, selected_words=words, selected_counts=listed, selected_by=selected.by)


def _with_colors(state: CloudState, palette: Mapping[str, Color]) -> CloudState:
    """Return the state with the colours of the points for the categories that are counted, if they show these."""
    if state.selected_by != state.colored_by:
        return state
    grey = [round(255 * one) for one in OTHERS]
    colors = {title: [round(255 * one) for one in color] for title, color in palette.items()}
    counts = [
        {**one, "color": "rgb({},{},{})".format(*colors.get(one["title"], grey))} for one in state.selected_counts
    ]
    return replace(state, selected_counts=counts)
