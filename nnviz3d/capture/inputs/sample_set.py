"""Samples for a model: one array for each of its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
        Array of each input of the model, ``(N, *shape)``.
    names
        N names: ``china.jpg``, ``digits:7``, ``random (seed 0)``.
    is_picture
        For each input, whether it holds pixels 0..255, to be preprocessed.
    shown
        The samples for display, ``(N, H, W, 3)`` uint8, by the input's name.
    labels
        ``(N,)`` true classes, if known.
    notes
        Sentences about each single sample, for the provenance; empty if there are none.
    classes
        Names of the labels, if the samples come with them.
    columns
        Names of the units of each input that has some, by the input's name.
    """

    arrays: tuple[NDArray[Any], ...]
    names: tuple[str, ...]
    is_picture: tuple[bool, ...]
    shown: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    labels: NDArray[np.int64] | None = None
    notes: tuple[tuple[str, ...], ...] = ()
    classes: tuple[str, ...] | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of one sample for each input."""
        return tuple(tuple(array.shape[1:]) for array in self.arrays)

    def take(self, i: int) -> Samples:
        """Return one sample alone."""
        row = slice(i, i + 1)
        return replace(
            self,
            arrays=tuple(array[row] for array in self.arrays),
            names=self.names[row],
            shown={name: pictures[row] for name, pictures in self.shown.items()},
            labels=None if self.labels is None else self.labels[row],
            notes=self.notes[row],
        )

    @property
    def notes_each(self) -> tuple[tuple[str, ...], ...]:
        """The notes of each sample."""
        return self.notes or ((),) * len(self)


def join(parts: Sequence[Samples]) -> Samples:
    """Join several sets of samples of the same shapes.

    Raises
    ------
    SampleError
        If some are pictures and others are prepared arrays.
    """
    for part in parts[1:]:
        if part.is_picture != parts[0].is_picture:
            raise SampleError(
                f"{parts[0].names[0]} and {part.names[0]} cannot be captured together: one is a picture, the other an "
                f"array."
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
        {name: names for name, names in parts[0].columns.items() if all(p.columns.get(name) == names for p in parts)},
    )
