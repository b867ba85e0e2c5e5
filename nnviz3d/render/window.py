"""A window of the desktop: VTK opens it and hears keys and mouse; nothing in it happens by VTK's own habits."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Any

import vtkmodules.vtkRenderingOpenGL2
import vtkmodules.vtkRenderingUI  # noqa: F401 - registers the windows of this system
from vtkmodules.vtkRenderingCore import vtkRenderWindow, vtkRenderWindowInteractor

from nnviz3d.errors import UserError
from nnviz3d.render.observers import calling_back, observe

Event = Mapping[str, Any]
"""What happened, in the words of vtk.js: ``type``, ``x`` and ``y`` in pixels from the lower left corner, ``shiftKey``;
``spinY`` of the wheel, and ``key`` and ``repeat`` of a key: the character that it writes, or else its X11 name."""

_POINTER = (
    "LeftButtonPress",
    "LeftButtonRelease",
    "MiddleButtonPress",
    "MiddleButtonRelease",
    "RightButtonPress",
    "RightButtonRelease",
    "MouseMove",
)
_WHEEL = {"MouseWheelForward": -1.0, "MouseWheelBackward": 1.0}
_KEYS = ("KeyPress", "KeyRelease")
_CHANGES = ("Expose", "Configure", "Exit", "Leave")
_UNSEEN = ("vtkEGLRenderWindow", "vtkOSOpenGLRenderWindow")


class Window:
    """A window on the screen.

    Attributes
    ----------
    target
        What a `Renderer` draws into.
    """

    def __init__(self, size: tuple[int, int], title: str) -> None:
        self.target = vtkRenderWindow()
        if self.target.GetClassName() in _UNSEEN:
            raise UserError(
                "No window can be opened on this display; use nnviz3d serve (in a browser) or nnviz3d snapshot (a picture)."
            )
        self.target.SetWindowName(title)
        self.target.SetSize(*size)
        self._found: list[Event] = []
        self._down: set[str] = set()
        self._interactor = vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.target)
        # VTK's styles bind keys of their own, such as e, q, p, s, w and 3.
        self._interactor.SetInteractorStyle(None)  # type: ignore[arg-type]
        # Drawing is the application's business, also when the window is uncovered.
        self._interactor.EnableRenderOff()
        for name in (*_POINTER, *_WHEEL, *_KEYS, *_CHANGES):
            observe(self._interactor, f"{name}Event", self._hear)

    def open(self) -> None:
        """Begin to hear; the window is there since its first frame."""
        self._interactor.Initialize()
        _tell_repeats_apart(self.target)

    def events(self) -> list[Event]:
        """Return what has happened since the last call, at once."""
        with calling_back():
            self._interactor.ProcessEvents()
        found, self._found = self._found, []
        return found

    def hide_frames(self, hidden: bool) -> None:
        """Keep the frames that are drawn from the screen, or let them be seen."""
        self.target.SetSwapBuffers(not hidden)

    def close(self) -> None:
        """Stop hearing."""
        self._interactor.RemoveAllObservers()
        self._interactor.TerminateApp()

    def _hear(self, interactor: vtkRenderWindowInteractor, name: str) -> None:
        kind = name.removesuffix("Event")
        x, y = interactor.GetEventPosition()
        event: dict[str, Any] = {"type": kind, "x": x, "y": y, "shiftKey": bool(interactor.GetShiftKey())}
        if kind in _WHEEL:
            event.update(type="MouseWheel", spinY=_WHEEL[kind])
        elif kind in _KEYS:
            character, symbol = interactor.GetKeyCode(), interactor.GetKeySym()
            event.update(key=character if character.isprintable() else symbol, repeat=symbol in self._down)
            if kind == "KeyPress":
                if interactor.GetControlKey() or interactor.GetAltKey():
                    return  # the desktop's; but what was pressed before can still be let go
                self._down.add(symbol)
            elif symbol in self._down:
                self._down.remove(symbol)
            else:
                self._down.clear()  # a key goes up under another name when Shift was let go before it
        self._found.append(event)


def _tell_repeats_apart(target: vtkRenderWindow) -> None:
    """Ask the X server not to tell the repeats of a held key as releases that never happened.

    Else two quick strokes could not be told from one long one. Other systems do so by themselves.
    """
    if sys.platform.startswith("linux"):
        address = int(target.GetGenericDisplayId().strip("_").split("_")[0], 16)
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XkbSetDetectableAutoRepeat(ctypes.c_void_p(address), 1, None)


def display_missing() -> bool:
    """Whether this is a system with an X server for windows, and none can be reached."""
    if not sys.platform.startswith("linux"):
        return False
    if not os.environ.get("DISPLAY"):
        return True
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return True
    x11.XOpenDisplay.restype = ctypes.c_void_p
    # Never closed: a server whose last client leaves starts anew, and for a moment cannot be reached.
    return x11.XOpenDisplay(None) is None
