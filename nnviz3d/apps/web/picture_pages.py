"""Pages that show the server's picture: each tells which one it has displayed, and gets no more than it can display.

A page displays pictures at its own rate, whatever the network's buffers accept. So a picture is drawn only if a page has
room for it, and a slower page gets the newest one when it has room again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from wslink import register
from wslink.websocket import LinkProtocol

TOPIC = "nnviz3d.picture"
"""Name of the messages between page and server."""
_WINDOW = 2
"""Pictures on the way to a page: one is decoded and displayed while the next one is drawn. By 1, a drag of the digits on
two cores shows a third less."""


class PublishPicture(Protocol):
    """Sends a message to a page."""

    def __call__(self, topic: str, data: Any, *, client_id: str) -> None:
        """Send; `client_id` is the page."""


@dataclass(frozen=True)
class SentPicture:
    """An encoded picture.

    Attributes
    ----------
    number
        Grows from picture to picture.
    content, media
        The bytes and their media type.
    width, height
        In pixels.
    began
        When the server began to draw it, in seconds of its monotonic clock.
    """

    number: int
    content: bytes
    media: str
    width: int
    height: int
    began: float


@dataclass
class _Page:
    waiting: list[SentPicture] = field(default_factory=list)
    behind: bool = False
    displayed_at: float = float("-inf")


class PicturePages:
    """The pages and what is on the way to each.

    Parameters
    ----------
    clock
        Returns seconds.
    room
        Called when a page has room for a picture again.
    """

    def __init__(self, *, clock: Callable[[], float], room: Callable[[], None]) -> None:
        self._clock = clock
        self._room = room
        self._publish: PublishPicture | None = None
        self._pages: dict[str, _Page] = {}
        self._last: SentPicture | None = None
        self._number = 0

    def connect(self, publish: PublishPicture) -> None:
        """Set the function that sends messages."""
        self._publish = publish

    def __len__(self) -> int:
        return len(self._pages)

    @property
    def has_room(self) -> bool:
        """Whether a page has room for another picture."""
        return any(len(page.waiting) < _WINDOW for page in self._pages.values())

    def add(self, client: str, *, last: bool) -> bool:
        """Add a page that shows the picture; returns whether it gets the last one.

        It gets none if there is none yet, or if no page was there until now: the last one may be old.

        Parameters
        ----------
        last
            Whether the last picture suits the page.
        """
        idle = not self._pages
        if client not in self._pages:
            self._pages[client] = _Page()
        if idle or not last or self._last is None:
            return False
        self._send(client, self._pages[client], self._last)
        return True

    def leave(self, client: str) -> None:
        """Forget a page."""
        self._pages.pop(client, None)
        self._room()

    def send(self, content: bytes, media: str, size: tuple[int, int], began: float) -> None:
        """Send a picture to all pages that have room; the others get it or a later one when they have."""
        self._number += 1
        self._last = SentPicture(self._number, content, media, *size, began)
        for client, page in self._pages.items():
            self._send(client, page, self._last)

    def displayed(self, client: str, number: object) -> float | None:
        """Note that a page has displayed a picture.

        Returns
        -------
        The seconds that the picture took while the page waited for nothing else: since the page displayed the one before
        it. `None` if the page had displayed that one before this one was begun, so that nothing can be concluded.

        Raises
        ------
        ValueError
            If the page was not sent that picture, or has reported it before.
        """
        page = self._pages.get(client)
        numbers = [] if page is None else [one.number for one in page.waiting]
        if page is None or type(number) is not int or number not in numbers:
            raise ValueError("The page reports a picture that it was not sent.")
        at, now = numbers.index(number), self._clock()
        picture = page.waiting[at]
        before, page.displayed_at = page.displayed_at, now
        del page.waiting[: at + 1]  # a page displays the newest of those that it has decoded
        if page.behind and self._last is not None:
            page.behind = False
            self._send(client, page, self._last)
        self._room()
        return now - before if picture.began <= before else None

    def _send(self, client: str, page: _Page, picture: SentPicture) -> None:
        if len(page.waiting) >= _WINDOW:
            page.behind = True
            return
        page.waiting.append(picture)
        if self._publish is not None:
            message = {
                "number": picture.number,
                "content": picture.content,
                "media": picture.media,
                "width": picture.width,
                "height": picture.height,
            }
            self._publish(TOPIC, message, client_id=client)


class PictureProtocol(LinkProtocol):  # type: ignore[misc]
    """Passes the pages' reports on. wslink calls `receive`.

    Parameters
    ----------
    pages
        Gets the function that sends pictures.
    displayed
        Called with each report, a page and what it sent as the picture's number.
    last_sender
        Returns the page that sent the last message.
    """

    def __init__(
        self,
        pages: PicturePages,
        displayed: Callable[[str, object], None],
        *,
        last_sender: Callable[[], str | None],
    ) -> None:
        super().__init__()
        self._displayed = displayed
        self._last_sender = last_sender
        pages.connect(lambda topic, data, *, client_id: self.publish(topic, data, client_id=client_id))

    @register(TOPIC)  # type: ignore[untyped-decorator]
    def receive(self, *sent: Any, **_: Any) -> dict[str, str]:
        """Handle a page's report; the answer says why it is refused."""
        try:
            self._displayed(self._last_sender() or "", sent[0] if len(sent) == 1 else None)
        except ValueError as error:
            return {"refused": str(error)}
        return {}
