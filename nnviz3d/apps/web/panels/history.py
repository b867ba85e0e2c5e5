"""Panel with a chart of a training: loss and metrics, or one statistic of each layer, over the steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from trame.widgets import html
from trame_client.widgets.core import HtmlElement

from nnviz3d.analysis.history import PROGRESS, History, compared, history_of, progress_of
from nnviz3d.analysis.overfitting import overfitting_in, overfitting_words
from nnviz3d.apps.web.chart import HEIGHT, LEFT, RIGHT, WIDTH, chart_of, columns, x_of
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import choice_list, labelled
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice, asked_number
from nnviz3d.data.training import STATISTICS, Training
from nnviz3d.scene.views.history import WORDS, HistorySpec, recorded_words

_TITLES = {PROGRESS: "loss and metrics", **WORDS}
_NOWHERE = -1.0
"""Position outside the chart."""
_MANY = 12
"""Charts with more lines than this draw them thin."""
_EMPTY: dict[str, Any] = {"lines": [], "across": [], "up": []}


@dataclass(frozen=True)
class HistoryState:
    """Values that the widgets show.

    Attributes
    ----------
    charted
        The charted quantity: `PROGRESS` or the name of a layer statistic.
    charts
        The quantities to choose from: ``title`` and ``value``.
    chart, chart_words
        The chart as `chart_of` returns it, and the line below it.
    chart_now
        The shown step, in pixels from the left edge of the chart.
    chart_layer
        The highlighted layer.
    chart_overfitting
        A sentence about overfitting; empty if there is none.
    """

    charted: str
    charts: list[dict[str, str]] = field(default_factory=list)
    chart: dict[str, Any] = field(default_factory=_EMPTY.copy)
    chart_words: str = ""
    chart_now: float = _NOWHERE
    chart_layer: str | None = None
    chart_overfitting: str = ""


class HistoryPanel(PagePanel[HistoryState]):
    """Chart of a training. Choosing a statistic also changes the ridges; a click on a line highlights its layer."""

    def __init__(self, page: PageContext) -> None:
        self._drawn: tuple[Training | None, Training | None, str] = (None, None, "")
        self._found: History | None = None
        ridges = self._ridges_of(page)
        training = page.session.scene.context.capture.training
        validated = training is not None and bool(training.epoch_ends.validation)
        own = (PROGRESS if validated else "gradient_norm") if ridges is None else ridges.statistic
        shown = page.session.selection.statistic or own
        super().__init__(page, HistoryState(shown))
        page.client_only(chart_hover="")
        page.on_change("charted", self._choose)

    @staticmethod
    def _ridges_of(page: PageContext) -> HistorySpec | None:
        return next((view for view in page.session.scene.spec.views if isinstance(view, HistorySpec)), None)

    @property
    def _training(self) -> Training | None:
        return self.page.session.scene.context.capture.training

    @property
    def _other(self) -> Training | None:
        """The recorded training of the compared model, if it has one."""
        other = self.page.session.scene.context.counterpart
        found = None if other is None else other.capture.training
        return found if found is not None and len(found) else None

    def synchronize(self) -> None:
        """Show the steps that were recorded so far, and mark the shown one."""
        training, session = self._training, self.page.session
        if training is None or not len(training):
            return
        state = replace(self.state, chart_layer=session.selection.layer)
        if self._drawn[0] is not training:
            known = _known(training)
            state = replace(state, charts=[{"title": _TITLES[name], "value": name} for name in known])
            if known and state.charted not in known and self._ridges_of(self.page) is None:
                state = replace(state, charted=known[0])
        shown = (training, self._other, state.charted)
        if self._drawn != shown:
            state = self._charted(training, state)
            self._drawn = shown
        step = session.scene.step(session.clock.t, session.selection)
        if self._found is not None and step is not None:
            state = replace(state, chart_now=round(x_of(self._found, step), 1))
        self.show(state)

    def tick(self) -> None:
        """Mark the step of the clock."""
        self.synchronize()

    def _charted(self, training: Training, state: HistoryState) -> HistoryState:
        """Draw the chart anew."""
        graph = self.page.session.scene.context.graph
        if state.charted == PROGRESS:
            self._found = progress_of(training, columns(4))
            if self._found is not None and self._other is not None:
                self._found = compared(self._found, progress_of(self._other, columns(4)))
        else:
            self._found = history_of(training, graph, state.charted, columns(len(graph)))
        if self._found is None:
            return replace(state, chart=_EMPTY, chart_words="", chart_overfitting="")
        words = recorded_words(self._found)
        overfitting = overfitting_in(training.epoch_ends) if state.charted == PROGRESS else None
        state = replace(state, chart_overfitting=overfitting_words(overfitting) if overfitting else "")
        if state.charted != PROGRESS and len(self._found.names) > 1:
            words += " · lines from dark (first layer) to bright (last layer)"
        other = self.page.session.scene.context.counterpart
        return replace(state, chart=chart_of(self._found, "" if other is None else other.name), chart_words=words)

    def _choose(self, charted: str) -> None:
        if charted == self.state.charted:
            return
        self.state = replace(self.state, charted=asked_choice("chart", charted, _TITLES))
        if self._ridges_of(self.page) is not None and charted != PROGRESS:
            self.page.select(statistic=charted)
        else:
            self.page.synchronize()

    def build(self) -> None:
        """Make the widgets."""
        if self._training is None:
            return
        with html.Div(classes="section", id="history", v_if="charts.length"):
            with labelled("Chart", "Quantity charted over the recorded steps"):
                choice_list("charted", "charts", "Chart")
            many = f"['chart', {{ many: chart.lines.length > {_MANY} }}]"
            with HtmlElement("svg", classes=(many,), v_bind=f"{{ viewBox: '0 0 {WIDTH} {HEIGHT}' }}", id="chart"):
                self._axes()
                self._ground()
                self._lines()
                HtmlElement("path", classes="chart-now", v_bind=f"{{ d: 'M' + chart_now + ' 0V{HEIGHT - 16}' }}")
                name = f"{{ x: {WIDTH - 8}, y: 14, 'text-anchor': 'end' }}"
                HtmlElement("text", "{{ chart_hover }}", classes="chart-hover", v_bind=name, id="chart-hover")
            self._names()
            html.Div("{{ chart_words }}", classes="faint chart-words")
            html.Div(
                "{{ chart_overfitting }}",
                v_if="chart_overfitting",
                classes="chart-overfitting",
                id="chart-overfitting",
                role="status",
            )

    def _names(self) -> None:
        """Make the legend of the loss and the metrics, with the dashes and dots of the validation data's lines."""
        with html.Div(v_if="chart.lines.length && !chart.lines[0].layer", classes="chart-names", id="chart-names"):
            with html.Span(v_for="line in chart.lines", key="'name ' + line.name", classes="chart-name"):
                with HtmlElement("svg", v_bind="{ viewBox: '0 0 22 8' }", aria_hidden="true"):
                    dashed = "['curve-line', { dashed: line.dashed, dotted: line.dotted }]"
                    HtmlElement("path", classes=(dashed,), v_bind="{ d: 'M0 4H22', stroke: line.color }")
                    HtmlElement("circle", v_if="line.dots", v_bind="{ cx: 11, cy: 4, r: 2.5, fill: line.color }")
                html.Span("{{ line.name }}")

    def _axes(self) -> None:
        with HtmlElement("g", v_for="tick in chart.up", key="tick[1]"):
            HtmlElement("path", classes="chart-grid", v_bind=f"{{ d: 'M{LEFT} ' + tick[0] + 'H{WIDTH - RIGHT}' }}")
            HtmlElement("text", "{{ tick[1] }}", v_bind=f"{{ x: {LEFT - 5}, y: tick[0] + 3.5, 'text-anchor': 'end' }}")
        HtmlElement(
            "text",
            "{{ tick[1] }}",
            v_for="tick in chart.across",
            key="tick[1]",
            v_bind=f"{{ x: tick[0], y: {HEIGHT - 4}, 'text-anchor': tick[0] > {WIDTH - 24} ? 'end' : 'middle' }}",
        )

    def _ground(self) -> None:
        """Make the background; a click on it shows the nearest recorded step."""
        box = "$event.currentTarget.getBoundingClientRect()"
        HtmlElement(
            "rect",
            classes="chart-ground",
            v_bind=f"{{ x: {LEFT}, y: 0, width: {WIDTH - LEFT - RIGHT}, height: {HEIGHT} }}",
            click=(self.page.guarded(self._to), f"[($event.clientX - {box}.left) / {box}.width]"),
        )

    def _to(self, share: float) -> None:
        training = self._training
        if training is None or not len(training):
            return
        steps = training.steps
        wanted = steps[0] + asked_number("place in the chart", share) * (steps[-1] - steps[0])
        self.page.session.clock.show_recorded(int(np.abs(steps - wanted).argmin()))
        self.page.refresh()

    def _lines(self) -> None:
        # A wide invisible path below each line makes it easier to hit; a visible line under the pointer comes first.
        HtmlElement("path", classes="curve-reach", v_bind="{ d: line.d }", **self._events("reach"))
        chosen = "chart.lines.some((one) => one.layer && one.name === chart_layer)"
        state = f"dimmed: chart_hover ? line.name !== chart_hover : line.name !== chart_layer && {chosen}"
        line = {"classes": (f"['curve', {{ {state} }}]",), "v_bind": "{ 'data-curve': line.name }"}
        with HtmlElement("g", **line, **self._events("line")):
            dashed = "['curve-line', { dashed: line.dashed, dotted: line.dotted }]"
            HtmlElement("path", classes=(dashed,), v_bind="{ d: line.d, stroke: line.color }")
            dots = "{ d: line.dots, style: { fill: line.color } }"
            HtmlElement("path", v_if="line.dots", classes="curve-dots", v_bind=dots)
            HtmlElement(
                "path",
                classes="curve-odd",
                v_for="odd in line.odd",
                key="odd.color",
                v_bind="{ d: odd.d, stroke: odd.color }",
            )
        # Draw the highlighted line again on top, since others may cover it.
        HtmlElement(
            "path",
            classes="curve-top",
            v_for="line in chart.lines.filter((one) => one.name === (chart_hover || chart_layer))",
            key="'top ' + line.name",
            v_bind="{ d: line.d, stroke: line.color }",
        )

    def _events(self, what: str) -> dict[str, Any]:
        """Return the attributes of one element for each line: it shows its name, and a click highlights its layer."""
        return {
            "v_for": "line in chart.lines",
            "key": f"'{what} ' + line.name",
            "mouseenter": "chart_hover = line.name",
            "mouseleave": "chart_hover = ''",
            "click": (self.page.guarded(self._clicked), "[line.name]"),
        }

    def _clicked(self, name: str) -> None:
        if name in self.page.session.scene.context.graph:
            self.page.toggle_layer(name)


def _known(training: Training) -> list[str]:
    """Return the quantities with recorded values; counts of non-finite values only if one is above 0."""
    found = [PROGRESS] if progress_of(training, 2) is not None else []
    for name in (name for name in STATISTICS if name in training.statistics):
        values = training.statistic(name)
        if (np.nan_to_num(values) > 0).any() if name.startswith("nonfinite") else not np.isnan(values).all():
            found.append(name)
    return found
