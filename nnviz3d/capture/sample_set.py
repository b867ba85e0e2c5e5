"""What a model is shown: some samples, one array for each of its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.errors import SampleError


@dataclass(frozen=True)
class Samples:
    """N samples, before preprocessing.

    Parameters
    ----------
    arrays
        For each input of the model ``(N, *shape)``.
    names
        N names: ``china.jpg``, ``digits:7``, ``random (seed 0)``.
    is_picture
        For each input, whether it holds pixels 0..255 that still want preprocessing.
    shown
        By the input's name, the samples as people look at them, ``(N, H, W, 3)`` uint8.
    labels
        ``(N,)`` true classes, if known.
    notes
        For each sample the sentences that concern it alone, for the provenance; or nothing, if there are none at all.
    classes
        What the labels mean, where the samples themselves know it.
    """

    arrays: tuple[NDArray[Any], ...]
    names: tuple[str, ...]
    is_picture: tuple[bool, ...]
    shown: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    labels: NDArray[np.int64] | None = None
    notes: tuple[tuple[str, ...], ...] = ()
    classes: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def notes_each(self) -> tuple[tuple[str, ...], ...]:
        """`notes`, with as many entries as there are samples."""
        return self.notes or ((),) * len(self)


def join(parts: Sequence[Samples]) -> Samples:
    """Join several sets together.

    Raises
    ------
    SampleError
        If they differ in shape, or some are pictures and some prepared arrays.
    """
    for part in parts[1:]:
        if part.is_picture != parts[0].is_picture:
            raise SampleError(
                f"{parts[0].names[0]} and {part.names[0]} cannot be captured together: one is a picture, the other an "
                f"array."
            )
        for one, other in zip(parts[0].arrays, part.arrays, strict=True):
            if one.shape[1:] != other.shape[1:]:
                raise SampleError(
                    f"{parts[0].names[0]} has the shape {one.shape[1:]}, {part.names[0]} has {other.shape[1:]}; "
                    f"samples "
                    "captured together need one shape."
                )
    labels = [part.labels for part in parts]
    shown = [name for name in parts[0].shown if all(name in part.shown for part in parts)]
    return Samples(
        tuple(np.concatenate(arrays) for arrays in zip(*(part.arrays for part in parts), strict=True)),
        tuple(name for part in parts for name in part.names),
        parts[0].is_picture,
        {name: np.concatenate([part.shown[name] for part in parts]) for name in shown},
        np.concatenate([x for x in labels if x is not None]) if all(x is not None for x in labels) else None,
        tuple(notes for part in parts for notes in part.notes_each),
        parts[0].classes if all(part.classes == parts[0].classes for part in parts) else None,
    )
