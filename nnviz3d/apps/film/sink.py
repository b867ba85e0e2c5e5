"""Base class of the receivers of a film's frames."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray


class FrameSink(ABC):
    """Receives the frames of one film in the order of `order`, and writes the film.

    Only one thread at a time may use it. Its methods raise `OSError` or `UserError` if the system refuses to write.
    """

    @staticmethod
    @abstractmethod
    def packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Convert a frame ``(H, W, 3)``, the top row first, to what `add` takes. Any process may call this."""

    def order(self, count: int) -> list[int]:
        """Return the frames of a film of `count` that have to be drawn, counted from 0, in the order of `add`."""
        return list(range(count))

    @abstractmethod
    def add(self, number: int, packed: NDArray[np.uint8]) -> None:
        """Receive a packed frame."""

    @abstractmethod
    def finish(self) -> None:
        """Give the film its name; it replaces an earlier film of that name."""

    @abstractmethod
    def discard(self) -> None:
        """Remove incomplete files; an earlier film of the same name stays as it was."""
