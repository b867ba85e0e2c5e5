"""Files between page and server: thumbnails of samples, and uploaded samples."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from secrets import token_hex

import numpy as np
from aiohttp import web
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.security import PRIVATE
from nnviz3d.data.files.picture_files import HEIC, SUFFIXES, read_image
from nnviz3d.data.sample_sources import expand, thumbnail_of
from nnviz3d.data.source_names import KNOWN, is_picture
from nnviz3d.errors import UserError

RUN = token_hex(4)
"""Part of a thumbnail's address: browsers cache thumbnails, and the next server at this port may have other samples."""
_SIDE = 88
"""Pixels of a thumbnail's longer side: twice its size on the page, for dense screens."""
_LARGEST = 64 * 2**20
"""Most bytes of an uploaded file."""


def add_files(application: web.Application, page: PageContext) -> None:
    """Add the addresses of thumbnails and uploads to a server that does not run yet."""

    async def thumbnail(request: web.Request) -> web.Response:
        position = int(request.match_info["position"])
        samples = page.session.samples
        if position >= len(samples):
            return web.Response(status=404)
        try:
            picture = await asyncio.to_thread(_thumbnail, page.session, samples[position])
        except UserError:
            picture = None  # choosing the sample reports the error
        if picture is None:
            return web.Response(status=204)
        return web.Response(body=picture, content_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    async def upload(request: web.Request) -> web.Response:
        live = page.session.queries.runner
        if live is None:
            return refused("No model is available to run on this file.")
        name = request.query.get("name", "")
        plain = safe_name(name)
        if not plain.lower().endswith((*KNOWN, *HEIC)):
            kinds = ", ".join(sorted(KNOWN - SUFFIXES))
            return refused(
                f"{plain} is no picture that nnviz3d reads ({', '.join(sorted(SUFFIXES))}), and no {kinds} file."
            )
        folder = live.new_folder()
        try:
            size = await receive(request, folder / plain, _LARGEST)
        except OSError as error:
            return refused(f"{plain} cannot be stored: {error.strerror or error}.")
        if size is None:
            return refused(f"{plain} is larger than {_LARGEST >> 20} MB.")
        shapes = page.session.scene.capture.graph.input_shapes
        try:
            if is_picture(folder / plain):
                await asyncio.to_thread(read_image, folder / plain, least=_SIDE)
            found = await asyncio.to_thread(expand, (str(folder / plain),), shapes=shapes)
        except UserError as error:
            (folder / plain).unlink(missing_ok=True)
            return refused(str(error))
        positions = [page.session.samples.add(Sample.of(one, upload=folder / plain)) for one in found]
        if not positions:
            return refused(f"{plain} holds no samples.")
        page.synchronize()
        return web.json_response({"position": positions[0]})

    application.add_routes(
        [web.get(f"{PRIVATE}{{position:\\d{{1,7}}}}/thumbnail", thumbnail), web.post(f"{PRIVATE}new", upload)]
    )


def safe_name(name: str) -> str:
    """Return a safe file name for the name that a browser sends: no path and no special characters."""
    base = re.split(r"[/\\]", name)[-1]
    stem, dot, suffix = base.rpartition(".")
    clean = re.sub(r"[^\w -]+", "_", stem if dot else base).strip(" ._")[:60] or "picture"
    return f"{clean}.{re.sub(r'[^A-Za-z0-9]', '', suffix)[:8].lower()}" if dot else clean


def refused(why: str) -> web.Response:
    """Return the answer to a file that cannot be used, with the reason in a sentence."""
    # Not as an HTTP error, because the browser writes each HTTP error into its console.
    return web.json_response({"problem": why})


async def receive(request: web.Request, path: Path, most: int) -> int | None:
    """Write the body of a request into a file; returns its size in bytes, or `None` if it has more than `most`."""
    size = 0
    try:
        with path.open("xb") as file:
            async for part in request.content.iter_chunked(1 << 16):
                size += len(part)
                if size > most:
                    break
                file.write(part)
    except BaseException:  # the disk is full, or the client has disconnected
        path.unlink(missing_ok=True)
        raise
    if size > most:
        path.unlink()
        return None
    return size


def _thumbnail(session: Session, sample: Sample) -> bytes | None:
    picture: NDArray[np.uint8] | None = None
    if sample.index is not None:
        capture = session.scene.context.capture
        found = (capture.picture(node, sample.index) for node in capture.graph.inputs)
        picture = next((p for p in found if p is not None), None)
    elif sample.source is not None:
        picture = thumbnail_of(sample.source, _SIDE)
    return None if picture is None else thumbnail(picture)


def thumbnail(picture: NDArray[np.uint8]) -> bytes:
    """Return a picture, ``(H, W, 3)``, as a small PNG."""
    image = Image.fromarray(picture)
    image.thumbnail((_SIDE, _SIDE))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
