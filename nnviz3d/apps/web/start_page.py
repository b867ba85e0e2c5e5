"""Pages that trame's server lacks: the start page, the loading page and the address of the websocket."""

from __future__ import annotations

import html
import re
from pathlib import Path

from aiohttp import web
from trame_client.module import vue3

from nnviz3d.apps.web.security import Gate

STATIC = Path(__file__).parent / "static"
_FONTS = Path(__file__).parents[2] / "render" / "fonts"

MODULE = {
    "serve": {"nnviz3d_web": str(STATIC), "nnviz3d_fonts": str(_FONTS)},
    "styles": ["nnviz3d_web/style.css"],
    "scripts": ["nnviz3d_web/keys.js", "nnviz3d_web/upload.js", "nnviz3d_web/live.js"],
}
"""Styles and scripts that trame serves and loads beside its own."""


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
            raise web.HTTPSeeOther(f"/?secret={gate.token}")
        response = web.Response(text=start, content_type="text/html", headers={"Cache-Control": "no-store"})
        response.set_cookie(gate.cookie, gate.token, httponly=True, samesite="Strict")
        return response

    async def loading(_request: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "loading.html")

    async def session(request: web.Request) -> web.Response:
        # trame's page first asks for the address of its websocket; without an answer the browser logs an error.
        return web.json_response({"sessionURL": f"ws://{request.host}/ws"})

    async def opened(request: web.Request) -> web.Response:
        if not gate.redeem(request.match_info["ticket"]):
            return web.Response(status=403, text="This address worked once; open the one that nnviz3d printed.\n")
        raise web.HTTPSeeOther(f"/?secret={gate.token}")

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


def _start_page(template: Path, title: str) -> str:
    text = template.read_text(encoding="utf-8")
    text = re.sub(r"<title>.*?</title>", lambda _: f"<title>{html.escape(title)}</title>", text, flags=re.DOTALL)
    text = re.sub(r'<link rel="icon"[^>]*>', '<link rel="icon" href="nnviz3d_web/icon.svg">', text)
    # Dark before the styles are loaded.
    return text.replace("<body>", '<body style="background: #07090d">')
