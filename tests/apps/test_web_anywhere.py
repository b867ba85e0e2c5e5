"""Browser tests of the page behind forwarded ports, proxies and hubs, and inside frames; and of pages that are refused.

Chromium resolves all names below ``localhost`` to the loopback, so ``hub.localhost`` is a site of its own.
"""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.apps.conftest import Served
from tests.support.browser import SHOWS_WHOLE_PICTURE, serving, text, wait_until
from tests.support.proxies import ForwardedPort, ReverseProxy, Site, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Frame, Page, WebSocket

pytestmark = pytest.mark.chromium

HUB = "hub.localhost"
PATH = "/user/Anna/proxy/8080"
HINTS = "nnviz3d_hints"
"""The cookie of a page whose hints were shown."""
_THUMBNAIL = "() => [...document.querySelectorAll('#sample img')].some((one) => one.complete && one.naturalWidth > 0)"
NOTEBOOK = "<body><h1>notebook</h1><iframe id=f width=1000 height=650></iframe></body>"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A certificate that nobody but its own server has signed."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={HUB} -keyout key.pem -out certificate.pem"
    subprocess.run([openssl, *words.split()], cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1000, "height": 700}, ignore_https_errors=True)
    yield context.new_page()
    context.close()


def shows_the_picture(frame: Page | Frame) -> None:
    wait_until(lambda: frame.evaluate(SHOWS_WHOLE_PICTURE), "the page shows the picture")


def works(frame: Page | Frame) -> None:
    """Check the picture, a thumbnail, and a key that changes the sample."""
    shows_the_picture(frame)
    wait_until(lambda: frame.evaluate(_THUMBNAIL), "a thumbnail is shown")
    before = text(frame, "#sample")
    frame.evaluate("window.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }))")
    wait_until(lambda: text(frame, "#sample") != before, "another sample is shown")
    wait_until(lambda: frame.evaluate(_THUMBNAIL), "its thumbnail is shown")


def loads_again(page: Page, served: Served) -> None:
    """Check a reload, for which only the cookie has the secret."""
    assert served.token not in page.url
    page.reload()
    shows_the_picture(page)


def refused(page: Page, address: str, served: Served) -> str:
    """Open an address that is refused; returns what the page says."""
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 403
    assert served.token not in page.content()
    return page.locator("main").inner_text()


def test_page_works_at_a_forwarded_port(page, served):
    with running(ForwardedPort(served.port)) as (port,):
        page.goto(f"http://localhost:{port}/?secret={served.token}")
        works(page)
        loads_again(page, served)
        assert {cookie["name"] for cookie in page.context.cookies()} == {f"nnviz3d-{port}", HINTS}


def test_two_servers_at_forwarded_ports_keep_their_own_cookies(page, served, other):
    with running(ForwardedPort(served.port), ForwardedPort(other.port)) as (one, two):
        second = page.context.new_page()
        page.goto(f"http://localhost:{one}/?secret={served.token}")
        shows_the_picture(page)
        second.goto(f"http://localhost:{two}/?secret={other.token}")
        shows_the_picture(second)
        loads_again(page, served)
        loads_again(second, other)


@pytest.fixture(scope="module")
def other(small_capture) -> Iterator[Served]:
    yield from serving(str(small_capture.path))


@pytest.fixture(scope="module")
def behind(digits_folder: Path, tls: ssl.SSLContext) -> Iterator[tuple[Served, dict[str, int]]]:
    """A server that knows its proxies; the ports of the proxies by what they do, and that of a notebook."""
    from nnviz3d.apps.web.ports import choose_port

    port = choose_port("127.0.0.1", 0)
    stripping = ReverseProxy(port, PATH, tls=tls)
    keeping = ReverseProxy(port, PATH, strips=False, tls=tls)
    renaming = ReverseProxy(port, PATH, keeps_host=False, tls=tls)
    with running(stripping, keeping, renaming, Site(NOTEBOOK)) as ports:
        named = dict(zip(("stripping", "keeping", "renaming", "notebook"), ports, strict=True))
        origins = [word for n in ports[:3] for word in ("--origin", f"https://{HUB}:{n}")]
        notebook = f"http://notebook.localhost:{named['notebook']}"
        arguments = [*origins, "--origin", notebook, "--base-path", PATH, "--port", str(port)]
        for server in serving(str(digits_folder), *arguments):
            yield server, named


@pytest.mark.parametrize("kind", ["stripping", "keeping", "renaming"])
def test_page_works_behind_a_proxy_with_tls_and_a_path(page, behind, kind):
    served, ports = behind
    asked: list[str] = []
    sockets: list[WebSocket] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: sockets.append(socket))
    page.goto(f"https://{HUB}:{ports[kind]}{PATH}/?secret={served.token}")
    works(page)
    loads_again(page, served)
    assert {socket.url for socket in sockets} == {f"wss://{HUB}:{ports[kind]}{PATH}/ws"}
    outside = [url for url in asked if not url.startswith((f"https://{HUB}:{ports[kind]}{PATH}/", "blob:", "data:"))]
    assert not outside
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert cookies.pop(HINTS)["path"].startswith(PATH), "other programs behind the proxy do not get it"
    (cookie,) = cookies.values()
    assert cookie["path"] == PATH


