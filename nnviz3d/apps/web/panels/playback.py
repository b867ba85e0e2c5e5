"""Panel below the picture: play, pause, speed and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_number
from nnviz3d.errors import UserError

_SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
_SAME = 0.005
"""Seconds; times that differ by less are equal. The slider's step is twice that."""


@dataclass(frozen=True)
class PlaybackState:
    """Values that the widgets show.

    Attributes
    ----------
    duration, t
        The length of the scene and the time of the clock, in seconds.
    speeds, speed
        The speeds to choose from, and the chosen one, in scene seconds per second.
    playing
        Whether the clock runs.
    phase
        The phase of the scene at that time, in words; empty if the scene has none.
    """

    duration: float
    speeds: tuple[float, ...] = _SPEEDS
    speed: float = 1.0
    t: float = 0.0
    playing: bool = False
    phase: str = ""


class PlaybackPanel(PagePanel[PlaybackState]):
    """Controls of the session's clock."""

    area = "footer"

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, PlaybackState(round(page.session.scene.duration, 2)))
        self._resume = False
        page.on_change("t", self._seek)
        page.on_change("speed", self._set_speed)

    def synchronize(self) -> None:
        """Show the clock."""
        session = self.page.session
        self.show(
            replace(
                self.state,
                duration=round(session.scene.duration, 2),
                speed=session.clock.speed,
                t=round(session.clock.t, 2),
                playing=session.clock.playing,
                phase=session.scene.timeline.phase(session.clock.t),
            )
        )

    def tick(self) -> None:
        """Show the clock."""
        self.synchronize()

    @property
    def keys(self) -> Mapping[str, Callable[[], None]]:
        """The key for play and pause."""
        return {"play": self.toggle}

    def toggle(self) -> None:
        """Play or pause."""
        session = self.page.session
        if session.clock.playing:
            session.clock.pause()
        elif session.scene.duration > 0:
            session.clock.play()
        self._show()

    def restart(self) -> None:
        """Go to the start; a playing scene keeps playing."""
        self.page.session.clock.seek(0.0)
        self._show()

    def step(self, by: int) -> None:
        """Pause, and go to the time at which the next layer, or the previous one, is reached."""
        session = self.page.session
        moment = session.scene.timeline.stop(session.clock.t, by)
        if moment is not None:
            session.clock.pause()
            session.clock.seek(moment)
            self._show()

    def _hold(self) -> None:
        """Pause while the slider is dragged."""
        self._resume = self.page.session.clock.playing
        self.page.session.clock.pause()
        self._show()

    def _release(self) -> None:
        if self._resume and self.page.session.clock.t < self.page.session.scene.duration:
            self.page.session.clock.play()
        self._resume = False
        self._show()

    def _seek(self, t: Any) -> None:
        session = self.page.session
        t = asked_number("time", t)
        if abs(t - session.clock.t) > _SAME:
            session.clock.seek(t)
            self.page.tick()
            self.page.redraw(moving=True)

    def _set_speed(self, speed: Any) -> None:
        speed = asked_number("speed", speed)
        if speed not in _SPEEDS:
            raise UserError(f"The page asked for an unknown speed, {speed}; there are {', '.join(map(str, _SPEEDS))}.")
        self.page.session.clock.speed = speed

    def _show(self) -> None:
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        guarded = self.page.guarded
        # A scene without an animation may get keyframes of the camera.
        with v.VFooter(app=True, height=52, classes="transport", id="transport", v_if="duration > 0"):
            v.VBtn(icon="mdi-skip-previous", click=guarded(self.restart), id="restart", **theme.icon_button("Restart"))
            v.VBtn(
                icon=("playing ? 'mdi-pause' : 'mdi-play'",),
                click=guarded(self.toggle),
                id="play",
                **theme.icon_button("Play or pause (space)"),
            )
            for by, name, words in ((-1, "left", "Previous layer"), (1, "right", "Next layer")):
                v.VBtn(
                    icon=f"mdi-chevron-{name}",
                    click=guarded(partial(self.step, by)),
                    id=f"layer-{name}",
                    v_if="phase",
                    **theme.icon_button(words),
                )
            v.VSlider(
                v_model=("t",),
                min=0,
                max=("duration",),
                step=0.01,
                start=guarded(self._hold),
                end=guarded(self._release),
                id="time",
                aria_label="Time",
                classes="time",
            )
            html.Span("{{ phase }}", v_if="phase", classes="phase faint", id="phase")
            with html.Span(classes="clock"):
                html.Span("{{ Number(t).toFixed(1) }}", classes="clock-now")
                html.Span("/ {{ Number(duration).toFixed(1) }} s", classes="faint")
            with v.VMenu(location="top end", offset=8):
                with v.Template(v_slot_activator="{ props }"):
                    v.VBtn("{{ speed }}×", v_bind="props", id="speed", variant="text", classes="speed", title="Speed")
                with v.VList(density="compact", id="speeds"):
                    v.VListItem(
                        "{{ item }}×",
                        v_for="item in speeds",
                        key="item",
                        active=("item === speed",),
                        click="speed = item",
                    )
