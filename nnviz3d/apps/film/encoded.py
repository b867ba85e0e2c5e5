"""Encoders of films that every browser plays: H.264 in ``.mp4`` and VP9 in ``.webm``."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from numpy.typing import NDArray

from nnviz3d.apps.film.sink import FrameSink
from nnviz3d.apps.whole_files import PartialFile

_THREADS = 4
"""Threads of the encoder. The number is fixed because it changes the film a little."""
_SEEK = 2
"""Seconds between frames that a player can jump to."""


@dataclass(frozen=True)
class Encoding:
    """An encoder, its settings, and the settings of the file format."""

    container: str
    codec: str
    settings: Mapping[str, str]
    file_settings: Mapping[str, str]


_X86 = platform.machine().lower() in ("x86_64", "amd64")
# On x86, x264's AVX-512 code reads beyond its blocks of 128 pixels, so films of other widths differ from run to run.
# Its SSSE3 code is as fast and gives the same film on every processor.
_X264 = "aq-mode=3:asm=ssse3" if _X86 else "aq-mode=3"

# The quality is above the codecs' defaults, because thin lines and even dark backgrounds show every fault.
MP4 = Encoding(
    "mp4",
    "libx264",
    {"preset": "veryfast", "crf": "17", "x264-params": _X264},
    # Puts the index at the front, so that a page can play the film while it loads.
    {"movflags": "+faststart"},
)
WEBM = Encoding(
    "webm",
    "libvpx-vp9",
    {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"},
    # Without this the file contains a random number.
    {"fflags": "+bitexact"},
)


class EncodedFilm(FrameSink):
    """A film in BT.709 with colours at half the resolution, as players expect.

    Parameters
    ----------
    size
        Width and height in pixels, both even.
    fps
        Frames a second.
    """

    def __init__(self, out: Path, encoding: Encoding, size: tuple[int, int], fps: int) -> None:
        self._time_base = Fraction(1, fps)
        self._partial = PartialFile(out)
        try:
            self._container, self._stream = self._open(encoding, size, fps)
        except BaseException:
            self._partial.discard()
            raise

    def _open(self, encoding: Encoding, size: tuple[int, int], fps: int) -> tuple[Any, Any]:
        container = av.open(
            self._partial,
            "w",
            format=encoding.container,
            options=dict(encoding.file_settings),
            io_open=self._reopen,
        )
        stream = container.add_stream(encoding.codec, rate=fps, options=dict(encoding.settings))
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        codec = stream.codec_context
        codec.time_base = self._time_base
        codec.thread_count = _THREADS
        codec.gop_size = _SEEK * fps
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return container, stream

    @staticmethod
    def packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Convert a frame to the colours of the film: brightness and both colour differences, one below the other."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
        )
        return np.asarray(frame.to_ndarray(), dtype=np.uint8)

    def add(self, number: int, packed: NDArray[np.uint8]) -> None:
        """Encode a packed frame."""
        frame = av.VideoFrame.from_ndarray(packed, format="yuv420p")
        frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        frame.pts, frame.time_base = number, self._time_base
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write the remaining frames, and give the file its name."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._partial.keep()

    def discard(self) -> None:
        """Remove the file."""
        self._partial.discard()

    def _reopen(self, url: str, flags: int, options: Mapping[str, Any]) -> object:
        """Open the file for reading; the muxer reads it to move the index to the front."""
        return self._partial.path.open("rb")
