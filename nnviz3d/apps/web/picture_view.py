"""The picture on the page: a loop draws each new state on the server, as fast as the pages display it.

trame-rca's component passes on mouse, touch and size; the pictures have messages of their own (see `picture_pages`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nnviz3d.apps.flight import Flight
from nnviz3d.apps.session import Session
from nnviz3d.apps.turntable import Turntable
from nnviz3d.apps.web.frames import FOLLOWING, PLAYING, FrameRenderer, Quality, encode, png
from nnviz3d.apps.web.picture_pages import PicturePages
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.primitives import DrawList
from nnviz3d.scene.same_picture import same_picture
from nnviz3d.scene.scene import Scene

AREA = "view"
"""Name of the picture in messages between page and server."""
_STILL_AFTER = 0.15
"""Seconds without motion after which the picture counts as still."""
_STILL_AFTER_HELD = 0.4
"""The same while a mouse button is held, since the motion is likely to continue."""
_SMOOTH_AFTER = 0.15
"""Seconds that a full picture is shown before its edges are smoothed."""
_SHORTEST = 1 / 45
"""Least seconds between two pictures."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """Everything that a picture which the pages show depends on, besides its quality."""

    what: DrawList
    pose: CameraPose
    resolution: tuple[tuple[int, int], float]

    def same(self, other: _Shown | None) -> bool:
        """Whether another picture is the same."""
        return (
            other is not None
            and (self.pose, self.resolution) == (other.pose, other.resolution)
            and same_picture(self.what, other.what)
        )


class RemoteView:
    """The server's side of the page's picture; trame-rca calls the public methods below "Called by trame-rca".

    Parameters
    ----------
    session
        The session to draw.
    failed
        Called with the error if the session cannot be drawn.
    advance
        Lets the session's time pass.
    clicked
        Called with the position of a click, in pixels of the renderer's picture from its upper left corner.
    last_sender
        Returns the page that sent the last message.

    Attributes
    ----------
    pages
        The pages that show the picture.
    """

    area_name = AREA

    def __init__(
        self,
        session: Session,
        *,
        failed: Callable[[Exception], None],
        advance: Callable[[], None],
        clicked: Callable[[tuple[float, float]], None],
        last_sender: Callable[[], str | None],
    ) -> None:
        self._session = session
        self._failed = failed
        self._advance = advance
        self._clicked = clicked
        self._last_sender = last_sender
        self._frames = FrameRenderer(session)
        self._turntable = Turntable()
        self._wake = asyncio.Event()
        self.pages = PicturePages(clock=time.monotonic, room=self._wake.set)
        self._quality = Quality.SMOOTH
        self._shown: _Shown | None = None
        self._revision = 0
        self._moved_at = float("-inf")
        self._camera_set_by_user = False
        self._flight: tuple[Flight, float] | None = None

    # Called by the application.

    def changed(self, *, moving: bool = False) -> None:
        """Draw the session again if it looks different; `moving` if more changes are likely to follow at once."""
        if moving:
            self._mark_moving()
        self._revision += 1
        self._wake.set()

    def home(self) -> None:
        """Reset the camera to the scene's own view."""
        self._camera_set_by_user = False
        self._flight = None
        self._session.leave_saved_pose()
        self.changed()

    def look(self, pose: CameraPose) -> None:
        """Move the camera to a pose."""
        self._camera_set_by_user = True
        self._flight = None
        self._session.renderer.look(pose)
        self.changed()

    def fly(self, pose: CameraPose) -> None:
        """Fly to a pose."""
        self._flight = Flight(self.pose(), pose), time.monotonic()
        self._camera_set_by_user = True
        self.changed()

    @property
    def aspect(self) -> float:
        """Width over height of the picture."""
        return self._frames.aspect

    @property
    def camera_set_by_user(self) -> bool:
        """Whether the user has moved the camera."""
        return self._camera_set_by_user

    def pose(self) -> CameraPose:
        """Return the camera's pose."""
        self._set_camera()
        return self._session.renderer.pose()

    def picture(self) -> bytes:
        """Draw the current picture with smooth edges; returns a PNG."""
        self._set_camera()
        return png(self._frames.still())

    @property
    def scene(self) -> Scene:
        """The scene in the layout that is drawn."""
        return self._frames.scene

    def leave(self, client: str) -> None:
        """Stop drawing for a page."""
        self.pages.leave(client)

    def displayed(self, client: str, number: object) -> None:
        """Note that a page has displayed a picture.

        Raises
        ------
        ValueError
            If it was not sent that picture.
        """
        seconds = self.pages.displayed(client, number)
        if seconds is not None and self._quality is Quality.ROUGH:
            self._frames.moving.learn(seconds)

    # Called by trame-rca.

    def set_streamer(self, _streamer: Any) -> None:
        """Do nothing: pictures have messages of their own."""

    def update_size(self, _origin: str, size: Mapping[str, float]) -> None:
        """Set the size of the picture to that of the page. Each new page sends its size, and needs a picture.

        If the size is unchanged and pictures were drawn for other pages, only that page gets the current one.
        """
        client = self._last_sender() or ""
        other = self._frames.resize(float(size["w"]), float(size["h"]), float(size.get("p", 1.0)))
        self._wake.set()  # the session may have changed while no page was watching
        if not self.pages.add(client, last=not other):
            self._shown = None
            self.changed()

    def on_interaction(self, _origin: str, event: Mapping[str, Any]) -> None:
        """Move the camera by a mouse or touch event, or report a click."""
        before = self._turntable.held
        pose = self._turntable.follow(event, self._session.renderer.pose(), self._frames.size)
        if pose is not None:
            self._camera_set_by_user = True
            self._flight = None
            self._session.renderer.look(pose)
            self.changed(moving=True)
        elif before and not self._turntable.held:
            self._moved_at = float("-inf")
            self._wake.set()
        if self._turntable.click is not None:
            (x, y), (width, height) = self._turntable.click, self._frames.size
            across, down = self._session.renderer.size
            self._clicked((x / width * across, (1 - y / height) * down))

    def reset(self) -> None:
        """Do nothing: each picture is complete."""

    def video_codecs(self) -> list[str]:
        """Offer no video."""
        return []

    def negotiate_video(self, _codecs: list[str]) -> dict[str, str]:
        """Refuse video."""
        return {"error": "not-a-video-stream"}

    # The loop.

    async def run(self) -> None:
        """Draw each new state, until the task is cancelled."""
        drawn = -1
        while True:
            self._wake.clear()
            if not self.pages.has_room:
                await self._wake.wait()
                continue
            self._advance()
            rest = (_STILL_AFTER_HELD if self._turntable.held else _STILL_AFTER) - self._since_moved()
            self._continue_flight()
            moving = self._session.moving or rest > 0 or self._flight is not None
            if self._revision != drawn:
                wanted = Quality.ROUGH if moving else Quality.FULL
            elif moving or self._quality is Quality.SMOOTH:
                await self._wait_for_change(rest if moving else None)
                continue
            elif self._quality is Quality.ROUGH:
                wanted = Quality.FULL
            elif await self._wait_for_change(_SMOOTH_AFTER):
                continue
            else:
                wanted = Quality.SMOOTH
            if wanted is Quality.ROUGH and self._quality is not Quality.ROUGH:
                self._frames.moving.begin(PLAYING if self._session.moving and rest <= 0 else FOLLOWING)
            drawn = self._revision
            await self._show(wanted)

    async def _show(self, quality: Quality) -> None:
        """Draw a picture of a quality and send it, unless the pages show the same one in this quality or a better one."""
        start, revision = time.monotonic(), self._revision
        try:
            self._set_camera()
            if quality is Quality.SMOOTH:
                pixels = await self._frames.smooth(lambda: self._revision == revision)
            else:
                found = _Shown(self._frames.picture(), self._session.renderer.pose(), self._frames.resolution)
                worse = self._quality is Quality.ROUGH and quality is not Quality.ROUGH
                if not worse and found.same(self._shown):
                    self._session.mark_drawn()
                    await asyncio.sleep(_SHORTEST)
                    return
                pixels = self._frames.draw(quality, found.what)
                self._shown = found
        except Exception as error:  # noqa: BLE001 - the page reports any error and keeps running
            self._quality, self._shown = quality, None
            self._failed(error)
            return
        if pixels is None:
            # If it was interrupted, and nothing has changed, it is smoothed later.
            self._quality = quality if self._revision == revision else self._quality
            return
        self._quality = quality
        self._session.mark_drawn()
        content, media = await asyncio.to_thread(encode, pixels, quality)
        height, width = pixels.shape[:2]
        self.pages.send(content, media, (width, height), start)
        await asyncio.sleep(max(0.0, start + _SHORTEST - time.monotonic()))

    def _continue_flight(self) -> None:
        if self._flight is None:
            return
        flight, start = self._flight
        pose, arrived = flight.at(time.monotonic() - start)
        self._session.renderer.look(pose)
        self._flight = None if arrived else self._flight
        self._revision += 1

    def _set_camera(self) -> None:
        if not self._camera_set_by_user:
            session = self._session
            session.renderer.look(session.own_pose(self._frames.aspect, self.scene))

    async def _wait_for_change(self, seconds: float | None) -> bool:
        """Wait for a change; returns whether there was one in time."""
        # `asyncio.wait_for` of Python 3.11 loses a cancellation that arrives together with the change.
        try:
            async with asyncio.timeout(None if seconds is None else max(seconds, 0.001)):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    def _mark_moving(self) -> None:
        self._moved_at = time.monotonic()

    def _since_moved(self) -> float:
        return time.monotonic() - self._moved_at
