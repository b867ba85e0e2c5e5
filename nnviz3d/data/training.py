"""Reads how a training went: what was recorded of its steps, while it still goes on or afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.printable import printable
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.data.training_embedding import Embedded
from nnviz3d.errors import CaptureError, DamagedCapture

STATISTICS = (
    "gradient_norm",
    "weight_norm",
    "update_ratio",
    "mean",
    "std",
    "zeros",
    "saturated",
    "dead",
    "nonfinite_activations",
    "nonfinite_gradients",
    "nonfinite_weights",
    "nonfinite_before",
)
"""What is measured of each layer at each recorded step, in the order of the last axis of `Training.series`.

`gradient_norm`: Euclidean norm of the gradient of the batch's loss by all trainable numbers of the layer together,
unscaled and before clipping. `weight_norm`: theirs, after the step. `update_ratio`: |after - before| / |before|; infinite
for a layer that was all zeros. `mean`, `std`: of the finite numbers that its first output held for the probe samples after
the step. `zeros`, `saturated`: shares of all those numbers, 0 to 1. `dead`: share of the units, neurons or channels, that
give 0 everywhere for every probe sample, where the activation function is flat there. `nonfinite_...`: how many are NaN or
infinite; `nonfinite_before` are weights before the step, which tells who began when a step later all are. NaN where there
is nothing to measure: a layer without weights or with frozen ones, a ReLU's saturation, a training without probe samples.
"""

_AT_ONCE = 2**24
"""Bytes up to which all tensors of a step are read together, and those of the last step that was asked for are kept."""

SCALARS = ("step", "epoch", "loss", "learning_rate")
"""What is kept of each recorded step before its metrics."""


_Count = Annotated[int, Field(ge=0, lt=2**40)]
Entries = tuple[tuple[str, str, tuple[_Count, ...]], ...]
_ENTRIES: TypeAdapter[Entries] = TypeAdapter(Entries)


@dataclass(frozen=True)
class Packing:
    """How tensors lie one behind the other in one row of numbers, because many small arrays cost time.

    Parameters
    ----------
    entries
        Whose it is, which of its parts, and its shape.
    """

    entries: Entries = ()

    @cached_property
    def _places(self) -> dict[tuple[str, str], tuple[int, tuple[int, ...]]]:
        places, start = {}, 0
        for owner, part, shape in self.entries:
            places[owner, part] = (start, shape)
            start += math.prod(shape)
        return places

    @property
    def width(self) -> int:
        """How many numbers a row has."""
        return sum(math.prod(shape) for _, _, shape in self.entries)

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._places

    def place(self, owner: str, part: str) -> tuple[slice, tuple[int, ...]]:
        """Return where a tensor lies in a row, and its shape."""
        start, shape = self._places[owner, part]
        return slice(start, start + math.prod(shape)), shape

    def parts(self, owner: str) -> tuple[str, ...]:
        """Name what is kept of one owner."""
        return tuple(part for name, part, _ in self.entries if name == owner)

    def pack(self, tensors: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
        """Lay tensors, in the order of the entries, behind one another."""
        flat = [np.asarray(tensor, dtype=np.float32).reshape(-1) for tensor in tensors]
        row = np.concatenate(flat) if flat else np.empty(0, np.float32)
        if row.shape != (self.width,):
            raise CaptureError(f"A row has {self.width} numbers, got {row.size}.")
        return row

    def to_json(self) -> list[Any]:
        """Return plain lists."""
        return [[owner, part, list(shape)] for owner, part, shape in self.entries]

    @staticmethod
    def from_json(data: Any) -> Packing:
        """Read the result of `to_json`; anything else is a `ValueError`."""
        return Packing(_ENTRIES.validate_python(data))


@dataclass(frozen=True)
class StepRecords:
    """What of a training is seen at one step: what was kept last before it, or at it, and else what was kept first.

    Attributes
    ----------
    probes, weights, embedded
        Which of `Training.probe_steps`, of `Training.weight_steps` and of `Embedded.steps`; `None` where nothing was kept.
    probe_step, weight_step
        The steps after which these were kept.
    """

    probes: int | None
    weights: int | None
    probe_step: int | None
    weight_step: int | None
    embedded: int | None = None


@dataclass(frozen=True)
class _Told:
    """Description of a capture's training, without its numbers."""

    committed: Mapping[str, _Count]
    layers: tuple[str, ...]
    statistics: tuple[str, ...]
    probes: _Count
    metrics: tuple[str, ...]
    finished: bool

    def agrees_with(self, graph: ModelGraph) -> bool:
        """Whether the description fits the layers of a graph, and names every part and every figure once."""
        return (
            set(self.committed) == set(schema.TRAINING_PARTS)
            and self.layers == tuple(node.id for node in graph)
            and set(STATISTICS) >= set(self.statistics)
            and all(len(set(names)) == len(names) for names in (self.statistics, self.metrics))
        )


