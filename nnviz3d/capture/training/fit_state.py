"""Check whether a training still runs, because Keras does not tell a callback that Ctrl-C ended its `fit`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import FrameType

import keras


def is_called_back(callback: keras.callbacks.Callback) -> bool:
    """Whether any thread is running code, such as `fit`, that holds this callback in a list of callbacks."""
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
