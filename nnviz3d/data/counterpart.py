"""The numbers of another model for the samples of a capture: a second checkpoint, model or run with an equal graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.rounding import is_rounded
from nnviz3d.errors import CaptureError


@dataclass(frozen=True, eq=False)
class Counterpart:
    """A capture of another model, whose numbers are compared with those of the capture that is shown.

    Attributes
    ----------
    capture
        Its reader, with all nodes.
    name, own_name
        Names for users of the other model and of the shown one; they differ wherever the files do.
    nodes
        The other model's node for each node of the shown model.
    samples
        The sample of `capture` for each sample of the shown capture; `None` where there is none.
    source
        The other model or capture in the words of the option ``--against``.
    """

    capture: CaptureReader
    name: str
    own_name: str
    nodes: Mapping[str, str]
    samples: tuple[int | None, ...]
    source: str

    @staticmethod
    def of(shown: CaptureReader, other: CaptureReader, names: tuple[str, str], source: str) -> Counterpart:
        """Match the nodes and the samples of two captures.

        Samples of other names are matched by position, and only where they have the same input.

        Parameters
        ----------
        names
            Names for users of the shown model and of the other one.

        Raises
        ------
        CaptureError
            If their graphs differ, or they have no sample in common.
        """
        nodes = matched_nodes(shown.graph, other.graph, names)
        mine, theirs = _sample_names(shown), _sample_names(other)
        found = Counterpart(other, names[1], names[0], nodes, matched_samples(mine, theirs), source)
        if not set(mine) & set(theirs):
            known = [k if k is not None and found.same_input(shown, k, k) else None for k in found.samples]
            found = replace(found, samples=tuple(known))
        if shown.committed and all(sample is None for sample in found.samples):
            raise CaptureError(
                f"{names[0]} and {names[1]} have no sample in common: one holds {shown.sample_name(0)}, the other "
                f"{other.sample_name(0) if other.committed else 'none'}; capture both with the same --input."
            )
        return found

    def of_run(self, capture: CaptureReader) -> Counterpart:
        """Return the counterpart for a capture of the same two models on other samples.

        Parameters
        ----------
        capture
            The other model's capture of these samples, in the same order.
        """
        return replace(self, capture=capture, samples=tuple(range(capture.committed)))

    def of_same(self, capture: CaptureReader) -> Counterpart | None:
        """Return the counterpart for further samples of the shown model that the other capture holds already.

        These have the same name and the same input: files of one name may differ.

        Parameters
        ----------
        capture
            The shown model's capture of the further samples.
        """
        held = _sample_names(self.capture)
        samples = tuple(
            next((k for k, known in enumerate(held) if known == name and self.same_input(capture, i, k)), None)
            for i, name in enumerate(_sample_names(capture))
        )
        return None if all(sample is None for sample in samples) else replace(self, samples=samples)

    def same_input(self, capture: CaptureReader, sample: int, index: int) -> bool:
        """Whether a sample of the shown model's capture has the numbers of a sample of the other one as its inputs.

        Numbers of which one side was rounded to float16 are compared as float16.
        """
        names = [name for name in capture.graph.inputs if capture.has_activations(name)]
        return all(
            self._same_numbers(capture, name, sample, index)
            for name in names
            if self.capture.has_activations(self.nodes[name])
        )

    def _same_numbers(self, capture: CaptureReader, name: str, sample: int, index: int) -> bool:
        other = self.nodes[name]
        here, there = capture.activation(name, sample), self.capture.activation(other, index)
        if is_rounded(capture, name, sample) or is_rounded(self.capture, other, index):
            with np.errstate(over="ignore"):
                return np.array_equal(here.astype(np.float16), there.astype(np.float16), equal_nan=True)
        return np.array_equal(here, there, equal_nan=True)

    def holds(self, sample: int, node_id: str | None = None, output: int = 0) -> bool:
        """Whether there are numbers for a sample of the shown capture, or for one of its nodes."""
        known = sample < len(self.samples) and self.samples[sample] is not None
        return known and (node_id is None or self.capture.has_activations(self.nodes[node_id], output))

    def activation(self, node_id: str, sample: int, output: int = 0) -> NDArray[np.float32]:
        """Read the other model's numbers at a node and a sample of the shown capture, ``shape``.

        Raises
        ------
        CaptureError
            If the other model was not captured for this sample, or without this node.
        """
        return self.capture.activation(self.nodes[node_id], self.index_of(sample), output)

    def index_of(self, sample: int) -> int:
        """Return the other capture's index of a sample of the shown capture.

        Raises
        ------
        CaptureError
            If the other model was not captured for this sample.
        """
        index = self.samples[sample] if sample < len(self.samples) else None
        if index is None:
            raise CaptureError(f"{self.name} was not captured for this sample; choose one that both captures hold.")
        return index

    def weights(self, node: LayerNode) -> Mapping[str, NDArray[Any]]:
        """Read the other model's variables for a layer of the shown model, by name; empty if they were not captured."""
        return self.capture.weights(self.capture.graph.node(self.nodes[node.id]).path)