_TOLD: TypeAdapter[_Told] = TypeAdapter(_Told)


class Training:
    """A training as far as it was recorded when this was read; got by `Capture.training`.

    It does not change. Where the training goes on, `refreshed` gives what has come since. S is the number of recorded
    steps, L that of layers, K that of `STATISTICS`, n that of probe samples, P and W those of the steps at which what the
    probe samples do, and the weights, were kept whole. Those are numbered 0 to P - 1 and 0 to W - 1, or from -1 back.

    Attributes
    ----------
    committed
        S. What comes after it is still being written and is never read.
    layers
        Node ids of all L nodes of the graph, in its order.
    statistics
        Names along the last axis of `series`: see `STATISTICS`.
    probes
        n: how many probe samples there are, which are the samples of the capture.
    finished
        Whether the recorder has ended its work in good order.
    """

    def __init__(self, stored: StoredArrays) -> None:
        self._stored = stored
        self._last: dict[str, tuple[int, NDArray[np.float32]]] = {}
        attributes = stored.attributes(schema.TRAINING)
        try:
            # Captures of earlier versions have no points.
            told = _TOLD.validate_python({**attributes, "committed": {"embedded": 0, **attributes["committed"]}})
            self._channels, self._activations, self._gradients, self._weights = (
                Packing.from_json(attributes[name]) for name in ("channels", "activations", "gradients", "weights")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._senseless() from error
        self._marks, self.layers, self.statistics = told.committed, told.layers, told.statistics
        self.probes, self.finished = told.probes, told.finished
        self._metrics = tuple(map(printable, told.metrics))
        if not told.agrees_with(stored.graph):
            raise self._senseless()
        self.committed = self._marks["steps"]

    def _senseless(self) -> DamagedCapture:
        return self._stored.damaged("its description of the training is invalid")

    def __len__(self) -> int:
        return self.committed

    def refreshed(self) -> Training:
        """Read again how far the training is; the same object if nothing has come since."""
        now = Training(self._stored.reopened())
        return self if (now._marks, now.finished) == (self._marks, self.finished) else now

    def written(self) -> float:
        """Say when the recorder last wrote something, in seconds since 1970; of a folder alone."""
        return self._stored.written(schema.TRAINING)

    @property
    def steps(self) -> NDArray[np.int64]:
        """Which steps were recorded, ``(S,)``: k is the k-th update of the weights since the recording began, from 1."""
        return self._scalars[:, 0].astype(np.int64)

    @property
    def epochs(self) -> NDArray[np.int64]:
        """The epoch of each recorded step, ``(S,)``, from 0."""
        return self._scalars[:, 1].astype(np.int64)

    @property
    def loss(self) -> NDArray[np.float64]:
        """The loss of the step's own batch, unscaled, with regularization, ``(S,)``; NaN if it was not told."""
        return self._scalars[:, 2]

    @property
    def learning_rate(self) -> NDArray[np.float64]:
        """What the step was made with, ``(S,)``; NaN without an optimizer of Keras."""
        return self._scalars[:, 3]

    @cached_property
    def metrics(self) -> Mapping[str, NDArray[np.float64]]:
        """What Keras shows beside the progress, by name, ``(S,)`` each; means since the epoch began, `loss` too."""
        return {name: self._scalars[:, len(SCALARS) + i] for i, name in enumerate(self._metrics)}

    @cached_property
    def series(self) -> NDArray[np.float32]:
        """All `STATISTICS` of all layers, ``(S, L, K)``."""
        shape = (len(self.layers), len(self.statistics))
        return self._rows(slice(0, math.prod(shape))).reshape(self.committed, *shape)

    def statistic(self, name: str) -> NDArray[np.float32]:
        """Return one statistic of all layers, ``(S, L)``; an unknown name is a `ValueError`."""
        return self.series[:, :, self.statistics.index(name)]

    @property
    def channel_layers(self) -> tuple[str, ...]:
        """The layers whose gradient norms were recorded by channel too."""
        return tuple(owner for owner, _, _ in self._channels.entries)

    def channel_gradients(self, layer: str) -> NDArray[np.float32]:
        """Return gradient norms by the channels that a layer gives, ``(S, C)``; a `KeyError` if there are none.

        They are of its kernel alone, over all its numbers that lead to the channel.
        """
        where, _ = self._channels.place(layer, "")
        before = len(self.layers) * len(self.statistics)
        return self._rows(slice(before + where.start, before + where.stop))

    @cached_property
    def probe_steps(self) -> NDArray[np.int64]:
        """The steps after which the probe samples' activations and gradients were kept, ``(P,)``."""
        return self._numbers("probe_steps", "probes")

    @cached_property
    def weight_steps(self) -> NDArray[np.int64]:
        """The steps after which all weights were kept, ``(W,)``."""
        return self._numbers("weight_steps", "weights")

    def recorded(self, step: int) -> int:
        """Say which of `steps` is the latest not after a step, 0 to S - 1; the first, if all are. There has to be one."""
        return max(int(np.searchsorted(self.steps, step, side="right")) - 1, 0)

    def records_at(self, step: int) -> StepRecords:
        """Find what was kept last before a step, or at it."""
        found = []
        embedded = np.empty(0, np.int64) if self.embedded is None else self.embedded.steps
        for steps in (self.probe_steps, self.weight_steps, embedded):
            at = max(int(np.searchsorted(steps, step, side="right")) - 1, 0) if len(steps) else None
            found.append((at, None if at is None else int(steps[at])))
        (probes, probe_step), (weights, weight_step), (points, _) = found
        return StepRecords(probes, weights, probe_step, weight_step, points)

    def has_activation(self, node: str, output: int = 0) -> bool:
        """Whether an output of a node was kept."""
        return bool(self._marks["probes"]) and (node, str(output)) in self._activations

    def activation(self, node: str, at: int = -1, output: int = 0) -> NDArray[np.float32]:
        """Return what a node's output held for the probe samples, ``(n, *shape)``.

        Parameters
        ----------
        at
            Which of `probe_steps`, 0 to P - 1; from the last one back if negative.

        Raises
        ------
        CaptureError
            If it was not kept.
        """
        return self._tensor("activations", self._activations, "probes", at, node, str(output))

    def has_gradient(self, node: str, output: int = 0) -> bool:
        """Whether the loss's gradient by an output of a node was kept."""
        return bool(self._marks["probes"]) and (node, str(output)) in self._gradients

    @property
    def has_gradients(self) -> bool:
        """Whether the loss's gradients by any output were kept."""
        return bool(self._marks["probes"]) and bool(self._gradients.entries)

    def gradient(self, node: str, at: int = -1, output: int = 0) -> NDArray[np.float32]:
        """Return the gradient of the loss by what a node's output held, ``(n, *shape)``; by an input, under its node id.

        The loss is the model's own for the probe samples as one batch, without dropout and the like. At an output that
        ends in a softmax or sigmoid it is the gradient by the scores before that, from which Keras computes the loss.
        Arguments and errors are those of `activation`.
        """
        return self._tensor("gradients", self._gradients, "probes", at, node, str(output))

    def weights(self, layer: str, at: int = -1) -> Mapping[str, NDArray[np.float32]]:
        """Return a layer's variables by name, after one of `weight_steps`; empty if there are none."""
        if not self._marks["weights"]:
            return {}
        return {
            part: self._tensor("weights", self._weights, "weights", at, layer, part)
            for part in self._weights.parts(layer)
        }

    @cached_property
    def embedded(self) -> Embedded | None:
        """What was kept of the samples that are placed as points; `None` if there are none."""
        steps = self._numbers("embedded_steps", "embedded")
        return Embedded(self._stored, steps) if self._stored.has_group(schema.EMBEDDED) else None

    @cached_property
    def _scalars(self) -> NDArray[np.float64]:
        width = len(SCALARS) + len(self._metrics)
        if not self.committed:
            return np.empty((0, width))
        array = self._stored.require(schema.training_path("scalars"), (None, width), "f")
        found = self._stored.read(array, slice(self.committed))
        if not np.all(np.abs(found[:, :2]) < 2**53):  # NaN too
            raise self._stored.damaged("its training has steps or epochs that are no whole numbers")
        return found

    def _rows(self, columns: slice) -> NDArray[np.float32]:
        if not self.committed:
            return np.empty((0, columns.stop - columns.start), np.float32)
        width = len(self.layers) * len(self.statistics) + self._channels.width
        array = self._stored.require(schema.training_path("layers"), (None, width), "f")
        return self._stored.read(array, (slice(self.committed), columns))

    def _numbers(self, name: str, mark: str) -> NDArray[np.int64]:
        count = self._marks[mark]
        if not count:
            return np.empty(0, np.int64)
        array = self._stored.require(schema.training_path(name), (None, 1), "i")
        return self._stored.read(array, slice(count))[:, 0]

    def _tensor(self, name: str, packing: Packing, mark: str, at: int, owner: str, part: str) -> NDArray[np.float32]:
        count = self._marks[mark]
        if not -count <= at < count or (owner, part) not in packing:
            raise CaptureError(
                f"{self._stored.path} holds no {name} of {owner!r} at place {at}; {count} were kept. "
                "TrainingRecorder says how often."
            )
        where, shape = packing.place(owner, part)
        array = self._stored.require(schema.training_path(name), (None, packing.width), "f")
        at %= count
        if packing.width * array.dtype.itemsize > _AT_ONCE:
            return self._stored.read(array, (at, where)).reshape(shape)
        # Whoever reads one layer at a step goes on to the others, and each read of a store takes milliseconds.
        if self._last.get(name, (None,))[0] != at:
            self._last[name] = (at, self._stored.read(array, at))
        return self._last[name][1][where].reshape(shape).copy()
