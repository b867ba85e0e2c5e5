"""Several captures of one model, seen as one: what was captured first, and what was asked for since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture import Capture
from nnviz3d.data.records import Connections, LayerActivations, Ranking
from nnviz3d.errors import CaptureError


class CaptureSeries(Capture):
    """The samples of several captures, one after another. It never changes; `plus` returns a longer one.

    Parameters
    ----------
    parts
        Captures of one model. Graph, classes and provenance are those of the first.

    Raises
    ------
    CaptureError
        If they are not of one model.
    """

    def __init__(self, parts: tuple[Capture, ...]) -> None:
        first = parts[0]
        for part in parts[1:]:
            if [node.id for node in part.graph] != [node.id for node in first.graph]:
                raise CaptureError(f"{part.path.name} is a capture of another model than {first.path.name}.")
        self._parts = parts
        self.path = first.path
        self.graph = first.graph
        self.classes = first.classes
        self.complete = all(part.complete for part in parts)
        self.committed = sum(part.committed for part in parts)
        self.provenance = replace(
            first.provenance,
            samples=tuple(part.sample_name(i) for part in parts for i in range(part.committed)),
            # What is said of the whole of a later part concerns its samples alone, where the first does not say it too.
            sample_notes=tuple(
                tuple(n for n in part.provenance.notes_of(i) if n not in first.provenance.notes)
                for part in parts
                for i in range(part.committed)
            ),
        )

    @staticmethod
    def of(capture: Capture) -> CaptureSeries:
        """Begin a series with a capture; one that is a series already is returned as it is."""
        return capture if isinstance(capture, CaptureSeries) else CaptureSeries((capture,))

    def plus(self, capture: Capture) -> CaptureSeries:
        """Return this series and another capture's samples after it."""
        return CaptureSeries((*self._parts, capture))

    def has_activations(self, node_id: str, output: int = 0) -> bool:
        """Whether the numbers of a node's output were captured."""
        return self._parts[0].has_activations(node_id, output)

    def activation_shape(self, node_id: str, output: int = 0) -> tuple[int, ...]:
        """Return the shape of one sample of a node's output, in the first part."""
        return self._parts[0].activation_shape(node_id, output)

    def activations(self, node_id: str, output: int = 0) -> LayerActivations:
        """Read what a node's output held for all samples, ``(N, *shape)``."""
        values = [part.activations(node_id, output).values for part in self._parts]
        return LayerActivations(node_id, np.concatenate(values))

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
        labels = [part.labels for part in self._parts]
        return None if any(found is None for found in labels) else np.concatenate([x for x in labels if x is not None])

    def label(self, sample: int) -> int | None:
        """Return the true class of a sample, if known."""
        part, local = self._find(sample)
        return part.label(local)

    def connections(self, source: str, target: str, ranking: Ranking = "weight", sample: int = 0) -> Connections | None:
        """Read a pair's strongest connections for one sample; `None` if none were captured."""
        part, local = self._find(sample)
        return part.connections(source, target, ranking, local)

    def weights(self, layer: str) -> Mapping[str, NDArray[Any]]:
        """Read a layer's variables by name; empty if they were not captured."""
        return self._parts[0].weights(layer)

    def _find(self, sample: int) -> tuple[Capture, int]:
        """Return the part that holds a sample, and which of its own it is."""
        rest = sample
        for part in self._parts:
            if 0 <= rest < part.committed:
                return part, rest
            rest -= part.committed
        raise CaptureError(f"There is no sample {sample}; {self.path.name} holds samples 0 to {self.committed - 1}.")
