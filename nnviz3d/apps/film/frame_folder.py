"""A film as a folder with one picture for each frame; an interrupted film is continued by the same command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.apps.png import encode_png
from nnviz3d.apps.whole_files import whole_file, write_whole
from nnviz3d.data.files.paths import exists, is_folder
from nnviz3d.errors import UserError

MANIFEST = "film.json"
_EFFORT = 1
"""PNG compression level: files a quarter larger than the smallest, in a quarter of the time."""


class FrameFolder(FrameSink):
    """Writes ``frame_00000.png`` and so on. Each file appears when it is complete; existing frames of the film are kept.

    Parameters
    ----------
    out
        The folder; it is made if it does not exist.
    film
        Everything that determines the frames, as JSON; it is written into the folder.

    Raises
    ------
    UserError
        If the folder holds the frames of another film.
    """

    def __init__(self, out: Path, film: Mapping[str, Any]) -> None:
        self._out = out
        check_folder(out)
        manifest = out / MANIFEST
        text = json.dumps(film, indent=1, sort_keys=True) + "\n"
        if manifest.exists():
            found = manifest.read_text(encoding="utf-8", errors="replace")
            if found != text:
                raise UserError(f"{out} holds the frames of another film{_unlike(found, film)}; give another folder.")
            return
        out.mkdir(exist_ok=True)
        try:
            with whole_file(manifest) as file:
                file.write(text.encode())
        except OSError:
            with suppress(OSError):  # the folder holds other files
                out.rmdir()
            raise

    def order(self, count: int) -> list[int]:
        """Return the frames that do not exist yet."""
        return [number for number in range(count) if not self._path(number).exists()]

    @staticmethod
    def packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the bytes of a PNG file."""
        return np.frombuffer(encode_png(pixels, effort=_EFFORT), dtype=np.uint8)

    def add(self, number: int, packed: NDArray[np.uint8]) -> None:
        """Write the file of a frame."""
        write_whole(self._path(number), packed.tobytes())

    def finish(self) -> None:
        """Do nothing: all frames exist."""

    def discard(self) -> None:
        """Do nothing: each existing frame is complete, and a later call keeps it."""

    def _path(self, number: int) -> Path:
        return self._out / f"frame_{number:05d}.png"


def check_folder(out: Path) -> None:
    """Refuse a folder that holds frames of an unknown film, or files other than frames.

    Raises
    ------
    UserError
        If the folder is refused.
    """
    # An empty name, which a shell gives for an unset variable, means the working folder too.
    if out.name in ("", "..") and not exists(out / MANIFEST) and next(out.iterdir(), None) is not None:
        raise UserError(f"-o {out} is a folder that holds other files; name a new folder for the frames, or a film.")
    if is_folder(out) and not exists(out / MANIFEST) and next(out.glob("frame_*.png"), None) is not None:
        raise UserError(f"{out} holds frames of an unknown film, without its {MANIFEST}; give another folder.")


def _unlike(found: str, film: Mapping[str, Any]) -> str:
    """Return the properties in which two films differ, as words; empty if the other manifest cannot be read."""
    try:
        other = json.loads(found)
    except ValueError:
        return ""
    if not isinstance(other, dict):
        return ""
    words = [key for key in film if other.get(key) != film[key]]
    return f" (its {', '.join(words)} differ{'s' * (len(words) == 1)})" if words else ""
