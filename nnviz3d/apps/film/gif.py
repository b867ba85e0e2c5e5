"""Animated GIFs with one palette for all frames and a dither pattern that does not move."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.apps.whole_files import PartialFile

_PALETTE = "max_colors=128:reserve_transparent=1"
_DITHER = "dither=bayer:bayer_scale=5:diff_mode=rectangle"
"""An ordered dither, which does not move; error diffusion would flicker from frame to frame."""


class GifFilm(FrameSink):
    """An animation that repeats forever.

    The palette depends on all frames, so the frames are kept, compressed, in an unnamed temporary file until the end.
    """

    def __init__(self, out: Path, size: tuple[int, int], fps: int) -> None:
        self._size, self._fps, self._time_base = size, fps, Fraction(1, fps)
        self._kept = tempfile.TemporaryFile(dir=out.absolute().parent)  # noqa: SIM115 - open until the film ends
        self._lengths: list[int] = []
        self._colors = av.filter.Graph()
        self._source = self._colors.add_buffer(width=size[0], height=size[1], format="rgb24", time_base=self._time_base)
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
        """Add a frame's colours to the palette, and keep the frame."""
        self._source.push(self._frame(packed, number))
        kept = zlib.compress(packed.tobytes(), 1)
        self._kept.write(kept)
        self._lengths.append(len(kept))

    def finish(self) -> None:
        """Convert all frames to the palette, write them, and give the file its name."""
        self._source.push(None)
        palette = self._sink.pull()
        graph = av.filter.Graph()
        width, height = self._size
        frames = graph.add_buffer(width=width, height=height, format="rgb24", time_base=self._time_base)
        colors = graph.add_buffer(
            width=palette.width, height=palette.height, format=palette.format.name, time_base=self._time_base
        )
        use, sink = graph.add("paletteuse", _DITHER), graph.add("buffersink")
        frames.link_to(use, 0, 0)
        colors.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        with av.open(self._partial, "w", format="gif", options={"loop": "0"}) as container:
            stream = container.add_stream("gif", rate=self._fps)
            stream.width, stream.height = self._size
            stream.pix_fmt = "pal8"
            stream.codec_context.time_base = self._time_base
            palette.pts, palette.time_base = 0, self._time_base
            colors.push(palette)
            colors.push(None)
            for frame in self._frames():
                frames.push(frame)
                for finished in _ready(sink):
                    container.mux(stream.encode(finished))
            frames.push(None)
            for finished in _ready(sink):
                container.mux(stream.encode(finished))
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

    def _frames(self) -> Iterator[av.VideoFrame]:
        self._kept.seek(0)
        width, height = self._size
        for number, length in enumerate(self._lengths):
            pixels = np.frombuffer(zlib.decompress(self._kept.read(length)), dtype=np.uint8)
            yield self._frame(pixels.reshape(height, width, 3), number)


def _ready(sink: av.filter.context.FilterContext) -> Iterator[av.VideoFrame]:
    """Yield the frames that a filter graph has finished."""
    while True:
        try:
            yield sink.pull()
        except (av.BlockingIOError, av.EOFError):  # no frame is ready, or there are no more
            return
