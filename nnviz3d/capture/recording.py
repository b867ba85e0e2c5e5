"""Measures a model in training and writes it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.analysis.health import examine, summaries
from nnviz3d.capture.activations import viewed
from nnviz3d.capture.describe import DescribedModel, describe
from nnviz3d.capture.embedded import EmbeddedProbe
from nnviz3d.capture.graph import expected_inputs, open_model
from nnviz3d.capture.measured import WeightMeasure
from nnviz3d.capture.probe import Loss, Probe
from nnviz3d.capture.run import versions
from nnviz3d.capture.tap import Held
from nnviz3d.capture.weights import named_variables
from nnviz3d.data.records import Provenance
from nnviz3d.data.training import STATISTICS, Packing
from nnviz3d.data.training_writer import TrainingWriter, announce_embedded, announce_training
from nnviz3d.data.writer import CaptureWriter
from nnviz3d.errors import ModelError


class Recording:
    """One training of one model, and the capture that it goes into. The capture is put in place at once.

    Parameters
    ----------
    path
        The folder.
    model
        The model, built.
    held
        Its trainable variables, with room for gradients.
    probes
        ``(x, y)``, if there are any.
    metrics
        Names of what will be told of each step.
    classes
        Names of the classes, if known.
    loss
        What is differentiated by the probe samples' activations.
    embed
        A layer, and the samples ``x, y`` whose answers by it are kept to be placed as points, if there are any.

    Attributes
    ----------
    notes
        What a user should know of it, as sentences.

    Raises
    ------
    ModelError, SampleError
        If the model cannot be traced, or the probe samples do not fit it.
    UserError
        If the capture cannot be written.
    """

    def __init__(
        self,
        path: Path,
        model: keras.Model,
        held: Mapping[int, Held],
        probes: tuple[Any, Any] | None,
        metrics: Sequence[str],
        *,
        classes: tuple[str, ...] | None = None,
        loss: Loss | None = None,
        embed: tuple[str, Any, Any] | None = None,
    ) -> None:
        self._probe = None if probes is None else Probe(model, *probes, loss)
        self._described = self._probe.described if self._probe is not None else _without_samples(model)
        self._embedded = None if embed is None else _embedded(model, *embed, classes)
        self._held = held
        self._measure = WeightMeasure(self._described, held)
        self._weights = _weights(self._described)
        probe = self._probe
        self.notes = (probe.note,) if probe is not None and probe.note else ()
        provenance = Provenance(
            model=f"{type(model).__name__} {model.name!r}",
            preprocessing="none",
            preprocessing_reason="samples are as the training is fed them",
            samples=tuple(f"probe {i}" for i in range(probe.count)) if probe is not None else (),
            notes=self.notes,
            versions=versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        graph = self._described.graph
        samples = len(provenance.samples)
        with CaptureWriter(
            path, graph=graph, provenance=provenance, samples=samples, classes=classes, growing=True
        ) as writer:
            if probe is not None:
                for name, array in zip(graph.inputs, probe.arrays, strict=True):
                    writer.write_input(name, 0, array)
                labels = _labels(probe.y, samples)
                if labels is not None:
                    writer.write_labels(labels)
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
            )
            if self._embedded is not None:
                announce_embedded(writer, self._embedded.found)
        self._writer = TrainingWriter(path)
        self._first: NDArray[np.float32] | None = None
        self._told: set[tuple[str, str]] = set()

    def write(
        self,
        scalars: Mapping[str, float],
        metrics: Mapping[str, float],
        *,
        factor: float,
        gradients: bool,
        ratios: bool,
        probes: bool,
        weights: bool,
    ) -> tuple[str, ...]:
        """Measure the model as it is now, and write and commit the step that made it so.

        Parameters
        ----------
        scalars, metrics
            As `TrainingWriter.step`.
        factor
            What the gradients were multiplied by.
        gradients, ratios
            Whether gradients, and the weights before the step, are known.
        probes, weights
            Whether the probe samples' tensors and the points' answers, and all weights, are kept too.

        Returns
        -------
        What is wrong with the model and was not at an earlier step, as sentences.
        """
        layers, channels = self._measure(factor)
        if not gradients:
            layers[:, [STATISTICS.index("gradient_norm"), STATISTICS.index("nonfinite_gradients")]] = np.nan
            channels[:] = np.nan
        if not ratios:
            layers[:, STATISTICS.index("update_ratio")] = np.nan
        step = int(scalars["step"])
        if self._probe is not None:
            self._probe.statistics(layers)
            if probes:
                self._writer.probe(step, *self._probe.tensors())
        if probes and self._embedded is not None:
            self._writer.embedded(step, *self._embedded())
        if weights:
            self._writer.weights(step, self._all_weights())
        self._writer.step(scalars, metrics, layers, channels)
        if len(self._held) > self._measure.variables:
            # Layers that were frozen at first: from the next record on, because what they were before is known by then.
            self._measure = WeightMeasure(self._described, self._held, self._measure.channels)
        return self._alarming(layers, step, scalars["learning_rate"])

    def _alarming(self, layers: NDArray[np.float32], step: int, rate: float) -> tuple[str, ...]:
        """Say what has gone wrong, of each layer once for each kind of it."""
        series = layers[np.newaxis] if self._first is None else np.stack([self._first, layers])
        self._first = series[0]
        found = examine(self._described.graph, series, step, rate)
        new = [alarm for alarm in found if (alarm.kind, alarm.layer) not in self._told]
        self._told.update((alarm.kind, alarm.layer) for alarm in new)
        return summaries(new, [node.id for node in self._described.graph])

    def finish(self) -> None:
        """Say that nothing more will come."""
        self._writer.finish()

    def _all_weights(self) -> NDArray[np.float32]:
        values = [viewed(tf.convert_to_tensor(variable)) for _, _, variable in self._weights]
        return np.concatenate([np.asarray(v, np.float32).reshape(-1) for v in values] or [np.empty(0, np.float32)])


def _embedded(model: keras.Model, layer: str, x: Any, y: Any, classes: tuple[str, ...] | None) -> EmbeddedProbe:
    count = len(np.asarray(keras.tree.flatten(x)[0]))
    return EmbeddedProbe(model, layer, x, _labels(y, count), classes)


def _without_samples(model: keras.Model) -> DescribedModel:
    inputs = expected_inputs(model)
    if inputs is None:
        raise ModelError(
            f"{type(model).__name__} {model.name!r} does not know what it takes; give TrainingRecorder probes=(x, y), "
            "samples as the model is fed them."
        )
    return describe(open_model(model, inputs), model.name)


def _weights(described: DescribedModel) -> list[tuple[str, str, Any]]:
    """List all variables of numbers, each once: layer, name, variable."""
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


def _labels(targets: Any, samples: int) -> NDArray[np.int64] | None:
    """Read the class of each sample off its targets: whole numbers, one for each, or rows of one 1 among zeros."""
    leaves = [] if targets is None else keras.tree.flatten(targets)
    if len(leaves) != 1:
        return None
    values = np.asarray(leaves[0])[:samples]
    if values.dtype.kind in "iu" and values.size == samples:
        return values.reshape(-1).astype(np.int64)
    one_hot = values.ndim == 2 and values.shape[1] > 1 and np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all()
    return values.argmax(1).astype(np.int64) if one_hot else None
