"""`inspect`: print a model's graph, shapes and statistics as a table or as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nnviz3d.analysis.health import alarms, first_alarms, summaries
from nnviz3d.analysis.statistics import layer_statistics
from nnviz3d.apps.inspection_ends import inputs_of, lines_of, targets_of
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training import Training
from nnviz3d.scene.colors import number


def describe(capture: CaptureReader, sample: int = 0, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return everything that `inspect --json` prints, as plain values.

    Parameters
    ----------
    sample
        Position of the sample whose statistics are returned.
    names
        Names of all samples that the user gave, if the model ran on one of them only.

    Returns
    -------
    ``nodes``: id, kind, shape, parameters, activation, details, and ``statistics`` where numbers were captured (min, max,
    mean, std, the shares of zeros and of saturated numbers, and how many are NaN or infinite; min and max are of the
    finite numbers, `None` where there are none; mean and std are `None` unless all numbers are finite: JSON has no NaN;
    saturated is `None` where the activation function does not saturate). ``input_details`` and ``targets``: the inputs, and
    what can be explained of each output, as `inputs_of` and `targets_of` describe them. ``edges``: pairs of ids.
    ``training``, where one was recorded: the number of steps, the last step, the last step with stored activations (and so
    ``statistics``),
    ``numbers_of``, the last step with stored weights, ``weights_of``, and ``alarms``: for each fault of a layer the
    step at which it began, the figure, the threshold, a sentence, and whether it is still present at the last step.
    """
    graph = capture.graph
    nodes = []
    for node in graph:
        entry: dict[str, Any] = {
            "id": node.id,
            "kind": node.kind,
            "shape": list(node.shape),
            "parameters": node.parameters,
            "activation": node.activation,
            "details": dict(node.details),
        }
        if capture.has_activations(node.id):
            entry["statistics"] = _statistics(capture, node.id, sample)
        nodes.append(entry)
    found: dict[str, Any] = {
        "name": graph.name,
        "parameters": graph.parameters,
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "nodes": nodes,
        "input_details": inputs_of(capture, sample),
        "targets": targets_of(capture, sample),
        "edges": [[edge.source, edge.target] for edge in graph.edges],
        "samples": list(names or capture.provenance.samples),
        "classes": None if capture.classes is None else list(capture.classes),
        "provenance": capture.provenance.to_json(),
    }
    if capture.training is not None:
        found["training"] = _training(capture, capture.training)
    return found


def _training(capture: CaptureReader, training: Training) -> dict[str, Any]:
    now = {(alarm.kind, alarm.layer) for alarm in alarms(training, capture.graph)}
    return {
        "recorded": len(training),
        "last": int(training.steps[-1]) if len(training) else None,
        "numbers_of": _kept_last(training.probe_steps),
        "weights_of": _kept_last(training.weight_steps),
        "finished": training.finished,
        "alarms": [
            {
                "kind": alarm.kind,
                "layer": alarm.layer,
                "step": alarm.step,
                "figure": alarm.figure if math.isfinite(alarm.figure) else None,
                "threshold": alarm.threshold,
                "sentence": alarm.sentence,
                "now": (alarm.kind, alarm.layer) in now,
            }
            for alarm in first_alarms(training, capture.graph)
        ],
    }


def _kept_last(steps: NDArray[np.int64]) -> int | None:
    """Return the last training step after which something was stored; `None` if there is none."""
    return int(steps[-1]) if len(steps) else None


def _statistics(capture: CaptureReader, node_id: str, sample: int) -> dict[str, Any]:
    found = layer_statistics(capture.activation(node_id, sample), capture.graph.node(node_id).activation)
    whole = 0 < found.finite == found.count
    return {
        "min": found.minimum if found.finite else None,
        "max": found.maximum if found.finite else None,
        "mean": found.mean if whole else None,
        "std": found.std if whole else None,
        "zeros": found.zeros,
        "saturated": found.saturated,
        "nan": found.nan,
        "infinite": found.infinite,
    }


def print_table(capture: CaptureReader, console: Console, sample: int = 0) -> None:
    """Print the description as a table.

    Names are `Text`, because rich would take the brackets of a string such as ``[bold]x.png`` for markup.
    """
    data = describe(capture, sample)
    names = capture.provenance.samples
    of = f", numbers of {names[sample]}" if sample < len(names) else ""
    step = data.get("training", {}).get("numbers_of")
    of += f" after training step {step:,}" if of and step is not None else ""
    console.print(Text(f"{data['name']}: {len(data['nodes'])} nodes, {data['parameters']:,} parameters{of}"))
    saturates = any(node.get("statistics", {}).get("saturated") is not None for node in data["nodes"])
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("node", "kind", "shape"):
        table.add_column(column, no_wrap=True)
    for column in ("parameters", "min", "mean", "std", "max", "zeros", *(["saturated"] if saturates else [])):
        table.add_column(column, justify="right", no_wrap=True)
    # The only column without `no_wrap` is the first that rich makes narrower; its cells are cut nevertheless.
    table.add_column(_cell("from"))
    for node in data["nodes"]:
        numbers = node.get("statistics")
        cells = [""] * (5 + saturates)
        if numbers:
            measured = (numbers[key] for key in ("min", "mean", "std", "max"))
            cells = [*("NaN" if value is None else number(value) for value in measured), f"{numbers['zeros']:.0%}"]
            if saturates:
                cells.append("" if numbers["saturated"] is None else f"{numbers['saturated']:.0%}")
        table.add_row(
            _cell(node["id"]),
            _cell(node["kind"] + (f" ({node['activation']})" if node["activation"] else "")),
            "×".join("?" if n is None else str(n) for n in node["shape"]),
            f"{node['parameters']:,}" if node["parameters"] else "",
            *cells,
            _cell(", ".join(capture.graph.sources(node["id"]))),
        )
    console.print(table)
    for line in lines_of(data["input_details"], data["targets"]):
        console.print(Text(line), soft_wrap=True)
    for line in _health(capture):
        console.print(Text(line))


def _health(capture: CaptureReader) -> list[str]:
    """Return lines about the recorded steps of a training and its alarms."""
    training = capture.training
    if training is None or not len(training):
        return []
    head = f"training: {len(training):,} steps recorded, the last is {training.steps[-1]:,}"
    weights = _kept_last(training.weight_steps)
    head += "" if weights is None else f", weights stored after step {weights:,}"
    told = summaries(first_alarms(training, capture.graph), training.layers)
    return ["", f"{head}; {'alarms, when first seen:' if told else 'no alarms'}", *told]


def _cell(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