def matched_nodes(shown: ModelGraph, other: ModelGraph, names: tuple[str, str]) -> dict[str, str]:
    """Return for each node of a graph the node of an equal graph, which may have other names.

    Nodes are matched by their names if both graphs have the same ones, and else by their order.

    Raises
    ------
    CaptureError
        If the graphs differ; the message names the first node that differs.
    """
    ids = [node.id for node in shown]
    if set(ids) == {node.id for node in other}:
        pairs = [(node, other.node(node.id)) for node in shown]
    else:
        pairs = list(zip(shown, other, strict=False))
    problem = next(filter(None, (_node_problem(one, two, names) for one, two in pairs)), "")
    if not problem and len(shown) != len(other):
        longer, name = (shown, names[0]) if len(shown) > len(other) else (other, names[1])
        extra = list(longer)[len(pairs)]
        problem = f"{name} goes on with {_described(extra)}"
    nodes = {one.id: two.id for one, two in pairs}
    problem = problem or _edges_problem(shown, other, nodes, names)
    if problem:
        counts = f" ({len(shown):,} and {len(other):,} layers)" if len(shown) != len(other) else ""
        raise CaptureError(
            f"{names[0]} and {names[1]} have different graphs{counts}: {problem}; --against takes a model with the same "
            "layers."
        )
    return nodes


def _node_problem(one: LayerNode, two: LayerNode, names: tuple[str, str]) -> str:
    """Return in words how two nodes differ; nothing if they do not."""
    if one.kind != two.kind:
        return f"where {names[0]} has {_described(one)}, {names[1]} has {_described(two)}"
    if one.shapes != two.shapes:
        which = one.id if one.id == two.id else f"{one.id} ({two.id})"
        return f"{which} has shape {_shapes(one)} in {names[0]} and {_shapes(two)} in {names[1]}"
    return ""


def _edges_problem(shown: ModelGraph, other: ModelGraph, nodes: Mapping[str, str], names: tuple[str, str]) -> str:
    """Return in words how the edges of two graphs with equal nodes differ; nothing if they do not."""
    for node in shown:
        here, there = [nodes[name] for name in shown.sources(node.id)], list(other.sources(nodes[node.id]))
        if here != there:
            back = {two: one for one, two in nodes.items()}
            taken, other_taken = ", ".join(shown.sources(node.id)), ", ".join(back[name] for name in there)
            return f"{node.id} takes {taken or 'nothing'} in {names[0]} and {other_taken or 'nothing'} in {names[1]}"
    return ""


def _described(node: LayerNode) -> str:
    return f"{node.id} ({node.kind}, {_shapes(node)})"


def _shapes(node: LayerNode) -> str:
    written = (" × ".join("?" if n is None else f"{n:,}" for n in shape) or "scalar" for shape in node.shapes)
    return " and ".join(written) or "none"


def matched_samples(shown: Sequence[str], other: Sequence[str]) -> tuple[int | None, ...]:
    """Return for each sample the index of the other capture's sample of the same name; `None` where there is none.

    The second of several samples of one name is matched with the second one there. Captures of as many samples, none of
    which has a name of the other ones, are matched by position.
    """
    if len(shown) == len(other) and not set(shown) & set(other):
        return tuple(range(len(shown)))
    places: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(other):
        places[name].append(index)
    seen: dict[str, int] = defaultdict(int)
    found: list[int | None] = []
    for name in shown:
        held, number = places.get(name, []), seen[name]
        found.append(held[number] if number < len(held) else None)
        seen[name] += 1
    return tuple(found)


def told_apart(one: str, other: str) -> tuple[str, str]:
    """Return the shortest ends of two paths that differ, ``run1/model.keras`` and ``run2/model.keras``."""
    parts = [PurePath(text).parts or (text,) for text in (one, other)]
    for count in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(part[-count:]) for part in parts]
        if ends[0] != ends[1]:
            return ends[0], ends[1]
    return parts[0][-1], parts[1][-1]


def _sample_names(capture: CaptureReader) -> list[str]:
    return [capture.sample_name(i) for i in range(capture.committed)]
