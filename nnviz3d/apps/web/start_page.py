"""Pages that trame's server lacks: the start page and the loading page.

All addresses are relative to the page, because a proxy may put any host, port and path before them.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web
from trame_client.module import vue3

from nnviz3d.apps.web.base_path import BasePath
from nnviz3d.apps.web.refusal import Refusal
from nnviz3d.apps.web.security import Gate

STATIC = Path(__file__).parent / "static"
_PACKAGE = Path(__file__).parents[2]

MODULE = {
    "serve": {
        "nnviz3d_web": str(STATIC),
        "nnviz3d_client": str(_PACKAGE / "client" / "static"),
        "nnviz3d_fonts": str(_PACKAGE / "render" / "fonts"),
    },
    "styles": ["nnviz3d_client/pages.css", "nnviz3d_web/style.css"],
    "scripts": [
        f"nnviz3d_web/{name}.js"
        for name in ("message", "keys", "upload", "picture", "live", "saves", "enclose", "paint", "navigation")
    ],
}
"""Styles and scripts that trame serves and loads beside its own."""
_ADD_SLASH = """
if (!/(\\/|\\/index\\.html)$/.test(location.pathname)) {
  const whole = new URL(location.href);
  whole.pathname += "/";
  location.replace(whole.href);
}
"""
"""Script for a proxy that shows the page at a path without a slash at its end, to which nothing can be relative.

The new address is a whole one: a path that begins with two slashes would name another host.
"""
_USED = Refusal("This address worked once; open the one that nnviz3d printed.")


def add_pages(application: web.Application, gate: Gate, *, title: str) -> None:
    """Add the pages and the gate to a server that does not run yet.

    Parameters
    ----------
    title
        The title of the browser's tab.
    """
    start = _start_page(Path(vue3.www) / "index.html", title)

    async def page(request: web.Request) -> web.StreamResponse:
        if "secret" not in request.query:
            # trame's page removes the secret from its address; after a reload the cookie carries it.
            query = [(name, value) for name, value in request.query.items() if name != "secret"]
            raise web.HTTPSeeOther(f"./?{urlencode([('secret', gate.token), *query])}")
        response = web.Response(text=start, content_type="text/html", headers={"Cache-Control": "no-store"})
        gate.give_cookie(request, response)
        return response

    async def loading(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "loading.html")

    async def session(_request: web.Request) -> web.Response:
        # trame's page first asks for the address of its websocket. Null lets it take the one beside its own address, which
        # has the page's scheme, host and path; an error would be logged by the browser.
        return web.json_response(None)

    async def opened(request: web.Request) -> web.Response:
        if not gate.redeem(request.match_info["ticket"]):
            return _USED.answer(request)
        raise web.HTTPSeeOther(f"../?secret={gate.token}")

    application.middlewares.append(gate.middleware)
    application.add_routes(
        [
            web.get("/", page),
            web.get("/index.html", page),
            web.get("/loading.tpl", loading),
            web.post("/paraview/", session),
            web.get("/open/{ticket}", opened),
        ]
    )
    if gate.public.base_path:
        application.router.register_resource(BasePath(gate.public.base_path, application))


def _start_page(template: Path, title: str) -> str:
    text = template.read_text(encoding="utf-8")
    text = re.sub(r"<title>.*?</title>", lambda _: f"<title>{html.escape(title)}</title>", text, flags=re.DOTALL)
    text = re.sub(r'<link rel="icon"[^>]*>', '<link rel="icon" href="nnviz3d_web/icon.svg">', text)
    text = text.replace("<head>", f"<head><script>{_ADD_SLASH}</script>", 1)
    text = text.replace("<script src", '<script src="nnviz3d_web/connection.js"></script><script src', 1)
    # Dark before the styles are loaded.
    return text.replace("<body>", '<body style="background: #07090d">')
