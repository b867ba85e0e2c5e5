"""Return of freed memory to the system."""

from __future__ import annotations

import ctypes
import sys


def return_free_memory() -> None:
    """Let the C library give memory that is not in use back to the system; it keeps it otherwise.

    Drawing allocates and frees large arrays in several threads, and each thread's heap keeps its free pages. Only glibc is
    asked, in tens of milliseconds; other libraries return memory by themselves.
    """
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
