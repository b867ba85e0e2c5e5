"""Panel that explains the picked cell, connection or weight: its arithmetic, its channel, kernel and receptive field."""

from __future__ import annotations

from collections.abc import Sequence

from trame.widgets import html

from nnviz3d.apps.pick_requests import find_examples, find_gradient
from nnviz3d.apps.web.option_names import build_sentences
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.pick_state import ASKED, PickState, pick_state
from nnviz3d.apps.web.value_checks import asked_choice
from nnviz3d.errors import UserError
from nnviz3d.scene.selection import CellPick


class PickPanel(PagePanel[PickState]):
    """Explanation of the pick; computed once for each pick, sample and training step."""

    def __init__(self, page: PageContext) -> None:
        self._shown: tuple[object, ...] = ()
        super().__init__(page, PickState())
        page.client_only(pick_versus=False)
        page.on_trigger("pick_cell", self.pick)
        page.on_trigger("ask_for_pick", self.ask)

    def synchronize(self) -> None:
        """Explain the pick."""
        session = self.page.session
        selection, context = session.selection, session.context
        key = (context, selection.pick, selection.sample, selection.target, len(session.samples))
        if self._shown and self._shown[0] is context and self._shown[1:] == key[1:]:
            return
        self._shown = key
        self.show(pick_state(session) if session.scene.blocks else PickState())

    def pick(self, layer: str, index: Sequence[int]) -> None:
        """Pick a number of an earlier layer, such as one that a term takes."""
        context = self.page.session.context
        place = tuple(int(i) for i in index)
        if layer not in context.graph or not context.placement(layer).grid.holds(place):
            raise UserError(f"The scene shows no number {list(place)} of {layer}.")
        self.page.select(pick=CellPick(str(layer), place))

    def ask(self, what: str) -> None:
        """Ask the model for what is not known of the pick."""
        session, pick = self.page.session, self.page.session.selection.pick
        if not isinstance(pick, CellPick) or asked_choice("request", what, ASKED) not in self.state.pick_asks:
            raise UserError("Click a cell first.")
        if what == "gradient":
            find_gradient(session)
        else:
            find_examples(session, pick.layer)
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section pick", id="pick", v_if="pick_title"):
            _numbers("pick_kernel", "pick-kernel")
            with html.Div(v_if="pick_examples_words", id="pick-examples"):
                html.Div("{{ pick_examples_words }}", classes="pick-head")
                with html.Div(classes="pick-examples", v_if="pick_examples.length"):
                    with html.Button(
                        v_for="one in pick_examples",
                        key="one.name",
                        title=("one.hint",),
                        v_bind="{ 'aria-label': one.hint, 'aria-pressed': one.position === sample }",
                        disabled=("one.position < 0",),
                        classes=("{ chosen: one.position === sample }",),
                        click="trigger('choose_sample', [one.position])",
                    ):
                        html.Img(v_if="one.picture", src=("one.picture",), alt=("one.name",))
                        html.Span("{{ one.name }}", v_if="!one.picture", classes="line")
            with html.Div(v_if="pick_rival.names.length", classes="pick-choice", id="pick-choice"):
                for which, versus in (("0", "false"), ("1", "true")):
                    html.Button(
                        f"{{{{ pick_rival.names[{which}] }}}}",
                        click=f"pick_versus = {versus}",
                        classes=(f"{{ chosen: pick_versus === {versus} }}",),
                        v_bind=f"{{ 'aria-pressed': pick_versus === {versus} }}",
                    )
            with html.Template(v_if="pick_rival.names.length && pick_versus"):
                _sum("pick_rival.terms", "pick_rival.heads", "pick_rival.steps", "pick-rival")
            with html.Template(v_else=True):
                _sum("pick_terms", "pick_heads", "pick_steps", "pick")
            with html.Div(v_if="pick_reason", classes="faint pick-words", id="pick-reason"):
                build_sentences("pick_reason")
            with html.Div(v_if="pick_slopes.length", classes="pick-pairs", id="pick-slopes"):
                _pairs("pick_slopes")
            with html.Div(v_if="pick_asks.length", classes="pick-choice"):
                _ask(
                    "gradient", "Ask for its gradient", "The model computes the gradient of its answer by every number"
                )
                _ask(
                    "examples",
                    "Find its strongest samples",
                    "The model looks for the samples that activate its channel most",
                )
            _numbers("pick_channel", "pick-channel")
            with html.Div(v_if="pick_field.length", id="pick-field"):
                html.Div("Depends on", classes="pick-head")
                with html.Div(classes="pick-pairs"):
                    _pairs("pick_field")
                html.Div("{{ pick_unclear }}", v_if="pick_unclear", classes="faint pick-words")


def _sum(terms: str, heads: str, steps: str, name: str) -> None:
    """Make the widgets of a sum: the terms that raise it, those that lower it, and the rest of the arithmetic."""
    with html.Div(v_if=f"{terms}.length", classes="pick-terms", id=f"{name}-terms"):
        for which, side in (("0", f"{terms}.filter((t) => !t.against)"), ("1", f"{terms}.filter((t) => t.against)")):
            html.Div(f"{{{{ {heads}[{which}] }}}}", v_if=f"{side}.length", classes="pick-head")
            with html.Button(
                v_for=f"term in {side}",
                key="term.place",
                classes=("['pick-term', { against: term.against }]",),
                title=("term.words",),
                disabled=("!term.layer",),
                click="trigger('pick_cell', [term.layer, term.index])",
            ):
                with html.Span(classes="pick-place"):
                    html.Span("{{ term.name }}", classes="line")
                    html.Span("{{ term.at }}")
                with html.Span(classes="pick-bar"):
                    html.Span(style=("{ width: `${term.share}%` }",))
                html.Span("{{ term.product }}", classes="pick-number")
    with html.Div(v_if=f"{steps}.length", classes="pick-pairs", id=f"{name}-steps"):
        _pairs(steps)


def _ask(what: str, words: str, title: str) -> None:
    """Make the button that asks the model for something."""
    html.Button(
        words,
        v_if=f"pick_asks.includes('{what}')",
        click=f"trigger('ask_for_pick', ['{what}'])",
        title=title,
        id=f"ask-{what}",
    )


def _numbers(key: str, name: str) -> None:
    """Make the widgets of a map and a histogram."""
    with html.Div(v_if=f"{key}.bars.length", classes="pick-channel", id=name):
        with html.Div(classes="pick-map", v_if=f"{key}.picture"):
            html.Img(src=(f"{key}.picture",), alt=(f"{key}.words",))
            html.Span(style=(f"{key}.here",))
        with html.Div(classes="pick-histogram"):
            with html.Div(classes="pick-bars"):
                html.Span(
                    v_for=f"(bar, k) in {key}.bars",
                    key="k",
                    classes=("{ here: bar.here }",),
                    style=("{ height: `${bar.share}%` }",),
                )
            with html.Div(classes="pick-ends faint"):
                html.Span(f"{{{{ {key}.low }}}}")
                html.Span(f"{{{{ {key}.high }}}}")
            html.Div(f"{{{{ {key}.words }}}}", classes="faint")


def _pairs(key: str) -> None:
    with html.Template(v_for=f"pair in {key}", key="pair[0]"):
        html.Span("{{ pair[0] }}", classes="faint line")
        html.Span("{{ pair[1] }}")
