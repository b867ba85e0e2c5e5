"""Tests of connections without the token: whatever they send, the server keeps serving the page and stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgpack
import pytest

from tests.apps.conftest import Served
from tests.apps.test_web_server import get
from tests.support.processes import memory_of
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

GIGABYTES_4 = 2**32 - 1
PAGES = 20
PICTURE = b"nnviz3d.picture"


@pytest.fixture
def server(small_capture) -> Iterator[Served]:
    """Serve one scene for each test; afterwards the server must stop cleanly and have printed nothing."""
    server = Served(str(small_capture.path))
    yield server
    assert get(server.url)[0] == 200
    code, rest, errors = server.end(signal.SIGINT)
    assert (code, rest) == (0, "")
    assert errors in server.notices


def connect(server: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def ask(server: Served, head: str) -> bytes:
    """Send a request unchanged, and return the whole answer."""
    with connect(server) as raw, contextlib.suppress(ConnectionError):
        raw.sendall(head.format(host=f"127.0.0.1:{server.port}").encode("utf-8", "surrogateescape"))
        return b"".join(iter(lambda: raw.recv(65536), b""))
    return b""


def upgrade(server: Served) -> str:
    return (
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )


def memory(server: Served) -> float:
    return memory_of(server.process.pid) / 2**20


def packed(method: str, *args: Any) -> bytes:
    number = "system:0" if method == "wslink.hello" else "rpc:0"
    message = msgpack.packb({"wslink": "1.0", "id": number, "method": method, "args": list(args)})
    return header(len(message)) + message


async def displayed(page: aiohttp.ClientWebSocketResponse, message: bytes) -> bool:
    """Report a picture as displayed, as a page does; returns whether the message held one."""
    if b"publish:" + PICTURE not in message[:200]:
        return False
    await page.send_bytes(packed("nnviz3d.picture", msgpack.unpackb(message[12:])["result"]["number"]))
    return True


def frame(message: bytes) -> bytes:
    """Wrap a message as a browser does, masked with zeros."""
    return b"\x82\xfe" + len(message).to_bytes(2, "big") + bytes(4) + message


def header(size: int, number: int = 1) -> bytes:
    """Return the beginning of a message in the form of wslink."""
    return b"".join(part.to_bytes(4, "little") for part in (number, 0, size))


def with_pages(server: Served, count: int, talk: Callable[[list[aiohttp.ClientWebSocketResponse]], Awaitable[None]]):
    """Open connections that have sent the token, and run an action on them."""

    async def run() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            pages = []
            for _ in range(count):
                page = await session.ws_connect(f"ws://127.0.0.1:{server.port}/ws", max_msg_size=0)
                await page.send_bytes(packed("wslink.hello", {"secret": server.token}))
                assert b"result" in await page.receive_bytes(timeout=60)
                pages.append(page)
            await talk(pages)

    asyncio.run(run())


@pytest.mark.parametrize(
    "head",
    [
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
        "GET /ws?secret=wrong HTTP/1.1\r\nHost: {host}\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_websocket_address_without_a_handshake_is_refused(served_once: Served, head: str):
    assert ask(served_once, head).startswith(b"HTTP/1.1 426")


def test_pages_that_leave_during_the_handshake_are_forgotten(server: Served):
    for _ in range(10):
        with connect(server) as raw:
            raw.sendall(upgrade(server).encode())


@pytest.mark.parametrize(
    "path",
    [
        *("/index.html/", "//index.html", "/./index.html", "/%69ndex.html", "/index.html//", "/index.html%2f", "/."),
        *("/INDEX.HTML", "/nnviz3d_web/../index.html", "/x/%2e%2e/index.html", "/index.html/.", "//", "/index.html."),
    ],
)
def test_page_under_any_spelling_is_refused_without_the_token(served_once: Served, path: str):
    answer = ask(served_once, f"GET {path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 403", b"HTTP/1.1 404"))
    assert b'id="app"' not in answer


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(f"GET /?secret={'x' * 200_000} HTTP/1.1\r\nHost: {{host}}\r\n\r\n", id="long address"),
        pytest.param(f"GET / HTTP/1.1\r\nHost: {{host}}\r\nX: {'x' * 500_000}\r\n\r\n", id="long header"),
        pytest.param("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: a=\udcff\udcfe\r\n\r\n", id="cookie of no text"),
        pytest.param("GET /?secret=%ff%00 HTTP/1.1\r\nHost: {host}\r\n\r\n", id="secret of no text"),
        pytest.param("GET /open/%ff HTTP/1.1\r\nHost: {host}\r\n\r\n", id="ticket of no text"),
        pytest.param("GET /nnviz3d_web/%00 HTTP/1.1\r\nHost: {host}\r\n\r\n", id="file with a null"),
        pytest.param(f"GET /nnviz3d_web/{'x' * 5000} HTTP/1.1\r\nHost: {{host}}\r\n\r\n", id="file with a long name"),
        pytest.param("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", id="host of no name"),
        pytest.param("GET / HTTP/1.1\r\nHost: {host}:99999999\r\n\r\n", id="host with a port beyond all"),
        pytest.param("POST /samples/new HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9999999999\r\n\r\n", id="body"),
        pytest.param("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="https"),
    ],
)
def test_malformed_requests_are_refused_silently(served_once: Served, head: str):
    head = head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
    assert ask(served_once, head)[:12] in (b"", b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 404", b"HTTP/1.0 400")
    assert get(served_once.url)[0] == 200


@pytest.fixture(scope="module")
def served_once(small_capture) -> Iterator[Served]:
    server = Served(str(small_capture.path))
    yield server
    code, rest, errors = server.end(signal.SIGINT)
    assert (code, rest) == (0, "")
    assert errors in server.notices


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of another process")
def test_announced_messages_of_four_gigabytes_take_no_memory(server: Served):
    before = memory(server)
    with connect(server) as raw:  # the header of a frame, masked as a browser's are
        raw.sendall(upgrade(server).encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 101")
        raw.sendall(b"\x82\xff" + GIGABYTES_4.to_bytes(8, "big") + bytes(4) + bytes(1000))

        async def claim(pages: list[aiohttp.ClientWebSocketResponse]) -> None:
            for page in pages:  # the header of a message, once from each
                await page.send_bytes(header(GIGABYTES_4) + b"x")
            for page in pages:
                await page.receive(timeout=60)

        with_pages(server, 3, claim)
        assert get(server.url)[0] == 200
        assert memory(server) - before < 200


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of another process")
def test_page_that_begins_endless_messages_is_disconnected(server: Served):
    before = memory(server)

    async def begin(pages: list[aiohttp.ClientWebSocketResponse]) -> None:
        (page,) = pages
        with contextlib.suppress(ConnectionError):
            for number in range(2, 200):
                await page.send_bytes(header(4 * 2**20, number) + b"x")
        while not page.closed:
            await page.receive(timeout=60)

    with_pages(server, 1, begin)
    assert memory(server) - before < 200


def test_half_requests_and_idle_connections_do_not_fill_the_server(server: Served):
    half, idle = ("GET / HTTP/1.1\r\nHost: 127.", "")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(server)) for _ in range(300)]
        for number, raw in enumerate(held):
            with contextlib.suppress(ConnectionError):
                raw.sendall((half, idle, upgrade(server))[number % 3].encode())
        assert get(server.url)[0] == 200

        def ended() -> bool:
            """Whether the oldest connection was closed; it sends nothing useful."""
            held[0].settimeout(0.05)
            try:
                return held[0].recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(ended, "the oldest connection is closed", patience=60, pause=0.05)
        assert get(server.url)[0] == 200


def test_all_pages_get_the_same_pictures(server: Served):
    counts = [0] * PAGES

    async def look(pages: list[aiohttp.ClientWebSocketResponse]) -> None:
        async def listen(number: int) -> None:
            async for message in pages[number]:
                counts[number] += await displayed(pages[number], message.data)

        async def until(condition: Callable[[], bool]) -> None:
            while not condition():
                await asyncio.sleep(0.02)

        listening = [asyncio.ensure_future(listen(number)) for number in range(PAGES)]
        size = {"w": 320, "h": 240, "p": 1}
        for number, page in enumerate(pages):
            await page.send_bytes(packed("trame.rca.size", "view", "page", size))
            await asyncio.wait_for(until(lambda n=number: counts[n] > 0), 60)
        assert counts[0] < 8, "a newcomer's picture is for the newcomer alone"
        before = list(counts)
        await pages[-1].send_bytes(packed("trame.trigger", "key", ["play"], {}))
        await asyncio.wait_for(until(lambda: counts[0] > before[0] + 20), 120)
        await pages[-1].send_bytes(packed("trame.trigger", "key", ["play"], {}))
        more = [after - earlier for after, earlier in zip(counts, before, strict=True)]
        assert max(more) - min(more) < 5
        for task in listening:
            task.cancel()

    with_pages(server, PAGES, look)


def test_page_that_reads_nothing_does_not_delay_the_others(server: Served):
    with socket.socket() as lazy:
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.settimeout(60)
        lazy.connect(("127.0.0.1", server.port))
        lazy.sendall(upgrade(server).encode())
        assert lazy.recv(1024).startswith(b"HTTP/1.1 101")
        lazy.sendall(frame(packed("wslink.hello", {"secret": server.token})))
        assert lazy.recv(1)
        for _ in range(500):  # the whole state each time, more than all buffers on the way can hold
            lazy.sendall(frame(packed("trame.state.get")))

        async def look(pages: list[aiohttp.ClientWebSocketResponse]) -> None:
            (page,) = pages
            for width in (320, 321, 322):
                size = {"w": width, "h": 240, "p": 1}
                await page.send_bytes(packed("trame.rca.size", "view", "page", size))
                while not await displayed(page, (await page.receive(timeout=60)).data):
                    pass

        with_pages(server, 1, look)


LATE = """
import sys
import nnviz3d.apps.web.server as server
choose, asked = server.choose_port, []
def chosen(host, port):
    asked.append(port)
    return {taken} if len(asked) == 1 else choose(host, port)
server.choose_port = chosen
from nnviz3d.cli import main
main(["serve", {target!r}, "--no-open"])
"""


def test_server_takes_the_next_port_if_another_program_was_faster(small_capture):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        code = LATE.format(taken=taken, target=str(small_capture.path))
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert f":{taken}/" not in url
        assert get(url)[0] == 200
        process.terminate()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "Traceback" not in errors
