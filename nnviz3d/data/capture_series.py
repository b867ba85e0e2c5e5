"""Reader of several captures of one model as one: the first capture and samples that were added later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities import CAPABILITIES
from nnviz3d.data.counterpart import Counterpart
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.records import Connections, LayerActivations, Ranking
from nnviz3d.data.storage.chained_arrays import ChainedArrays
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.data.training import Training
from nnviz3d.errors import CaptureError


@dataclass(frozen=True)
class Part:
    """The samples of one capture in a series.

    Attributes
    ----------
    capture
        Reader of the samples; `None` after they were removed.
    names, notes
        Name and notes of each sample; they stay when the samples are removed.
    preprocessing
        Its mode, and the reason for this mode.
    counterpart
        The numbers of another model for these samples; `None` if no other model is compared.
    """

    capture: CaptureReader | None
    names: tuple[str, ...]
    notes: tuple[tuple[str, ...], ...]
    preprocessing: tuple[str, str]
    counterpart: Counterpart | None = None

    @staticmethod
    def of(capture: CaptureReader, counterpart: Counterpart | None = None) -> Part:
        """Make the part of all samples of a capture."""
        samples = range(capture.committed)
        return Part(
            capture,
            tuple(capture.sample_name(i) for i in samples),
            tuple(capture.provenance.notes_of(i) for i in samples),
            capture.preprocessing(0),
            counterpart,
        )

    @cached_property
    def holds(self) -> tuple[tuple[str, Any], ...]:
        """The contents of the capture for its samples, by capability, as fields of a request."""
        if self.capture is None or not self.names:
            return ()
        return tuple(field for capability in CAPABILITIES for field in capability.held(self.capture).items())


class CaptureSeries:
    """The samples of several captures, one after another. It never changes; `plus` returns a longer series.

    Parameters
    ----------
    first
        The first capture, whose graph, classes and provenance are those of the series.
    later
        The samples of further captures of the same model.
    of_model
        Captures that were made for what they hold of the model, such as its features; their samples do not count.
    counterpart
        The numbers of another model for the samples of the first capture.
    changed
        Captures of one sample each that hold a changed run, by the sample whose newest changed run it is; `None` for a
        sample whose changed run no longer counts.

    Raises
    ------
    CaptureError
        If they are not of one model.
    """

    def __init__(
        self,
        first: CaptureReader,
        later: tuple[Part, ...] = (),
        of_model: tuple[CaptureReader, ...] = (),
        counterpart: Counterpart | None = None,
        changed: Mapping[int, CaptureReader | None] | None = None,
    ) -> None:
        self.changed: Mapping[int, CaptureReader | None] = changed or {}
        for one in (*(part.capture for part in later), *of_model, *self.changed.values()):
            if one is not None and [n.id for n in one.graph] != [n.id for n in first.graph]:
                raise CaptureError(f"{one.path.name} is a capture of another model than {first.path.name}.")
            hashes = {p.provenance.sha256 for p in (first, one) if p is not None} - {None}
            if len(hashes) > 1:
                raise CaptureError(
                    f"{first.provenance.model} has changed since {first.path.name} was captured, so its numbers cannot be "
                    "seen beside the earlier ones; start again."
                )
        self._first = first
        self._parts = (Part.of(first, counterpart), *later)
        self.counterpart = counterpart
        self._of_model = of_model
        self.path = first.path
        self.graph = first.graph
        self.classes = first.classes
        self.complete = first.complete
        self.step_records = first.step_records
        self.stored = self._chained()
        self.committed = sum(len(part.names) for part in self._parts)
        common = first.provenance.notes
        self.provenance = replace(
            first.provenance,
            samples=tuple(name for part in self._parts for name in part.names),
            # A note on all samples of a later part becomes a note on each of them, unless the first part has it too.
            sample_notes=tuple(
                tuple(n for n in notes if n not in common) for part in self._parts for notes in part.notes
            ),
        )

    @staticmethod
    def of(capture: CaptureReader) -> CaptureSeries:
        """Return a series that begins with a capture; a series is returned unchanged."""
        return capture if isinstance(capture, CaptureSeries) else CaptureSeries(capture)

    @property
    def first(self) -> CaptureReader:
        """The first capture."""
        return self._first

    @property
    def parts(self) -> tuple[Part, ...]:
        """The samples of the first capture, and those of each later one."""
        return self._parts

    def beginning_with(self, first: CaptureReader) -> CaptureSeries:
        """Return this series with another reader of its first samples."""
        return CaptureSeries(first, self._parts[1:], self._of_model, self.counterpart, self.changed)

    def compared(self, counterpart: Counterpart) -> CaptureSeries:
        """Return this series with the numbers of another model for its first samples."""
        return CaptureSeries(self._first, self._parts[1:], self._of_model, counterpart, self.changed)

    def plus(self, capture: CaptureReader, other: CaptureReader | None = None) -> CaptureSeries:
        """Return a longer series, with another capture's samples at its end.

        Parameters
        ----------
        other
            The compared model's capture of the same samples; by default the same samples that it holds already.

        Raises
        ------
        CaptureError
            If it is a capture of another model than the series.
        """
        counterpart = self.counterpart
        if counterpart is not None and other is None:
            counterpart = counterpart.of_same(capture)
        elif counterpart is not None and other is not None:
            CaptureSeries(counterpart.capture, (Part.of(other),))  # refuses a model that has changed since
            counterpart = counterpart.of_run(other)
        later = (*self._parts[1:], Part.of(capture, counterpart))
        return CaptureSeries(self._first, later, self._of_model, self.counterpart, self.changed)

    def with_model(self, capture: CaptureReader) -> CaptureSeries:
        """Return the series with what another capture holds of the model; its samples are left out."""
        of_model = (*self._of_model, capture)
        return CaptureSeries(self._first, self._parts[1:], of_model, self.counterpart, self.changed)

    def with_changed_run(self, sample: int, capture: CaptureReader | None) -> CaptureSeries:
        """Return the series with another changed run of a sample, the only one in a capture; `None`: without any."""
        changed = {**self.changed, sample: capture}
        return CaptureSeries(self._first, self._parts[1:], self._of_model, self.counterpart, changed)

    def counterpart_of(self, sample: int) -> tuple[Counterpart, int]:
        """Return the numbers of the compared model that go with a sample, and the sample's number in them.

        Raises
        ------
        CaptureError
            If no other model is compared, or it was not run on this sample.
        """
        number, own = self._part_of(sample)
        found = self._parts[number].counterpart
        if found is None:
            other = "Another model" if self.counterpart is None else self.counterpart.name
            raise CaptureError(f"{other} was not run on {self.sample_name(sample)}; choose a sample that both ran on.")
        return found, own

    def own_capture(self, sample: int) -> CaptureReader:
        """Return the capture that holds a sample."""
        return self._find(sample)[0]

    def without(self, sample: int) -> CaptureSeries:
        """Return a series without the capture that holds an added sample; the other samples keep their numbers.

        Raises
        ------
        CaptureError
            If the sample belongs to the first part, which cannot be removed.
        """
        number, _ = self._part_of(sample)
        if number == 0:
            raise CaptureError(f"Sample {sample} belongs to {self.path.name}, which the series begins with.")
        parts = list(self._parts)
        parts[number] = replace(parts[number], capture=None, counterpart=None)
        changed = {number: found for number, found in self.changed.items() if number != sample}
        return CaptureSeries(self._first, tuple(parts[1:]), self._of_model, self.counterpart, changed)

    @property
    def training(self) -> Training | None:
        """The recording of the model's training, in the first capture."""
        return self._first.training

    @property
    def added_samples(self) -> tuple[int, ...]:
        """The samples of all parts but the first, without the removed ones."""
        found: list[int] = []
        start = len(self._parts[0].names)
        for part in self._parts[1:]:
            found.extend(range(start, start + len(part.names)) if part.capture is not None else ())
            start += len(part.names)
        return tuple(found)

    def stored_sample(self, sample: int) -> tuple[StoredArrays, int]:
        """Return the arrays that hold a sample, and the index of the sample in them."""
        part, local = self._find(sample)
        return part.stored_sample(local)

    def has_activations(self, node_id: str, output: int = 0) -> bool:
        """Whether the numbers of a node's output were captured."""
        return self._first.has_activations(node_id, output)

    def activation_shape(self, node_id: str, output: int = 0) -> tuple[int, ...]:
        """Return the shape of one sample of a node's output, in the first part."""
        return self._first.activation_shape(node_id, output)

    def activations(self, node_id: str, output: int = 0) -> LayerActivations:
        """Read a node's output for all samples, ``(N, *shape)``; NaN for the removed ones."""
        first = self._first.activations(node_id, output)

        def values_of(part: Part) -> NDArray[np.float32]:
            if part.capture is not None:
                return part.capture.activations(node_id, output).values
            return np.full((len(part.names), *first.values.shape[1:]), np.nan, first.values.dtype)

        return replace(first, values=np.concatenate([first.values, *map(values_of, self._parts[1:])]))

    def activation(self, node_id: str, sample: int = 0, output: int = 0) -> NDArray[np.float32]:
        """Read a node's output for one sample, ``shape``."""
        part, local = self._find(sample)
        return part.activation(node_id, local, output)

    def input(self, name: str, sample: int = 0) -> NDArray[Any]:
        """Read the array that the model's input of this name was given."""
        part, local = self._find(sample)
        return part.input(name, local)

    def picture(self, name: str, sample: int = 0) -> NDArray[np.uint8] | None:
        """Read a sample as a picture for people, ``(H, W, 3)``; `None` if it is not a picture."""
        part, local = self._find(sample)
        return part.picture(name, local)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The true class of each sample, ``(N,)``; `None` unless all are known and no sample was removed."""
        labels = [None if part.capture is None else part.capture.labels for part in self._parts]
        known = [found for found in labels if found is not None]
        return np.concatenate(known) if len(known) == len(labels) else None

    def label(self, sample: int) -> int | None:
        """Return the true class of a sample, if known."""
        part, local = self._find(sample)
        return part.label(local)

    def tokens(self, sample: int = 0, node_id: str | None = None) -> tuple[str, ...] | None:
        """Read the tokens along a node's time axis for one sample, by default the first node's that has some."""
        part, local = self._find(sample)
        return part.tokens(local, node_id)

    def unit_names(self, node_id: str) -> tuple[str, ...] | None:
        """Read the name of each unit of a node in the first part; `None` if they are not known."""
        return self._first.unit_names(node_id)

    def gates(self, node_id: str, sample: int = 0) -> Mapping[str, NDArray[np.float32]]:
        """Read the gates and states of a recurrent layer, ``(T, *shape)`` each, by name; empty if none were captured.

        The time runs in the order of processing: that of a layer that goes backwards begins at the end of its input.
        """
        part, local = self._find(sample)
        return part.gates(node_id, local)

    def sample_name(self, sample: int) -> str:
        """Return the name of a sample."""
        return self.provenance.sample_name(sample)

    def preprocessing(self, sample: int) -> tuple[str, str]:
        """Return how a sample was preprocessed, and the reason."""
        number, _ = self._part_of(sample)
        return self._parts[number].preprocessing

    def connections(self, source: str, target: str, ranking: Ranking = "weight", sample: int = 0) -> Connections | None:
        """Read a pair's strongest connections for one sample; `None` if none were captured."""
        part, local = self._find(sample)
        return part.connections(source, target, ranking, local)

    def weights(self, layer: str) -> Mapping[str, NDArray[Any]]:
        """Read a layer's variables by name; empty if they were not captured."""
        return self._first.weights(layer)

    def explanations(self, sample: int = 0) -> SampleExplanations:
        """Return the explanations of one sample: targets, gradients, attributions, attention scores."""
        part, local = self._find(sample)
        found = part.explanations(local)
        if sample not in self.changed:
            return found
        changed = self.changed[sample]
        return found.with_changed_run(None if changed is None else changed.stored_sample(0))

    def has_gradients(self) -> bool:
        """Whether the first part holds gradients."""
        return self._first.has_gradients()

    def _chained(self) -> StoredArrays:
        """Return the arrays of the first capture, and those of others that hold something else, one of each kind."""
        later = [part for part in self._parts[1:] if part.capture is not None]
        others = {part.holds: part.capture for part in later if part.holds != self._parts[0].holds}
        more = [one.stored for one in (*self._of_model, *others.values()) if one is not None]
        return ChainedArrays([self._first.stored, *more]) if more else self._first.stored

    def _find(self, sample: int) -> tuple[CaptureReader, int]:
        """Return the capture that holds a sample, and the sample's number in it."""
        number, own = self._part_of(sample)
        part = self._parts[number]
        if part.capture is None:
            raise CaptureError(f"Sample {sample} ({part.names[own]}) was removed; choose it again.")
        return part.capture, own

    def _part_of(self, sample: int) -> tuple[int, int]:
        """Return the index of the part that a sample belongs to, and the sample's number in it."""
        rest = sample
        for number, part in enumerate(self._parts):
            if 0 <= rest < len(part.names):
                return number, rest
            rest -= len(part.names)
        raise CaptureError(f"There is no sample {sample}; {self.path.name} holds samples 0 to {self.committed - 1}.")


def extends(capture: CaptureReader, earlier: CaptureReader) -> bool:
    """Whether a reader is an earlier one with further samples behind it: the samples keep their indices and captures."""
    ends = [
        (one.first, one.counterpart) if isinstance(one, CaptureSeries) else (one, None) for one in (capture, earlier)
    ]
    mine, others = (one.parts[1:] if isinstance(one, CaptureSeries) else () for one in (capture, earlier))
    pairs = [*zip(*ends, strict=True), *zip(mine, others, strict=False)]
    return len(mine) >= len(others) and all(a is b for a, b in pairs)


def own_capture(capture: CaptureReader, sample: int) -> CaptureReader:
    """Return the capture that holds a sample: of a series, the part that it belongs to."""
    return capture.own_capture(sample) if isinstance(capture, CaptureSeries) else capture
