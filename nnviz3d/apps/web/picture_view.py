"""The picture on the page: a loop draws each new state on the server, at the rate that the network takes.

Measured on two cores with software OpenGL and Chromium on the same machine, dragging 1280 x 720: trame-vtk's
VtkRemoteView shows 6 to 9 pictures per second (12 at half size), trame-rca's own scheduler 5 to 7, trame-rca with this
loop 15 to 18. Each of these appears within 0.1 s of the mouse event, and a full picture 0.2 s after the last event.
Therefore the page uses trame-rca's component with this loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from nnviz3d.apps.session import Session
from nnviz3d.apps.turntable import Turntable
from nnviz3d.apps.web.frames import FOLLOWING, PLAYING, FrameRenderer, Quality, encode, png
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene

AREA = "view"
"""Name of the picture in messages between page and server."""
_TOPIC = "trame.rca.topic.stream"
"""Topic under which trame-rca's page receives pictures."""
_STILL_AFTER = 0.15
"""Seconds without motion after which the picture counts as still."""
_STILL_AFTER_HELD = 0.4
"""The same while a mouse button is held, since the motion is likely to continue."""
_SMOOTH_AFTER = 0.15
"""Seconds that a full picture is shown before its edges are smoothed."""
_STALLED = 5.0
"""Seconds to wait for a network that accepts no data."""
_ITERATIONS = 16
"""Iterations of the event loop to wait for the network before sleeping."""
_SHORTEST = 1 / 45
"""Least seconds between two pictures."""


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
        self._last: dict[str, Any] | None = None
        self._frames = FrameRenderer(session)
        self._turntable = Turntable()
        self._streamer: Any = None
        self._wake = asyncio.Event()
        self._revision = 0
        self._moved_at = float("-inf")
        self._watching: set[str | None] = set()
        self._camera_set_by_user = False

    # Called by the application.

    def changed(self, *, moving: bool = False) -> None:
        """Draw the session again; `moving` if more changes are likely to follow at once."""
        if moving:
            self._mark_moving()
        self._revision += 1
        self._wake.set()

    def home(self) -> None:
        """Reset the camera to the scene's own view."""
        self._camera_set_by_user = False
        self._session.leave_saved_pose()
        self.changed()

    def look(self, pose: CameraPose) -> None:
        """Move the camera to a pose."""
        self._camera_set_by_user = True
        self._session.renderer.look(pose)
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

    def leave(self, client: str | None) -> None:
        """Stop drawing for a page."""
        self._watching.discard(client)

    # Called by trame-rca.

    def set_streamer(self, streamer: Any) -> None:
        """Set the object that sends pictures to the pages."""
        self._streamer = streamer
        self._wake.set()

    def update_size(self, _origin: str, size: Mapping[str, float]) -> None:
        """Set the size of the picture to that of the page. Each new page sends its size, and needs a picture.

        If the size is unchanged and pictures were drawn for other pages, only that page gets the current one.
        """
        idle = not self._watching
        self._watching.add(self._last_sender())
        self._wake.set()  # the session may have changed while no page was watching
        other = self._frames.resize(float(size["w"]), float(size["h"]), float(size.get("p", 1.0)))
        if idle or other or self._last is None or self._streamer is None:
            self.changed()
        else:
            self._streamer.publish(_TOPIC, self._last, client_id=self._last_sender())

    def on_interaction(self, _origin: str, event: Mapping[str, Any]) -> None:
        """Move the camera by a mouse or touch event, or report a click."""
        before = self._turntable.held
        pose = self._turntable.follow(event, self._session.renderer.pose(), self._frames.size)
        if pose is not None:
            self._camera_set_by_user = True
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
        drawn, quality = -1, Quality.SMOOTH
        while True:
            self._wake.clear()
            if not self._watching:
                await self._wake.wait()
                continue
            self._advance()
            rest = (_STILL_AFTER_HELD if self._turntable.held else _STILL_AFTER) - self._since_moved()
            moving = self._session.moving or rest > 0
            if self._revision != drawn:
                wanted = Quality.ROUGH if moving else Quality.FULL
            elif moving or quality is Quality.SMOOTH:
                await self._wait_for_change(rest if moving else None)
                continue
            elif quality is Quality.ROUGH:
                wanted = Quality.FULL
            elif await self._wait_for_change(_SMOOTH_AFTER):
                continue
            else:
                wanted = Quality.SMOOTH
            if wanted is Quality.ROUGH and quality is not Quality.ROUGH:
                self._frames.start_moving(PLAYING if self._session.moving and rest <= 0 else FOLLOWING)
            drawn, quality = self._revision, wanted
            if self._streamer is not None:
                await self._show(wanted)

    async def _show(self, quality: Quality) -> None:
        start, revision = time.monotonic(), self._revision
        try:
            self._set_camera()
            if quality is Quality.SMOOTH:
                pixels = await self._frames.smooth(lambda: self._revision == revision)
            else:
                pixels = self._frames.draw(quality)
        except Exception as error:  # noqa: BLE001 - the page reports any error and keeps running
            self._failed(error)
            return
        if pixels is None:
            return
        self._session.mark_drawn()
        content, media = await asyncio.to_thread(encode, pixels, quality)
        height, width = pixels.shape[:2]
        meta = {"type": media, "codec": "", "w": width, "h": height, "st": int(time.time() * 1000), "key": "key"}
        self._last = {"name": AREA, "meta": meta, "content": content}
        self._streamer.publish(_TOPIC, self._last)
        await self._sent()
        if quality is Quality.ROUGH or not self._frames.measured:
            self._frames.learn(time.monotonic() - start, width * height)
        await asyncio.sleep(max(0.0, start + _SHORTEST - time.monotonic()))

    def _set_camera(self) -> None:
        if not self._camera_set_by_user:
            session = self._session
            session.renderer.look(session.own_pose(self._frames.aspect, self.scene))

    async def _sent(self) -> None:
        """Wait until the network has taken the last picture, so that pictures never queue up."""
        monitor = self._streamer.coreServer.network_monitor
        deadline = time.monotonic() + _STALLED
        iterations = 0
        while monitor.pending and time.monotonic() < deadline:
            # On one machine a few iterations of the event loop suffice, and take less time than the shortest sleep.
            iterations += 1
            await asyncio.sleep(0 if iterations < _ITERATIONS else 0.002)

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
