"""Files between page and server while the user paints: the sample's picture, and the paint over it."""

from __future__ import annotations

import asyncio
import io

import numpy as np
from aiohttp import web
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.sample_files import receive, refused
from nnviz3d.apps.web.security import PRIVATE
from nnviz3d.errors import UserError

_LARGEST = 8 * 2**20
"""Most bytes of the paint."""
_NAME = "paint.png"


def add_paint(application: web.Application, page: PageContext) -> None:
    """Add the addresses of the sample's picture and of the paint to a server that does not run yet."""
    painting = page.session.painting

    async def picture(request: web.Request) -> web.Response:
        canvas = painting.canvas
        if canvas is None or int(request.match_info["position"]) != page.session.samples.chosen:
            return web.Response(status=204)
        return _png(canvas.picture)

    async def paint(_request: web.Request) -> web.StreamResponse:
        overlay = painting.overlay
        if overlay is None or not overlay.is_file():
            return web.Response(status=204)
        return web.FileResponse(overlay, headers={"Cache-Control": "no-store", "Content-Type": "image/png"})

    async def painted(request: web.Request) -> web.Response:
        runner = page.session.queries.runner
        if runner is None:
            return refused("There is no model to run on the painted picture.")
        path = runner.new_folder() / _NAME
        try:
            size = await receive(request, path, _LARGEST)
        except OSError as error:
            return refused(f"The paint cannot be stored: {error.strerror or error}.")
        if size is None:
            return refused(f"The paint is larger than {_LARGEST >> 20} MB.")
        try:
            painting.paint(path, goes_on=request.query.get("goes_on") == "1")
        except UserError as error:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            return refused(str(error))
        page.refresh()
        return web.json_response({"overlay": path.parent.name})

    application.add_routes(
        [
            web.get(f"{PRIVATE}{{position:\\d{{1,7}}}}/picture", picture),
            web.get(f"{PRIVATE}paint", paint),
            web.post(f"{PRIVATE}paint", painted),
        ]
    )


def _png(picture: NDArray[np.uint8]) -> web.Response:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return web.Response(body=out.getvalue(), content_type="image/png", headers={"Cache-Control": "no-store"})
