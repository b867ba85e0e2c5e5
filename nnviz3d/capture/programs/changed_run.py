"""A run of a traced model in which outputs of some calls are changed; only what depends on them is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras.src import backend
from numpy.typing import NDArray

from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.describe import through
from nnviz3d.capture.programs.differentiable import DifferentiableModel, without_activation
from nnviz3d.capture.programs.flat_program import with_mask_of
from nnviz3d.capture.programs.frozen import Compiled, frozen

_COMPILED = 8
"""Most compiled functions that a model keeps; that of a large network takes megabytes."""


class Site(NamedTuple):
    """A changed output.

    Attributes
    ----------
    node
        The node whose first output changes.
    reader
        The only node that reads the change; empty for all.
    part
        0 if all numbers of the reader's first output get the change, else a number for each part of them that gets one.
    """

    node: str
    reader: str = ""
    part: int = 0


@dataclass
class Change:
    """The change of one output, for each of its numbers; all arrays have the shape of one sample.

    Attributes
    ----------
    factor
        float64: the factor of the number, 1 if it stays.
    muted, frozen
        bool: whether the number is 0, and whether it is that of the unchanged run.
    painted, paint
        Whether the number is another one, and that number; single numbers if nothing is painted.
    read_by
        bool, of the shape of the reader's output: the numbers that get the change; a single `True`: all of them.
    """

    factor: NDArray[np.float64]
    muted: NDArray[np.bool_]
    frozen: NDArray[np.bool_]
    painted: NDArray[np.bool_]
    paint: NDArray[Any]
    read_by: NDArray[np.bool_]

    @staticmethod
    def none(shape: Sequence[int]) -> Change:
        """Return the change that leaves all numbers as they are."""
        return Change(
            np.ones(shape), np.zeros(shape, bool), np.zeros(shape, bool), np.array(False), np.zeros(()), np.array(True)
        )

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All arrays, in the order of the attributes."""
        return self.factor, self.muted, self.frozen, self.painted, self.paint, self.read_by


