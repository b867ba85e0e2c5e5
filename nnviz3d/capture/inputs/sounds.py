"""Sounds as samples: the amplitude at each frame, in the length and with the channels that a model takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.files.sound_files import Sound
from nnviz3d.errors import SampleError

_MONO = "mixed to one channel"


@dataclass(frozen=True)
class _SoundShape:
    """Frames and channels of an input, `None` if any number is accepted, and the rank of its samples."""

    frames: int | None
    channels: int
    rank: int

    @staticmethod
    def of(shape: Sequence[int | None]) -> _SoundShape | None:
        match tuple(shape):
            case (frames,):
                return _SoundShape(frames, 1, 1)
            case (frames, int() as channels) if channels in (1, 2):
                return _SoundShape(frames, channels, 2)
        return None


def sound_samples(
    named: Sequence[tuple[str, Sound]],
    specs: Sequence[InputSpec],
    *,
    rates: Mapping[int, int],
    taken: Sequence[tuple[int, ...]] = (),
) -> Samples:
    """Make samples of sounds.

    Parameters
    ----------
    rates
        Frames per second that inputs take, by their positions, where the model says so. Other sounds are resampled.
    taken
        A shape for each input, if other samples have set it.

    Raises
    ------
    SampleError
        If the model takes no sounds.
    """
    first = named[0][0]
    if len(specs) != 1:
        raise SampleError(
            f"The model has {len(specs)} inputs ({', '.join(s.name for s in specs)}), but a sound is only one; write "
            f"NAME={first} for each input."
        )
    spec = specs[0]
    shape = None if spec.dtype == "string" else _SoundShape.of(taken[0] if taken else spec.shape)
    if shape is None:
        takes = (
            "text; give a sentence, or a .txt file with one on each line"
            if spec.dtype == "string"
            else f"samples of the shape {spec.accepted}; give a .npy file of that shape, or random"
        )
        raise SampleError(f"{first} is a sound, but the model's input {spec.name!r} takes {takes}.")
    fitted = [_fitted(name, sound, shape, rates.get(0)) for name, sound in named]
    frames = shape.frames or max(len(values) for values, _ in fitted)
    values = np.stack([np.pad(v, ((0, frames - len(v)), (0, 0))) for v, _ in fitted])
    if "int" in spec.dtype:
        values = np.round(values * 32767).astype(spec.dtype)
    return Samples(
        (values if shape.rank == 2 else values[..., 0],),
        tuple(name for name, _ in named),
        (False,),
        notes=tuple(notes for _, notes in fitted),
        sounds=(True,),
    )


def _fitted(
    name: str, sound: Sound, shape: _SoundShape, rate: int | None
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Return a sound with the model's rate, channels and at most its frames, and the sentences on what was changed."""
    values, notes = sound.values, []
    if values.shape[1] != shape.channels:
        values = values.mean(axis=1, keepdims=True) if shape.channels == 1 else np.repeat(values[:, :1], 2, axis=1)
        how = _MONO if shape.channels == 1 else "copied to two channels"
        notes.append(f"{name} has {sound.values.shape[1]} channel{'s' * (sound.values.shape[1] != 1)} and was {how}.")
    if rate is None:
        notes.append(
            f"{name} has {sound.rate:,} samples a second; the model does not say which rate it takes, so they are given as "
            "they are."
        )
    elif rate != sound.rate:
        values = resampled(values, sound.rate, rate)
        notes.append(f"{name} was resampled from {sound.rate:,} to {rate:,} samples a second, which the model takes.")
    if shape.frames is not None and len(values) != shape.frames:
        longer = len(values) > shape.frames
        how = "cut to the first" if longer else "filled up with silence to"
        notes.append(f"{name} has {len(values):,} samples and was {how} {shape.frames:,}.")
        values = values[: shape.frames]
    return values, tuple(notes)


def resampled(values: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Resample ``(T, channels)`` by its Fourier series: frequencies that the lower of both rates cannot hold are cut off.

    The series continues the sound periodically, so the sound is lengthened to a time that both rates divide, and mirrored.
    """
    unit = rate // math.gcd(rate, wanted)
    lengthened = np.pad(values, ((0, -len(values) % unit), (0, 0)), mode="edge")
    mirrored = np.concatenate([lengthened, lengthened[::-1]])
    count = len(mirrored) * wanted // rate
    spectrum = np.fft.rfft(mirrored, axis=0)[: count // 2 + 1]
    result = np.fft.irfft(spectrum, n=count, axis=0) * (wanted / rate)
    return np.asarray(result[: math.ceil(len(values) * wanted / rate)], dtype=np.float32)
