"""The scene for pages that draw it themselves: each gets the parts that it lacks, and reports what the user clicks.

A page gets the next frame after it has displayed the last one, so frames never queue up, however slow the page or its
network is. All pages share one encoder: a record or an array has one index for all of them. Small arrays travel with
the frame; large ones are fetched by the page, so that one page's download does not hold up the messages to the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from secrets import token_urlsafe
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.session import Session
from nnviz3d.apps.web.client_messages import Clicked, Message, Shown, Size, Stop, hit_of
from nnviz3d.client.encoding import Encoder, Frame
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Pick, Selection

TOPIC = "nnviz3d.draw"
"""Name of the messages to the pages."""
_SHORTEST = 1 / 45
"""Least seconds between two frames."""
_INLINE = 2**20
"""Most bytes of arrays that travel with a frame."""
_MOST_RECORDS = 20_000
"""Most records that the encoder holds before those that no page shows are forgotten."""
_SPARE = 256 * 2**20
"""Bytes of arrays that the encoder may hold beyond twice what the pages show."""
_REMEMBERED = 2
"""Number of a page's last frames: it may report a click on the one before the last that it was sent."""


class Publish(Protocol):
    """Sends a message to a page."""

    def __call__(self, topic: str, data: Any, *, client_id: str) -> None:
        """Send; `client_id` is the page."""


@dataclass(frozen=True)
class Drawing:
    """One state of the session in one layout.

    Attributes
    ----------
    revision
        The number of the state.
    t, selection
        The moment, and what is selected.
    scene
        The layout, with the numbers of the shown training step.
    frame
        The encoded picture.
    """

    revision: int
    t: float
    selection: Selection
    scene: Scene
    frame: Frame


@dataclass
class ClientPage:
    """One page that draws the scene itself.

    Attributes
    ----------
    size
        Width and height of its picture in pixels of the page.
    revision
        The state of the session that it was sent last.
    waiting
        The number of the frame that it has been sent and has not displayed yet.
    drawings
        Its last frames, by their numbers.
    records, arrays
        The indices that it has.
    gone
        The indices of records and arrays that it has and is to forget.
    enters
        Whether its camera moves to the view of the scene with the next frame, wherever the user has moved it.
    told
        What the last message said of the picture.
    """

    size: tuple[float, float]
    revision: int = -1
    waiting: int | None = None
    drawings: dict[int, Drawing] = field(default_factory=dict)
    records: set[int] = field(default_factory=set)
    arrays: set[int] = field(default_factory=set)
    gone: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    enters: bool = False
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def aspect(self) -> float:
        """Width over height of its picture."""
        return self.size[0] / self.size[1]

    def forget(self, records: Iterable[int], arrays: Iterable[int]) -> None:
        """Note that some indices are gone; the next frame tells the page."""
        for known, lost, told in zip((self.records, self.arrays), (records, arrays), self.gone, strict=True):
            had = known.intersection(lost)
            known -= had
            told.extend(sorted(had))


