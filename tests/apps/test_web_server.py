"""Tests of the server without a browser: access, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import html
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgpack
import pytest

from nnviz3d.apps.web.ports import choose_port
from nnviz3d.errors import UserError
from tests.apps.conftest import Served
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


def get(url: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    async def ask() -> tuple[int, str, dict[str, str]]:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status, await answer.text(errors="replace"), dict(answer.headers)

    return asyncio.run(ask())


def greet(served: Served, secret: str, **headers: str) -> Any:
    """Open the websocket, send the secret, and return the answer."""

    async def ask() -> Any:
        hello = {"wslink": "1.0", "id": "system:0", "method": "wslink.hello", "args": [{"secret": secret}]}
        packed = msgpack.packb(hello)
        head = b"".join(n.to_bytes(4, "little") for n in (1, 0, len(packed)))
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"ws://127.0.0.1:{served.port}/ws", headers=headers) as connection,
        ):
            await connection.send_bytes(head + packed)
            answer = await connection.receive_bytes(timeout=20)
            return msgpack.unpackb(answer[12:])

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def served(small_capture) -> Iterator[Served]:
    server = Served(str(small_capture.path))
    yield server
    server.end()


def test_page_opens_with_the_token(served):
    status, text, headers = get(served.url)
    assert status == 200
    assert 'id="app"' in text
    assert headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")
    assert headers["Set-Cookie"] == f"nnviz3d-{served.port}={served.token}; HttpOnly; SameSite=Strict"


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/?secret=", "/?secret=wslink-secret", "/index.html?secret=wrong"]
)
def test_page_is_refused_without_the_token(served, path):
    status, text, _ = get(f"{served.base}{path}")
    assert status == 403
    assert served.token not in text


def test_cookie_of_an_opened_page_replaces_the_token(served):
    assert get(served.base, Cookie=f"nnviz3d-{served.port}={served.token}")[0] == 200
    assert get(served.base, Cookie=f"nnviz3d-{served.port}=wrong")[0] == 403


def test_websocket_opens_with_the_token(served):
    assert "result" in greet(served, served.token)


@pytest.mark.parametrize("secret", ["", "wrong", "wslink-secret", "vtkweb-secret"])
def test_websocket_is_refused_without_the_token(served, secret):
    answer = greet(served, secret)
    assert "result" not in answer
    assert "Authentication" in answer["error"]["message"]


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:{port}", "localhost.evil.example:{port}", "evil.localhost", "192.0.2.1"),
        *("localhost:1@evil.example", "x@localhost", "localhost:x", "localhost/", "localhost?x"),
        *("[::2]:{port}", "[::1%x]", ""),
    ],
)
def test_foreign_host_is_refused(served, host):
    name = host.format(port=served.port)
    assert get(served.url, Host=name)[0] == 403
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        greet(served, served.token, Host=name)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (
            {"Host": "gpu.example:9000"},
            ("'gpu.example:9000'", "-L {port}:localhost:{port}", "--origin http://gpu.example:9000"),
        ),
        ({"Host": "hub.example", "X-Forwarded-Proto": "https"}, ("--origin https://hub.example.",)),
        ({"Host": "x" * 5000}, ("ssh -N -L {port}:localhost:{port}",)),
        ({"Origin": "https://hub.example:8443"}, ("--origin https://hub.example:8443.",)),
        ({"Origin": "null"}, ("in a tab of its own",)),
    ],
)
def test_refusal_names_the_right_command(served, headers, words):
    told = {name: value.format(port=served.port) for name, value in headers.items()}
    status, text, _ = get(served.url, **told)
    assert status == 403
    for word in words:
        assert word.format(port=served.port) in text
    assert len(text) < 700
    assert text.count("\n") == 1
    assert served.token not in text


@pytest.mark.parametrize("host", ["localhost:{port}", "[::1]:{port}", "127.0.0.1", "LocalHost:9000", "127.0.0.2:9000"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_loopback_names_are_accepted_at_any_port(served, host, scheme):
    name = host.format(port=served.port)
    assert get(served.url, Host=name)[0] == 200
    assert "result" in greet(served, served.token, Host=name, Origin=f"{scheme}://{name}")


@pytest.mark.parametrize("host", ["x$(reboot)", "a b", "a'b", "<script>", "-o", "ünı", "a;b"])
def test_refusal_puts_no_foreign_text_into_a_command_or_into_html(served, host):
    status, page, headers = get(served.url, Host=host, Accept="text/html")
    assert status == 403
    assert headers["Content-Type"].startswith("text/html")
    assert headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert "--origin" not in page
    assert "<script" not in page
    assert not host.isascii() or host in html.unescape(page)
    assert served.token not in page


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1",
        "http://localhost:{port}",
        "ftp://127.0.0.1:{port}",
        "http:",
        "",
    ],
)
def test_foreign_origin_is_refused(served, origin):
    page = origin.format(port=served.port)
    assert get(served.url, Origin=page)[0] == 403
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        greet(served, served.token, Origin=page)


@pytest.mark.parametrize(
    "path",
    ["/../../../../etc/passwd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/nnviz3d_web/..%2f..%2fapp.py", "//etc/passwd"],
)
def test_files_outside_the_package_are_not_served(served, path):
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: raw.recv(65536), b""))
    assert re.match(rb"HTTP/1.1 4\d\d ", answer)


def test_no_command_line_contains_the_secret(served):
    if not Path("/proc").is_dir():
        pytest.skip("This system has no /proc")
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert served.token.encode() not in entry.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_server_stops_cleanly_on_a_signal(small_capture, number):
    server = Served(str(small_capture.path))
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?secret=[\w-]{20,}", server.url)
    assert get(server.url)[0] == 200
    code, rest, errors = server.end(number)
    assert code == 0
    assert rest == ""
    assert errors in server.notices


def test_taken_port_is_reported_in_a_sentence(small_capture):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "nnviz3d", "serve", "--no-open", str(small_capture.path), "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"Port {port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_requested_port_is_used(small_capture):
    port = choose_port("127.0.0.1", 0)
    server = Served(str(small_capture.path), "--port", str(port))
    assert server.port == port
    server.end()


def test_without_a_requested_port_the_next_free_one_is_chosen():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of other tests may linger there

        def bound() -> int:
            """Return the next free port, taken; 0 if a server of another test took it meanwhile."""
            port = choose_port("127.0.0.1", None)
            with contextlib.suppress(OSError):
                other.bind(("127.0.0.1", port))
                return port
            return 0

        first = wait_until(bound, "a free port is taken", patience=60, pause=0.05)
        other.listen()
        assert choose_port("127.0.0.1", None) > first


def test_unknown_host_is_reported_in_a_sentence():
    with pytest.raises(UserError, match=r"There is no host 'no\.such\.host\.invalid'"):
        choose_port("no.such.host.invalid", None)


def test_messages_without_the_token_print_nothing(small_capture):
    server = Served(str(small_capture.path))

    async def misbehave() -> None:
        async with aiohttp.ClientSession() as session:
            for message in (b"", b"nonsense", bytes(12) + b"\xc1", b"\0" * 8 + b"\xff" * 4 + b"x"):
                async with session.ws_connect(f"ws://127.0.0.1:{server.port}/ws") as connection:
                    await connection.send_bytes(message)
                    await connection.send_str("text")
                    await asyncio.sleep(0.2)

    asyncio.run(misbehave())
    assert get(server.url)[0] == 200
    code, rest, errors = server.end()
    assert (code, rest) == (0, "")
    assert errors in server.notices
