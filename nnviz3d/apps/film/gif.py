"""Animated GIFs with one palette for all frames and a dither pattern that does not move."""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Iterator
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
_DITHER = "dither=bayer:bayer_scale=5"
"""An ordered dither, which does not move; error diffusion would flicker from frame to frame."""
_LEVEL = 1
"""Level of zstd, which takes a third of the time of zlib's lowest level for equally many bytes."""


class GifFilm(FrameSink):
    """An animation that repeats forever.

    The palette depends on all frames, so the frames are kept, compressed, in an unnamed temporary file until the end.
    """

    def __init__(self, out: Path, size: tuple[int, int], fps: int) -> None:
        self._size, self._fps, self._time_base = size, fps, Fraction(1, fps)
        self._kept = tempfile.TemporaryFile(dir=out.absolute().parent)  # noqa: SIM115 - open until the film ends
        self._lengths: list[int] = []
        self._colors = av.filter.Graph()
        half = {"width": size[0] // 2, "height": size[1] // 2}
        self._source = self._colors.add_buffer(**half, format="rgb24", time_base=self._time_base)
        generator = self._colors.add("palettegen", _PALETTE)
        self._sink = self._colors.add("buffersink")
        self._source.link_to(generator)
        generator.link_to(self._sink)
        self._colors.configure()
        self._partial = PartialFile(out)

    @staticmethod
    def packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the frame itself, as one piece of memory."""
        return np.ascontiguousarray(pixels)

    def add(self, number: int, packed: NDArray[np.uint8]) -> None:
        """Add colours of a frame to the palette, and keep the frame."""
        # Each frame gives a quarter of its pixels, and any four in a row give all places. The first ones give all of
        # theirs, for films of less than four frames.
        quarters = ((0, 0), (0, 1), (1, 0), (1, 1))
        for row, column in quarters if number < len(quarters) - 1 else (quarters[number % len(quarters)],):
            some = packed[row::2, column::2][: self._size[1] // 2, : self._size[0] // 2]
            self._source.push(self._frame(np.ascontiguousarray(some), number))
            with suppress(av.BlockingIOError):  # a filter takes its frames only when it is asked for a result
                self._sink.pull()
        kept = Zstd(level=_LEVEL).encode(packed)
        self._kept.write(kept)
        self._lengths.append(len(kept))

    def finish(self) -> None:
        """Convert all frames to the palette, write them, and give the file its name."""
        self._source.push(None)
        palette = self._sink.pull()
        with av.open(self._partial, "w", format="gif", options={"loop": "0"}) as container:
            stream = container.add_stream("gif", rate=self._fps)
            stream.width, stream.height = self._size
            stream.pix_fmt = "pal8"
            stream.codec_context.time_base = self._time_base
            for frame in self._converted(palette):
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        self._kept.close()
        self._partial.keep()

    def discard(self) -> None:
        """Remove the file."""
        with suppress(OSError):  # a full disk has no room for the buffered rest
            self._kept.close()
        self._partial.discard()

    def _frame(self, pixels: NDArray[np.uint8], number: int) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = number, self._time_base
        return frame

    def _converted(self, palette: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Convert the kept frames to the palette on all cores, few at a time."""
        self._kept.seek(0)
        converters = threading.local()

        def convert(number: int, kept: bytes) -> av.VideoFrame:
            if not hasattr(converters, "own"):
                converters.own = _Converter(palette, self._size, self._time_base)
            width, height = self._size
            pixels = np.frombuffer(Zstd().decode(kept), dtype=np.uint8).reshape(height, width, 3)
            found: av.VideoFrame = converters.own.convert(self._frame(pixels, number))
            return found

        # A signal that interrupts `submit` may leave a lock of the pool taken, for which its threads then wait for ever.
        with ThreadPoolExecutor(_CORES) as cores, DelayedSignals() as signals:
            waiting: deque[Future[av.VideoFrame]] = deque()
            for number, length in enumerate(self._lengths):
                signals.check()
                waiting.append(cores.submit(convert, number, self._kept.read(length)))
                if len(waiting) > 2 * _CORES:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


class _Converter:
    """Converts frames to a palette. Each is converted by itself, so that the result does not depend on the others."""

    def __init__(self, palette: av.VideoFrame, size: tuple[int, int], time_base: Fraction) -> None:
        graph = av.filter.Graph()
        self._frames = graph.add_buffer(width=size[0], height=size[1], format="rgb24", time_base=time_base)
        colors = graph.add_buffer(
            width=palette.width, height=palette.height, format=palette.format.name, time_base=time_base
        )
        use, self._sink = graph.add("paletteuse", _DITHER), graph.add("buffersink")
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
