"""Animated GIFs with one palette for all frames."""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from numcodecs.zstd import Zstd  # type: ignore[import-untyped]
from numpy.typing import NDArray

from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.apps.whole_files import PartialFile
from nnviz3d.processors import processors
from nnviz3d.stopping import DelayedSignals

_CORES = processors()
_PALETTE = "max_colors=128:reserve_transparent=1"
_NEAREST = "dither=none"
"""Each pixel gets the nearest colour. Ordered dither gives larger errors and files, and error diffusion would flicker."""
_LEVEL = 1
"""Level of zstd, which takes a third of the time of zlib's lowest level for equally many bytes."""
_EARLY = 24
"""Least number of frames that give colours to the palette; a film of fewer than twice as many gives those of all."""


class GifFilm(FrameSink):
    """An animation that repeats forever.

    All frames share one palette, so that still colours stay still. Two frames of each second are drawn early: they give
    the palette its colours and are kept, compressed, in an unnamed temporary file. Each of the other frames is converted
    and written as it comes, and so are the kept ones between them.
    """

    def __init__(self, out: Path, size: tuple[int, int], fps: int) -> None:
        self._size, self._fps, self._time_base = size, fps, Fraction(1, fps)
        self._step = 1
        self._kept = tempfile.TemporaryFile(dir=out.absolute().parent)  # noqa: SIM115 - open until the film ends
        self._lengths: deque[tuple[int, int]] = deque()
        self._colors = av.filter.Graph()
        half = {"width": size[0] // 2, "height": size[1] // 2}
        self._source = self._colors.add_buffer(**half, format="rgb24", time_base=self._time_base)
        generator = self._colors.add("palettegen", _PALETTE)
        self._sink = self._colors.add("buffersink")
        self._source.link_to(generator)
        generator.link_to(self._sink)
        self._colors.configure()
        self._partial = PartialFile(out)
        self._film: _ConvertedFilm | None = None

    def order(self, count: int) -> list[int]:
        """Return the early frames, and then all others."""
        self._step = max(1, min(self._fps // 2, count // _EARLY))
        return sorted(range(count), key=lambda number: number % self._step > 0)

    @staticmethod
    def packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame itself, as one piece of memory."""
        return np.ascontiguousarray(pixels)

    def add(self, number: int, packed: NDArray[np.uint8]) -> None:
        """Take colours of an early frame and keep it, or convert and write a frame."""
        early, other = divmod(number, self._step)
        if not other:
            self._add_colors(early, packed)
            self._keep(number, packed)
            return
        film = self._begun()
        while self._lengths and self._lengths[0][0] < number:
            film.add(*self._next_kept())
        film.add(number, packed)

    def finish(self) -> None:
        """Write the remaining frames, and give the file its name."""
        # A signal that interrupts `add` may leave a lock of the pool taken, for which its threads then wait for ever.
        with DelayedSignals() as signals:
            film = self._begun()
            while self._lengths:
                signals.check()
                film.add(*self._next_kept())
            film.finish()
        self._kept.close()
        self._partial.keep()

    def discard(self) -> None:
        """Remove the file."""
        if self._film is not None:
            self._film.stop()
        with suppress(OSError):  # a full disk has no room for the buffered rest
            self._kept.close()
        self._partial.discard()

    def _add_colors(self, early: int, pixels: NDArray[np.uint8]) -> None:
        """Add colours of an early frame, counted from 0, to the palette."""
        # Each frame gives a quarter of its pixels, and any four in a row give all places. The first ones give all of
        # theirs, for films of less than four frames.
        quarters = ((0, 0), (0, 1), (1, 0), (1, 1))
        for row, column in quarters if early < len(quarters) - 1 else (quarters[early % len(quarters)],):
            some = pixels[row::2, column::2][: self._size[1] // 2, : self._size[0] // 2]
            self._source.push(_frame(np.ascontiguousarray(some), early, self._time_base))
            with suppress(av.BlockingIOError):  # a filter takes its frames only when it is asked for a result
                self._sink.pull()

    def _keep(self, number: int, pixels: NDArray[np.uint8]) -> None:
        kept = Zstd(level=_LEVEL).encode(pixels)
        self._kept.write(kept)
        self._lengths.append((number, len(kept)))

    def _next_kept(self) -> tuple[int, NDArray[np.uint8]]:
        """Return the first kept frame and its number, and forget it."""
        number, length = self._lengths.popleft()
        pixels = np.frombuffer(Zstd().decode(self._kept.read(length)), dtype=np.uint8)
        return number, pixels.reshape(self._size[1], self._size[0], 3)

    def _begun(self) -> _ConvertedFilm:
        """Return the film, which begins when the colours of all early frames are known."""
        if self._film is None:
            self._source.push(None)
            self._film = _ConvertedFilm(self._partial, self._sink.pull(), self._size, self._fps)
            self._kept.seek(0)
        return self._film


class _ConvertedFilm:
    """Converts frames to a palette on all cores, few at a time, and writes them in their order."""

    def __init__(self, file: PartialFile, palette: av.VideoFrame, size: tuple[int, int], fps: int) -> None:
        self._palette, self._size, self._time_base = palette, size, Fraction(1, fps)
        self._converters = threading.local()
        self._cores = ThreadPoolExecutor(_CORES)
        self._waiting: deque[Future[av.VideoFrame]] = deque()
        self._container = av.open(file, "w", format="gif", options={"loop": "0"})
        self._stream = self._container.add_stream("gif", rate=fps)
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "pal8"
        self._stream.codec_context.time_base = self._time_base

    def add(self, number: int, pixels: NDArray[np.uint8]) -> None:
        """Convert a frame, and write earlier ones."""
        self._waiting.append(self._cores.submit(self._converted, number, pixels))
        if len(self._waiting) > 2 * _CORES:
            self._write()

    def finish(self) -> None:
        """Write the remaining frames."""
        while self._waiting:
            self._write()
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self.stop()

    def stop(self) -> None:
        """End all threads."""
        self._cores.shutdown(cancel_futures=True)

    def _write(self) -> None:
        self._container.mux(self._stream.encode(self._waiting.popleft().result()))

    def _converted(self, number: int, pixels: NDArray[np.uint8]) -> av.VideoFrame:
        if not hasattr(self._converters, "own"):
            self._converters.own = _Converter(self._palette, self._size, self._time_base)
        found: av.VideoFrame = self._converters.own.convert(_frame(pixels, number, self._time_base))
        return found


def _frame(pixels: NDArray[np.uint8], number: int, time_base: Fraction) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    frame.pts, frame.time_base = number, time_base
    return frame


class _Converter:
    """Converts frames to a palette. Each is converted by itself, so that the result does not depend on the others."""

    def __init__(self, palette: av.VideoFrame, size: tuple[int, int], time_base: Fraction) -> None:
        graph = av.filter.Graph()
        self._frames = graph.add_buffer(width=size[0], height=size[1], format="rgb24", time_base=time_base)
        colors = graph.add_buffer(
            width=palette.width, height=palette.height, format=palette.format.name, time_base=time_base
        )
        use, self._sink = graph.add("paletteuse", _NEAREST), graph.add("buffersink")
        self._frames.link_to(use, 0, 0)
        colors.link_to(use, 0, 1)
        use.link_to(self._sink)
        graph.configure()
        self._graph = graph
        own = av.VideoFrame.from_ndarray(palette.to_ndarray(), format=palette.format.name)
        own.pts, own.time_base = 0, time_base
        colors.push(own)
        colors.push(None)

    def convert(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._frames.push(frame)
        return self._sink.pull()
