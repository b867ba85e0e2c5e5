"""Panel of a difference: the scores of both sides, and a list of what differs most, which a click shows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from trame.widgets import html

from nnviz3d.apps.differences import KINDS, ListedPlace, score_words
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import choice_list, labelled
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice, asked_index
from nnviz3d.scene.derived.differences import Differences

_MANY = 4_000_000
"""More numbers than these are compared in a thread of their own, so that the page goes on meanwhile."""
_MANY_PLAYING = 400_000
"""The same while the scene plays, when each step of a training is another difference."""
_LISTED = 3
"""Most layers that the words about missing weights name."""


@dataclass(frozen=True)
class ComparisonState:
    """Values that the widgets show.

    Attributes
    ----------
    diff_names
        The names of both sides; empty if nothing is compared.
    diff_kinds, diff_kind
        The lists to choose from, and the chosen one.
    diff_places
        The places of the list: ``name``, ``size``, ``share`` of the largest one in percent, and ``told``.
    diff_words
        What the numbers of the list are, or what is being found.
    diff_scores
        The largest scores: ``name``, ``here``, ``there``, and ``sign``, -1, 0 or 1 of the difference.
    """

    diff_names: list[str] = field(default_factory=list)
    diff_kinds: list[dict[str, str]] = field(default_factory=list)
    diff_kind: str = "layers"
    diff_places: list[dict[str, Any]] = field(default_factory=list)
    diff_words: str = ""
    diff_scores: list[dict[str, Any]] = field(default_factory=list)


class ComparisonPanel(PagePanel[ComparisonState]):
    """The scores of both sides of a difference, and the places at which they differ most."""

    def __init__(self, page: PageContext) -> None:
        self._key: tuple[object, ...] = ()
        self._found: Differences | None = None
        self._finding = False
        self._places: tuple[ListedPlace, ...] = ()
        super().__init__(page, ComparisonState())
        page.on_change("diff_kind", self._set_kind)
        page.on_trigger("show_difference", self._show_place)

    def synchronize(self) -> None:
        """Show the places of the difference; they are found once for each sample and training step."""
        places = self.page.session.differences
        if not places.exist:
            self._key, self._found, self._places = (), None, ()
            self.show(ComparisonState(diff_kind=self.state.diff_kind))
            return
        key = places.key
        if self._key and self._key[0] is key[0] and self._key[1:] == key[1:]:
            return
        self._key, self._found = key, None
        if places.numbers <= (_MANY_PLAYING if self.page.session.clock.playing else _MANY):
            self._found = places.finding()()
        elif not self._finding:
            self._find_beside(key)
        self._list()

    def tick(self) -> None:
        """Show the places at the clock's step of a training."""
        self.synchronize()

    def _find_beside(self, key: tuple[object, ...]) -> None:
        """Find the places in another thread, and list them if the session still shows this difference.

        One difference is found at a time: if the session shows another one when the answer arrives, that one is next.
        """

        def arrived(future: asyncio.Future[Differences | None]) -> None:
            self._finding = False
            if future.cancelled():
                return
            if self._key is not key:
                self._key = ()
                self.page.synchronize()
                return
            error = future.exception()
            if isinstance(error, Exception):
                self.page.report(error)
                return
            self._found = future.result()
            self._list()
            self.page.synchronize()

        self._finding = True
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, self.page.session.differences.finding()).add_done_callback(arrived)

    def _list(self) -> None:
        """Show the list of the chosen kind, and the scores."""
        places, found = self.page.session.differences, self._found
        kinds = [kind for kind in KINDS if found is not None and getattr(found, kind)]
        kind = self.state.diff_kind if self.state.diff_kind in kinds or not kinds else kinds[0]
        self._places = () if found is None else places.listed(found, kind)
        largest = max((one.place.size for one in self._places), default=0.0) or 1.0
        self.show(
            ComparisonState(
                diff_names=list(places.names),
                diff_kinds=[{"title": KINDS[name], "value": name} for name in kinds],
                diff_kind=kind,
                diff_places=[
                    {
                        "name": one.name,
                        "size": one.size,
                        "share": round(100 * min(one.place.size / largest, 1.0)) if one.size != "NaN" else 100,
                        "told": one.told,
                    }
                    for one in self._places
                ],
                diff_words=_words(found, kind, of_other_inputs=places.of_other_inputs),
                diff_scores=[
                    {
                        "name": one.name,
                        "here": score_words(one)[0],
                        "there": score_words(one)[1],
                        "sign": (one.here > one.there) - (one.here < one.there),
                    }
                    for one in places.scores()
                ],
            )
        )

    def _set_kind(self, kind: Any) -> None:
        if kind != self.state.diff_kind:
            self.state = replace(self.state, diff_kind=asked_choice("list", kind, KINDS))
            self._list()

    def _show_place(self, position: Any) -> None:
        """Show a place of the list."""
        listed = self._places[asked_index("place", position, len(self._places))]
        self.page.session.differences.go(listed.place)
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section difference", id="differences", v_if="diff_names.length"):
            with html.Div(classes="section-head steps-head"):
                html.Span("What differs", classes="section-title")
                html.Span("{{ diff_names.join(' − ') }}", classes="faint line", title=("diff_names.join(' − ')",))
            with html.Div(v_if="diff_scores.length", classes="diff-scores", id="diff-scores"):
                html.Span("Score", classes="faint")
                for side in (0, 1):
                    html.Span(f"{{{{ diff_names[{side}] }}}}", classes="faint line", title=(f"diff_names[{side}]",))
                with html.Template(v_for="one in diff_scores", key="one.name"):
                    html.Span("{{ one.name }}", classes="line")
                    html.Span("{{ one.here }}", classes=("{ 'diff-more': one.sign > 0, 'diff-less': one.sign < 0 }",))
                    html.Span("{{ one.there }}")
            with labelled("Most in", "What the list names: the places that differ most", v_if="diff_kinds.length > 1"):
                choice_list("diff_kind", "diff_kinds", "Most in", id="diff-kind")
            with html.Div(classes="diff-places", v_if="diff_places.length"):
                with html.Button(
                    v_for="(one, k) in diff_places",
                    key="one.name",
                    classes="diff-place",
                    click="trigger('show_difference', [k]).then(() => window.nnviz3dWay?.fly())",
                    title=("one.told",),
                    type="button",
                ):
                    html.Span("{{ one.name }}", classes="line")
                    with html.Span(classes="pick-bar"):
                        html.Span(style=("{ width: `${one.share}%` }",))
                    html.Span("{{ one.size }}", classes="pick-number")
            html.Div("{{ diff_words }}", v_if="diff_words", classes="faint diff-words")


def _words(found: Differences | None, kind: str, *, of_other_inputs: bool) -> str:
    """Return what the sizes in a list are, how many layers are equal, and what is not compared or not alike."""
    if found is None:
        return "Finding what differs most …"
    of = "variable" if kind in ("variables", "weights") else "layer"
    words = [f"Size of the difference, as a share of the root mean square of the {of}'s numbers."]
    if not any(getattr(found, name) for name in KINDS):
        words = ["All numbers are equal."]
    elif found.equal and of == "layer":
        words.append(f"{found.equal:,} {'layer is' if found.equal == 1 else 'layers are'} equal.")
    if of_other_inputs:
        words.append("The inputs differ, too: not every difference is one of the models.")
    if found.without_weights:
        names = ", ".join(found.without_weights[:_LISTED])
        more = len(found.without_weights) - _LISTED
        words.append(
            f"Not compared: the weights of {names}{f' and {more:,} more' if more > 0 else ''}; --weights all keeps them."
        )
    return " ".join(words)
