"""Files between page and server while the user paints: the sample's picture, and the paint over it."""

from __future__ import annotations

import asyncio
import io
import shutil
from pathlib import Path

from aiohttp import web
from PIL import Image

from nnviz3d.apps.painting import NOTHING_TO_PAINT, PAINT_FORMATS
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.sample_files import receive, refused
from nnviz3d.apps.web.security import PRIVATE
from nnviz3d.data.files.picture_files import read_paint
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
        return _png(Image.fromarray(canvas.picture))

    async def paint(_request: web.Request) -> web.StreamResponse:
        canvas = painting.canvas
        if canvas is None or canvas.overlay is None:
            return web.Response(status=204)
        overlay = canvas.overlay
        if painting.received(overlay):
            if not overlay.is_file():
                return web.Response(status=204)
            return web.FileResponse(overlay, headers={"Cache-Control": "no-store", "Content-Type": "image/png"})
        # A capture names this file, and captures of strangers may name any file: only pixels of the canvas' size are sent.
        try:
            image = await asyncio.to_thread(read_paint, overlay, canvas.size)
        except UserError:
            return web.Response(status=204)
        return _png(image)

    async def painted(request: web.Request) -> web.Response:
        runner = page.session.queries.runner
        if runner is None:
            return refused("There is no model to run on the painted picture.")
        path = runner.new_folder() / _NAME
        problem: str | None = "The paint has not arrived whole."
        try:
            problem = await take(request, path)
        finally:
            if problem is not None:
                await asyncio.to_thread(shutil.rmtree, path.parent, ignore_errors=True)
        if problem is not None:
            return refused(problem)
        page.refresh()
        return web.json_response({"overlay": path.parent.name})

    async def take(request: web.Request, path: Path) -> str | None:
        """Store the paint of a request and paint with it; returns why that is refused, `None` if it is not."""
        try:
            size = await receive(request, path, _LARGEST)
        except OSError as error:
            return f"The paint cannot be stored: {error.strerror or error}."
        if size is None:
            return f"The paint is larger than {_LARGEST >> 20} MB."
        canvas = painting.canvas
        if canvas is None:
            return NOTHING_TO_PAINT
        try:
            image = await asyncio.to_thread(read_paint, path, canvas.size, formats=PAINT_FORMATS)
            # Another sample may be chosen while the paint is on its way.
            if request.query.get("position") != str(page.session.samples.chosen):
                return "Another sample is shown than the one that was painted over; the last stroke is left out."
            painting.paint(path, image, goes_on=request.query.get("goes_on") == "1")
        except UserError as error:
            return str(error)
        return None

    application.add_routes(
        [
            web.get(f"{PRIVATE}{{position:\\d{{1,7}}}}/picture", picture),
            web.get(f"{PRIVATE}paint", paint),
            web.post(f"{PRIVATE}paint", painted),
        ]
    )


def _png(image: Image.Image) -> web.Response:
    out = io.BytesIO()
    image.save(out, "PNG")
    return web.Response(body=out.getvalue(), content_type="image/png", headers={"Cache-Control": "no-store"})
