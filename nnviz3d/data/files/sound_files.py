"""Reader of sound files in the WAVE format: whole numbers of 8 to 32 bits, and floats.

Source of the format: Multimedia Programming Interface and Data Specifications 1.0, IBM and Microsoft 1991, and the
extensible header of Microsoft's `WAVEFORMATEXTENSIBLE`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.data.files.paths import refuse_special
from nnviz3d.errors import SampleError

SOUNDS = frozenset({".wav"})
_WHOLE, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "ADPCM", 0x55: "MP3"}
_HEADER = struct.Struct("<HHIIHH")
"""Format, channels, rate, bytes per second, bytes per frame, bits."""
_OPEN_END = 0xFFFFFFFF
"""Size of the numbers in a file whose writer could not go back to note it."""


@dataclass(frozen=True)
class Sound:
    """A sound.

    Attributes
    ----------
    values
        ``(T, channels)`` float32; whole numbers of b bits are divided by 2^(b-1), so that they are in -1..1.
    rate
        Frames per second.
    """

    values: NDArray[np.float32]
    rate: int


def read_sound(path: Path) -> Sound:
    """Read a WAVE file.

    Raises
    ------
    SampleError
        If the file is no WAVE file, is damaged, compressed, or takes more memory than the limit.
    """
    refuse_special(path, SampleError)
    try:
        size = path.stat().st_size
        check_size(path.name, 4 * size, SampleError)
        with path.open("rb") as file:
            if file.read(4) != b"RIFF" or file.seek(8) != 8 or file.read(4) != b"WAVE":
                raise SampleError(f"{path.name} is no WAVE file; save the sound as .wav with PCM or float samples.")
            head, data = _chunks(file)
    except OSError as error:
        raise SampleError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    if head is None or data is None or len(head) < _HEADER.size:
        raise SampleError(
            f"{path.name} is an incomplete WAVE file: it has no {'sound' if head else 'header'}; save it again."
        )
    kind, channels, rate, _, frame, bits = _HEADER.unpack(head[: _HEADER.size])
    if kind == _EXTENSIBLE and len(head) >= 26:
        kind = struct.unpack_from("<H", head, 24)[0]
    if kind not in (_WHOLE, _FLOAT):
        name = _KINDS.get(kind, f"the format {kind}")
        raise SampleError(f"{path.name} is compressed as {name}; save the sound as .wav with PCM or float samples.")
    if not channels or not rate or not bits or frame != channels * (bits // 8) or bits % 8:
        raise SampleError(
            f"{path.name} is a damaged WAVE file: {channels} channels of {bits} bits in {frame} bytes; save it again."
        )
    values = _decoded(data[: len(data) - len(data) % frame], kind == _FLOAT, bits, path.name)
    if not values.size:
        raise SampleError(f"{path.name} holds no sound; give a sound of one frame at least.")
    if not np.isfinite(values).all():
        raise SampleError(f"{path.name} holds NaN or infinite numbers; expected a sound of finite ones.")
    return Sound(values.reshape(-1, channels), rate)


def _chunks(file: BinaryIO) -> tuple[bytes | None, bytes | None]:
    """Return the header and the bytes of the sound; `None` for a part that the file lacks."""
    head = data = None
    while data is None and len(start := file.read(8)) == 8:
        name, size = start[:4], struct.unpack("<I", start[4:])[0]
        if name == b"data":
            data = file.read() if size == _OPEN_END else file.read(size)
        elif name == b"fmt ":
            head = file.read(size)
        else:
            file.seek(size, 1)
        if size % 2:
            file.seek(1, 1)
    return head, data


def _decoded(data: bytes, floats: bool, bits: int, name: str) -> NDArray[np.float32]:
    if floats and bits in (32, 64):
        return np.frombuffer(data, f"<f{bits // 8}").astype(np.float32)
    if not floats and bits == 8:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
    if not floats and bits == 24:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
        padded = np.zeros((len(parts), 4), np.uint8)
        padded[:, 1:] = parts
        return np.asarray(padded.view("<i4").reshape(-1) / 2.0**31, dtype=np.float32)
    if not floats and bits in (16, 32):
        whole = np.frombuffer(data, f"<i{bits // 8}")
        return np.asarray(whole / 2.0 ** (bits - 1), dtype=np.float32)
    raise SampleError(
        f"{name} has {'float ' * floats}samples of {bits} bits; expected 8, 16, 24 or 32 bits, or floats."
    )
