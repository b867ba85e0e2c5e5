"""The tour of a session: it leads through the network stop by stop, by itself or by the user's hand."""

from __future__ import annotations

from dataclasses import replace

from nnviz3d.apps.clock import Clock
from nnviz3d.apps.frame_state import FrameState
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.story.captions import story_of
from nnviz3d.scene.story.stop import StoryStop
from nnviz3d.scene.tours.story import Walk

_LONGEST = 2.4
"""Maximum seconds of a flight; a user who leads by hand wants to arrive."""
_MOST_SHAPES = 8
"""Number of shapes of pictures for which a walk is kept."""


class GuidedTour:
    """Moves the time, the selection and the camera of a frame along the stops of a story.

    Parameters
    ----------
    frame
        The frame of the session.
    clock
        Its clock, which stands still during the tour.

    Attributes
    ----------
    index
        The current stop.
    playing
        Whether the tour goes on by itself when the caption has been read.
    captioned
        Whether the captions stand in the picture.
    departures
        Number of stops that were set out for; whenever it changes, the camera is the tour's again.
    """

    def __init__(self, frame: FrameState, clock: Clock) -> None:
        self._frame = frame
        self._clock = clock
        self._stops: tuple[StoryStop, ...] = ()
        self._told: tuple[Scene, int] | None = None
        self._walks: dict[tuple[float, int], tuple[Scene, Walk]] = {}
        self._before, self._time_before = Selection(), 0.0
        self._origin, self._since = 0, 0.0
        self.index = 0
        self.playing = False
        self.captioned = False
        self.departures = 0

    @property
    def on(self) -> bool:
        """Whether the tour is on."""
        return bool(self._stops)

    @property
    def stops(self) -> tuple[StoryStop, ...]:
        """The stops; none while the tour is off."""
        return self._stops

    @property
    def stop(self) -> StoryStop | None:
        """The current stop; `None` while the tour is off."""
        return self._stops[self.index] if self._stops else None

    @property
    def moving(self) -> bool:
        """Whether the camera flies, or layers light up."""
        return self.on and self._since < self._walk().settled(self._origin, self.index)

    @property
    def reading(self) -> bool:
        """Whether the picture rests until the caption has been read."""
        return self.on and self.playing and not self.moving

    def start(self) -> None:
        """Lead from the first stop on.

        Raises
        ------
        UserError
            If the scene shows no layers.
        """
        stops = story_of(self._frame.scene, self._frame.selection)
        if not self.on:
            self._before, self._time_before = self._frame.selection, self._frame.t
        self._clock.pause()
        self._frame.select(quantity="activation", unfold=None)  # of which the captions tell
        self._stops, self._told = stops, self._key()
        self.playing = True
        self._origin = 0
        self._go(0)

    def end(self) -> None:
        """Lead no more; time, highlighted layer, pick, quantity and training step are those from before the tour."""
        if not self.on:
            return
        self._stops, self._told, self._walks = (), None, {}
        self.playing = False
        self.departures += 1
        before = self._before
        known = {None, *(node.id for node in self._frame.scene.context.graph)}
        pick = before.pick if before.pick is None or before.pick.of_layer in known else None
        layer = before.layer if before.layer in known else None
        unfold = before.unfold if before.unfold in known else None
        self._frame.select(layer=layer, pick=pick, step=before.step, quantity=before.quantity, unfold=unfold)
        self._frame.select_sample(self._frame.selection.sample)  # which may lack the quantity
        self._frame.t = min(self._time_before, self._frame.scene.duration)

    def toggle(self) -> None:
        """Pause, or go on by itself; from the last stop it begins again."""
        if self.on and not self.playing and self.index == len(self._stops) - 1:
            self.go(0)
        self.playing = self.on and not self.playing

    def go(self, index: int) -> None:
        """Fly to a stop; one beyond the ends means the nearest."""
        if self.on:
            self._origin = self.index
            self._go(min(max(index, 0), len(self._stops) - 1))

    def advance(self, seconds: float) -> bool:
        """Let some real seconds pass; returns whether the picture changes."""
        self.follow()
        if not self.on:
            return False
        walk = self._walk()
        moves = self._since < walk.settled(self._origin, self.index)
        if not moves and not self.playing:
            return False
        self._since += seconds
        self._frame.t = walk.at(self._origin, self.index, self._since)[0]
        if self.playing and self._since >= walk.lasts(self._origin, self.index):
            if self.index == len(self._stops) - 1:
                self.playing = False
            else:
                self.go(self.index + 1)
            return True
        return moves

    def follow(self) -> None:
        """Tell the story of another sample or scene if one is shown since; end if it shows no layers."""
        if not self.on or self._told == self._key():
            return
        scene = self._frame.scene
        if not scene.blocks:
            self.end()
            return
        self._stops, self._told = story_of(scene, self._frame.selection), self._key()
        self._walks = {}
        self.index = self._origin = min(self.index, len(self._stops) - 1)
        self._show()

    def pose(self, aspect: float, layout: Scene | None = None) -> CameraPose:
        """Return the camera's pose for a picture with an aspect, width over height, in one of the scene's layouts."""
        # All pictures arrive together, whatever their shapes.
        flight = self._walk().flight(self._origin, self.index)
        return self._walk(aspect, layout).at(self._origin, self.index, self._since, flight)[1]

    def _go(self, index: int) -> None:
        self.index, self._since = index, 0.0
        self.departures += 1
        self._frame.t = self._walk().at(self._origin, index, 0.0)[0]
        self._show()

    def _show(self) -> None:
        """Select what the current stop tells of."""
        chosen = self._walk().selections[self.index]
        self._frame.select(layer=chosen.layer, pick=chosen.pick, step=chosen.step)

    def _key(self) -> tuple[Scene, int]:
        return self._frame.scene, self._frame.selection.sample

    def _walk(self, aspect: float | None = None, layout: Scene | None = None) -> Walk:
        """Return the walk for a picture; for the scene's own shape if no other is given."""
        scene = layout or self._frame.scene
        shape = scene.context.aspect if aspect is None else aspect
        key = (round(shape, 3), id(scene))
        kept = self._walks.get(key)
        if kept is None:
            while len(self._walks) >= _MOST_SHAPES:
                self._walks.pop(next(iter(self._walks)))
            walk = Walk.of(scene, shape, self._frame.selection, self._stops, captioned=self.captioned)
            kept = scene, replace(walk, longest=_LONGEST)
            self._walks[key] = kept
        return kept[1]
