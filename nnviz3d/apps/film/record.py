"""`record`: write a film into a file, or into a folder of pictures. Drawing and encoding overlap."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from nnviz3d.apps.film.description import film_of
from nnviz3d.apps.film.drawing import FrameDrawing, drawing_of
from nnviz3d.apps.film.drawing_pool import processes_for
from nnviz3d.apps.film.encoded import MP4, WEBM, EncodedFilm
from nnviz3d.apps.film.formats import ENDINGS, ending_of, is_frame_folder
from nnviz3d.apps.film.frame_folder import FrameFolder, check_folder
from nnviz3d.apps.film.frame_range import FilmScene
from nnviz3d.apps.film.gif import GifFilm
from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.apps.film.writer_thread import FilmWriter
from nnviz3d.apps.snapshot import require_graphics
from nnviz3d.apps.target import check_output
from nnviz3d.data.capture import is_capture
from nnviz3d.data.files.paths import exists, is_folder
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import UserError
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec
from nnviz3d.scene.tours.make_tour import TourKind
from nnviz3d.scene.view_spec import LONGEST
from nnviz3d.stopping import DelayedSignals

_LARGEST = 3840 * 2160
_FASTEST = {".gif": 50}
"""Most frames per second of some formats: browsers play faster animations slowly."""
_MOST_FPS = 120
Progress = Callable[[int, int], None]


def check_film(
    out: Path, *, size: tuple[int, int] | None = None, fps: int | None = None, seconds: float | None = None
) -> None:
    """Refuse a film that cannot be recorded, before any work.

    Raises
    ------
    UserError
        If the name ends otherwise, the folder cannot be written to, or a number is out of range.
    """
    if is_frame_folder(out):
        _check_folder(out)
        check_folder(out)
    else:
        if out.suffix.lower() not in ENDINGS:
            raise UserError(f"-o {out}: a film ends in {', '.join(ENDINGS)}; a folder of pictures has no ending.")
        check_output(out, ENDINGS)
    if size is not None and (min(size) < 64 or max(size) > 3840 or size[0] * size[1] > _LARGEST):
        raise UserError(f"--size: a film is 64x64 to 3840x2160 pixels; got {size[0]}x{size[1]}.")
    most = _FASTEST.get(out.suffix.lower(), _MOST_FPS)
    if fps is not None and not 1 <= fps <= most:
        raise UserError(f"--fps: this film can have 1 to {most} frames a second; got {fps}.")
    if seconds is not None and not 0.1 <= seconds <= LONGEST:  # NaN too
        raise UserError(f"--seconds: a film lasts 0.1 to {LONGEST:g} seconds; got {seconds:g}.")


def film_size(out: Path, size: tuple[int, int] | None) -> tuple[int, int]:
    """Return the size of a film: the given size, made even if the format needs that."""
    if size is None:
        return (800, 450) if out.suffix.lower() == ".gif" else (1280, 720)
    if is_frame_folder(out) or out.suffix.lower() == ".gif":
        return size
    return size[0] // 2 * 2, size[1] // 2 * 2


def film_rate(out: Path, fps: int | None) -> int:
    """Return the number of frames a second of a film: the given one, or the usual one of the format."""
    return fps or (15 if out.suffix.lower() == ".gif" else 30)


def record(
    spec: SceneSpec,
    capture: CaptureReader,
    out: Path,
    *,
    tour: TourKind | None = None,
    size: tuple[int, int] | None = None,
    fps: int | None = None,
    seconds: float | None = None,
    selection: Selection | None = None,
    trajectory: EmbeddingTrajectory | None = None,
    progress: Progress | None = None,
    processes: int | None = None,
    draws: Callable[[FilmScene, str], FrameDrawing] | None = None,
) -> None:
    """Record a film, whole or not at all; the same input gives the same frames.

    Parameters
    ----------
    out
        ``.mp4``, ``.webm`` or ``.gif``; any other name is a folder of PNG, in which an interrupted film is continued.
    tour
        By default the scene's own, or along the layers if it has none.
    size
        Width and height in pixels; by default 1280 x 720, for ``.gif`` 800 x 450. Odd ones lose a pixel in ``.mp4`` and
        ``.webm``.
    fps
        Frames a second; by default 30, for ``.gif`` 15.
    seconds
        Length; by default it depends on the network.
    trajectory
        The points of a recorded training at each step; by default those that the capture holds.
    progress
        Is called with the number of frames drawn and the number of all frames.
    processes
        Number of processes that draw; by default one for each core, and fewer for a short film. The frames do not depend
        on it.
    draws
        Returns what draws a film, given the ending of its name, in place of processes on this machine.

    Raises
    ------
    UserError
        If the film cannot be recorded, or the system refuses to write it.
    """
    check_film(out, size=size, fps=fps, seconds=seconds)
    if draws is None:
        require_graphics()
    even = film_size(out, size)
    rate = film_rate(out, fps)
    film = FilmScene(
        spec,
        capture,
        selection or Selection(),
        tour=tour,
        size=even,
        fps=rate,
        seconds=seconds,
        trajectory=trajectory,
    )
    count = len(film.moments)
    ending = ending_of(out)
    drawing = draws(film, ending) if draws else drawing_of(film, ending, processes or processes_for(count, even))
    try:
        with ExitStack() as stack, DelayedSignals() as signals:
            sink = sink_of(out, film, rate)
            # Entered at once, because only the writer discards the sink's files.
            writing = stack.enter_context(FilmWriter(sink, drawing.developed))
            needed = sink.order(count)
            existing = count - len(needed)
            for done, (number, raw) in enumerate(drawing.frames(needed, signals.check), existing + 1):
                writing.put(number, raw)
                if progress is not None:
                    progress(done, count)
                signals.check()
            if progress is not None and not needed:
                progress(count, count)
    except OSError as error:
        raise UserError(f"Cannot write {out}: {error.strerror or error}.") from None
    finally:
        with DelayedSignals():
            drawing.close()


def _check_folder(out: Path) -> None:
    """Refuse a folder that cannot be made or written to."""
    parent = out.absolute().parent
    if exists(out) and not is_folder(out):
        raise UserError(f"Cannot write {out}: it is a file; a film ends in {', '.join(ENDINGS)}.")
    if is_capture(out):
        raise UserError(f"Cannot write {out}: it is a capture; give another folder, or a name in {', '.join(ENDINGS)}.")
    if not is_folder(parent):
        raise UserError(f"Cannot write {out}: the folder {out.parent} does not exist.")
    if not os.access(out if exists(out) else parent, os.W_OK):
        raise UserError(f"Cannot write {out}: permission denied.")


def sink_of(out: Path, film: FilmScene, fps: int) -> FrameSink:
    """Return the receiver of a film's frames; its files are removed by `discard` alone."""
    match ending_of(out):
        case "":
            return FrameFolder(out, film_of(film))
        case ".gif":
            return GifFilm(out, film.size, fps)
        case ".webm":
            return EncodedFilm(out, WEBM, film.size, fps)
        case _:
            return EncodedFilm(out, MP4, film.size, fps)