class ChangedRun:
    """Compiles and runs the part of a program that depends on changed outputs.

    The other outputs are given, as an unchanged run has computed them. Changes at the same sites run the same compiled
    function. A model that draws random numbers, or whose layers pass masks on, runs as a whole.

    Parameters
    ----------
    model
        The model; it keeps the compiled functions.
    """

    def __init__(self, model: DifferentiableModel, sites: Sequence[Site]) -> None:
        self._model = model
        self._program = model.described.program
        self._sites = tuple(dict.fromkeys(sites))
        self._reached = self._followed()
        self._runs = set(self._reached) if not self._whole else set(range(len(self._program.calls)))
        self._nodes = {position: node for node, position in model.described.calls.items()}
        self.given = tuple(self._nodes[i] for i in sorted(self._needed()) if i in self._nodes)

    @property
    def changed(self) -> tuple[str, ...]:
        """Ids of the nodes whose numbers may change, in the graph's order."""
        at_all = {site.node for site in self._sites if not site.reader}
        return tuple(
            n for n, position in self._model.described.calls.items() if position in self._reached or n in at_all
        )

    def batches(self, unchanged: Iterator[Batch], changes: Mapping[Site, Change]) -> Iterator[Batch]:
        """Return the outputs of the changed nodes for each batch of an unchanged run.

        Parameters
        ----------
        unchanged
            The outputs of all nodes.
        changes
            The change at each site.
        """
        function = self._compiled()
        arrays = [tuple(tf.constant(array) for array in changes[site].arrays) for site in self._sites]
        for batch in unchanged:
            outputs = function([batch.outputs[node] for node in self.given], arrays)
            yield replace(batch, outputs=outputs, gates={})

    def _compiled(self) -> Compiled:
        """Return the compiled function of these sites; the model keeps the last few."""
        kept: dict[tuple[Site, ...], Compiled] = self._model.compiled("changed runs", dict)
        function = kept.pop(self._sites, None) or Compiled(self._run)
        kept[self._sites] = function
        while len(kept) > _COMPILED:
            del kept[next(iter(kept))]
        return function

    @property
    def _whole(self) -> bool:
        """Whether all calls run again: masks go with tensors, and random numbers depend on those drawn before."""
        tensors = (tensor for call in self._program.calls for tensor in call.outputs)
        masked = any(backend.get_keras_mask(tensor) is not None for tensor in tensors)
        return self._model.draws or masked or any(_makes_masks(call.operation) for call in self._program.calls)

    def _readers(self, site: Site) -> list[tuple[int, tuple[int, int]]]:
        """Return the calls that read a changed output, with the tensor that each of them reads."""
        position, calls = self._model.described.calls[site.node], self._program.calls
        if not site.reader:
            return [(i, (position, 0)) for i, call in enumerate(calls) if (position, 0) in call.sources]
        i = self._model.described.calls[site.reader]
        return [(i, source) for source in calls[i].sources if through(self._program, source) == (position, 0)]

    def _followed(self) -> frozenset[int]:
        """Return the calls that depend on a change, without those whose own output alone is changed."""
        found = {i for site in self._sites for i, _ in self._readers(site)}
        for i, call in enumerate(self._program.calls):
            if any(source in found for source, _ in call.sources):
                found.add(i)
        return frozenset(found)

    def _needed(self) -> set[int]:
        """Return the calls whose unchanged outputs are given; calls that are not nodes are computed from these."""
        calls = self._program.calls
        needed = {self._model.described.calls[site.node] for site in self._sites}
        inputs = {i for i, call in enumerate(calls) if call.is_input}
        if self._whole:
            return needed | inputs
        for i in sorted(self._runs, reverse=True):
            needed |= {source for source, _ in calls[i].sources} - self._runs
        for i in sorted(needed, reverse=True):
            while calls[i].plumbing and i not in self._runs:
                self._runs.add(i)
                i = calls[i].sources[0][0]
                needed |= {i} - self._runs
        return needed

    def _run(self, given: Sequence[tuple[Any, ...]], arrays: Sequence[tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        calls, positions = self._program.calls, self._model.described.calls
        base = {positions[node]: outputs for node, outputs in zip(self.given, given, strict=True)}
        at_nodes = {positions[site.node]: k for k, site in enumerate(self._sites) if not site.reader}
        at_edges: dict[int, list[_EdgeChange]] = {}
        for k, site in enumerate(self._sites):
            for i, source in self._readers(site) if site.reader else ():
                at_edges.setdefault(i, []).append((k, source))
        values: dict[int, Any] = {}
        layers = [calls[i].operation for i in self._runs if isinstance(calls[i].operation, keras.layers.Layer)]
        # As in a whole run: names of layers may begin with an underscore in a scope, and not at the root.
        with tf.name_scope("model"), frozen() as scope:
            scope.keep_losses(layers)
            for i, call in enumerate(calls):
                if i in self._runs and not call.is_input:
                    self._call(call, values, at_edges.get(i, ()), base, arrays)
                elif i in base:
                    values.update((id(t), v) for t, v in zip(call.outputs, base[i], strict=True))
                if i in at_nodes:
                    symbol = id(call.outputs[0])
                    values[symbol] = _changed(values[symbol], base[i][0], *arrays[at_nodes[i]])
        return {node: _outputs(calls[positions[node]], values) for node in self.changed}

    def _call(
        self,
        call: Call,
        values: dict[int, Any],
        edges: Sequence[_EdgeChange],
        base: Mapping[int, tuple[Any, ...]],
        arrays: Sequence[tuple[Any, ...]],
    ) -> None:
        """Run a call, whose output is that of further runs where only a part of it gets a change along an edge."""
        whole = [edge for edge in edges if not self._sites[edge[0]].part]
        parts = dict.fromkeys(self._sites[k].part for k, _ in edges if self._sites[k].part)
        # An activation function such as softmax gives every number a part of the change, so it follows last.
        with without_activation(call.operation) if parts else nullcontext() as activation:
            with self._along_edges(values, whole, base, arrays):
                call(values)
            symbol = id(call.outputs[0]) if parts else 0
            for part in parts:
                own = [edge for edge in edges if self._sites[edge[0]].part == part]
                kept = {id(tensor): values[id(tensor)] for tensor in call.outputs}
                with self._along_edges(values, [*whole, *own], base, arrays):
                    call(values)
                found, read_by = values[symbol], arrays[own[0][0]][-1]
                values.update(kept)
                values[symbol] = with_mask_of(kept[symbol], tf.where(read_by, found, kept[symbol]))
        if activation is not None:
            values[symbol] = with_mask_of(values[symbol], activation(values[symbol]))

    @contextmanager
    def _along_edges(
        self,
        values: dict[int, Any],
        edges: Sequence[_EdgeChange],
        base: Mapping[int, tuple[Any, ...]],
        arrays: Sequence[tuple[Any, ...]],
    ) -> Iterator[None]:
        """Change tensors for one call that reads them."""
        kept: dict[int, Any] = {}
        for k, (i, output) in edges:
            symbol = id(self._program.calls[i].outputs[output])
            kept.setdefault(symbol, values[symbol])
            unchanged = base[self._model.described.calls[self._sites[k].node]][0]
            values[symbol] = _changed(values[symbol], unchanged, *arrays[k])
        try:
            yield
        finally:
            values.update(kept)


_EdgeChange = tuple[int, tuple[int, int]]
"""The number of a site, and the tensor in which a call reads its change."""


def _outputs(call: Call, values: Mapping[int, Any]) -> tuple[Any, ...]:
    return tuple(tf.convert_to_tensor(values[id(tensor)]) for tensor in call.outputs)


def _changed(
    value: Any, unchanged: Any, factor: Any, muted: Any, frozen_: Any, painted: Any, paint: Any, _read_by: Any
) -> Any:
    """Return an output ``(n, *shape)`` with a change; numbers that stay keep their bits."""
    found = value
    if value.dtype.is_floating:
        # A factor of 1 might turn -0 or NaN into other bits.
        found = tf.where(factor != 1, value * tf.cast(factor, value.dtype), value)
    found = tf.where(muted, tf.zeros((), value.dtype), found)
    found = tf.where(frozen_, tf.cast(unchanged, value.dtype), found)
    if value.dtype.is_floating or value.dtype.is_integer:
        found = tf.where(painted, tf.cast(paint, value.dtype), found)
    return with_mask_of(value, found)


def _makes_masks(operation: Any) -> bool:
    return isinstance(operation, keras.layers.Masking) or bool(getattr(operation, "mask_zero", False))
