"""The picture on the page, drawn here: one loop draws whatever is new, and never more than the network takes.

Measured on two cores with software OpenGL and Chromium beside it, dragging 1280 x 720: trame-vtk's VtkRemoteView shows
6 to 9 pictures a second (12 at half size), trame-rca's own scheduler 5 to 7, trame-rca with this loop 15 to 18, each
within 0.1 s of the hand, and a full picture 0.2 s after its end. So: trame-rca's page component, and this loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from nnviz3d.apps.session import Session
from nnviz3d.apps.turntable import Turntable
from nnviz3d.apps.web.frames import FOLLOWING, PLAYING, Frames, Quality, pack, png

AREA = "view"
"""Name under which page and server speak of the picture."""
_TOPIC = "trame.rca.topic.stream"
"""The name under which trame-rca's page expects pictures."""
_QUIET = 0.15
"""Seconds without motion after which the picture counts as standing."""
_HELD = 0.4
"""The same while a button is held: a hand that rests for a moment goes on."""
_SETTLED = 0.15
"""Seconds that a full picture stands before edges are smoothed."""
_STALLED = 5.0
"""Seconds to wait for a network that takes nothing."""
_TURNS = 16
"""Turns of the event loop to wait for the network before sleeping."""
_SHORTEST = 1 / 45
"""Seconds between two pictures at least."""


class RemoteView:
    """What the page's picture talks to: trame-rca calls the methods that carry its names.

    Parameters
    ----------
    session
        What is shown.
    failed
        Is told why the session could not be drawn.
    ticked
        Is told whenever the clock of a playing scene has moved.
    clicked
        Is told where a click went, in pixels of the renderer's picture from its upper left corner.
    asker
        Returns the page that sent the last message.
    """

    area_name = AREA

    def __init__(
        self,
        session: Session,
        *,
        failed: Callable[[Exception], None],
        ticked: Callable[[], None],
        clicked: Callable[[tuple[float, float]], None],
        asker: Callable[[], str | None],
    ) -> None:
        self._session = session
        self._failed = failed
        self._ticked = ticked
        self._clicked = clicked
        self._asker = asker
        self._last: dict[str, Any] | None = None
        self._frames = Frames(session)
        self._turntable = Turntable()
        self._streamer: Any = None
        self._wake = asyncio.Event()
        self._revision = 0
        self._stirred = float("-inf")
        self._advanced: float | None = None
        self._by_hand = False

    # What the rest of the application calls.

    def changed(self, *, moving: bool = False) -> None:
        """Show the session anew; `moving` if more is likely to follow at once."""
        if moving:
            self._stir()
        self._revision += 1
        self._wake.set()

    def home(self) -> None:
        """Go back to the scene's own view."""
        self._by_hand = False
        self.changed()

    def picture(self) -> bytes:
        """Draw the present picture with smooth edges; returns a PNG."""
        self._look()
        return png(self._frames.still())

    # What trame-rca calls.

    def set_streamer(self, streamer: Any) -> None:
        """Take the other end of the connection."""
        self._streamer = streamer
        self._wake.set()

    def update_size(self, _origin: str, size: Mapping[str, float]) -> None:
        """Follow the page's size; a page that has just opened sends its size, and needs a picture in any case.

        If the size is unchanged, that page gets the present picture, which no other page is sent again.
        """
        other = self._frames.resize(float(size["w"]), float(size["h"]), float(size.get("p", 1.0)))
        if other or self._last is None or self._streamer is None:
            self.changed()
        else:
            self._streamer.publish(_TOPIC, self._last, client_id=self._asker())

    def on_interaction(self, _origin: str, event: Mapping[str, Any]) -> None:
        """Follow the hand."""
        before = self._turntable.held
        pose = self._turntable.follow(event, self._session.renderer.pose(), self._frames.size)
        if pose is not None:
            self._by_hand = True
            self._session.renderer.look(pose)
            self.changed(moving=True)
        elif before and not self._turntable.held:
            self._stirred = float("-inf")
            self._wake.set()
        if self._turntable.click is not None:
            (x, y), (width, height) = self._turntable.click, self._frames.size
            across, down = self._session.renderer.size
            self._clicked((x / width * across, (1 - y / height) * down))

    def reset(self) -> None:
        """Do nothing: pictures do not build on each other."""

    def video_codecs(self) -> list[str]:
        """Offer no video."""
        return []

    def negotiate_video(self, _codecs: list[str]) -> dict[str, str]:
        """Refuse video."""
        return {"error": "not-a-video-stream"}

    # The loop.

    async def run(self) -> None:
        """Draw whatever is new, for ever."""
        drawn, quality = -1, Quality.SMOOTH
        while True:
            self._wake.clear()
            self._advance()
            rest = (_HELD if self._turntable.held else _QUIET) - self._since_stirred()
            moving = self._session.moving or rest > 0
            if self._revision != drawn:
                wanted = Quality.ROUGH if moving else Quality.FULL
            elif moving or quality is Quality.SMOOTH:
                await self._woken(rest if moving else None)
                continue
            elif quality is Quality.ROUGH:
                wanted = Quality.FULL
            elif await self._woken(_SETTLED):
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
            self._look()
            if quality is Quality.SMOOTH:
                pixels = await self._frames.smooth(lambda: self._revision == revision)
            else:
                pixels = self._frames.draw(quality)
        except Exception as error:  # noqa: BLE001 - whatever it is, the page says so and lives on
            self._failed(error)
            return
        if pixels is None:
            return
        self._session.mark_drawn()
        content, media = await asyncio.to_thread(pack, pixels, quality)
        height, width = pixels.shape[:2]
        meta = {"type": media, "codec": "", "w": width, "h": height, "st": int(time.time() * 1000), "key": "key"}
        self._last = {"name": AREA, "meta": meta, "content": content}
        self._streamer.publish(_TOPIC, self._last)
        await self._sent()
        if quality is Quality.ROUGH or not self._frames.experienced:
            self._frames.learn(time.monotonic() - start, width * height)
        await asyncio.sleep(max(0.0, start + _SHORTEST - time.monotonic()))

    def _look(self) -> None:
        if not self._by_hand:
            session = self._session
            session.renderer.look(session.scene.camera(session.clock.t, aspect=self._frames.aspect))

    def _advance(self) -> None:
        """Let the session's clock follow the real one, from the first frame of a moving scene on."""
        now, before = time.monotonic(), self._advanced
        self._advanced = now if self._session.moving else None
        if self._advanced is not None and before is not None and self._session.advance(now - before):
            self._revision += 1
            self._ticked()

    async def _sent(self) -> None:
        """Wait until the network has taken what there is, so that pictures never queue up."""
        monitor = self._streamer.coreServer.network_monitor
        deadline = time.monotonic() + _STALLED
        turns = 0
        while monitor.pending and time.monotonic() < deadline:
            # On one machine a few turns of the event loop are enough, and much less than the shortest sleep.
            turns += 1
            await asyncio.sleep(0 if turns < _TURNS else 0.002)

    async def _woken(self, seconds: float | None) -> bool:
        """Wait for something new; returns whether it came in time."""
        try:
            await asyncio.wait_for(self._wake.wait(), None if seconds is None else max(seconds, 0.001))
        except TimeoutError:
            return False
        return True

    def _stir(self) -> None:
        self._stirred = time.monotonic()

    def _since_stirred(self) -> float:
        return time.monotonic() - self._stirred
