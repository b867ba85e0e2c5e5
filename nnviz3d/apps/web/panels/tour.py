"""Panels of the tour: its start button, and the caption below the picture with buttons for the stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_index

_LEAVE = "; $event.detail && $event.currentTarget.blur()"
"""Script that takes the focus from a button after a click of the mouse, so that the space bar pauses the tour."""


@dataclass(frozen=True)
class TourButtonState:
    """Values that the button shows.

    Attributes
    ----------
    tour_possible
        Whether the scene shows layers that a tour could lead through.
    """

    tour_possible: bool


class TourButtonPanel(PagePanel[TourButtonState]):
    """The button that starts and ends the tour."""

    area = "bar"

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, TourButtonState(page.session.scene.blocks))

    def synchronize(self) -> None:
        """Enable the button if the scene shows layers."""
        self.show(TourButtonState(self.page.session.scene.blocks))

    def build(self) -> None:
        """Make the button."""
        with html.Button(
            type="button",
            click=f"trigger('tour'){_LEAVE}",
            id="tour",
            classes=("['tour-start', { chosen: tour_on }]",),
            disabled=("!tour_possible && !tour_on",),
            title=(
                "tour_possible ? 'A tour from the input to the decision, told by this model\\'s own numbers (T)'"
                " : 'This scene shows no layers that a tour could lead through'",
            ),
            v_bind="{ 'aria-pressed': tour_on }",
        ):
            v.VIcon("mdi-map-marker-path", size=15)
            html.Span("Tour")


@dataclass(frozen=True)
class TourState:
    """Values that the caption and its buttons show.

    Attributes
    ----------
    tour_on
        Whether the tour is on.
    tour_titles
        The title of each stop.
    tour_index
        The current stop.
    tour_text
        Its caption.
    tour_playing
        Whether the tour goes on by itself.
    """

    tour_on: bool = False
    tour_titles: tuple[str, ...] = ()
    tour_index: int = 0
    tour_text: str = ""
    tour_playing: bool = False


class TourPanel(PagePanel[TourState]):
    """Caption of the tour, and buttons for the stop before, pause, the next stop and the end."""

    area = "footer"

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, self._state(page))
        page.on_trigger("tour", self._toggle)
        page.on_trigger("tour_go", self._go)
        page.on_trigger("tour_pause", self._pause)

    @staticmethod
    def _state(page: PageContext) -> TourState:
        tour = page.session.tour
        tour.follow()
        stop = tour.stop
        if stop is None:
            return TourState()
        return TourState(True, tuple(one.title for one in tour.stops), tour.index, stop.caption, tour.playing)

    def synchronize(self) -> None:
        """Show the current stop."""
        state = self._state(self.page)
        if state != self.state:
            self.show(state)

    def tick(self) -> None:
        """Show the current stop."""
        self.synchronize()

    @property
    def keys(self) -> Mapping[str, Callable[[], None]]:
        """The keys for start and end, pause, and the stops before and after."""
        return {
            "tour": self._toggle,
            "tour_pause": self._pause,
            "tour_previous": lambda: self._step(-1),
            "tour_next": lambda: self._step(1),
        }

    def _toggle(self) -> None:
        tour = self.page.session.tour
        if tour.on:
            tour.end()
        else:
            tour.start()
        self.page.refresh()

    def _pause(self) -> None:
        self.page.session.tour.toggle()
        self.page.refresh()

    def _step(self, by: int) -> None:
        self._go_to(self.page.session.tour.index + by)

    def _go(self, index: object) -> None:
        if self.page.session.tour.on:
            self._go_to(asked_index("stop", index, len(self.page.session.tour.stops)))

    def _go_to(self, index: int) -> None:
        self.page.session.tour.go(index)
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with v.VFooter(app=True, height=104, classes="tour", id="tour-bar", v_if="tour_on"):
            with html.Div(classes="tour-words", aria_live="polite"):
                html.Div("{{ tour_titles[tour_index] }}", classes="tour-title line", id="tour-title")
                html.Div("{{ tour_text }}", classes="tour-text", id="tour-text")
            with html.Div(classes="tour-side"):
                with html.Div(classes="tour-buttons"):
                    v.VBtn(
                        icon="mdi-chevron-left",
                        click=f"trigger('tour_go', [tour_index - 1]){_LEAVE}",
                        disabled=("tour_index === 0",),
                        id="tour-previous",
                        **theme.icon_button("Previous stop (←)"),
                    )
                    v.VBtn(
                        icon=("tour_playing ? 'mdi-pause' : 'mdi-play'",),
                        click=f"trigger('tour_pause'){_LEAVE}",
                        id="tour-pause",
                        **theme.icon_button("Pause, or go on (space)"),
                    )
                    v.VBtn(
                        icon="mdi-chevron-right",
                        click=f"trigger('tour_go', [tour_index + 1]){_LEAVE}",
                        disabled=("tour_index === tour_titles.length - 1",),
                        id="tour-next",
                        **theme.icon_button("Next stop (→)"),
                    )
                    v.VBtn(
                        icon="mdi-close",
                        click="trigger('tour')",
                        id="tour-end",
                        **theme.icon_button("End the tour (Esc)"),
                    )
                with html.Div(classes="tour-stops"):
                    html.Button(
                        v_for="(title, i) in tour_titles",
                        key="i",
                        type="button",
                        classes=("['tour-stop', { passed: i <= tour_index, here: i === tour_index }]",),
                        click=f"trigger('tour_go', [i]){_LEAVE}",
                        title=("(i + 1) + ' of ' + tour_titles.length + ': ' + title",),
                        v_bind="{ 'aria-label': title, 'aria-current': i === tour_index ? 'step' : null }",
                    )
