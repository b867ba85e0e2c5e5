"""Protocols of models that can be captured: Keras models, and models that run in a runtime of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nnviz3d.capture.connections.finder import Pairs
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.request import Preprocessing
from nnviz3d.data.storage.capture_writer import CaptureWriter

if TYPE_CHECKING:
    from nnviz3d.capture.inputs.preprocess import ModelInputs


class Origin(Protocol):
    """The origin of a model; names and meanings are those of `LoadedModel`."""

    @property
    def name(self) -> str:
        """Name for display."""

    @property
    def sha256(self) -> str | None:
        """Checksum of the file."""

    @property
    def family(self) -> Preprocessing | None:
        """Preprocessing mode of its family."""

    @property
    def imagenet(self) -> bool:
        """Whether its outputs are ImageNet's classes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the provenance."""


class Runnable(Protocol):
    """A model with its graph, which runs on samples of known sizes."""

    @property
    def graph(self) -> ModelGraph:
        """The graph; shapes that only a run shows may be wrong in it."""

    @property
    def specs(self) -> tuple[InputSpec, ...]:
        """The inputs, with the sizes of the samples, in the order of the graph's inputs."""

    @property
    def draws(self) -> bool:
        """Whether the model draws random numbers."""

    @property
    def repeatable(self) -> bool:
        """Whether a run depends on samples and weights alone."""

    @property
    def differentiable(self) -> DifferentiableModel:
        """The model as a function that can be differentiated; a `ModelError` if it has no gradients."""

    @property
    def loaded(self) -> LoadedModel:
        """The Keras model; a `ModelError` if it is not one."""

    @property
    def scaled(self) -> ModelInputs:
        """The inputs, and what the model does with pixels."""

    def batches(self, arrays: Sequence[Rows], nodes: Collection[str] | None = None) -> Iterator[Batch]:
        """Run all samples in batches that fit into memory, and return the outputs of some nodes, by default of all.

        Parameters
        ----------
        arrays
            ``(N, *shape)`` for each input, after preprocessing.

        Raises
        ------
        ModelError
            If the model fails on these numbers.
        """

    def pairs(self, graph: ModelGraph, *, anew: bool) -> Pairs:
        """Return the connected pairs of layers.

        Parameters
        ----------
        graph
            The graph with all shapes, including those that only a run shows.
        anew
            Whether to read the weights again because they may have changed.
        """

    def notes(self, graph: ModelGraph, missing: Sequence[str]) -> list[str]:
        """Return the sentences that a reader of the capture needs to know about the model.

        Parameters
        ----------
        missing
            Ids of the nodes with an output that holds no numbers for each sample.
        """

    def token_words(self, graph: ModelGraph) -> Mapping[str, Callable[[int], str]]:
        """Return the nodes whose output is ``(T,)`` numbers of tokens, and the function from number to word of each."""

    def unit_names(self, graph: ModelGraph, columns: Mapping[str, Sequence[str]]) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the units of vectors that have some, by node id.

        Parameters
        ----------
        columns
            Names of the columns of inputs, by the input's name.
        """

    def write_weights(self, writer: CaptureWriter, *, everything: bool) -> None:
        """Write the weights of small layers, or of all layers."""


class RunnableModel(Protocol):
    """A model that gives a `Runnable` for samples of each size.

    Attributes
    ----------
    live
        Whether the model belongs to the caller, who may train it between two runs.
    repeatable
        Whether a run depends on samples and weights alone; `None` before the first run.
    """

    live: bool
    repeatable: bool | None

    @property
    def loaded(self) -> Origin:
        """The model's origin."""

    @property
    def specs(self) -> tuple[InputSpec, ...]:
        """The model's inputs; lengths may be `None`."""

    @property
    def vocabulary(self) -> Mapping[int, int]:
        """Number of tokens of each input that takes tokens, by the input's position."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of further packages that the numbers depend on."""

    def trace(self, arrays: Sequence[Rows]) -> Runnable:
        """Return the model for samples ``(N, *shape)`` for each input; a `ModelError` if it cannot take them."""

    def ran(self, trace: Any) -> None:
        """Update the state of the model after a run."""
