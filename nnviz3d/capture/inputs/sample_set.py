"""Samples for a model: one array for each of its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.rows import Rows, joined
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.sample_sources import joined_name
from nnviz3d.errors import SampleError


@dataclass(frozen=True)
class Samples:
    """N samples, before preprocessing.

    Parameters
    ----------
    arrays
        Array of each input of the model, ``(N, *shape)``; slices of it are in memory.
    names
        N names: ``china.jpg``, ``digits:7``, ``random (seed 0)``.
    is_picture
        For each input, whether it holds pixels 0..255, to be preprocessed.
    shown
        The samples for display, ``(N, H, W, 3)`` uint8, by the input's name.
    labels
        ``(N,)`` true classes, `NO_LABEL` where they are not known; `None` if none is.
    notes
        Sentences about each single sample, for the provenance; empty if there are none.
    classes
        Names of the labels, if the samples come with them.
    columns
        Names of the units of each input that has some, by the input's name.
    truth
        ``(N, *shape)``: the true output of each sample if it is more than a class, such as a mask.
    sounds
        For each input, whether it holds sounds; empty if none does.
    spans
        The smallest and the largest number of the array that the samples come from, also of its other samples, by the
        name of the input; only of arrays in the shape of pictures.
    """

    arrays: tuple[Rows, ...]
    names: tuple[str, ...]
    is_picture: tuple[bool, ...]
    shown: Mapping[str, Rows] = field(default_factory=dict)
    labels: NDArray[np.int64] | None = None
    notes: tuple[tuple[str, ...], ...] = ()
    classes: tuple[str, ...] | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    truth: Rows | None = None
    sounds: tuple[bool, ...] = ()
    spans: Mapping[str, tuple[float, float]] = field(default_factory=dict)

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
            truth=None if self.truth is None else self.truth[row],
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
                "array; capture each alone."
            )
    labelled = [part for part in parts if part.labels is not None] or parts
    truths = [part.truth for part in parts if part.truth is not None]
    alike = len(truths) == len(parts) and len({truth.shape[1:] for truth in truths}) == 1
    shown = [name for name in parts[0].shown if all(name in part.shown for part in parts)]
    return Samples(
        tuple(joined(arrays) for arrays in zip(*(part.arrays for part in parts), strict=True)),
        tuple(name for part in parts for name in part.names),
        parts[0].is_picture,
        {name: joined([part.shown[name] for part in parts]) for name in shown},
        _labels(parts),
        tuple(notes for part in parts for notes in part.notes_each),
        labelled[0].classes if all(part.classes == labelled[0].classes for part in labelled) else None,
        {name: names for name, names in parts[0].columns.items() if all(p.columns.get(name) == names for p in parts)},
        joined(truths) if alike else None,
        parts[0].sounds,
        {name: _over([p.spans[name] for p in parts]) for name in parts[0].spans if all(name in p.spans for p in parts)},
    )


def _labels(parts: Sequence[Samples]) -> NDArray[np.int64] | None:
    """Return the labels of several sets; `None` if no sample has one."""
    if all(part.labels is None for part in parts):
        return None
    return np.concatenate(
        [np.full(len(part), NO_LABEL, np.int64) if part.labels is None else part.labels for part in parts]
    )


def _over(spans: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the range of all numbers of several ranges, NaN if one is NaN."""
    return float(np.min([low for low, _ in spans])), float(np.max([high for _, high in spans]))


def beside(names: Sequence[str], each: Sequence[Samples]) -> Samples:
    """Put the samples of several inputs, one `Samples` for each, side by side.

    Parameters
    ----------
    names
        Names of the inputs.

    Raises
    ------
    SampleError
        If there are not as many samples for each input.
    """
    if len(set(map(len, each))) != 1:
        told = ", ".join(f"{len(one)} for {name!r}" for name, one in zip(names, each, strict=True))
        raise SampleError(f"There are {told}; expected as many samples for every input.")
    labelled = next((one for one in each if one.labels is not None), each[0])
    return Samples(
        tuple(array for one in each for array in one.arrays),
        tuple(joined_name(row) for row in zip(*(one.names for one in each), strict=True)),
        tuple(picture for one in each for picture in one.is_picture),
        {name: shown for one in each for name, shown in one.shown.items()},
        labelled.labels,
        tuple(
            tuple(note for notes in row for note in notes) for row in zip(*(o.notes_each for o in each), strict=True)
        ),
        labelled.classes,
        {name: columns for one in each for name, columns in one.columns.items()},
        next((one.truth for one in each if one.truth is not None), None),
        tuple(sound for one in each for sound in one.sounds or (False,) * len(one.arrays)),
        {name: span for one in each for name, span in one.spans.items()},
    )
