"""An exported page that was edited or damaged, or that is opened with a hostile address: it says so, and nothing else."""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from nnviz3d.apps.export.html.document import document
from tests.support.exported import ExportedPage
from tests.support.player import shown, until

MOST_TEXT = 1 << 28
"""Bytes that a pack of words may hold."""
COUNT_BYTES = """
globalThis.bytesRead = 0;
const { read } = ReadableStreamDefaultReader.prototype;
ReadableStreamDefaultReader.prototype.read = async function () {
  const next = await read.call(this);
  if (!next.done) globalThis.bytesRead += next.value.length;
  return next;
};
"""
"""Script that counts what the page decompresses."""


@pytest.fixture
def visits() -> Iterator[tuple[str, list[bytes]]]:
    """An address on this machine, and the first bytes of each request to it."""
    found: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, suppress(OSError):  # a browser may connect before it knows that it may not ask
                    connection.settimeout(2)
                    if request := connection.recv(100):
                        found.append(request)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", found
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


INJECTED = """
<script>globalThis.hacked = "script";</script>
<script type="module">globalThis.hacked = "module";</script>
<script src="{there}/script.js"></script>
<img src="{there}/img.png" onerror="globalThis.hacked = 'handler'">
<svg onload="globalThis.hacked = 'svg'"></svg>
<iframe src="{there}/frame"></iframe><iframe srcdoc="<script>parent.hacked = 'srcdoc'</script>"></iframe>
<object data="{there}/object"></object><embed src="{there}/embed"><video src="{there}/video"></video>
<link rel="stylesheet" href="{there}/style.css"><link rel="prefetch" href="{there}/prefetch">
<style>body {{ display: none }} @import "{there}/import.css";</style>
<p id="styled" style="background: url({there}/background.png)">styled</p>
<base href="{there}/"><form id="form" action="{there}/form"><input name="a" value="b"></form>
<a id="link" href="javascript:globalThis.hacked='link'">link</a>
"""
TRIES = """async (there) => {
  const settled = (one, loaded) =>
    new Promise((done, failed) => Object.assign(one, { [loaded]: done, onerror: failed }));
  const image = Object.assign(new Image(), { src: `${there}/image` });
  const tries = {
    fetch: () => fetch(`${there}/fetch`),
    image: () => settled(image, "onload"),
    socket: () => settled(new WebSocket(there.replace("http", "ws")), "onopen"),
    worker: () => settled(new Worker(`${there}/worker.js`), "onmessage"),
    markup: () => { document.body.innerHTML += "<b>"; },
    code: () => Function("globalThis.hacked = 'code'")(),
  };
  const worked = [];
  for (const [name, attempt] of Object.entries(tries)) {
    try { await attempt(); worked.push(name); } catch {}
  }
  navigator.sendBeacon(`${there}/beacon`, "secret");
  document.getElementById("form").submit();
  document.getElementById("link").click();
  return worked;
}"""


def test_content_that_was_added_to_an_exported_page_does_not_run(webgl, bundled_page, tmp_path, visits):
    there, found = visits
    text = bundled_page("structure").read_text()
    (tmp_path / "x.html").write_text(text.replace("</body>", f"{INJECTED.format(there=there)}</body>"))
    context = webgl.new_context(viewport={"width": 960, "height": 600})
    try:
        page = context.new_page()
        page.goto((tmp_path / "x.html").as_uri())
        until(page, "globalThis.nnviz3d !== undefined && !globalThis.nnviz3d.file.more")
        assert page.evaluate(TRIES, there) == []
        page.wait_for_timeout(300)
        assert page.url.startswith("file:")
        assert page.evaluate("[globalThis.hacked, document.baseURI.startsWith('file:')]") == [None, True]
        assert page.evaluate("getComputedStyle(document.body).display") != "none"
        assert page.evaluate("getComputedStyle(document.getElementById('styled')).backgroundImage") == "none"
        assert found == []
    finally:
        context.close()


@pytest.mark.parametrize(
    "title", ["{script}{style}", "<!-- packs -->{policy}{title}", "</title><script>alert(1)</script>"]
)
def test_title_is_never_a_place_of_the_document(title):
    head = next(document(title, []))
    parts = re.findall(r"<script|<style|Content-Security-Policy", next(document("T", [])))
    assert re.findall(r"<script|<style|Content-Security-Policy", head.replace("<script>alert(1)", "")) == parts
    assert len(head) < len(next(document("T", []))) + 5 * len(title) + 5


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def words_changed(change: Callable[[Any], None]) -> Callable[[dict[str, str]], None]:
    """Change the words of the page."""

    def edit(packs: dict[str, str]) -> None:
        words = json.loads(zlib.decompress(base64.b64decode(packs["pack-0"])))
        change(words)
        packs["pack-0"] = packed(zlib.compress(json.dumps(words).encode()))

    return edit


