"""The format of a film by the ending of its name, and its limits."""

from __future__ import annotations

from pathlib import Path

from nnviz3d.apps.film.encoded import EncodedFilm
from nnviz3d.apps.film.frame_folder import FrameFolder
from nnviz3d.apps.film.gif import GifFilm
from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.data.files.paths import is_folder

_SINKS: dict[str, type[FrameSink]] = {".mp4": EncodedFilm, ".webm": EncodedFilm, ".gif": GifFilm, "": FrameFolder}
ENDINGS = tuple(ending for ending in _SINKS if ending)
"""Endings of films in one file."""


def is_frame_folder(out: Path) -> bool:
    """Whether a film of this name is a folder with one picture for each frame."""
    return is_folder(out) or not out.suffix


def ending_of(out: Path) -> str:
    """Return the ending that tells a film's format; nothing for a folder."""
    return "" if is_frame_folder(out) else out.suffix.lower()


def sink_class(ending: str) -> type[FrameSink]:
    """Return the class that writes films of a format."""
    return _SINKS[ending]
