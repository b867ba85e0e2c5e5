"""Measure a model in training, and write the measurements into a capture."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.analysis.health import examine, summaries, with_first_update
from nnviz3d.capture.capture_model import versions
from nnviz3d.capture.inputs.token_names import nodes_of_tokens, worded
from nnviz3d.capture.inputs.unit_names import unit_names
from nnviz3d.capture.programs.activations import viewed
from nnviz3d.capture.programs.describe import DescribedModel
from nnviz3d.capture.training.epoch_recording import EpochRecording
from nnviz3d.capture.training.failures import failure
from nnviz3d.capture.training.pause import Pause
from nnviz3d.capture.training.recordable import RecordableParts, labels_of
from nnviz3d.capture.training.step_numbers import StepNumbers
from nnviz3d.capture.training.train_step_hook import VariableCopies
from nnviz3d.capture.training.weight_statistics import WeightMeasure
from nnviz3d.capture.weights import named_variables
from nnviz3d.data.files.locks import WriterLock
from nnviz3d.data.packing import Packing
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.axis_names import write_tokens, write_unit_names
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_embedded, announce_training
from nnviz3d.data.training import STATISTICS

T = TypeVar("T")


class Recording:
    """The recording of one training of one model in a capture, which exists from the start.

    Parameters
    ----------
    path
        Folder of the capture.
    model
        A built model.
    held
        Its trainable variables and copies of their gradients.
    parts
        The parts of the model that are recorded.
    metrics
        Names of the metrics of each step.
    classes
        Names of the classes, if known.
    lock
        The lock of the destination, if the caller holds it already.
    cadence
        A sentence for the provenance that says which steps are recorded.
    pause
        Requests of a page to the training, if it may make some.

    Attributes
    ----------
    notes
        Sentences for the user about the recording.
    seconds
        Seconds that each part of the last record took: ``steps``, and ``probes`` and ``weights`` if it had them.
    sizes
        Size of each of these parts in bytes.

    Raises
    ------
    UserError
        If the capture cannot be written.
    """

    def __init__(
        self,
        path: Path,
        model: keras.Model,
        held: Mapping[int, VariableCopies],
        parts: RecordableParts,
        metrics: Sequence[str],
        *,
        classes: tuple[str, ...] | None = None,
        lock: WriterLock | None = None,
        cadence: str = "",
        pause: Pause | None = None,
    ) -> None:
        self._parts = parts
        self._described = parts.described
        self._held = held
        self._measure = WeightMeasure(self._described, held)
        self._weights = _weights(self._described)
        self._numbers = StepNumbers(self._described, held, self._weights)
        probe = parts.probe
        self.notes = parts.notes
        provenance = Provenance(
            model=f"{type(model).__name__} {model.name!r}",
            preprocessing="none",
            preprocessing_reason="samples are as the training is fed them",
            samples=tuple(f"probe {i}" for i in range(probe.count)) if probe is not None else (),
            notes=(*self.notes, *filter(None, [cadence])),
            versions=versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        graph = self._described.graph
        samples = len(provenance.samples)
        with CaptureWriter(
            path, graph=graph, provenance=provenance, samples=samples, classes=classes, growing=True, lock=lock
        ) as writer:
            if probe is not None:
                for name, array in zip(graph.inputs, probe.arrays, strict=True):
                    writer.write_input(name, 0, array)
                for name, word in nodes_of_tokens(self._described, model).items():
                    if name in graph.inputs:
                        write_tokens(writer, name, worded(probe.arrays[graph.inputs.index(name)], word))
                labels = labels_of(probe.y, samples)
                if labels is not None:
                    writer.write_labels(labels)
            for name, names in unit_names(self._described, {}).items():
                write_unit_names(writer, name, names)
            writer.commit(samples)
            announce_training(
                writer,
                graph,
                metrics=metrics,
                probes=samples,
                channels=self._measure.channels,
                activations=probe.activations if probe is not None else Packing(),
                gradients=probe.gradients if probe is not None else Packing(),
                weights=Packing(tuple((layer, name, tuple(v.shape)) for layer, name, v in self._weights)),
                updates=self._numbers.updates,
                histograms=self._numbers.entries,
                control=pause is not None,
            )
            if parts.embedded is not None:
                announce_embedded(writer, parts.embedded.found)
        self._writer = TrainingWriter(path)
        self._pause = pause
        self._epochs = EpochRecording(self._writer)
        self.seconds: dict[str, float] = {}
        self.sizes: dict[str, int] = {}
        self._first: NDArray[np.float32] | None = None
        self._told: set[tuple[str, str]] = set()
        self._dropped: set[str] = set()

    def check(self) -> None:
        """Check that the capture still exists; raises a `CaptureError` if not."""
        self._writer.check()

    def write(
        self,
        scalars: Mapping[str, float],
        metrics: Mapping[str, float],
        *,
        made: int | None = None,
        gradients: bool = True,
        ratios: bool = True,
        probes: bool,
        weights: bool,
    ) -> tuple[str, ...]:
        """Measure the model after a step, and write and commit the step.

        A part that cannot be measured is left out from then on, with one sentence.

        Parameters
        ----------
        scalars, metrics
            As `TrainingWriter.step`.
        made
            Value of `OptimizerCall.step` for an optimizer's call in this step.
        gradients, ratios
            Whether gradients, and the weights before the step, are known.
        probes, weights
            Whether to record the probe samples' tensors and the outputs for embedded samples, and all weights.

        Returns
        -------
        Sentences about new faults of the model, and about parts that are no longer recorded.

        Raises
        ------
        CaptureError, OSError
            If the step cannot be written.
        """
        step, parts = int(scalars["step"]), self._parts
        said: list[str] = []
        self.seconds, self.sizes, began = {}, {}, time.perf_counter()
        measured = self._attempt(
            "norms of gradients, weights and updates",
            step,
            said,
            lambda: self._measure(made, finite=bool(np.isfinite(scalars["loss"]))),
        )
        layers, channels = measured or self._nothing()
        if not gradients:
            layers[:, [STATISTICS.index("gradient_norm"), STATISTICS.index("nonfinite_gradients")]] = np.nan
            channels[:] = np.nan
        if not ratios:
            layers[:, STATISTICS.index("update_ratio")] = np.nan
        if (probe := parts.probe) is not None:
            self._attempt("statistics of activations", step, said, lambda: probe.statistics(layers))
        since = time.perf_counter()
        # For many variables this takes milliseconds.
        finite = bool(np.isfinite(scalars["loss"]))
        known = {"finite": finite, "gradients": gradients, "ratios": ratios}
        states = self._numbers.states(made, **known) if probes or weights else {}
        if probes:
            numbers = self._attempt("histograms", step, said, lambda: self._numbers.histograms(states))
            if numbers is not None:
                self._writer.histograms(step, *numbers)
        if probe is not None:
            tensors = self._attempt("the probe samples' activations", step, said, probe.tensors) if probes else None
            if tensors is not None:
                self._writer.probe(step, *tensors)
                self.sizes["probes"] = sum(tensor.nbytes for tensor in tensors)
        if probes and parts.embedded is not None:
            answers = self._attempt("the samples embedded as points", step, said, parts.embedded)
            if answers is not None:
                self._writer.embedded(step, *answers)
        if probes:
            self.seconds["probes"] = time.perf_counter() - since
            since = time.perf_counter()
        kept = self._attempt("all weights", step, said, self._all_weights) if weights else None
        if kept is not None:
            self._writer.weights(step, kept)
            self.sizes["weights"] = kept.nbytes
            rows = self._attempt("updates of single weights", step, said, lambda: self._numbers.rows(states))
            if rows is not None and rows[0].size:
                self._writer.updates(step, *rows)
                self.sizes["weights"] += 2 * rows[0].nbytes
        if weights:
            self.seconds["weights"] = time.perf_counter() - since
        self._writer.step(scalars, metrics, layers, channels)
        if len(self._held) > self._measure.variables:
            # Layers that were frozen at first are measured from the next record on, with their values before it.
            self._measure = WeightMeasure(self._described, self._held, self._measure.channels)
        alarms = self._attempt("alarms", step, said, lambda: self._alarming(layers, step, scalars["learning_rate"]))
        self.seconds["steps"] = time.perf_counter() - began - sum(self.seconds.values())
        return (*said, *(alarms or ()))

    def end_epoch(self, step: int, epoch: int, metrics: Mapping[str, float]) -> str:
        """Record the metrics of an epoch; return a sentence about a validation loss that parts, or an empty one."""
        return self._epochs.add(step, epoch, metrics)

    def _attempt(self, what: str, step: int, said: list[str], work: Callable[[], T]) -> T | None:
        """Make one part of a record, unless it failed before: observing a training must never end it."""
        if what in self._dropped:
            return None
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - the model's own code may raise anything; a sentence reports it
            self._dropped.add(what)
            said.append(failure(what, step, error, self._described.graph))
            return None

    def _nothing(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        shape = (len(self._described.graph), len(STATISTICS))
        return np.full(shape, np.nan, np.float32), np.full(self._measure.channels.width, np.nan, np.float32)

    def _alarming(self, layers: NDArray[np.float32], step: int, rate: float) -> tuple[str, ...]:
        """Return sentences about new problems, once for each layer and kind of problem."""
        series = layers[np.newaxis] if self._first is None else np.stack([self._first, layers])
        self._first = with_first_update(series)
        found = examine(self._described.graph, series, step, rate)
        new = [alarm for alarm in found if (alarm.kind, alarm.layer) not in self._told]
        self._told.update((alarm.kind, alarm.layer) for alarm in new)
        return summaries(new, [node.id for node in self._described.graph])

    def wait(self) -> None:
        """Wait as long as a page asks for it; the capture says so meanwhile."""
        if self._pause is None or not self._pause.is_asked():
            return
        try:
            self._writer.pause(waits=True)
            self._pause.wait()
        finally:
            self._writer.pause(waits=False)

    def finish(self) -> None:
        """Mark the capture as finished."""
        if self._pause is not None:
            self._pause.end()
        self._writer.finish()

    def _all_weights(self) -> NDArray[np.float32]:
        values = [viewed(tf.convert_to_tensor(variable)) for _, _, variable in self._weights]
        return np.concatenate([np.asarray(v, np.float32).reshape(-1) for v in values] or [np.empty(0, np.float32)])


def _weights(described: DescribedModel) -> list[tuple[str, str, Any]]:
    """Return all numeric variables, each once, as layer, name, variable."""
    found: list[tuple[str, str, Any]] = []
    done: set[str] = set()
    for node in described.graph:
        operation = described.call(node.id).operation
        if node.path not in done and isinstance(operation, keras.Layer):
            done.add(node.path)
            variables = [
                v for v in operation.weights if np.dtype(v.dtype if v.dtype != "bfloat16" else "f4").kind in "fiu"
            ]
            found.extend((node.path, name, variable) for name, variable in named_variables(variables).items())
    return found
