"""Protocol of the receivers of a film's frames."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class FrameSink(Protocol):
    """Receives the frames of one film in order, and writes the film.

    Only one thread at a time may use it. Its methods raise `OSError` or `UserError` if the system refuses to write.
    """

    def needs(self, number: int) -> bool:
        """Return whether a frame, counted from 0, has to be drawn."""
        ...

    def write(self, number: int, pixels: NDArray[np.uint8]) -> None:
        """Receive a frame ``(H, W, 3)``, the top row first."""
        ...

    def finish(self) -> None:
        """Give the film its name; it replaces an earlier film of that name."""
        ...

    def discard(self) -> None:
        """Remove incomplete files; an earlier film of the same name stays as it was."""
        ...
