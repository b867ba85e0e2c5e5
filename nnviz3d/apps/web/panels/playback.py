"""The bar below the picture: play, pause, and where in time it stands."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp

_SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
_SAME = 0.005
"""Seconds below which two moments are one: the slider's step is twice that."""


class Transport:
    """Moves the session's clock."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        session = app.session
        app.state.update(
            {
                "duration": round(session.scene.duration, 2),
                "speeds": list(_SPEEDS),
                "speed": session.clock.speed,
            }
        )
        self._resume = False
        self.synchronize()
        app.state.change("t")(app.guarded(self._scrub))
        app.state.change("speed")(app.guarded(self._set_speed))

    def synchronize(self) -> None:
        """Show the clock, and what it tells of the layers."""
        session = self._app.session
        phase = session.scene.timeline.phase(session.clock.t)
        self._app.state.update({"t": round(session.clock.t, 2), "playing": session.clock.playing, "phase": phase})
        self._app.layers.mark()

    def toggle(self) -> None:
        """Play or pause."""
        session = self._app.session
        if session.clock.playing:
            session.clock.pause()
        elif session.scene.duration > 0:
            session.clock.play()
        self._show()

    def restart(self) -> None:
        """Go to the start; what plays goes on playing."""
        self._app.session.clock.seek(0.0)
        self._show()

    def step(self, by: int) -> None:
        """Go to where the next layer, or the one before, is there or is passed; the clock stands still."""
        session = self._app.session
        moment = session.scene.timeline.stop(session.clock.t, by)
        if moment is not None:
            session.clock.pause()
            session.clock.seek(moment)
            self._show()

    def _hold(self) -> None:
        """Stand still while the slider is dragged."""
        self._resume = self._app.session.clock.playing
        self._app.session.clock.pause()
        self._show()

    def _release(self) -> None:
        if self._resume and self._app.session.clock.t < self._app.session.scene.duration:
            self._app.session.clock.play()
        self._resume = False
        self._show()

    def _scrub(self, t: float, **_: Any) -> None:
        session = self._app.session
        if abs(float(t) - session.clock.t) > _SAME:
            session.clock.seek(float(t))
            self.synchronize()
            self._app.steps.synchronize()
            self._app.history.synchronize()
            self._app.view.changed(moving=True)

    def _set_speed(self, speed: float, **_: Any) -> None:
        if speed not in _SPEEDS:
            raise ValueError(f"The page asked for an unknown speed {speed!r}.")
        self._app.session.clock.speed = float(speed)

    def _show(self) -> None:
        self._app.synchronize()
        with self._app.state:
            self.synchronize()
        self._app.view.changed()

    def build(self) -> None:
        """Make the widgets."""
        guarded = self._app.guarded
        if self._app.session.scene.duration <= 0:
            return
        with v.VFooter(app=True, height=52, classes="transport", id="transport"):
            v.VBtn(icon="mdi-skip-previous", click=guarded(self.restart), id="restart", **theme.icon_button("Restart"))
            v.VBtn(
                icon=("playing ? 'mdi-pause' : 'mdi-play'",),
                click=guarded(self.toggle),
                id="play",
                **theme.icon_button("Play or pause (space)"),
            )
            for by, name, words in ((-1, "left", "One layer back"), (1, "right", "One layer on")):
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
