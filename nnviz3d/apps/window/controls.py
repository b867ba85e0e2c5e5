"""Handle the window's keys and mouse, and show its help and messages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from nnviz3d.apps.flight import Flight, around_layers, around_pick, pose_before
from nnviz3d.apps.picking import layer_at, pick_at, say
from nnviz3d.apps.session import Session
from nnviz3d.apps.turntable import Turntable
from nnviz3d.apps.window.arithmetic import Arithmetic
from nnviz3d.apps.window.bookmarks import Bookmarks
from nnviz3d.apps.window.brush import Brush
from nnviz3d.apps.window.camera_flight import FreeFlight
from nnviz3d.apps.window.change_keys import ChangeKeys
from nnviz3d.apps.window.dead_keys import DeadKeys
from nnviz3d.apps.window.help import Help
from nnviz3d.apps.window.key_commands import KeyCommands
from nnviz3d.apps.window.keys import KEYS, Key
from nnviz3d.apps.window.lasso import Lasso
from nnviz3d.apps.window.point_keys import PointKeys
from nnviz3d.apps.window.search import Search
from nnviz3d.apps.window.status import Status
from nnviz3d.apps.window.time_keys import TimeKeys
from nnviz3d.apps.window.tour_keys import TourKeys
from nnviz3d.errors import UserError
from nnviz3d.render.window import Event
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import Panel, Primitive
from nnviz3d.scene.views.channels import unfolds

_DOUBLE = 0.4
"""Most seconds between the two clicks of a double click."""
_NEAR = 6.0
"""Most pixels between the two clicks of a double click."""
_NEVER_CLICKED = (-math.inf, (0.0, 0.0))
"""Time and place of the last click, before there is one."""


class Controls:
    """Handles events of one window. `advance` continues animations.

    Parameters
    ----------
    session
        The session that the window shows.
    save
        Saves a picture; returns a sentence about it.
    write
        Writes what is shown into a scene file; returns a sentence about it.
    printed
        Receives a sentence about each pick.

    Attributes
    ----------
    changed
        Whether the picture has changed since the caller last set this to false.
    closed
        Whether the user has closed the window.
    by_hand
        Whether the user has moved the camera, so that it does not follow the scene.
    """

    def __init__(
        self,
        session: Session,
        *,
        save: Callable[[], str],
        write: Callable[[], str],
        printed: Callable[[str], None],
    ) -> None:
        self._session = session
        self._save = save
        self._write = write
        self._printed = printed
        self._turntable = Turntable()
        self._free_flight = FreeFlight()
        self._held: set[str] = set()
        self._flight: tuple[Flight, float] | None = None
        self._pointer = (0.0, 0.0)
        self._clicked = _NEVER_CLICKED
        self._now = 0.0
        self._status = Status(session)
        self._help = Help(session.renderer)
        self.changed = True
        self.closed = False
        self.by_hand = False
        self._commands = KeyCommands(session, self.tell)
        self._arithmetic = Arithmetic(session)
        self._perspective = session.perspectives.current
        self._tour = TourKeys(session, self.tell)
        self._search = Search(session, self.tell, self._fly_to)
        self._bookmarks = Bookmarks(session, self.tell, self._pose_by_hand, self._enter)
        self._dead = DeadKeys(session, self.tell, self._fly_to)
        self._lasso = Lasso(session, self.tell)
        self._brush = Brush(session, self.tell)
        times = TimeKeys(session, self._tour, self.tell)
        changes, points = ChangeKeys(session, self.tell), PointKeys(session, self.tell)
        others = (changes, points, self._search, self._bookmarks, self._dead, self._lasso, self._brush)
        self._owners = (self, self._commands, times, *others)
        self._keys: dict[str, tuple[Key, Callable[[], None]]] = {
            name: (key, self._action(key.action)) for key in KEYS for name in key.names
        }

    # Events and time.

    @property
    def moving(self) -> bool:
        """Whether the picture changes without an event."""
        return self._flight is not None or self._free_flight.moving or self._session.moving

    @property
    def held(self) -> bool:
        """Whether a mouse button is down."""
        return self._turntable.held

    def follow(self, event: Event, now: float) -> None:
        """Handle an event that happened at a time in seconds."""
        self._now = now
        match event["type"]:
            case "Exit":
                self.closed = True
            case "Expose" | "Configure":
                self.changed = True
            case "KeyPress" if self._search.on:
                self._search.press(str(event["key"]))
                self.changed = True
            case "KeyPress":
                self._press(str(event["key"]), shift=bool(event["shiftKey"]), repeated=bool(event["repeat"]))
            case "KeyRelease":
                self._held.discard(str(event["key"]))
                self.fly()
            case "Leave":
                # The window receives no event when a key is released over another window.
                self._held.clear()
                self.fly()
            case _:
                self._point(event)

    def advance(self, now: float, seconds: float) -> None:
        """Continue animations by some seconds, and take news of the session."""
        self._now = now
        session = self._session
        target = session.selection.target
        self.changed |= session.advance(seconds) | session.poll()
        self._brush.advance()
        self._dead.advance()
        if session.perspectives.current != self._perspective:
            self._perspective = session.perspectives.current
            self._end_drags()
            self.home()
            self.changed = True
            self._commands.tell_perspective()
        if self._tour.departed():
            self.home()
            self.changed = True
        if session.selection.target != target:
            self._commands.tell_class()
        if session.queries.message:
            self.tell(session.queries.message)
            session.queries.message = ""
        if self._flight is not None:
            flight, start = self._flight
            pose, arrived = flight.at(now - start)
            self._look(pose)
            self._flight = None if arrived else self._flight
        if self._free_flight.moving:
            self._look(self._free_flight.advance(session.renderer.pose(), seconds))
        self.changed |= self._status.advance(now, self._lasso.hint or self._brush.hint)

    def tell(self, text: str) -> None:
        """Show a sentence for some seconds."""
        self._status.tell(text, self._now)

    def panels(self) -> tuple[Panel, ...]:
        """Return the panels in front of the scene: help and status."""
        if self._search.on:
            panels = list(self._search.panels())
        elif self._help.on:
            panels = [*self._arithmetic.panels(), *self._help.panels()]
        else:
            panels = [*self._arithmetic.panels(), *self._tour.panels()]
        if not (self._help.covers or (self._help.on and self._status.shows_hint)):
            panels += self._status.panels()
        return tuple(panels)

    def drawn(self) -> tuple[Primitive, ...]:
        """Return what the user draws: the outline around points, or the input's picture with the paint."""
        return (*self._lasso.lines(), *self._brush.pictures())

    def _action(self, name: str) -> Callable[[], None]:
        """Return the method for a key's action."""
        action: Callable[[], None] = next(getattr(one, name) for one in self._owners if hasattr(one, name))
        return action

    def _press(self, name: str, *, shift: bool, repeated: bool) -> None:
        name = name.lower() if len(name) == 1 else name  # Caps Lock makes no difference
        with_shift = f"Shift+{name}"
        key, action = self._keys.get(with_shift if shift and with_shift in self._keys else name, (None, None))
        if key is None or action is None:
            return
        self._status.shows_hint = False
        self._clicked = _NEVER_CLICKED  # clicks before and after a key are two clicks
        if key.action == "fly":
            self._held.add(name)
        else:
            self._status.end_message()  # it would look like the answer to this key
        if not repeated or key.repeats:
            action()
            self.changed = True

    def _point(self, event: Event) -> None:
        size = self._session.renderer.size
        self._pointer = (float(event["x"]) + 0.5, size[1] - float(event["y"]) - 0.5)
        if self._lasso.follow(event) or self._brush.follow(event, self._pointer):
            self.changed = True
            return
        pose = self._turntable.follow(event, self._session.renderer.pose(), size)
        if pose is not None:
            self._flight = None
            self._look(pose)
        if self._turntable.click is not None:
            before, at = self._clicked
            self._clicked = (self._now, self._pointer)
            if self._now - before < _DOUBLE and math.dist(at, self._pointer) < _NEAR:
                self._clicked = _NEVER_CLICKED
                self.fly_to_layer()
            else:
                self._pick()

    def _pick(self) -> None:
        pick = pick_at(self._session, self._pointer)
        if pick is not None and self._session.groups.is_closed(pick.of_layer):
            self.toggle_group(pick.of_layer)
            return
        if pick != self._session.selection.pick:
            self._session.select(pick=pick)
            self._session.interventions.expect()
            self.changed = True
        if pick is not None:
            self._printed(say(self._session))

    def _look(self, pose: CameraPose) -> None:
        self._session.renderer.look(pose)
        self.by_hand = self.changed = True

    # The camera.

    def fly(self) -> None:
        """Fly in the direction of the held keys."""
        held = self._held
        self._free_flight.wanted = (("Right" in held) - ("Left" in held), ("Up" in held) - ("Down" in held))
        if held:
            self._flight = None

    def fly_to_layer(self) -> None:
        """Fly to the layer under the pointer, or else to the layer of the pick."""
        session = self._session
        layer = self._layer()
        pose, (width, height) = session.renderer.pose(), session.renderer.size
        corners = around_layers(session.scene, [] if layer is None else [layer])
        end = pose_before(corners, pose, width / height)
        if end is None:
            self.tell("Point at a layer, then press f")
            return
        self._flight = (Flight(pose, end), self._now)

    def next_difference(self) -> None:
        """Fly to the next one of the layers and channels that differ most between what is compared."""
        session = self._session
        found = session.differences.next()
        if found is None:
            self.tell(
                "Nothing is compared; open the window with --against b.keras, or press x until the cells show a difference"
            )
            return
        self._fly_to(session.groups.shown_of(found.place.layer))
        self.tell(found.told)

    def _fly_to(self, layers: Sequence[str]) -> bool:
        """Fly to the pick, or else to some layers; returns whether the scene shows them."""
        session = self._session
        pose, (width, height) = session.renderer.pose(), session.renderer.size
        points = around_pick(session.scene, session.clock.t, session.selection)
        if not len(points):
            points = around_layers(session.scene, layers)
        end = pose_before(points, pose, width / height)
        self._flight = None if end is None else (Flight(pose, end), self._now)
        self.changed = True
        return end is not None

    def _pose_by_hand(self) -> CameraPose | None:
        return self._session.renderer.pose() if self.by_hand else None

    def _enter(self, pose: CameraPose | None) -> None:
        """Look at the view of a bookmark, in the perspective that the session shows."""
        self._perspective = self._session.perspectives.current
        self.home()
        if pose is not None:
            self._look(pose)

    def _layer(self) -> str | None:
        """Return the layer under the pointer, or else the layer of the pick, or else the selected layer."""
        selection = self._session.selection
        of_pick = None if selection.pick is None else selection.pick.of_layer
        return layer_at(self._session, self._pointer) or of_pick or selection.layer

    def toggle_group(self, layer: str | None = None) -> None:
        """Open the group under the pointer, or close the group around the layer there."""
        session = self._session
        found = session.groups.toggle(layer or self._layer())
        if found is None:
            self.tell("Point at a group or at a layer inside one, then press z")
            return
        self.changed = True
        count = len(session.groups.members(found))
        self.tell(
            f"{'closed' if session.groups.is_closed(found) else 'opened'}: {found} ({count:,} layers); z reverses it"
        )

    def unfold(self) -> None:
        """Unfold the layer under the pointer, or else the layer of the pick; fold a layer that is unfolded."""
        session = self._session
        if session.unfolding.layer is not None:
            session.unfolding.start(None)
            return
        layer = self._layer()
        if not session.scene.blocks:
            self.tell("This scene shows no blocks to unfold; Tab leads to the activations")
        elif layer is None:
            self.tell("Point at a layer, then press u")
        elif not unfolds(session.scene.context, layer):
            self.tell(f"{layer} has no feature maps to unfold")
        else:
            session.unfolding.start(layer)
            self.tell(f"unfolded: {layer}")

    def home(self) -> None:
        """Move the camera back to the scene's own view."""
        self._flight = None
        self.by_hand = False
        self._session.leave_saved_pose()

    def add_keyframe(self) -> None:
        """Add the camera's pose as a keyframe at the current time."""
        (width, height), pose = self._session.renderer.size, self._session.renderer.pose()
        self._keyframe(lambda: self._session.keyframes.add(pose, width / height))

    def remove_keyframe(self) -> None:
        """Remove the last keyframe of the camera."""
        self._keyframe(self._session.keyframes.remove)

    def _keyframe(self, change: Callable[[], str]) -> None:
        try:
            self.tell(change())
        except UserError as error:
            self.tell(str(error))

    # Other keys.

    def save(self) -> None:
        """Save a picture."""
        self.tell(self._save())

    def write(self) -> None:
        """Write what is shown into a scene file."""
        self.tell(self._write())

    def clear(self) -> None:
        """Close the help, end lasso, brush or tour, stop the model, clear the pick or the layer: the first of these."""
        if self._help.on:
            self._help.end()
        elif self._lasso.shape is not None or self._brush.tool is not None:
            self._end_drags()
        elif self._session.tour.on:
            self._session.tour.end()
        elif self._session.queries.perspective:
            self._session.queries.stop()
            self.tell("stopped")
        elif self._dead.stop():
            self.tell("stopped")
        elif self._session.selection.pick is not None:
            self._session.select(pick=None)
        else:
            self._session.select(layer=None)

    def _end_drags(self) -> None:
        """Let all drags turn the scene."""
        self._lasso.end()
        self._brush.end()

    def toggle_arithmetic(self) -> None:
        """Show or hide the arithmetic of the pick."""
        self.tell(self._arithmetic.toggle())

    def toggle_help(self) -> None:
        """Show or hide the table of keys."""
        self._help.turn()

    def quit(self) -> None:
        """Close the window."""
        self.closed = True
