"""Recorded trainings for tests, written from NumPy arrays; their numbers differ at every step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.packing import Packing
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.training_writer import TrainingWriter, announce_training
from nnviz3d.data.training import STATISTICS
from nnviz3d.data.training_histograms import QUANTITIES, histogram_of
from tests.support import captures
from tests.support.graphs import chain

STEPS = (1, 10, 20, 30, 40, 50)
KEPT = (1, 20, 50)
"""Steps after which tensors of the probe samples are recorded; weights after the first and the last of them."""
CLASSES = ("ant", "bee", "cat", "dog", "elk")


def graph() -> ModelGraph:
    """Return the small graph with two ReLUs and a softmax at its end."""
    small = captures.small_graph()
    functions = {"conv": "relu", "dense": "relu", "scores": "softmax"}
    return replace(small, nodes=tuple(replace(node, activation=functions.get(node.id)) for node in small))


def losses() -> NDArray[np.float64]:
    """Return the loss of each recorded step; it falls, and is NaN at one step."""
    found = 2.5 * np.exp(-np.arange(len(STEPS)) / 2)
    found[3] = np.nan
    return found


VALIDATED = {12: (2.0, 0.3), 32: (1.0, 0.6), 60: (1.5, 0.5)}
"""Loss and accuracy of the validation data by the step at which an epoch ends; the last one is after the last record."""


def small_training(path: Path, *, growing: bool = False, validated: bool = False) -> Capture:
    """Write six steps with two probe samples; the tensors of each recorded step are different random numbers."""
    network = graph()
    tensors = Packing(tuple((node.id, "0", (2, *node.shape)) for node in network))
    weights = Packing(
        (
            ("conv", "kernel", (3, 3, 1, 4)),
            ("conv", "bias", (4,)),
            ("dense", "kernel", (36, 20)),
            ("scores", "kernel", (20, 5)),
        )
    )
    provenance = Provenance("hand", samples=("probe 0", "probe 1"))
    with CaptureWriter(path, graph=network, provenance=provenance, samples=2, classes=CLASSES, growing=True) as capture:
        capture.write_labels(np.array([1, 3]))
        capture.commit(2)
        announce_training(
            capture,
            network,
            metrics=("loss", "accuracy"),
            probes=2,
            activations=tensors,
            gradients=tensors,
            weights=weights,
        )
    writer = TrainingWriter(path)
    random = np.random.default_rng(5)
    for place, (step, loss) in enumerate(zip(STEPS, losses(), strict=True)):
        if step in KEPT:
            values = [random.normal(size=(2, *node.shape)) for node in network]
            values[-1] = np.exp(values[-1]) / np.exp(values[-1]).sum(axis=1, keepdims=True)
            gradients = [random.normal(size=(2, *node.shape)) for node in network]
            writer.probe(step, tensors.pack(values), tensors.pack(gradients))
        if step in (KEPT[0], KEPT[-1]):
            writer.weights(step, random.normal(size=weights.width).astype(np.float32))
        scalars = {"step": step, "epoch": place // 4, "loss": loss, "learning_rate": 0.01 / (1 + place)}
        layers = random.random((len(network), len(STATISTICS)), dtype=np.float32)
        writer.step(scalars, {"loss": loss, "accuracy": place / 10}, layers, np.empty(0, np.float32))
    for epoch, (step, (loss, accuracy)) in enumerate(VALIDATED.items() if validated else ()):
        writer.epoch_end(step, epoch, {"loss": 1.0 / step, "val_loss": loss, "val_accuracy": accuracy})
    if not growing:
        writer.finish()
    return open_capture(path)


def histogrammed_training(path: Path) -> Capture:
    """Write six steps with histograms of two layers, and with the updates of all weights of the dense layer."""
    network, random = graph(), np.random.default_rng(8)
    entries = tuple((layer, quantity) for layer in ("conv", "dense") for quantity in QUANTITIES)
    weights = Packing((("dense", "kernel", (36, 20)),))
    with CaptureWriter(path, graph=network, provenance=Provenance("hand"), samples=0, growing=True) as capture:
        capture.commit(0)
        announce_training(capture, network, weights=weights, updates=weights, histograms=entries)
    writer = TrainingWriter(path)
    for step in STEPS:
        rows = [histogram_of(random.normal(0.1, 1 + step / 50, 900).astype(np.float32)) for _ in entries]
        limits, counts = (np.stack(part) for part in zip(*rows, strict=True))
        writer.histograms(step, limits, counts)
        if step in (STEPS[0], STEPS[-1]):
            after, before, gradient = random.normal(size=(3, weights.width)).astype(np.float32)
            writer.weights(step, after)
            writer.updates(step, before, gradient)
        scalars = {"step": step, "epoch": 0, "loss": 1.0, "learning_rate": 0.01}
        writer.step(scalars, {}, np.full((len(network), len(STATISTICS)), np.nan, np.float32), np.empty(0, np.float32))
    writer.finish()
    return open_capture(path)


def training_of(path: Path, steps: NDArray[np.int64], series: NDArray[np.float32]) -> Capture:
    """Write a training of the small network with these statistics, ``(S, layers, statistics)``, at these steps."""
    network = graph()
    provenance = Provenance("hand", samples=("probe 0",))
    with CaptureWriter(path, graph=network, provenance=provenance, samples=1, growing=True) as capture:
        capture.commit(1)
        announce_training(capture, network)
    writer = TrainingWriter(path)
    for step, layers in zip(steps, series, strict=True):
        scalars = {"step": int(step), "epoch": 0, "loss": 1.0, "learning_rate": 0.01}
        writer.step(scalars, {}, layers, np.empty(0, np.float32))
    writer.finish()
    return open_capture(path)


def figures(steps: int, *, seed: int = 0) -> NDArray[np.float32]:
    """Return statistics of the small network, ``(steps, layers, statistics)``: all finite, norms over four decades, and
    those of weights only for the three layers with weights."""
    random, layers = np.random.default_rng(seed), len(graph())
    found = np.zeros((steps, layers, len(STATISTICS)), np.float32)
    found[:, :, :3] = 10 ** random.uniform(-3, 1, (steps, layers, 3))
    found[:, :, 3] = random.normal(size=(steps, layers))
    found[:, :, 4] = random.random((steps, layers))
    weightless = [i for i, node in enumerate(graph()) if node.id not in ("conv", "dense", "scores")]
    for name in ("gradient_norm", "weight_norm", "update_ratio", "nonfinite_gradients", "nonfinite_weights"):
        found[:, weightless, STATISTICS.index(name)] = np.nan
    return found


def faulty_training(path: Path, *, layers: int = 0) -> Capture:
    """Write a training that is healthy at step 1, has a dead layer ``dense`` at 10, and NaN in ``scores`` at 20.

    If `layers` is given, the network has so many layers in a row, and the gradients of the first three quarters vanish.
    """
    network = chain([(f"dense_{i}", "Dense", (4,)) for i in range(layers)]) if layers else graph()
    tensors = Packing(tuple((node.id, "0", (1, *node.shape)) for node in network))
    provenance = Provenance("hand", samples=("probe 0",))
    with CaptureWriter(path, graph=network, provenance=provenance, samples=1, growing=True) as capture:
        capture.commit(1)
        announce_training(capture, network, metrics=(), probes=1, activations=tensors)
    writer = TrainingWriter(path)
    writer.probe(1, tensors.pack([np.full((1, *node.shape), 0.5) for node in network]), np.empty(0, np.float32))
    usual = {"gradient_norm": 1.0, "weight_norm": 3.0, "update_ratio": 1e-3, "dead": 0.3}
    faults = {
        ("dense", 10): {"dead": 0.95},
        ("conv", 20): {"update_ratio": 0.8},
        ("scores", 20): {"nonfinite_weights": 7},
    }
    for step in (1, 10, 20):
        rows = []
        for place, node in enumerate(network):
            row = {**usual, **faults.get((node.id, step), {})}
            row["gradient_norm"] = 1e-9 if place < layers * 3 // 4 else 1.0
            rows.append([row.get(name, 0.0) for name in STATISTICS])
        scalars = {"step": step, "epoch": 0, "loss": 1.0, "learning_rate": 0.1}
        writer.step(scalars, {}, np.array(rows, np.float32), np.empty(0, np.float32))
    writer.finish()
    return open_capture(path)
