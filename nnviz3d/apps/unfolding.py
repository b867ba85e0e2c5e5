"""Animation of a layer's channels between their block and a grid, when the user unfolds or folds the layer."""

from __future__ import annotations

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.scene.views.channels import ChannelsView

_SECONDS = 1.0
"""Duration of unfolding or folding one layer."""


class Unfolding:
    """Moves the unfolded layer of a frame towards the layer that the user chose.

    Parameters
    ----------
    frame
        The frame whose selection is changed.

    Attributes
    ----------
    moving
        Whether the animation has not reached its end yet.
    """

    def __init__(self, frame: FrameState) -> None:
        self._frame = frame
        self._wanted: str | None = None
        self.moving = False

    @property
    def layer(self) -> str | None:
        """The layer that is unfolded or is being unfolded; `None` if there is none."""
        if self.moving:
            return self._wanted
        layer, share = self._frame.scene.get(ChannelsView).unfolded(self._frame.t, self._frame.selection)
        return layer if share > 0 else None

    def start(self, layer: str | None) -> None:
        """Begin to unfold a layer, or to fold the unfolded layer if `layer` is `None`."""
        self._wanted, self.moving = layer, True

    def stop(self) -> None:
        """End the animation where it is."""
        self.moving = False

    def give_way(self) -> None:
        """Let the scene unfold layers over time again, if it does."""
        if self._frame.scene.get(ChannelsView).duration > 0:
            self.stop()
            self._frame.select(unfold=None, unfolded=1.0)

    def advance(self, seconds: float) -> bool:
        """Move the animation on by some seconds; returns whether the frame changes."""
        if not self.moving:
            return False
        now = self._frame.scene.get(ChannelsView).unfolded(self._frame.t, self._frame.selection)
        layer, share = self._after(seconds, *now)
        self._frame.select(unfold=layer, unfolded=share)
        return True

    def _after(self, seconds: float, layer: str | None, share: float) -> tuple[str | None, float]:
        """Return the unfolded layer and its share from 0 to 1, some seconds after it was `layer` and `share`."""
        by = seconds / _SECONDS
        if layer == self._wanted or share <= 0:
            share = 0.0 if self._wanted is None else min(1.0, max(share, 0.0) + by)
            layer = layer if self._wanted is None else self._wanted
            self.moving = self._wanted is not None and share < 1
        else:  # another layer is folded first
            share = max(0.0, share - by)
            self.moving = share > 0 or self._wanted is not None
        return layer, share
