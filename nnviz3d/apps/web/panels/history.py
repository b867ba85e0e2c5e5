"""How a training went over its steps: the loss and the metrics, or one figure of each layer, as a chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from trame.widgets import html
from trame.widgets import vuetify3 as v
from trame_client.widgets.core import HtmlElement

from nnviz3d.analysis.history import PROGRESS, History, history_of, progress_of
from nnviz3d.apps.web.chart import HEIGHT, LEFT, RIGHT, WIDTH, chart_of, columns, place_of
from nnviz3d.apps.web.panels.fields import field
from nnviz3d.data.training import STATISTICS, Training
from nnviz3d.scene.views.history import WORDS, HistorySpec, recorded_words

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_TITLES = {PROGRESS: "loss and metrics", **WORDS}
_NOWHERE = -1.0
_MANY = 12
"""From so many lines on they are thin, so that one sees through them."""
_EMPTY: dict[str, Any] = {"lines": [], "across": [], "up": []}


class HistoryChart:
    """Chooses what is charted, and what the ridges are of; a line that is clicked on chooses its layer."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        self._drawn: tuple[Training | None, str] = (None, "")
        self._found: History | None = None
        spec = app.session.scene.spec
        ridges = next((view for view in spec.views if isinstance(view, HistorySpec)), None)
        self._ridges = ridges is not None
        shown = app.session.selection.statistic or ("gradient_norm" if ridges is None else ridges.statistic)
        app.state.update({"chart": _EMPTY, "charts": [], "charted": shown, "chart_now": _NOWHERE, "chart_words": ""})
        app.state.chart_hover = ""
        app.state.client_only("chart_hover")
        self.synchronize()
        app.state.change("charted")(app.guarded(self._choose))

    @property
    def _training(self) -> Training | None:
        return self._app.session.scene.context.capture.training

    def synchronize(self) -> None:
        """Show what has been recorded by now, and the step that is seen."""
        training, state, session = self._training, self._app.state, self._app.session
        if training is None or not len(training):
            return
        if self._drawn[0] is not training:
            known = _known(training)
            state.charts = [{"title": _TITLES[name], "value": name} for name in known]
            if known and state.charted not in known and not self._ridges:
                state.charted = known[0]
        if self._drawn != (training, state.charted):
            self._drawn = (training, state.charted)
            self._draw(training, state.charted)
        step = session.scene.step(session.clock.t, session.selection)
        if self._found is not None and step is not None:
            state.chart_now = round(place_of(self._found, step), 1)

    def _draw(self, training: Training, charted: str) -> None:
        state, graph = self._app.state, self._app.session.scene.context.graph
        if charted == PROGRESS:
            self._found = progress_of(training, columns(4))
        else:
            self._found = history_of(training, graph, charted, columns(len(graph)))
        state.chart = _EMPTY if self._found is None else chart_of(self._found)
        state.chart_words = "" if self._found is None else recorded_words(self._found)
        if charted != PROGRESS and self._found is not None and len(self._found.names) > 1:
            state.chart_words += " · first layer dark, last bright"

    def _choose(self, charted: str, **_: Any) -> None:
        if charted not in _TITLES:
            raise ValueError(f"The page asked for a chart of {charted!r}.")
        if self._ridges and charted != PROGRESS:
            self._app.select(statistic=charted)
        else:
            with self._app.state:
                self.synchronize()

    def build(self) -> None:
        """Make the widgets."""
        if self._training is None:
            return
        with html.Div(classes="section", id="history", v_if="charts.length"):
            with field("Chart", "What is drawn over the recorded steps"):
                v.VSelect(v_model=("charted",), items=("charts",), id="charted", aria_label="Chart")
            many = f"['chart', {{ many: chart.lines.length > {_MANY} }}]"
            with HtmlElement("svg", classes=(many,), v_bind=f"{{ viewBox: '0 0 {WIDTH} {HEIGHT}' }}", id="chart"):
                self._axes()
                self._ground()
                self._lines()
                HtmlElement("path", classes="chart-now", v_bind=f"{{ d: 'M' + chart_now + ' 0V{HEIGHT - 16}' }}")
                name = f"{{ x: {WIDTH - 8}, y: 14, 'text-anchor': 'end' }}"
                HtmlElement("text", "{{ chart_hover }}", classes="chart-hover", v_bind=name, id="chart-hover")
            html.Div("{{ chart_words }}", classes="faint chart-words")

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
        """Let a click beside the lines choose the recorded step that is nearest."""
        box = "$event.currentTarget.getBoundingClientRect()"
        HtmlElement(
            "rect",
            classes="chart-ground",
            v_bind=f"{{ x: {LEFT}, y: 0, width: {WIDTH - LEFT - RIGHT}, height: {HEIGHT} }}",
            click=(self._app.guarded(self._to), f"[($event.clientX - {box}.left) / {box}.width]"),
        )

    def _to(self, share: float) -> None:
        training = self._training
        if training is None or not len(training):
            return
        steps = training.steps
        wanted = steps[0] + float(share) * (steps[-1] - steps[0])
        self._app.session.clock.show_recorded(int(np.abs(steps - wanted).argmin()))
        self._app.refresh()

    def _lines(self) -> None:
        # What the pointer meets is wider than what is seen, and below it: the line that is pointed at itself comes first.
        HtmlElement("path", classes="curve-reach", v_bind="{ d: line.d }", **self._met("reach"))
        chosen = "chart.lines.some((one) => one.layer && one.name === layer)"
        state = f"dimmed: chart_hover ? line.name !== chart_hover : line.name !== layer && {chosen}"
        line = {"classes": (f"['curve', {{ {state} }}]",), "v_bind": "{ 'data-curve': line.name }"}
        with HtmlElement("g", **line, **self._met("line")):
            HtmlElement("path", classes="curve-line", v_bind="{ d: line.d, stroke: line.color }")
            HtmlElement(
                "path",
                classes="curve-odd",
                v_for="odd in line.odd",
                key="odd.color",
                v_bind="{ d: odd.d, stroke: odd.color }",
            )
        # Of many lines the one that is meant would be hidden.
        HtmlElement(
            "path",
            classes="curve-top",
            v_for="line in chart.lines.filter((one) => one.name === (chart_hover || layer))",
            key="'top ' + line.name",
            v_bind="{ d: line.d, stroke: line.color }",
        )

    def _met(self, what: str) -> dict[str, Any]:
        """Return the attributes of what is there for each line and tells its name, and chooses its layer by a click."""
        return {
            "v_for": "line in chart.lines",
            "key": f"'{what} ' + line.name",
            "mouseenter": "chart_hover = line.name",
            "mouseleave": "chart_hover = ''",
            "click": (self._app.guarded(self._clicked), "[line.name]"),
        }

    def _clicked(self, name: str) -> None:
        if name in self._app.session.scene.context.graph:
            self._app.layers.toggle(name)


def _known(training: Training) -> list[str]:
    """Name what there is anything to chart of; that nothing was ever broken needs no chart."""
    found = [PROGRESS] if progress_of(training, 2) is not None else []
    for name in (name for name in STATISTICS if name in training.statistics):
        values = training.statistic(name)
        if (np.nan_to_num(values) > 0).any() if name.startswith("nonfinite") else not np.isnan(values).all():
            found.append(name)
    return found
