"""Tells whether a training that has begun still runs: nobody tells a callback that its `fit` ended by Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType

import keras


def is_called_back(callback: keras.callbacks.Callback) -> bool:
    """Whether any thread is within code that has this callback in a list of callbacks, as `fit` has."""
    return any(
        isinstance(value, keras.callbacks.CallbackList) and any(one is callback for one in value.callbacks)
        for frame in _frames()
        for value in list(frame.f_locals.values())
    )


def _frames() -> Iterator[FrameType]:
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            yield frame
            frame = frame.f_back
