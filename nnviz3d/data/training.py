"""Reader of a recorded training, during the training or after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.packing import Count, Packing
from nnviz3d.data.printable import printable
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.data.training_embedding import EmbeddedOutputs
from nnviz3d.data.training_epochs import EpochEnds, read_epoch_ends
from nnviz3d.data.training_histograms import Entries as Histogrammed
from nnviz3d.data.training_histograms import RecordedHistograms
from nnviz3d.data.training_updates import WeightUpdate
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
"""Statistics of each layer at each recorded step, in the order of the last axis of `Training.series`.

`gradient_norm`: Euclidean norm of the gradient of the batch's loss by all trainable numbers of the layer together,
unscaled and before clipping. `weight_norm`: norm of these numbers, after the step. `update_ratio`: |after - before| /
|before|; infinite for a layer that was all zeros. `mean`, `std`: of the finite numbers of its first output for the probe
samples after the step. `zeros`, `saturated`: shares of all numbers of this output, 0 to 1. `dead`: share of the units
whose output is 0 everywhere for every probe sample, if the activation function is flat there. `nonfinite_...`: number of
NaN or infinite numbers; `nonfinite_before` counts the weights before the step, which shows the layer that broke first.
A statistic is NaN if it does not exist: for a layer without weights or with frozen ones, for the saturation of a ReLU, and
for a training without probe samples.
"""

_AT_ONCE = 2**24
"""Up to this many bytes, all tensors of a step are read together, and those of the last step are cached."""

SCALARS = ("step", "epoch", "loss", "learning_rate")
"""Numbers of each recorded step; its metrics come after them."""


@dataclass(frozen=True)
class StepRecords:
    """The records of a training that are shown at one step: the last ones up to this step, or else the first ones.

    Attributes
    ----------
    probes, weights, embedded
        Index in `Training.probe_steps`, in `Training.weight_steps` and in `EmbeddedOutputs.steps`; `None` if there are no
        records of this kind.
    probe_step, weight_step
        The steps of these records.
    """

    probes: int | None
    weights: int | None
    probe_step: int | None
    weight_step: int | None
    embedded: int | None = None


@dataclass(frozen=True)
class _Description:
    """Attributes of a recorded training."""

    committed: Mapping[str, Count]
    layers: tuple[str, ...]
    statistics: tuple[str, ...]
    probes: Count
    metrics: tuple[str, ...]
    finished: bool
    epoch_metrics: tuple[str, ...] = ()
    histograms: Histogrammed = ()
    control: bool = False
    paused: bool = False

    def agrees_with(self, graph: ModelGraph) -> bool:
        """Whether the description fits the layers of a graph, and names every part, statistic and metric once."""
        return (
            set(self.committed) == set(schema.TRAINING_PARTS)
            and self.layers == tuple(node.id for node in graph)
            and set(STATISTICS) >= set(self.statistics)
            and all(len(set(names)) == len(names) for names in (self.statistics, self.metrics, self.epoch_metrics))
        )


_DESCRIPTION: TypeAdapter[_Description] = TypeAdapter(_Description)


class Training:
    """A recorded training, up to the step that was recorded last when it was read; made by `Capture.training`.

    It does not change. While the training continues, `refreshed` returns a longer one. S is the number of recorded steps,
    L the number of layers, K the number of `STATISTICS`, n the number of probe samples. The tensors of the probe samples
    were recorded at P of the steps, and all weights at W of them. Indices of these records run from 0 to P - 1 and from 0
    to W - 1; negative ones count from the end.

    Attributes
    ----------
    committed
        S. Later rows are still being written and are never read.
    layers
        Node ids of all L nodes of the graph, in its order.
    statistics
        Names along the last axis of `series`: see `STATISTICS`.
    probes
        n: number of probe samples, which are the samples of the capture.
    finished
        Whether the recorder ended without an error.
    control
        Whether a page may ask the training to wait.
    paused
        Whether it waits.
    """

    def __init__(self, stored: StoredArrays) -> None:
        self._stored = stored
        self._last: dict[str, tuple[int, NDArray[np.float32]]] = {}
        attributes = stored.attributes(schema.TRAINING)
        try:
            committed = {**dict.fromkeys(schema.LATER_PARTS, 0), **attributes["committed"]}
            description = _DESCRIPTION.validate_python({**attributes, "committed": committed})
            self._updates = Packing.from_json(attributes.get("updates", []))
            self._channels, self._activations, self._gradients, self._weights = (
                Packing.from_json(attributes[name]) for name in ("channels", "activations", "gradients", "weights")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._invalid() from error
        self._counts, self.layers, self.statistics = description.committed, description.layers, description.statistics
        self.probes, self.finished = description.probes, description.finished
        self.control, self.paused = description.control, description.paused and not description.finished
        self._metrics = tuple(map(printable, description.metrics))
        self._histogrammed = description.histograms
        self._epoch_metrics = tuple(map(printable, description.epoch_metrics))
        if not description.agrees_with(stored.graph):
            raise self._invalid()
        self.committed = self._counts["steps"]

    def _invalid(self) -> DamagedCapture:
        return self._stored.damaged("its description of the training is invalid")

    def __len__(self) -> int:
        return self.committed

    def refreshed(self) -> Training:
        """Read the training again; return the same object if nothing has changed."""
        now = Training(self._stored.reopened())
        same = (now._counts, now.finished, now.paused) == (self._counts, self.finished, self.paused)
        return self if same else now

    def written(self) -> float:
        """Return when the recorder last wrote something, in seconds since 1970; only for a folder."""
        return self._stored.written(schema.TRAINING)

    @property
    def steps(self) -> NDArray[np.int64]:
        """The recorded steps, ``(S,)``: step k is the k-th update of the weights since the recording began, from 1."""
        return self._scalars[:, 0].astype(np.int64)

    @property
    def epochs(self) -> NDArray[np.int64]:
        """The epoch of each recorded step, ``(S,)``, from 0."""
        return self._scalars[:, 1].astype(np.int64)

    @property
    def loss(self) -> NDArray[np.float64]:
        """The loss of the step's own batch, unscaled, with regularization, ``(S,)``; NaN if it is unknown."""
        return self._scalars[:, 2]

    @property
    def learning_rate(self) -> NDArray[np.float64]:
        """The learning rate of each step, ``(S,)``; NaN without an optimizer of Keras."""
        return self._scalars[:, 3]

    @cached_property
    def metrics(self) -> Mapping[str, NDArray[np.float64]]:
        """The metrics of Keras' progress bar, by name, ``(S,)`` each: means since the epoch began, including `loss`."""
        return {name: self._scalars[:, len(SCALARS) + i] for i, name in enumerate(self._metrics)}

    @cached_property
    def epoch_ends(self) -> EpochEnds:
        """The metrics at the ends of the epochs, those of the validation data among them; empty if none were recorded."""
        return read_epoch_ends(self._stored, self._counts["epochs"], self._epoch_metrics)

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
        """The layers whose gradient norms were also recorded for each channel."""
        return tuple(owner for owner, _, _ in self._channels.entries)

    def channel_gradients(self, layer: str) -> NDArray[np.float32]:
        """Return the gradient norm for each output channel of a layer, ``(S, C)``; a `KeyError` if there are none.

        It is the norm over the numbers of the kernel that lead to the channel, without the bias.
        """
        where, _ = self._channels.span(layer, "")
        before = len(self.layers) * len(self.statistics)
        return self._rows(slice(before + where.start, before + where.stop))

    @cached_property
    def probe_steps(self) -> NDArray[np.int64]:
        """The steps after which the probe samples' activations and gradients were recorded, ``(P,)``."""
        return self._numbers("probe_steps", "probes")

    @cached_property
    def weight_steps(self) -> NDArray[np.int64]:
        """The steps after which all weights were recorded, ``(W,)``."""
        return self._numbers("weight_steps", "weights")

    def recorded_index(self, step: int) -> int:
        """Return the recorded index of a step, 0 to S - 1: that of the last recorded step up to it, or else 0.

        At least one step must be recorded.
        """
        return max(int(np.searchsorted(self.steps, step, side="right")) - 1, 0)

    def records_at(self, step: int) -> StepRecords:
        """Return the records to show at a step: the last ones up to it, or else the first ones."""
        found = []
        embedded = np.empty(0, np.int64) if self.embedded is None else self.embedded.steps
        for steps in (self.probe_steps, self.weight_steps, embedded):
            at = max(int(np.searchsorted(steps, step, side="right")) - 1, 0) if len(steps) else None
            found.append((at, None if at is None else int(steps[at])))
        (probes, probe_step), (weights, weight_step), (points, _) = found
        return StepRecords(probes, weights, probe_step, weight_step, points)

    def has_activation(self, node: str, output: int = 0) -> bool:
        """Whether the activations of a node's output were recorded."""
        return bool(self._counts["probes"]) and (node, str(output)) in self._activations

    def activation(self, node: str, at: int = -1, output: int = 0) -> NDArray[np.float32]:
        """Return a node's output for the probe samples, ``(n, *shape)``.

        Parameters
        ----------
        at
            Index in `probe_steps`, 0 to P - 1; negative ones count from the end.

        Raises
        ------
        CaptureError
            If it was not recorded.
        """
        return self._tensor("activations", self._activations, "probes", at, node, str(output))

    def has_gradient(self, node: str, output: int = 0) -> bool:
        """Whether the loss's gradient by an output of a node was recorded."""
        return bool(self._counts["probes"]) and (node, str(output)) in self._gradients

    @property
    def has_gradients(self) -> bool:
        """Whether the loss's gradient by any output was recorded."""
        return bool(self._counts["probes"]) and bool(self._gradients.entries)

    def gradient(self, node: str, at: int = -1, output: int = 0) -> NDArray[np.float32]:
        """Return the gradient of the loss by a node's output, ``(n, *shape)``; an input has a node too.

        The loss is the model's own loss for the probe samples as one batch, in inference mode, without dropout. For a model
        output that ends in a softmax or sigmoid, the gradient is by the scores before it, from which Keras computes the
        loss. Arguments and errors are those of `activation`.
        """
        return self._tensor("gradients", self._gradients, "probes", at, node, str(output))

    def weights(self, layer: str, at: int = -1) -> Mapping[str, NDArray[np.float32]]:
        """Return a layer's variables by name; `at` is an index in `weight_steps`; empty if none were recorded."""
        if not self._counts["weights"]:
            return {}
        return {
            part: self._tensor("weights", self._weights, "weights", at, layer, part)
            for part in self._weights.parts(layer)
        }

    @cached_property
    def histograms(self) -> RecordedHistograms:
        """The histograms of weights, gradients and updates; without steps if none were recorded."""
        return RecordedHistograms(self._stored, self._numbers("histogram_steps", "histograms"), self._histogrammed)

    @cached_property
    def update_steps(self) -> NDArray[np.int64]:
        """The steps whose updates of single weights were recorded, ``(U,)``; they are among `weight_steps`."""
        return self._numbers("update_steps", "updates")

    def update(self, layer: str, variable: str, step: int) -> WeightUpdate | None:
        """Return what the last step up to this one with recorded updates did to a variable; `None` if none is recorded."""
        at = int(np.searchsorted(self.update_steps, step, side="right")) - 1
        if at < 0 or (layer, variable) not in self._updates:
            return None
        found = int(self.update_steps[at])
        before, gradient = (
            self._tensor(name, self._updates, "updates", at, layer, variable)
            for name in ("weights_before", "weight_gradients")
        )
        after = self.weights(layer, int(np.searchsorted(self.weight_steps, found)))[variable]
        return WeightUpdate(found, float(self.learning_rate[self.recorded_index(found)]), before, gradient, after)

    @cached_property
    def embedded(self) -> EmbeddedOutputs | None:
        """The recorded outputs of the embedded samples; `None` if there are none."""
        steps = self._numbers("embedded_steps", "embedded")
        return EmbeddedOutputs(self._stored, steps) if self._stored.has_group(schema.EMBEDDED) else None

    @cached_property
    def _scalars(self) -> NDArray[np.float64]:
        width = len(SCALARS) + len(self._metrics)
        if not self.committed:
            return np.empty((0, width))
        array = self._stored.require(schema.training_path("scalars"), (None, width), "f")
        found = self._stored.read(array, slice(self.committed))
        if not np.all(np.abs(found[:, :2]) < 2**53):  # NaN too
            raise self._stored.damaged("its training has steps or epochs that are not integers")
        return found

    def _rows(self, columns: slice) -> NDArray[np.float32]:
        if not self.committed:
            return np.empty((0, columns.stop - columns.start), np.float32)
        width = len(self.layers) * len(self.statistics) + self._channels.width
        array = self._stored.require(schema.training_path("layers"), (None, width), "f")
        return self._stored.read(array, (slice(self.committed), columns))

    def _numbers(self, name: str, kind: str) -> NDArray[np.int64]:
        count = self._counts[kind]
        if not count:
            return np.empty(0, np.int64)
        array = self._stored.require(schema.training_path(name), (None, 1), "i")
        return self._stored.read(array, slice(count))[:, 0]

    def _tensor(self, name: str, packing: Packing, kind: str, at: int, owner: str, part: str) -> NDArray[np.float32]:
        count = self._counts[kind]
        if not -count <= at < count or (owner, part) not in packing:
            raise CaptureError(
                f"{self._stored.path} holds no {name} of {owner!r} at recorded index {at}; {count} were recorded. "
                "TrainingRecorder says how often."
            )
        where, shape = packing.span(owner, part)
        array = self._stored.require(schema.training_path(name), (None, packing.width), "f")
        at %= count
        if packing.width * array.dtype.itemsize > _AT_ONCE:
            return self._stored.read(array, (at, where)).reshape(shape)
        # All layers of a step are usually read one after another, and each read of a store takes milliseconds.
        if self._last.get(name, (None,))[0] != at:
            self._last[name] = (at, self._stored.read(array, at))
        return self._last[name][1][where].reshape(shape).copy()
