"""The context that the views of a scene share: the capture, the layout, and each layer's numbers in world order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.embeddings import Embedding
from nnviz3d.data.capture_series import extends
from nnviz3d.data.compared import counterpart_activation, counterpart_of, has_counterpart, inputs_differ
from nnviz3d.data.counterpart import Counterpart
from nnviz3d.data.explanations import SampleExplanations
from nnviz3d.data.files.sample_columns import SampleTable
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.graph import head_of as head_of
from nnviz3d.data.graph import vector_outputs as vector_outputs
from nnviz3d.data.grouped_capture import originals, with_groups, without_groups
from nnviz3d.data.grouping.contracted import Grouping
from nnviz3d.data.quantities import Quantity
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.targets import Explained, Target
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.errors import SceneError
from nnviz3d.scene.class_names import name_of_target
from nnviz3d.scene.colors import ValueStatistics, statistics_of
from nnviz3d.scene.derived.projected_samples import ProjectedSample
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.layout.flow import lay_out
from nnviz3d.scene.layout.gates import room_for_gates, shown_gates
from nnviz3d.scene.layout.plan import Placement, Plan
from nnviz3d.scene.layout.routes import Route, route_edges
from nnviz3d.scene.layout.sequences import Sequences
from nnviz3d.scene.memo import Memo
from nnviz3d.scene.selection import Selection


@dataclass(frozen=True)
class LayerValues:
    """One layer's numbers for one sample.

    Attributes
    ----------
    values
        Captured numbers, or numbers derived from them, ``shape``.
    cells
        The same numbers in world order, ``(X, Y, Z)``.
    """

    grid: CellGrid
    values: NDArray[np.float32]
    cells: NDArray[np.float32]
    statistics: ValueStatistics


@dataclass(frozen=True)
class Setting:
    """Facts about the whole scene that a view may use.

    Attributes
    ----------
    filled
        Whether a view draws the numbers of the blocks.
    explains
        Whether a view explains a decision.
    azimuth, elevation
        Angles of the scene's camera in degrees, if the scene file gives them.
    table
        What is known of the samples of the data set besides the capture; `None` if there is nothing.
    """

    filled: bool = False
    explains: bool = False
    azimuth: float | None = None
    elevation: float | None = None
    table: SampleTable | None = None


@dataclass
class SceneContext:
    """The capture and the layout of one scene; reads each layer once for each sample that is shown."""

    capture: CaptureReader
    plan: Plan
    routes: tuple[Route, ...]
    aspect: float
    """Width over height of the whole picture; the network may fill a part with a different aspect."""
    sequences: Sequences = field(default_factory=Sequences)
    """The sequences of tokens in the network."""
    setting: Setting = Setting()
    memo: Memo = field(default_factory=Memo)
    trajectory: EmbeddingTrajectory | None = None
    """The points of a recorded training at each step; `None` uses those in the capture."""
    grouping: Grouping | None = None
    """The groups of the network's nodes."""
    opened: frozenset[str] = frozenset()
    """The groups that are open; the others are single nodes of the capture."""
    _projected: dict[tuple[str, int], ProjectedSample] = field(default_factory=dict)
    _values: dict[str, tuple[int, LayerValues]] = field(default_factory=dict)
    _derived: dict[str, tuple[tuple[object, ...], LayerValues | None]] = field(default_factory=dict)
    _explanations: dict[int, SampleExplanations] = field(default_factory=dict)

    @staticmethod
    def build(
        capture: CaptureReader,
        *,
        aspect: float,
        headroom: float = 0.0,
        flatter: float = 1.0,
        filled: bool = False,
    ) -> SceneContext:
        """Lay out the capture's graph for a picture.

        Parameters
        ----------
        capture
            The capture with the graph.
        aspect
            Width over height of the picture.
        headroom
            World height to keep free above each block.
        flatter
            Aspect of the network over that of the picture, if views draw beside the network.
        filled
            Whether the numbers of the blocks are drawn, and so the gates of recurrent layers before their blocks.
        """
        shapes = {}
        for node in capture.graph:
            if capture.has_activations(node.id):
                shapes[node.id] = capture.activation_shape(node.id)
        gates = {node.id: shown_gates(capture, node) for node in capture.graph} if filled else {}
        leads = {name: room_for_gates(len(found)) for name, found in gates.items()}
        sequences = Sequences.of(without_groups(capture).graph).shown(originals(capture))
        plan = lay_out(
            capture.graph, shapes, aspect=aspect * flatter, headroom=headroom, leads=leads, sequences=sequences
        )
        return SceneContext(capture, plan, route_edges(capture.graph, plan), aspect, sequences)

    def revised(self, capture: CaptureReader, trajectory: EmbeddingTrajectory | None = None) -> SceneContext:
        """Return a context for another capture, with the same layout.

        Parameters
        ----------
        trajectory
            The points of a longer training; by default those of this context.
        """
        if self.grouping is not None:
            capture = with_groups(capture, self.grouping, self.opened)
        # If the training has no new numbers, or the earlier samples are the same, the cached ones are still right.
        same = self._keeps_to(capture) or extends(without_groups(capture), without_groups(self.capture))
        derived = {name: kept for name, kept in self._derived.items() if same and kept[0][0] != "change"}
        return replace(
            self,
            capture=capture,
            trajectory=trajectory or self.trajectory,
            _values=dict(self._values) if same else {},
            _derived=derived,
            _explanations={},
        )

    def _keeps_to(self, capture: CaptureReader) -> bool:
        """Whether another capture holds the same training and shows the same recorded numbers."""
        mine, other = self.capture, capture
        same = (mine.path, mine.provenance.created) == (other.path, other.provenance.created)
        return same and mine.step_records is not None and mine.step_records == other.step_records

    @property
    def graph(self) -> ModelGraph:
        """The architecture."""
        return self.capture.graph

    @property
    def hidden(self) -> frozenset[str]:
        """The nodes inside closed groups."""
        return frozenset(node.id for node in without_groups(self.capture).graph) - {node.id for node in self.graph}

    def projected_sample(self, found: Embedding, sample: int) -> ProjectedSample:
        """Return a sample of the capture among the points of an embedding; computed once for each sample."""
        key = (found.name, sample)
        if key not in self._projected:
            self._projected[key] = ProjectedSample.find(self.capture, found, sample)
        return self._projected[key]

    def values(self, node_id: str, sample: int) -> LayerValues:
        """Return a layer's numbers for a sample; repeated calls for the same sample return the same object."""
        kept = self._values.get(node_id)
        if kept is None or kept[0] != sample:
            # Tokens and masks are stored as integers; they are drawn and compared as float32.
            values = np.asarray(self.capture.activation(node_id, sample), dtype=np.float32)
            kept = (sample, self._arranged(node_id, values))
            self._values[node_id] = kept
        return kept[1]

    def shown(self, node_id: str, quantity: Quantity, selection: Selection) -> LayerValues | None:
        """Return the numbers in a layer's cells; repeated calls with the same arguments return the same object.

        Returns
        -------
        `None` if this layer has no such numbers; for example, tokens have no gradient.

        Raises
        ------
        SceneError
            If the sample was captured without gradients, or two samples cannot be compared.
        """
        if quantity == "activation":
            return self.values(node_id, selection.sample)
        key = (quantity, selection.sample, selection.against, selection.target)
        kept = self._derived.get(node_id)
        if kept is None or kept[0] != key:
            values = self._derive(node_id, quantity, selection)
            kept = (key, None if values is None else self._arranged(node_id, values))
            self._derived[node_id] = kept
        return kept[1]

    def _derive(self, node_id: str, quantity: Quantity, selection: Selection) -> NDArray[np.float32] | None:
        if quantity == "difference":
            return self.difference(node_id, selection)
        if quantity == "change":
            return self.change(node_id, selection.sample)
        gradient = self.gradient(node_id, selection)
        if gradient is None or quantity == "gradient":
            return gradient
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinite numbers are drawn as such
            return np.asarray(gradient * self.values(node_id, selection.sample).values)

    def gradient(self, node_id: str, selection: Selection) -> NDArray[np.float32] | None:
        """Return the gradient of the target's score by a layer's activation, ``shape``; `None` if there is none."""
        explained = self.explained(selection)
        explanations = self.explanations(selection.sample)
        found = None if explained is None else explanations.gradient(node_id, explained.target)
        if found is None and not self.has_gradients(selection):
            name = self.capture.sample_name(selection.sample)
            whose = "" if selection.target is None else f" of {self.name_of(selection.target)}"
            raise SceneError(
                f"There are no gradients{whose} for {name}; capture it with: nnviz3d capture "
                f"{self.capture.provenance.model} --input {name} --gradients -o run.zarr."
            )
        return found

    def difference(self, node_id: str, selection: Selection) -> NDArray[np.float32]:
        """Return a layer's numbers for the sample minus those for the other sample, or of the other model, ``shape``."""
        here = self.values(node_id, selection.sample).values
        there = self.subtracted(node_id, selection)
        if here.shape != there.shape:
            names = self.compared_names(selection)
            sizes = [shape_text(self.graph.node(node_id), shape) for shape in (here.shape, there.shape)]
            raise SceneError(
                f"{names[0]} and {names[1]} cannot be compared: {node_id} has {sizes[0]} numbers for one and {sizes[1]} "
                "for the other; choose samples of one size."
            )
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(here - there)

    def subtracted(self, node_id: str, selection: Selection) -> NDArray[np.float32]:
        """Return the numbers that a difference subtracts: a layer's for the other sample, or by the other model.

        Raises
        ------
        SceneError
            If neither a sample nor a model is compared.
        CaptureError
            If the other model was not run on the sample, or its capture lacks the layer.
        """
        if selection.against is not None:
            return np.asarray(self.capture.activation(node_id, selection.against), dtype=np.float32)
        if self.counterpart is None:
            raise SceneError(
                "A difference is of two samples; choose the one to compare with, or another model by --against."
            )
        return np.asarray(counterpart_activation(self.capture, node_id, selection.sample), dtype=np.float32)

    @property
    def counterpart(self) -> Counterpart | None:
        """The model with which this one is compared; `None` if there is none."""
        return counterpart_of(self.capture)

    def compares(self, selection: Selection, node_id: str | None = None) -> bool:
        """Whether there are numbers to subtract from those of a sample, or of one of its layers."""
        return selection.against is not None or has_counterpart(self.capture, selection.sample, node_id)

    def compared_names(self, selection: Selection) -> tuple[str, str]:
        """Return the names of the two sides of a difference: samples, or models; of a training also another step."""
        other = self.counterpart
        if selection.against is None and other is not None:
            mine, theirs = self.capture.step_records, other.capture.step_records
            differs = mine is not None and theirs is not None and mine.probe_step != theirs.probe_step
            step = f" (step {theirs.probe_step:,})" if differs and theirs is not None and theirs.probe_step else ""
            return other.own_name, f"{other.name}{step}"
        return self.capture.sample_name(selection.sample), self.capture.sample_name(selection.against or 0)

    def inputs_differ(self, selection: Selection) -> bool:
        """Whether two models are compared on different inputs."""
        if selection.against is not None:
            return False
        whole, sample = without_groups(self.capture), selection.sample
        return self.memo.get(whole, ("inputs differ", sample), lambda: inputs_differ(whole, sample))

    def change(self, node_id: str, sample: int) -> NDArray[np.float32]:
        """Return a layer's numbers with the interventions minus those without, ``shape``; 0 where they do not reach.

        Raises
        ------
        SceneError
            If the sample was captured without interventions.
        """
        explanations = self.explanations(sample)
        if not explanations.interventions:
            raise SceneError(
                f"There is no run of {self.capture.sample_name(sample)} with an intervention; capture the model with "
                "--mute, --scale or --freeze."
            )
        here, changed = self.values(node_id, sample).values, explanations.changed(node_id)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.zeros_like(here) if changed is None else np.asarray(changed.astype(np.float32) - here)

    def explanations(self, sample: int) -> SampleExplanations:
        """Return the explanations of a sample."""
        if sample not in self._explanations:
            self._explanations.clear()
            self._explanations[sample] = self.capture.explanations(sample)
        return self._explanations[sample]

    def explained(self, selection: Selection) -> Explained | None:
        """Return the selected target and its score for the selected sample; `None` if it was not explained."""
        return self.explanations(selection.sample).explained(selection.target)

    def has_gradients(self, selection: Selection) -> bool:
        """Whether the capture has gradients of the selected target's score for the selected sample."""
        explained = self.explained(selection)
        return explained is not None and self.explanations(selection.sample).has_gradients(explained.target)

    def name_of(self, target: Target) -> str:
        """Return the display name of a target: its class, or its index in an output."""
        return name_of_target(self.capture, target)

    def _arranged(self, node_id: str, values: NDArray[np.float32]) -> LayerValues:
        grid = self.placement(node_id).grid
        return LayerValues(grid, values, grid.arrange(values), statistics_of(values))

    def placement(self, node_id: str) -> Placement:
        """Return the placement of a node's block."""
        return self.plan.placements[node_id]

    def centers(self, node_id: str, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """World coordinates of the middles of cells, given flat indices ``(n,)`` of the node's tensor: ``(n, 3)``."""
        placement = self.placement(node_id)
        return np.asarray(np.array(placement.origin) + (placement.grid.cells(index) + 0.5) * np.array(placement.cell))

    def route(self, source: str, target: str) -> Route:
        """Return the path of the edge between two nodes; of several edges, that of the first one."""
        return self._routes_by_ends[source, target]

    @cached_property
    def _routes_by_ends(self) -> Mapping[tuple[str, str], Route]:
        return {(route.edge.source, route.edge.target): route for route in reversed(self.routes)}

    @property
    def ranks(self) -> int:
        """Number of ranks, that is, positions along the flow."""
        return 1 + max(p.rank for p in self.plan.placements.values())


def shape_text(node: LayerNode, shape: tuple[int, ...] | None = None) -> str:
    """Write a shape for a label: ``26 × 26 × 32``."""
    dims = shape if shape is not None else node.shape
    return " × ".join("?" if n is None else f"{n:,}" for n in dims) if dims else "scalar"
