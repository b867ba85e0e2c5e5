"""`show`: a native window. One loop handles events, advances the time, and draws what has changed."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from pathlib import Path

from nnviz3d.apps.open_target import Opened
from nnviz3d.apps.saved_scene import saved_scene, write_scene
from nnviz3d.apps.session import Session
from nnviz3d.apps.snapshot import require_graphics, write_png
from nnviz3d.apps.window.controls import Controls
from nnviz3d.errors import UserError
from nnviz3d.render.antialiasing import StillPicture
from nnviz3d.render.renderer import Renderer
from nnviz3d.render.window import Window, display_missing
from nnviz3d.scene.primitives import DrawList
from nnviz3d.scene.selection import Selection
from nnviz3d.stopping import DelayedSignals

SIZE = (1280, 800)
_TURN = 1 / 60
"""Shortest duration of one turn of the loop, in seconds."""
_QUIET = 0.15
"""Seconds without a change after which the picture is drawn carefully."""
_HELD = 0.4
"""The same while a mouse button is down, because the user may rest for a moment."""
_SETTLED = 0.2
"""Seconds after a careful picture until its edges are smoothed."""


def require_display() -> None:
    """Refuse to open a window where there is no display.

    Raises
    ------
    UserError
        If there is no display.
    """
    if display_missing():
        raise UserError(
            "There is no display to open a window on; use nnviz3d serve (in a browser) or nnviz3d snapshot (a picture)."
        )


def show(
    found: Opened, *, size: tuple[int, int] = SIZE, selection: Selection | None = None, tour: bool = False
) -> None:
    """Show an opened target in a window; returns when the window is closed, or on Ctrl-C or SIGTERM.

    Each pick is printed as a line.

    Parameters
    ----------
    found
        The opened target.
    size
        Width and height of the window in pixels.
    selection
        The first selection.
    tour
        Whether a tour leads at first.

    Raises
    ------
    UserError
        If there is no display, no OpenGL, or nothing that a tour could lead through.
    """
    require_graphics()
    require_display()
    selection = selection or Selection(sample=found.sample)
    scene = found.scene(selection, aspect=size[0] / size[1])
    with DelayedSignals():
        window = Window(size, scene.title(found.sample))
        renderer = Renderer(window.target)
    try:
        session = Session.of(found, scene, renderer, selection)
        desktop = Desktop(session, window)
        if tour:
            session.tour.start()
        with _signals(desktop.quit):
            desktop.run()
    finally:
        window.close()
        renderer.close()


def _print(text: str) -> None:
    print(text, flush=True)


class _Quality(Enum):
    """Quality of the picture on the screen."""

    ROUGH = auto()
    CAREFUL = auto()
    SMOOTH = auto()


class Desktop:
    """A session in a window."""

    def __init__(self, session: Session, window: Window) -> None:
        self._session = session
        self._renderer = session.renderer
        self._window = window
        self._controls = Controls(session, save=self._save, write=self._write, printed=_print)
        self._quality = _Quality.SMOOTH
        self._last_change = self._shown = float("-inf")
        self._average: StillPicture | None = None

    def quit(self) -> None:
        """Close the window at the next turn of the loop."""
        self._controls.closed = True

    def run(self) -> None:
        """Run until the window is closed."""
        self._window.open()
        controls = self._controls
        before = time.monotonic()
        self._draw(before)  # the first drag or click is meant for the camera of a picture
        while not controls.closed:
            now = time.monotonic()
            for event in self._window.events():
                controls.follow(event, now)
            controls.advance(now, now - before)
            before = now
            self._draw(now)
            time.sleep(max(0.0, now + _TURN - time.monotonic()))

    def _draw(self, now: float) -> None:
        """Draw changes at once, and improve a picture that does not change."""
        controls = self._controls
        if controls.changed or controls.moving:
            # A single change, such as a click, is drawn carefully at once; repeated changes are a motion.
            motion = controls.moving or now - self._last_change < _QUIET
            self._last_change = now
            controls.changed = False
            self._show(_Quality.ROUGH if motion else _Quality.CAREFUL)
        elif now - self._last_change < (_HELD if controls.held else _QUIET):
            return
        elif self._quality is _Quality.ROUGH:
            self._show(_Quality.CAREFUL)
        elif self._quality is _Quality.CAREFUL and now - self._shown > _SETTLED:
            self._smooth()

    def _show(self, quality: _Quality) -> None:
        self._average = None
        self._renderer.overlay(None)
        self._renderer.careful = quality is _Quality.CAREFUL
        self._look()
        try:
            self._compose(with_panels=True)
        except UserError as error:
            self._controls.tell(str(error))
            if not self._session.revert():
                raise
            self._compose(with_panels=True)
        self._session.mark_drawn()
        self._renderer.render()
        self._quality, self._shown = quality, time.monotonic()

    def _look(self) -> None:
        if not self._controls.by_hand:
            self._renderer.look(self._session.home())

    def _compose(self, *, with_panels: bool) -> None:
        scene = self._session.scene.at(self._session.clock.t, self._session.selection)
        front = (*self._controls.drawn(), *self._controls.panels()) if with_panels else ()
        self._renderer.draw(DrawList((*scene.primitives, *front), scene.background))

    def _smooth(self) -> None:
        """Draw one of the frames whose mean is the smooth picture; show the mean after the last of them."""
        with self._hidden():
            self._average = self._average or StillPicture(self._renderer)
            self._average.add()
        if self._average.done:
            self._renderer.overlay(self._average.picture())
            self._renderer.render()
            self._average, self._quality = None, _Quality.SMOOTH

    def _save(self) -> str:
        """Save the picture, without help and messages, under the next free name."""
        number = 1
        while (out := Path(f"nnviz3d-{number:03}.png")).exists():
            number += 1
        with self._hidden():
            self._renderer.overlay(None)
            self._renderer.careful = True
            self._look()
            self._compose(with_panels=False)
            self._renderer.render()
            average = StillPicture(self._renderer)
            while not average.done:
                average.add()
        try:
            write_png(average.picture(), out)
        except UserError as error:
            return str(error)
        _print(f"saved {out}")
        return f"saved {out}"

    def _write(self) -> str:
        """Write the scene as it is shown into a scene file under the next free name."""
        width, height = self._renderer.size
        saved = saved_scene(self._session, self._renderer.pose(), width / height)
        try:
            out = write_scene(saved.text, Path())
        except UserError as error:
            return str(error)
        words = " ".join((f"saved {out}", *saved.remarks))
        _print(words)
        return words

    @contextlib.contextmanager
    def _hidden(self) -> Iterator[None]:
        """Draw frames without showing them in the window."""
        self._window.hide_frames(True)
        try:
            yield
        finally:
            self._window.hide_frames(False)


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Close the window cleanly on Ctrl-C and SIGTERM."""
    before = {number: signal.signal(number, lambda *_: stop()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
