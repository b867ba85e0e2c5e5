"""Protocol of everything that reads like a capture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.records import Connections, LayerActivations, Provenance, Ranking
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.data.training import StepRecords, Training


class CaptureReader(Protocol):
    """The numbers of one model for its samples: a capture, several captures in a row, or a capture at a training step.

    A reader never changes. It does not know the capabilities: their modules read the arrays of the model from `stored`,
    and those of one sample from `stored_sample`.
    """

    @property
    def path(self) -> Path:
        """The folder or zip file; of several, the first one."""
        ...

    @property
    def graph(self) -> ModelGraph:
        """The architecture."""
        ...

    @property
    def provenance(self) -> Provenance:
        """Model, samples, preprocessing and versions behind the numbers."""
        ...

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, or `None`."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the writer finished."""
        ...

    @property
    def committed(self) -> int:
        """Number of samples that can be read."""
        ...

    @property
    def stored(self) -> StoredArrays:
        """The arrays and attributes on disk; of several captures, those of the first one that has them."""
        ...

    def stored_sample(self, sample: int) -> tuple[StoredArrays, int]:
        """Return the arrays that hold a sample, and the index of the sample in them.

        Raises
        ------
        CaptureError
            If there is no such sample, or it was removed.
        """
        ...

    @property
    def added_samples(self) -> tuple[int, ...]:
        """The samples that were added to the first capture and are still there."""
        ...

    @property
    def training(self) -> Training | None:
        """The recording of the model's training; `None` if there is none."""
        ...

    @property
    def step_records(self) -> StepRecords | None:
        """The records of a training that the numbers are of; `None` if no step was chosen."""
        ...

    def has_activations(self, node_id: str, output: int = 0) -> bool:
        """Whether the numbers of a node's output were captured."""
        ...

    def activation_shape(self, node_id: str, output: int = 0) -> tuple[int, ...]:
        """Return the shape of one sample of a node's output."""
        ...

    def activations(self, node_id: str, output: int = 0) -> LayerActivations:
        """Read a node's output for all samples, ``(N, *shape)``."""
        ...

    def activation(self, node_id: str, sample: int = 0, output: int = 0) -> NDArray[np.float32]:
        """Read a node's output for one sample, ``shape``.

        Raises
        ------
        CaptureError
            If it was not captured, its shape is not the graph's, or the store is damaged.
        """
        ...

    def input(self, name: str, sample: int = 0) -> NDArray[Any]:
        """Read the array that the model's input of this name was given."""
        ...

    def picture(self, name: str, sample: int = 0) -> NDArray[np.uint8] | None:
        """Read a sample as a picture for people, ``(H, W, 3)``; `None` if it is not a picture."""
        ...

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """The true class of each sample, ``(N,)``, `NO_LABEL` where it is not known; `None` if none is known."""
        ...

    def label(self, sample: int) -> int | None:
        """Return the true class of a sample, if known."""
        ...

    def tokens(self, sample: int = 0, node_id: str | None = None) -> tuple[str, ...] | None:
        """Read the token at each position of a node's time axis, for one sample; `None` if it has none.

        Parameters
        ----------
        node_id
            A node whose numbers are tokens: an input of token numbers, or the layer that makes tokens of text. By default
            the first node that has tokens.

        Returns
        -------
        tuple or None
            T tokens; a padded position is an empty string.
        """
        ...

    def unit_names(self, node_id: str) -> tuple[str, ...] | None:
        """Read the name of each unit of a node, such as the columns of a table; `None` if they are not known."""
        ...

    def gates(self, node_id: str, sample: int = 0) -> Mapping[str, NDArray[np.float32]]:
        """Read the gates and states of a recurrent layer, ``(T, *shape)`` each, by name; empty if none were captured.

        The time runs in the order of processing: that of a layer that goes backwards begins at the end of its input.
        """
        ...

    def sample_name(self, sample: int) -> str:
        """Return the name of a sample: ``china.jpg``, ``digits:7``."""
        ...

    def preprocessing(self, sample: int) -> tuple[str, str]:
        """Return how a sample was preprocessed, as a mode of `Provenance`, and the reason for this mode."""
        ...

    def connections(self, source: str, target: str, ranking: Ranking = "weight", sample: int = 0) -> Connections | None:
        """Read a pair's strongest connections for one sample; `None` if none were captured."""
        ...

    def weights(self, layer: str) -> Mapping[str, NDArray[Any]]:
        """Read a layer's variables by name; empty if they were not captured."""
        ...

    def explanations(self, sample: int = 0) -> SampleExplanations:
        """Return the explanations of one sample: targets, gradients, attributions, attention."""
        ...

    def has_gradients(self) -> bool:
        """Whether gradients were captured: of a target's score, or of the loss of a training."""
        ...
