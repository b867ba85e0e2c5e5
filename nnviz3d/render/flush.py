"""OpenGL's flush, which VTK does not offer to Python."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_LIBRARIES = {
    "linux": ("libOpenGL.so.0", "libGL.so.1"),
    "darwin": ("/System/Library/Frameworks/OpenGL.framework/OpenGL",),
    "win32": ("opengl32",),
}


def gl_flush() -> Callable[[], object]:
    """Return a function that makes the current OpenGL context execute its waiting commands.

    Software rasterizers draw in threads of their own, which begin at a flush or at the end of a frame.
    Where OpenGL's library is not found the function does nothing.
    """
    for name in _LIBRARIES.get(sys.platform, ()):
        try:
            function = ctypes.CDLL(name).glFlush
        except (OSError, AttributeError):
            continue
        function.argtypes, function.restype = (), None
        return function
    return lambda: None
