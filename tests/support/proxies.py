"""Programs between a browser and a server: a forwarded port, and reverse proxies as hubs and web servers have them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

_HOP_BY_HOP = {"connection", "upgrade", "keep-alive", "transfer-encoding", "te", "trailer"}
_OF_HANDSHAKE = {"sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "sec-websocket-protocol"}


@dataclass(frozen=True)
class ReverseProxy:
    """A web server that passes all requests below a path on to a port of this machine.

    Parameters
    ----------
    target
        The port.
    path
        The path, which begins with a slash and does not end with one; empty for all requests.
    strips
        Whether it removes the path from the addresses that it passes on.
    keeps_host
        Whether it passes on the browser's host header; else the server gets its own address.
    websockets
        Whether it passes on websockets.
    tls
        Certificate of the proxy; `None` for http.
    """

    target: int
    path: str = ""
    strips: bool = True
    keeps_host: bool = True
    websockets: bool = True
    tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def run(self) -> AsyncIterator[int]:
        """Serve at a free port, whose number is given."""
        async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as client:

            async def handle(request: web.Request) -> web.StreamResponse:
                upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
                return await (self._join if upgrade and self.websockets else self._pass)(client, request)

            application = web.Application(client_max_size=2**26)
            application.router.add_route("*", (self.path or "/") + "{rest:.*}", handle)
            async with _listening(application, self.tls) as port:
                yield port

    def _url(self, request: web.Request) -> URL:
        raw = request.raw_path.removeprefix(self.path) if self.strips else request.raw_path
        return URL(f"http://127.0.0.1:{self.target}/{raw.removeprefix('/')}", encoded=True)

    def _headers(self, request: web.Request, left_out: set[str]) -> dict[str, str]:
        left_out = left_out if self.keeps_host else {*left_out, "host"}
        return {name: value for name, value in request.headers.items() if name.lower() not in left_out}

    async def _pass(self, client: aiohttp.ClientSession, request: web.Request) -> web.Response:
        headers = self._headers(request, _HOP_BY_HOP)
        async with client.request(
            request.method, self._url(request), headers=headers, data=await request.read(), allow_redirects=False
        ) as answer:
            response = web.Response(status=answer.status, body=await answer.read())
            for name, value in answer.headers.items():
                if name.lower() not in {*_HOP_BY_HOP, "content-length", "content-type"}:
                    response.headers.add(name, value)
            response.headers["Content-Type"] = answer.headers.get("Content-Type", "text/plain")
            return response

    async def _join(self, client: aiohttp.ClientSession, request: web.Request) -> web.StreamResponse:
        headers = self._headers(request, _HOP_BY_HOP | _OF_HANDSHAKE)
        try:
            inner = await client.ws_connect(self._url(request), headers=headers, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            return web.Response(status=error.status)
        outer = web.WebSocketResponse(max_msg_size=0)
        await outer.prepare(request)
        await _either(_relay(outer, inner), _relay(inner, outer))
        await inner.close()
        await outer.close()
        return outer


@dataclass(frozen=True)
class ForwardedPort:
    """A port that passes all bytes on to another port, as ``ssh -L`` and ``docker run -p`` do."""

    target: int

    @asynccontextmanager
    async def run(self) -> AsyncIterator[int]:
        """Listen at a free port, whose number is given."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
            with contextlib.suppress(ConnectionError):
                await _either(_copy(reader, inner_writer), _copy(inner_reader, writer))
            for one in (writer, inner_writer):
                one.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


@dataclass(frozen=True)
class Site:
    """A web server with one page, the same at every path."""

    page: str

    @asynccontextmanager
    async def run(self) -> AsyncIterator[int]:
        """Serve at a free port, whose number is given."""

        async def handle(_request: web.Request) -> web.Response:
            return web.Response(text=self.page, content_type="text/html")

        application = web.Application()
        application.router.add_route("*", "/{rest:.*}", handle)
        async with _listening(application, None) as port:
            yield port


@contextmanager
def running(*programs: ReverseProxy | ForwardedPort | Site) -> Iterator[list[int]]:
    """Run programs in a thread; gives their ports."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runs: list[AbstractAsyncContextManager[int]] = [program.run() for program in programs]
    try:
        yield [asyncio.run_coroutine_threadsafe(run.__aenter__(), loop).result(30) for run in runs]
    finally:
        for run in runs:
            asyncio.run_coroutine_threadsafe(run.__aexit__(None, None, None), loop).result(30)
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


@asynccontextmanager
async def _listening(application: web.Application, tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _relay(
    source: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
    sink: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
) -> None:
    async for message in source:
        if message.type == aiohttp.WSMsgType.BINARY:
            await sink.send_bytes(message.data)
        elif message.type == aiohttp.WSMsgType.TEXT:
            await sink.send_str(message.data)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _either(*coroutines: object) -> None:
    tasks = [asyncio.ensure_future(one) for one in coroutines]  # type: ignore[arg-type]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
