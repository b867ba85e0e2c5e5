"""The way of a layer's channels from their block into a grid and back, when a person wants it and not the scene."""

from __future__ import annotations

_SECONDS = 1.0
"""How long a layer takes to unfold, or to fold up."""


class Unfolding:
    """Goes towards what is wanted.

    Attributes
    ----------
    wanted
        The layer that is to be unfolded in the end; `None` if none is.
    moving
        Whether that is not so yet.
    """

    def __init__(self) -> None:
        self.wanted: str | None = None
        self.moving = False

    def start(self, layer: str | None) -> None:
        """Set out for another layer, or for none."""
        self.wanted, self.moving = layer, True

    def stop(self) -> None:
        """Stay as it is."""
        self.moving = False

    def after(self, seconds: float, layer: str | None, share: float) -> tuple[str | None, float]:
        """Say which layer is unfolded, and how far, some seconds after it was `layer`, by `share` from 0 to 1."""
        by = seconds / _SECONDS
        if layer == self.wanted or share <= 0:
            share = 0.0 if self.wanted is None else min(1.0, max(share, 0.0) + by)
            layer = layer if self.wanted is None else self.wanted
            self.moving = self.wanted is not None and share < 1
        else:  # what is in the way goes back first
            share = max(0.0, share - by)
            self.moving = share > 0 or self.wanted is not None
        return layer, share