def table_changed(change: Callable[[Any], None]) -> Callable[[dict[str, str]], None]:
    """Change the first table of frames."""

    def edit(packs: dict[str, str]) -> None:
        words = json.loads(zlib.decompress(base64.b64decode(packs["pack-1"])))
        change(words)
        packs["pack-1"] = packed(zlib.compress(json.dumps(words).encode()))

    return edit


def bomb(name: str, megabytes: int) -> Callable[[dict[str, str]], None]:
    """Replace a pack by a small one that holds far more than it should."""

    def edit(packs: dict[str, str]) -> None:
        packing, zeros = zlib.compressobj(1), bytes(1 << 20)
        packs[name] = packed(b"".join(packing.compress(zeros) for _ in range(megabytes)) + packing.flush())

    return edit


EDITS = {
    "bomb of words": bomb("pack-0", 400),
    "bomb of arrays": bomb("pack-2", 400),
    "no base64": lambda packs: packs.update({"pack-2": "<!-- -->"}),
    "deep JSON": lambda packs: packs.update({"pack-0": packed(zlib.compress(b"[" * 10**6))}),
    "other format": words_changed(lambda words: words.update(format="<b>2</b>")),
    "no parts": words_changed(lambda words: words.update(parts=[])),
    "no samples": words_changed(lambda words: words.update(samples=[])),
    "no fonts": words_changed(lambda words: words.update(fonts=[10**9])),
    "huge array": words_changed(lambda words: words["parts"][0]["arrays"][0].__setitem__(1, [10**9, 10**9])),
    "unknown array": words_changed(lambda words: words["parts"][0]["arrays"][0].__setitem__(0, "__proto__")),
    "endless moments": table_changed(lambda words: words["table"].update(runs=[10**9])),
    "unknown records": table_changed(lambda words: words["table"].update(frames=[[10**9]])),
    "record of itself": table_changed(lambda words: words["records"].__setitem__(0, {"like": 0})),
}
SAID = "[...document.querySelectorAll('#opening, #message:not([hidden])')].map((one) => one.innerText).join('')"


def test_edited_file_says_what_is_wrong_in_one_sentence(webgl, bundled_page, tmp_path):
    whole = bundled_page("structure").read_text()
    intact = ExportedPage(bundled_page("structure")).html.texts
    context = webgl.new_context(viewport={"width": 640, "height": 400}, offline=True)
    context.add_init_script(COUNT_BYTES)
    page, wrong, read = context.new_page(), {}, {}
    for name, edit in EDITS.items():
        packs = {key: text for key, text in intact.items() if key.startswith("pack-")}
        edit(packs)
        text = re.sub(r'(id="(pack-\d+)">)[^<]*', lambda found, packs=packs: found[1] + packs[found[2]], whole)
        (tmp_path / "x.html").write_text(text)
        page.goto((tmp_path / "x.html").as_uri())
        until(page, f"!/^(Opening .*)?$/s.test({SAID})")
        sentence, read[name] = page.evaluate(f"[{SAID}, globalThis.bytesRead]")
        if not (sentence.endswith(".") or "cannot be shown: " in sentence) or page.locator("b").count():
            wrong[name] = sentence
    context.close()
    assert wrong == {}
    assert 0 < read["bomb of arrays"] < 64 << 20
    assert 0 < read["bomb of words"] < MOST_TEXT + (4 << 20)


HOSTILE_VIEWS = [
    "1~l__proto__",
    "1~lconstructor",
    "1~qtoString~chasOwnProperty",
    "1~x__proto__,0,0",
    "1~xconv2d,999999999999999,0,0",
    "1~xconv2d,0,0,0,0,0,0",
    "1~xdense",
    "1~pNaN,0,0,0,0,0",
    "1~p0,0,0,0,0,0",
    "1~p1000000000,1000000000,1000000000,-1000000000,0,0",
    "1~p0.00000001,0,0,0,0,0",
    "1~k1",
    "1~t3600",
    "1~s999999999999999",
    "1~~",
    "1~w" + ",".join(["a"] * 2500),
    "1" + "~l" * 5000,
    "%00%ff~%",
    "1~l!ED!A0!80",
    "__proto__[x]=1",
]


def test_hostile_view_is_a_sentence_or_nothing_and_the_page_goes_on(webgl, bundled_page):
    path = bundled_page("digits")
    with shown(webgl, path) as page:
        before = page.evaluate("Object.keys(Object.prototype).length")
        for view in HOSTILE_VIEWS:
            page.evaluate("(view) => { nnviz3d.say(''); location.hash = `#view=${view}`; }", view)
            page.wait_for_timeout(30)
            said, numbers = page.evaluate(
                "[document.getElementById('message').innerText, nnviz3d.viewer.pose.position]"
            )
            assert said == "" or said.endswith("."), (view, said)
            assert all(isinstance(value, int | float) and abs(value) < 1e10 for value in numbers), view
        page.locator(".sample").nth(1).click()
        assert page.evaluate("nnviz3d.state.sample") == 1
        assert page.evaluate("Object.keys(Object.prototype).length") == before
