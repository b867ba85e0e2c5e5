"""The samples that a user can choose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.data.reader import CaptureReader


@dataclass(frozen=True)
class Sample:
    """One sample, whether the model has been run on it or not.

    Attributes
    ----------
    name
        Its name for users.
    index
        Its index in the capture; `None` until the model has been run on it.
    source
        Its name in a request; `None` if the model cannot be run on it again.
    drawing
        Whether the user draws it: paint then changes the sample itself.
    paint
        Files with paint that is not put over it: the sample is a painted picture that was kept.
    """

    name: str
    index: int | None = None
    source: str | None = None
    drawing: bool = False
    paint: frozenset[str] = frozenset()


def captured_samples(capture: CaptureReader) -> tuple[Sample, ...]:
    """Return the samples that a capture holds."""
    return tuple(Sample(capture.sample_name(i), i) for i in range(capture.committed))


class SampleList(Sequence[Sample]):
    """The samples of a session, by position.

    Parameters
    ----------
    frame
        The frame, whose selection says which sample is shown.
    samples
        The samples at first; by default those that the capture holds.
    """

    def __init__(self, frame: FrameState, samples: Sequence[Sample] = ()) -> None:
        self._frame = frame
        self._samples = list(samples or captured_samples(frame.scene.context.capture))

    @overload
    def __getitem__(self, position: int) -> Sample: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[Sample]: ...

    def __getitem__(self, position: int | slice) -> Sample | Sequence[Sample]:
        return self._samples[position]

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(tuple(self._samples))

    @property
    def chosen(self) -> int:
        """The position of the sample that is shown."""
        shown = self._frame.selection.sample
        return next((i for i, sample in enumerate(self._samples) if sample.index == shown), 0)

    def add(self, sample: Sample) -> int:
        """Append a sample; returns its position."""
        self._samples.append(sample)
        return len(self._samples) - 1

    def positions(self, source: str) -> list[int]:
        """Return the positions of all samples with a source; one picture may be listed twice."""
        return [i for i, sample in enumerate(self._samples) if sample.source == source]

    def set_index(self, position: int, index: int) -> int | None:
        """Store the index of a sample in the capture; returns the index before."""
        before = self._samples[position].index
        self._samples[position] = replace(self._samples[position], index=index)
        return before

    def set_source(self, position: int, source: str) -> None:
        """Change what a sample is in a request; its run in the capture stays until the next one arrives."""
        self._samples[position] = replace(self._samples[position], source=source)

    def forget_index(self, index: int) -> None:
        """Mark the samples of an index as not captured."""
        self._samples = [replace(one, index=None) if one.index == index else one for one in self._samples]
