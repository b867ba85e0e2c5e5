"""A desktop window of VTK that reports key and mouse events; VTK's own reactions to them are switched off."""

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
"""An event in the form of vtk.js: ``type``, ``x`` and ``y`` in pixels from the lower left corner, ``shiftKey``,
``controlKey``; for the wheel ``spinY``; for a key ``repeat`` and ``key``, the character that it writes, or its X11 name."""

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
        The VTK window that a `Renderer` draws into.
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
        # VTK's interactor styles react to keys such as e, q, p, s, w and 3.
        self._interactor.SetInteractorStyle(None)  # type: ignore[arg-type]
        # The application draws, also when the window is uncovered.
        self._interactor.EnableRenderOff()
        for name in (*_POINTER, *_WHEEL, *_KEYS, *_CHANGES):
            observe(self._interactor, f"{name}Event", self._receive)

    def open(self) -> None:
        """Start to receive events; the window appears with its first frame."""
        self._interactor.Initialize()
        _tell_repeats_apart(self.target)

    def events(self) -> list[Event]:
        """Return the events since the last call, without waiting."""
        with calling_back():
            self._interactor.ProcessEvents()
        found, self._found = self._found, []
        return found

    def hide_frames(self, hidden: bool) -> None:
        """Choose whether drawn frames are hidden from the screen."""
        self.target.SetSwapBuffers(not hidden)

    def close(self) -> None:
        """Stop receiving events."""
        self._interactor.RemoveAllObservers()
        self._interactor.TerminateApp()

    def _receive(self, interactor: vtkRenderWindowInteractor, name: str) -> None:
        kind = name.removesuffix("Event")
        x, y = interactor.GetEventPosition()
        held = {"shiftKey": bool(interactor.GetShiftKey()), "controlKey": bool(interactor.GetControlKey())}
        event: dict[str, Any] = {"type": kind, "x": x, "y": y, **held}
        if kind in _WHEEL:
            event.update(type="MouseWheel", spinY=_WHEEL[kind])
        elif kind in _KEYS:
            character, symbol = interactor.GetKeyCode(), interactor.GetKeySym()
            event.update(key=character if character.isprintable() else symbol, repeat=symbol in self._down)
            if kind == "KeyPress":
                if interactor.GetControlKey() or interactor.GetAltKey():
                    return  # for the desktop; the release of a key that was pressed before still counts
                self._down.add(symbol)
            elif symbol in self._down:
                self._down.remove(symbol)
            else:
                self._down.clear()  # if Shift was released first, the release of a key has another name than its press
        self._found.append(event)


def _tell_repeats_apart(target: vtkRenderWindow) -> None:
    """Ask the X server not to report false releases while a held key repeats, as other systems do by default.

    Otherwise two quick strokes look the same as one long stroke.
    """
    if sys.platform.startswith("linux"):
        address = int(target.GetGenericDisplayId().strip("_").split("_")[0], 16)
        x11 = ctypes.CDLL("libX11.so.6")
        x11.XkbSetDetectableAutoRepeat(ctypes.c_void_p(address), 1, None)


def display_missing() -> bool:
    """Whether windows need an X server on this system, and none can be reached."""
    if not sys.platform.startswith("linux"):
        return False
    if not os.environ.get("DISPLAY"):
        return True
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return True
    x11.XOpenDisplay.restype = ctypes.c_void_p
    # The connection stays open: a server restarts when its last client leaves, and cannot be reached meanwhile.
    return x11.XOpenDisplay(None) is None
