"""The gallery: a folder with a page for each bundled scene, and a page that lists them."""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nnviz3d.apps.export import ExportJob, ExportSettings
from nnviz3d.apps.export.html.document import digest, static
from nnviz3d.apps.export.html.write import write_html
from nnviz3d.apps.export.sizes import size_text
from nnviz3d.apps.open_target import Opened, opened
from nnviz3d.apps.snapshot import snapshot
from nnviz3d.apps.target import ModelOptions, bundled_scenes
from nnviz3d.apps.whole_files import write_whole, writing
from nnviz3d.data.files.paths import exists, is_file, is_folder, listed
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.request import CaptureRequest
from nnviz3d.errors import UserError
from nnviz3d.scene.look_check import selection_of
from nnviz3d.scene.spec import read_scene

INDEX = "index.html"
_POLICY = "default-src 'none'; style-src '{style}'; img-src data:; base-uri 'none'; form-action 'none'"
_SIZE, _SCALE = (1280, 720), 2
"""Size of a scene's picture as it is drawn, and how much smaller it is on the page."""
_SAMPLES = "0:4"
_MADE_BY, _HEAD = b'<meta name="generator" content="nnviz3d">', 2000
"""The words by which the page of an earlier gallery is known, and the number of bytes in which they stand."""


@dataclass(frozen=True)
class _Entry:
    """A line of the gallery's page."""

    name: str
    title: str
    picture: bytes
    size: int


def check_gallery(folder: Path) -> None:
    """Refuse a folder that cannot be made, or that holds something else, before any work.

    Raises
    ------
    UserError
        If the folder is refused.
    """
    if not is_folder(folder.absolute().parent):
        raise UserError(f"Cannot write {folder}: the folder {folder.parent} does not exist.")
    if exists(folder) and not is_folder(folder):
        raise UserError(f"Cannot write {folder}: it is a file; the gallery is a folder.")
    if exists(folder) and not _is_ours(folder):
        raise UserError(f"{folder} holds other files; name a new folder for the gallery.")


def _is_ours(folder: Path) -> bool:
    """Whether a folder is empty, or holds a gallery: its page, or, if it was interrupted, pages of scenes alone.

    Raises
    ------
    UserError
        If the folder or a file in it may not be read.
    """

    def made_here(path: Path) -> bool:
        if path.suffix != ".html" or not is_file(path):
            return False
        with path.open("rb") as file:
            return _MADE_BY in file.read(_HEAD)

    with writing(folder):
        return made_here(folder / INDEX) or all(map(made_here, listed(folder)))


def write_gallery(
    folder: Path, settings: ExportSettings, tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr)
) -> None:
    """Write a page for each bundled scene that has a ready capture, and the page that lists them.

    Parameters
    ----------
    tell
        Receives a sentence on each scene that is left out.
    """
    check_gallery(folder)
    with writing(folder):
        folder.mkdir(exist_ok=True)
        entries = []
        for name, path in bundled_scenes().items():
            source = read_scene(path).source
            if source is None or source.capture is None:
                tell(
                    f"{name} is left out, because it has no ready capture; nnviz3d export {name} -o {name}.html makes one."
                )
                continue
            with opened(name, None, ModelOptions(), _never) as found:
                entries.append(_entry(name, found, folder, settings))
        write_whole(folder / INDEX, _index(entries).encode())


def _entry(name: str, found: Opened, folder: Path, settings: ExportSettings) -> _Entry:
    out = folder / f"{name}.html"
    samples = settings.samples or _SAMPLES
    chosen = selection_of(found.spec.look, found.sample, found.capture)
    write_html(ExportJob(found, chosen, out, ExportSettings(samples, settings.max_size, settings.float16)))
    with temporary_folder() as scratch:
        drawn = scratch / "scene.png"
        snapshot(found.spec, found.capture, drawn, size=_SIZE, selection=chosen, trajectory=found.trajectory)
        small = Image.open(drawn).resize((_SIZE[0] // _SCALE, _SIZE[1] // _SCALE), Image.Resampling.LANCZOS)
    picture = io.BytesIO()
    small.save(picture, format="WEBP", quality=82)
    return _Entry(name, found.spec.title or name, picture.getvalue(), out.stat().st_size)


def _index(entries: list[_Entry]) -> str:
    style = f"\n{static('gallery.css')}"
    items = "\n".join(
        f'<li><a href="{html.escape(one.name)}.html"><img alt="" src="data:image/webp;base64,'
        f'{base64.b64encode(one.picture).decode()}"><span>{html.escape(one.title)}</span>'
        f"<small>{html.escape(one.name)} · {size_text(one.size)}</small></a></li>"
        for one in entries
    )
    page = static("gallery.html").replace("{policy}", _POLICY.format(style=digest(style))).replace("{style}", style)
    return page.replace("<!-- scenes -->", items)


def _never(request: CaptureRequest) -> object:
    """Refuse to run a model: scenes with a ready capture need none."""
    raise ValueError(f"{request.model} was asked to run.")
