"""The samples that a user can choose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.sample_sources import InputSample
from nnviz3d.data.source_names import is_picture


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
    upload
        The file that the user has added and that it is in; `None` for a sample that was there from the start.
    labelled
        Whether it brings its true class, as far as is known before it is read.
    refused
        The sentence by which the model refused it; empty if it did not.
    """

    name: str
    index: int | None = None
    source: str | None = None
    drawing: bool = False
    paint: frozenset[str] = frozenset()
    upload: Path | None = None
    labelled: bool = False
    refused: str = ""

    @staticmethod
    def of(found: InputSample, upload: Path | None = None) -> Sample:
        """Return a sample of an input, which the model has not been run on."""
        return Sample(found.name, None, found.source, upload=upload, labelled=found.label is not None)


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
    dataset
        The data set, if it is not these samples.
    """

    def __init__(self, frame: FrameState, samples: Sequence[Sample] = (), dataset: Sequence[Sample] = ()) -> None:
        self._frame = frame
        self._samples = list(samples or captured_samples(frame.scene.context.capture))
        self._given = tuple(dataset)
        self._given_sources = tuple(one.source for one in dataset if one.source is not None)
        self._dataset: tuple[str, ...] | None = None

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

    @property
    def refused(self) -> tuple[int, ...]:
        """The positions of the samples that the model refused."""
        return tuple(i for i, sample in enumerate(self._samples) if sample.refused)

    @property
    def dataset(self) -> tuple[str, ...]:
        """The sources of the data set, of which embeddings and the like are computed.

        They are those that were given, or else all samples that the model takes. Of what the user has added these are
        samples that the model was run on, and others in such files or in files of the same kind: one file that is no sample
        of the model would let it refuse the whole data set.
        """
        if self._given:
            return self._given_sources
        if self._dataset is None:
            added = [one for one in self._samples if one.upload is not None]
            run = {one.upload for one in added if one.index is not None}
            kinds = {_kind(upload) for upload in run}
            refused = {one.upload for one in added if one.refused} - run
            self._dataset = tuple(
                one.source
                for one in self._samples
                if one.source is not None
                and not one.refused
                and (one.upload is None or (one.upload not in refused and _kind(one.upload) in kinds))
            )
        return self._dataset

    @property
    def has_labels(self) -> bool:
        """Whether a sample of the data set has a label, as far as is known before it is read.

        Labels that are not among the model's classes are none: the samples that the model was run on tell that.
        """
        if self._given:
            return any(one.labelled for one in self._given)
        members, capture, promised = set(self.dataset), self._frame.scene.capture, False
        for one in self._samples:
            if one.source not in members:
                continue
            if one.index is None:
                promised |= one.labelled
            elif capture.label(one.index) is not None:
                return True
            elif one.labelled:
                return False
        return promised

    def add(self, sample: Sample) -> int:
        """Append a sample; returns its position."""
        self._samples.append(sample)
        self._dataset = None
        return len(self._samples) - 1

    def positions(self, source: str) -> list[int]:
        """Return the positions of all samples with a source; one picture may be listed twice."""
        return [i for i, sample in enumerate(self._samples) if sample.source == source]

    def set_index(self, position: int, index: int) -> int | None:
        """Store the index of a sample in the capture; returns the index before."""
        before = self._samples[position].index
        self._replace(position, index=index, refused="")
        return before

    def refuse(self, source: str, why: str) -> None:
        """Mark the samples of a source as refused by the model, unless it was run on them before."""
        for position in self.positions(source):
            if self._samples[position].index is None:
                self._replace(position, refused=why)

    def set_source(self, position: int, source: str) -> None:
        """Change what a sample is in a request; its run in the capture stays until the next one arrives."""
        self._replace(position, source=source)

    def forget_index(self, index: int) -> None:
        """Mark the samples of an index as not captured."""
        self._samples = [replace(one, index=None) if one.index == index else one for one in self._samples]
        self._dataset = None

    def _replace(self, position: int, **changes: Any) -> None:
        self._samples[position] = replace(self._samples[position], **changes)
        self._dataset = None


def _kind(file: Path | None) -> str:
    """Return the kind of a file by its name: all pictures are of one kind."""
    if file is None:
        return ""
    return "picture" if is_picture(file) else file.suffix.lower()