def test_base_path_without_its_slash_leads_to_the_page(page, behind):
    served, _ = behind
    page.goto(f"{served.base}{PATH}?secret={served.token}")
    shows_the_picture(page)
    assert urlsplit(served.url).path == urlsplit(page.url).path == f"{PATH}/"


def test_page_in_a_frame_of_another_site_needs_only_its_address(page, behind):
    served, ports = behind
    page.goto(f"http://notebook.localhost:{ports['notebook']}/")
    with page.expect_event("framenavigated"):
        page.evaluate("address => { document.getElementById('f').src = address }", served.url.replace(PATH, ""))
    frame = page.frames[-1]
    shows_the_picture(frame)
    with page.expect_event("framenavigated"):
        frame.evaluate("setTimeout(() => location.reload())")
    shows_the_picture(page.frames[-1])
    page.context.clear_cookies()
    works(page.frames[-1])


def test_path_without_its_slash_behind_a_proxy_that_strips_it(page, served):
    with running(ReverseProxy(served.port, PATH, strips=True)) as (port,):
        page.goto(f"http://localhost:{port}{PATH}?secret={served.token}")
        page.wait_for_url(f"http://localhost:{port}{PATH}/*")
        shows_the_picture(page)


def test_path_that_begins_like_a_host_never_leads_to_another_host(page, served):
    with running(ReverseProxy(served.port, "//evil.example/x", strips=True)) as (port,):
        page.goto(f"http://localhost:{port}//evil.example/x?secret={served.token}")
        page.wait_for_url(f"http://localhost:{port}//evil.example/x/*")


def test_page_in_a_frame_without_leave_says_what_to_type(page, served):
    with running(Site(NOTEBOOK)) as (port,):
        page.goto(f"http://notebook.localhost:{port}/")
        page.evaluate("address => { document.getElementById('f').src = address }", served.url)
        said = page.frame_locator("#f").locator("main")
        wait_until(lambda: said.count() == 1, "the frame says something")
        assert "not shown inside a page of another address" in said.inner_text()
        assert f"--origin http://notebook.localhost:{port}" in said.inner_text()


@pytest.mark.parametrize(
    ("host", "changes", "words"),
    [
        (HUB, {"keeps_host": False}, "--origin http://{host}:{port}."),
        ("localhost", {"websockets": False}, "must pass on websockets"),
    ],
    ids=["not given", "without websockets"],
)
def test_proxy_that_lets_no_connection_through_is_named_on_the_page(page, served, host, changes, words):
    with running(ReverseProxy(served.port, **changes)) as (port,):
        page.goto(f"http://{host}:{port}/?secret={served.token}")
        said = page.locator("#no-connection")
        wait_until(lambda: said.count() == 1, "the page says something")
        assert words.format(host=host, port=port) in said.inner_text()


def test_rebound_name_is_refused(page, served):
    said = refused(page, served.url.replace("127.0.0.1", "evil.localhost"), served)
    assert f"names 'evil.localhost:{served.port}' as its host" in said
    assert f"--origin http://evil.localhost:{served.port}" in said


@pytest.mark.parametrize("query", ["", "?secret=", "?secret=wrong", "?secret=%3Cscript%3E"])
def test_wrong_secret_is_refused(page, served, query):
    assert "lacks the right secret" in refused(page, f"{served.base}/{query}", served)


STEAL = """async ({ host, secret }) => {
  const got = [];
  for (const path of ['?secret=' + secret, 'samples/0/thumbnail?secret=' + secret, 'vue.global.js']) {
    try {
      got.push(await (await fetch(`http://${host}/${path}`, { credentials: 'include' })).text());
    } catch { }
  }
  const socket = new WebSocket(`ws://${host}/ws`);
  await new Promise((done) => {
    socket.onopen = () => { got.push('open'); done(); };
    socket.onclose = done;
  });
  return got;
}"""


@pytest.mark.parametrize("name", ["evil.localhost", "localhost"])
def test_page_of_another_site_or_port_reads_nothing_and_opens_no_websocket(page, served, name):
    page.goto(served.url)
    shows_the_picture(page)  # the browser holds the cookie
    with running(Site("<body>evil</body>")) as (port,):
        thief = page.context.new_page()
        thief.goto(f"http://{name}:{port}/")
        for host in (f"localhost:{served.port}", f"127.0.0.1:{served.port}"):
            assert thief.evaluate(STEAL, {"host": host, "secret": served.token}) == []
        assert re.search("evil", thief.content())