class ClientViews:
    """Sends the scene to the pages that draw it themselves.

    Parameters
    ----------
    session
        The session to show.
    advance
        Lets the session's time pass.
    failed
        Called with the error if the session cannot be drawn.
    picked
        Called with what a click means.
    """

    def __init__(
        self,
        session: Session,
        *,
        advance: Callable[[], None],
        failed: Callable[[Exception], None],
        picked: Callable[[Pick | None], None],
    ) -> None:
        self._session = session
        self._advance = advance
        self._failed = failed
        self._picked = picked
        self._publish: Publish | None = None
        self._encoder = Encoder()
        self._pages: dict[str, ClientPage] = {}
        self._drawings: dict[int, Drawing] = {}
        self._parcels: dict[str, tuple[str, int, list[NDArray[Any]]]] = {}
        self._wake = asyncio.Event()
        self._revision = self._frames = 0
        self._most_records = _MOST_RECORDS

    # Called by the application.

    def changed(self) -> None:
        """Send the session again."""
        self._revision += 1
        self._wake.set()

    def connect(self, publish: Publish) -> None:
        """Set the function that sends messages."""
        self._publish = publish

    def has(self, client: str | None) -> bool:
        """Whether a page draws the scene itself."""
        return client in self._pages

    def home(self, client: str) -> None:
        """Reset a page's camera to the scene's own view."""
        self._session.leave_saved_pose()
        aspect = self._pages[client].aspect
        pose = self._session.own_pose(aspect, self._session.layouts.scene_for(aspect))
        self._send(client, {"home": True, "home_pose": asdict(pose)})

    def enter(self) -> None:
        """Let the cameras of all pages move to the view of another scene, together with its first frame."""
        for page in self._pages.values():
            page.enters = True

    def stay(self, client: str | None) -> None:
        """Let a page move its camera by itself, although the next frame is of another scene."""
        if client in self._pages:
            self._pages[client].enters = False

    def leave(self, client: str) -> None:
        """Forget a page."""
        self._pages.pop(client, None)
        self._parcels = {key: parcel for key, parcel in self._parcels.items() if parcel[0] != client}

    def parcel(self, key: str) -> list[NDArray[Any]] | None:
        """Return the arrays that a page was told to fetch; `None` if there are none under that key."""
        found = self._parcels.get(key)
        return None if found is None else found[2]

    def receive(self, client: str, message: Message) -> None:
        """Handle a page's message.

        Raises
        ------
        ValueError
            If it does not fit what the page shows.
        """
        if isinstance(message, Size) and message.type == "start":
            self.leave(client)
            self._pages[client] = ClientPage((message.width, message.height))
            self._wake.set()
            return
        page = self._pages.get(client)
        if page is None:
            raise ValueError("The page has not begun to draw.")
        match message:
            case Size():
                page.size, page.revision = (message.width, message.height), -1
                self._wake.set()
            case Shown():
                self._displayed(client, page, message.frame)
            case Clicked():
                self._click(page, message)
            case Stop():
                self.leave(client)

    # The loop.

    async def run(self) -> None:
        """Send each new state, until the task is cancelled."""
        while True:
            self._wake.clear()
            start = time.monotonic()
            if self._pages:
                self._advance()
                self._send_frames()
            await self._wait(_SHORTEST if self._pages and self._session.moving else None)
            await asyncio.sleep(max(0.0, start + _SHORTEST - time.monotonic()) if self._session.moving else 0)

    async def _wait(self, seconds: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    def _send_frames(self) -> None:
        for client, page in tuple(self._pages.items()):
            if page.waiting is not None or page.revision == self._revision:
                continue
            page.revision = self._revision
            try:
                drawing = self._drawing(page.aspect)
                home = self._session.own_pose(page.aspect, drawing.scene)
            except Exception as error:  # noqa: BLE001 - the page reports any error and keeps running
                self._failed(error)
                return
            self._send_frame(client, page, drawing, home)
        self._forget()

    def _drawing(self, aspect: float) -> Drawing:
        session = self._session
        t, selection, layout = session.clock.t, session.selection, session.layouts.scene_for(aspect)
        self._drawings = {key: one for key, one in self._drawings.items() if one.revision == self._revision}
        found = self._drawings.get(id(layout))
        if found is None:
            scene = layout.as_of(t, selection)
            found = Drawing(self._revision, t, selection, scene, self._encoder.frame(scene.at(t, selection)))
            self._drawings[id(layout)] = found
            session.mark_drawn()
        return found

    def _send_frame(self, client: str, page: ClientPage, drawing: Drawing, home: CameraPose) -> None:
        told = {
            "frame": drawing.frame,
            "home_pose": asdict(home),
            "moving": self._session.moving,
            "flies": self._session.tour.moving,
        }
        if told == page.told and not page.enters:
            # Drawing the same picture again would take the processor from a model that runs meanwhile.
            page.drawings[max(page.drawings)] = drawing
            return
        page.told = told
        self._frames += 1
        number, lacking = self._frames, self._encoder.lacking(drawing.frame, page.records, page.arrays)
        page.records.update(lacking.records)
        page.arrays.update(lacking.arrays)
        page.waiting = number
        page.drawings = {**dict([*page.drawings.items()][1 - _REMEMBERED :]), number: drawing}
        arrays = list(lacking.arrays.values())
        size = sum(array.nbytes for array in arrays)
        key = token_urlsafe(12) if size > _INLINE else ""
        if key:
            self._parcels[key] = (client, number, arrays)
        gone, page.gone = page.gone, ([], [])
        enters, page.enters = page.enters, False
        self._send(
            client,
            {
                **told,
                "frame": {"number": number, **drawing.frame},
                "records": [[index, record] for index, record in lacking.records.items()],
                "arrays": [[index, array.dtype.name, list(array.shape)] for index, array in lacking.arrays.items()],
                "content": b"" if key else b"".join(array.tobytes() for array in arrays),
                "parcel": key,
                "size": size,
                "gone": {"records": gone[0], "arrays": gone[1]},
                "enters": enters,
            },
        )

    def _send(self, client: str, message: dict[str, Any]) -> None:
        if self._publish is not None:
            self._publish(TOPIC, message, client_id=client)

    def _forget(self) -> None:
        """Forget what no page shows, once it takes too much room: a training or a long session brings ever more."""
        encoder = self._encoder
        if encoder.count <= self._most_records and encoder.nbytes <= _SPARE:
            return
        shown = [drawing.frame for page in self._pages.values() for drawing in page.drawings.values()]
        shown += [drawing.frame for drawing in self._drawings.values()]
        needed = sum(encoder.array_size(index) for index in encoder.arrays_in(shown))
        if encoder.count <= self._most_records and encoder.nbytes <= 2 * needed + _SPARE:
            return
        gone = encoder.forget(shown)
        self._most_records = max(_MOST_RECORDS, 2 * encoder.count)
        for page in self._pages.values():
            page.forget(gone.records, gone.arrays)

    # Messages.

    def _displayed(self, client: str, page: ClientPage, number: int) -> None:
        if number != page.waiting:
            raise ValueError("The page reports a frame that it was not sent.")
        page.waiting = None
        self._parcels = {key: parcel for key, parcel in self._parcels.items() if parcel[:2] != (client, number)}
        self._wake.set()

    def _click(self, page: ClientPage, message: Clicked) -> None:
        drawing = page.drawings.get(message.frame)
        if drawing is None:
            return  # the picture has changed twice since
        if message.kind is None:
            self._picked(None)
            return
        if message.record not in drawing.frame["primitives"]:
            raise ValueError("The page reported a click on something that it does not show.")
        hit = hit_of(message.kind, self._encoder.primitive_of(message.record), message.part)
        try:
            pick = drawing.scene.pick(hit, drawing.selection)
        except Exception as error:  # noqa: BLE001 - the page reports any error and keeps running
            self._failed(error)
        else:
            self._picked(pick)


def content(arrays: Iterable[NDArray[Any]]) -> Iterable[memoryview]:
    """Yield the bytes of arrays, one after the other."""
    for array in arrays:
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
