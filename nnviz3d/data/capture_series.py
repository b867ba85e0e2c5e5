"""Several captures of one model, seen as one: what was captured first, and what was asked for since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.embeddings import Embedding
from nnviz3d.data.capabilities.features import FeatureVisualization
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.records import Connections, LayerActivations, Ranking
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.data.training import Training
from nnviz3d.errors import CaptureError


@dataclass(frozen=True)
class Part:
    """Some samples of a series.

    Attributes
    ----------
    capture
        What holds them; `None` once they are forgotten.
    names, notes
        Of each sample, which outlive it.
    preprocessing
        Its mode, and why that one.
    """

    capture: CaptureReader | None
    names: tuple[str, ...]
    notes: tuple[tuple[str, ...], ...]
    preprocessing: tuple[str, str]

    @staticmethod
    def of(capture: CaptureReader) -> Part:
        """Take in what a capture holds."""
        samples = range(capture.committed)
        return Part(
            capture,
            tuple(capture.sample_name(i) for i in samples),
            tuple(capture.provenance.notes_of(i) for i in samples),
            capture.preprocessing(0),
        )


class CaptureSeries:
    """The samples of several captures, one after another. It never changes; `plus` returns a longer one.

    Parameters
    ----------
    first
        Graph, classes and provenance are those of this one.
    later
        Captures of the same model.

    Raises
    ------
    CaptureError
        If they are not of one model.
    """

    def __init__(self, first: CaptureReader, later: tuple[Part, ...] = ()) -> None:
        for part in later:
            if part.capture is not None and [n.id for n in part.capture.graph] != [n.id for n in first.graph]:
                raise CaptureError(f"{part.capture.path.name} is a capture of another model than {first.path.name}.")
            hashes = {p.provenance.sha256 for p in (first, part.capture) if p is not None} - {None}
            if len(hashes) > 1:
                raise CaptureError(
                    f"{first.provenance.model} has changed since {first.path.name} was captured, so its numbers cannot be "
                    "seen beside the earlier ones; start again."
                )
        self._first = first
        self._parts = (Part.of(first), *later)
        self.path = first.path
        self.graph = first.graph
        self.classes = first.classes
        self.complete = first.complete
        self.step_records = first.step_records
        self.stored = first.stored
        self.committed = sum(len(part.names) for part in self._parts)
        common = first.provenance.notes
        self.provenance = replace(
            first.provenance,
            samples=tuple(name for part in self._parts for name in part.names),
            # What is said of the whole of a later part concerns its samples alone, where the first does not say it too.
            sample_notes=tuple(
                tuple(n for n in notes if n not in common) for part in self._parts for notes in part.notes
            ),
        )

    @staticmethod
    def of(capture: CaptureReader) -> CaptureSeries:
        """Begin a series with a capture; one that is a series already is returned as it is."""
        return capture if isinstance(capture, CaptureSeries) else CaptureSeries(capture)

    @property
    def first(self) -> CaptureReader:
        """The capture that it begins with."""
        return self._first

    def beginning_with(self, first: CaptureReader) -> CaptureSeries:
        """Return this series with other numbers of the samples that it begins with."""
        return CaptureSeries(first, self._parts[1:])

    def plus(self, capture: CaptureReader) -> CaptureSeries:
        """Return this series and another capture's samples after it."""
        return CaptureSeries(self._first, (*self._parts[1:], Part.of(capture)))

    def without(self, sample: int) -> CaptureSeries:
        """Return this series without the numbers of the later part that a sample belongs to; all others keep their places.

        Raises
        ------
        CaptureError
            If it belongs to the first part, which stays.
        """
        place, _ = self._place(sample)
        if place == 0:
            raise CaptureError(f"Sample {sample} belongs to {self.path.name}, which the series begins with.")
        parts = list(self._parts)
        parts[place] = replace(parts[place], capture=None)
        return CaptureSeries(self._first, tuple(parts[1:]))

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
        """Read what a node's output held for all samples, ``(N, *shape)``."""
        found = [part.activations(node_id, output) for part in self._whole()]
        return replace(found[0], values=np.concatenate([one.values for one in found]))

    def activation(self, node_id: str, sample: int = 0, output: int = 0) -> NDArray[np.float32]:
        """Read what a node's output held for one sample, ``shape``."""
        part, local = self._find(sample)
        return part.activation(node_id, local, output)

    def input(self, name: str, sample: int = 0) -> NDArray[Any]:
        """Read what the model was fed through the input of this name."""
        part, local = self._find(sample)
        return part.input(name, local)

    def picture(self, name: str, sample: int = 0) -> NDArray[np.uint8] | None:
        """Read a sample as people would look at it, ``(H, W, 3)``; `None` if it is no picture."""
        part, local = self._find(sample)
        return part.picture(name, local)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The true class of each sample, ``(N,)``; `None` unless all are known."""
        labels = [part.labels for part in self._whole()]
        return None if any(found is None for found in labels) else np.concatenate([x for x in labels if x is not None])

    def label(self, sample: int) -> int | None:
        """Return the true class of a sample, if known."""
        part, local = self._find(sample)
        return part.label(local)

    def sample_name(self, sample: int) -> str:
        """Return the name of a sample."""
        return self.provenance.sample_name(sample)

    def preprocessing(self, sample: int) -> tuple[str, str]:
        """Say what was done to a sample before the model saw it, and why."""
        place, _ = self._place(sample)
        return self._parts[place].preprocessing

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
        return part.explanations(local)

    @property
    def methods(self) -> tuple[str, ...]:
        """The attribution methods whose maps the first part holds."""
        return self._first.methods

    def has_gradients(self) -> bool:
        """Whether the first part holds gradients."""
        return self._first.has_gradients()

    def has_attention(self, node_id: str) -> bool:
        """Whether the scores of an attention layer were captured."""
        return self._first.has_attention(node_id)

    def has_features(self, node_id: str) -> bool:
        """Whether the first part holds what drives a layer's channels."""
        return self._first.has_features(node_id)

    def features(self, node_id: str) -> FeatureVisualization | None:
        """Read what drives a layer's channels; `None` if it was not captured."""
        return self._first.features(node_id)

    @property
    def embeddings(self) -> tuple[str, ...]:
        """The names of the embeddings that the first part holds."""
        return self._first.embeddings

    def embedding(self, name: str) -> Embedding:
        """Read an embedding."""
        return self._first.embedding(name)

    def _whole(self) -> tuple[CaptureReader, ...]:
        """Return all parts, of which none may be forgotten."""
        found = tuple(part.capture for part in self._parts if part.capture is not None)
        if len(found) < len(self._parts):
            raise CaptureError(f"Some samples after those of {self.path.name} were forgotten; read them one by one.")
        return found

    def _find(self, sample: int) -> tuple[CaptureReader, int]:
        """Return the capture that holds a sample, and which of its own it is."""
        place, own = self._place(sample)
        part = self._parts[place]
        if part.capture is None:
            raise CaptureError(f"Sample {sample} ({part.names[own]}) was forgotten; choose it again.")
        return part.capture, own

    def _place(self, sample: int) -> tuple[int, int]:
        """Return the part that a sample belongs to, and which of its own it is."""
        rest = sample
        for place, part in enumerate(self._parts):
            if 0 <= rest < len(part.names):
                return place, rest
            rest -= len(part.names)
        raise CaptureError(f"There is no sample {sample}; {self.path.name} holds samples 0 to {self.committed - 1}.")
