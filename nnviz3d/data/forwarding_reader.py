"""Base of readers that show a capture in another way: it passes on what stays the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.zarr_reader import StoredArrays


class ForwardingReader:
    """A reader of another reader's capture; methods are described in `CaptureReader`.

    Parameters
    ----------
    capture
        The other reader.
    """

    def __init__(self, capture: CaptureReader) -> None:
        self.capture = capture
        self.path: Path = capture.path
        self.provenance: Provenance = capture.provenance
        self.classes = capture.classes
        self.complete = capture.complete
        self.committed = capture.committed
        self.stored = capture.stored
        self.added_samples = capture.added_samples

    def stored_sample(self, sample: int) -> tuple[StoredArrays, int]:
        """Return the arrays that hold a sample, and the index of the sample in them."""
        return self.capture.stored_sample(sample)

    def has_activations(self, node_id: str, output: int = 0) -> bool:
        """Whether the numbers of a node's output were captured."""
        return self.capture.has_activations(node_id, output)

    def activation_shape(self, node_id: str, output: int = 0) -> tuple[int, ...]:
        """Return the shape of one sample of a node's output."""
        return self.capture.activation_shape(node_id, output)

    def input(self, name: str, sample: int = 0) -> NDArray[Any]:
        """Read the array that the model's input of this name was given."""
        return self.capture.input(name, sample)

    def picture(self, name: str, sample: int = 0) -> NDArray[np.uint8] | None:
        """Read a sample as a picture for people, ``(H, W, 3)``; `None` if it is not a picture."""
        return self.capture.picture(name, sample)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The true class of each sample, ``(N,)``, if known."""
        return self.capture.labels

    def label(self, sample: int) -> int | None:
        """Return the true class of a sample, if known."""
        return self.capture.label(sample)

    def tokens(self, sample: int = 0, node_id: str | None = None) -> tuple[str, ...] | None:
        """Read the tokens along a node's time axis for one sample, by default the first node's that has some."""
        return self.capture.tokens(sample, node_id)

    def unit_names(self, node_id: str) -> tuple[str, ...] | None:
        """Read the name of each unit of a node; `None` if they are not known."""
        return self.capture.unit_names(node_id)

    def gates(self, node_id: str, sample: int = 0) -> Mapping[str, NDArray[np.float32]]:
        """Read the gates and states of a recurrent layer, ``(T, *shape)`` each, by name; empty if none were captured.

        The time runs in the order of processing: that of a layer that goes backwards begins at the end of its input.
        """
        return self.capture.gates(node_id, sample)

    def sample_name(self, sample: int) -> str:
        """Return the name of a sample."""
        return self.capture.sample_name(sample)

    def preprocessing(self, sample: int) -> tuple[str, str]:
        """Return how a sample was preprocessed, and the reason."""
        return self.capture.preprocessing(sample)

    def has_gradients(self) -> bool:
        """Whether gradients were captured: of a target's score, or of the loss of the training."""
        return self.capture.has_gradients()
