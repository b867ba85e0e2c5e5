"""`inspect`: print a model's graph, shapes and statistics as a table or as JSON."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nnviz3d.analysis.health import alarms, first_alarms, summaries
from nnviz3d.analysis.overfitting import overfitting_in, overfitting_words
from nnviz3d.analysis.statistics import layer_statistics
from nnviz3d.apps.inspection_ends import inputs_of, lines_of, targets_of
from nnviz3d.data.capture import Capture
from nnviz3d.data.kept_layers import NOT_KEPT, was_left_out
from nnviz3d.data.note_words import ROUNDED
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.rounding import is_rounded
from nnviz3d.data.storage.kept_files import groups_in
from nnviz3d.data.storage.zarr_reader import reading
from nnviz3d.data.training import Training
from nnviz3d.scene.colors import number

_LISTED = 20
"""Most names of samples that the table lists."""


def describe(
    capture: CaptureReader, sample: int = 0, names: Sequence[str] = (), *, together: bool = False
) -> dict[str, Any]:
    """Return everything that `inspect --json` prints, as plain values.

    Parameters
    ----------
    sample
        Position of the sample whose statistics are returned.
    names
        Names of all samples that the user gave, if the model ran on one of them only.
    together
        Whether the statistics are of all captured samples together; ``input_details`` and ``targets`` are of one always.
        The connections of all samples are read then, too.

    Returns
    -------
    ``nodes``: id, kind, shape, parameters, activation, details, and ``statistics`` where numbers were captured (min, max,
    mean, std, the shares of zeros and of saturated numbers, and how many are NaN or infinite; min and max are of the
    finite numbers, `None` where there are none; mean and std are `None` unless all numbers are finite: JSON has no NaN;
    saturated is `None` where the activation function does not saturate), or ``kept``, false, where the capture was asked
    to leave them out; ``stored``, the type float16, where the numbers were rounded to it.
    ``input_details`` and ``targets``: the inputs, and what can be explained of each output, as `inputs_of` and
    `targets_of` describe them. ``edges``: pairs of ids.
    ``samples``: the names of all samples. ``statistics_of``: the positions in the capture of those of the statistics.
    ``training``, where one was recorded: the number of steps, the last step, the last step with stored activations (and so
    ``statistics``),
    ``numbers_of``, the last step with stored weights, ``weights_of``, and ``alarms``: for each fault of a layer the
    step at which it began, the figure, the threshold, a sentence, and whether it is still present at the last step;
    ``overfits``: the fields of an `Overfitting`, or `None`.
    ``kept``, where a session has kept something: the group, the file in the capture's folder, and when it was computed.

    Raises
    ------
    CaptureError
        If what is read of the capture is damaged.
    """
    graph = capture.graph
    measured = list(range(capture.committed)) if together else [sample][: capture.committed]
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
        if was_left_out(capture, node.id):
            entry["kept"] = False
        elif capture.has_activations(node.id):
            if is_rounded(capture, node.id, sample):
                entry["stored"] = "float16"
            entry["statistics"] = _statistics(capture, node.id, measured)
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
        "statistics_of": measured,
        "classes": None if capture.classes is None else list(capture.classes),
        "provenance": capture.provenance.to_json(),
    }
    kept = _kept(capture)
    if kept:
        found["kept"] = kept
    if capture.training is not None:
        found["training"] = _training(capture, capture.training)
    if together:
        _read_connections(capture, measured)
    return found


def _kept(capture: CaptureReader) -> list[dict[str, str]]:
    """Return the groups that sessions have kept in the capture's folder, with the file of each and its time."""
    found: list[dict[str, str]] = []
    for one in capture.kept if isinstance(capture, Capture) else ():
        with reading(one.path, one.path.name), zipfile.ZipFile(one.path) as archive:
            groups = groups_in(archive, ())
        file = f"{one.path.parent.name}/{one.path.name}"
        found.extend({"holds": group, "file": file, "created": one.provenance.created} for group in groups)
    return found


def _read_connections(capture: CaptureReader, samples: Sequence[int]) -> None:
    """Read the connections of samples, so that a capture whose connections are damaged is refused too."""
    for sample in samples:
        for edge in capture.graph.edges:
            capture.connections(edge.source, edge.target, sample=sample)


def _training(capture: CaptureReader, training: Training) -> dict[str, Any]:
    now = {(alarm.kind, alarm.layer) for alarm in alarms(training, capture.graph)}
    overfitting = overfitting_in(training.epoch_ends)
    return {
        "recorded": len(training),
        "last": int(training.steps[-1]) if len(training) else None,
        "numbers_of": _kept_last(training.probe_steps),
        "weights_of": _kept_last(training.weight_steps),
        "finished": training.finished,
        "overfits": asdict(overfitting) if overfitting else None,
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


def _statistics(capture: CaptureReader, node_id: str, samples: Sequence[int]) -> dict[str, Any]:
    """Return the statistics of a node's numbers in some samples together, of which one is in memory at a time."""
    activation = capture.graph.node(node_id).activation
    parts = [layer_statistics(capture.activation(node_id, sample), activation) for sample in samples]
    finite, count = sum(part.finite for part in parts), sum(part.count for part in parts)
    whole = 0 < finite == count
    held = [part for part in parts if part.finite]
    mean, std = moments([(part.finite, part.mean, part.std) for part in held]) if whole else (None, None)

    def share(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            return None
        weighed = zip(known, (part.count for part in parts), strict=True)
        return known[0] if len(known) == 1 else sum(value * n for value, n in weighed) / max(count, 1)

    return {
        "min": min(part.minimum for part in held) if held else None,
        "max": max(part.maximum for part in held) if held else None,
        "mean": mean,
        "std": std,
        "zeros": share([part.zeros for part in parts]),
        "saturated": share([part.saturated for part in parts]),
        "nan": sum(part.nan for part in parts),
        "infinite": sum(part.infinite for part in parts),
    }


def moments(parts: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Return mean and standard deviation of sets of numbers together, from count, mean and deviation of each."""
    if len(parts) == 1:
        return parts[0][1:]
    count = sum(n for n, _, _ in parts)
    mean = math.fsum(n * each for n, each, _ in parts) / count
    return mean, math.sqrt(math.fsum(n * (std**2 + (each - mean) ** 2) for n, each, std in parts) / count)


def print_table(
    capture: CaptureReader,
    console: Console,
    sample: int = 0,
    names: Sequence[str] = (),
    *,
    together: bool = False,
) -> None:
    """Print the description as a table; the parameters are those of `describe`.

    Names are `Text`, because rich would take the brackets of a string such as ``[bold]x.png`` for markup.
    """
    data = describe(capture, sample, names, together=together)
    captured = capture.provenance.samples
    of = f", numbers of {captured[sample]}" if sample < len(captured) else ""
    if together and len(captured) > 1:
        of = f", numbers of all {len(captured):,} samples"
    step = data.get("training", {}).get("numbers_of")
    of += f" after training step {step:,}" if of and step is not None else ""
    of += f", {ROUNDED}" if of and any("stored" in node for node in data["nodes"]) else ""
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
        cells = [""] * (5 + saturates) if node.get("kept", True) else [NOT_KEPT, *[""] * (4 + saturates)]
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
    for line in _sample_lines(data["samples"], captured, sample, together=together):
        console.print(Text(line), soft_wrap=True)
    for line in lines_of(data["input_details"], data["targets"]):
        console.print(Text(line), soft_wrap=True)
    if "kept" in data:
        console.print()
    for one in data.get("kept", ()):
        console.print(Text(f"kept: {one['holds']}, in {one['file']}"), soft_wrap=True)
    for line in _health(capture):
        console.print(Text(line))


def _sample_lines(names: Sequence[str], captured: Sequence[str], sample: int, *, together: bool) -> list[str]:
    """Return lines that list the samples, if there are several, and say which of them the numbers are of."""
    if len(names) < 2 or not captured:
        return []
    listed = ", ".join(names) if len(names) <= _LISTED else f"{', '.join(names[: _LISTED - 1])}, ..., {names[-1]}"
    lines = ["", f"{len(names):,} samples: {listed}"]
    if together:
        lines.append(f"inputs and outputs below are those of {captured[sample]}")
    else:
        lines.append(f"numbers are those of {captured[sample]}; --all takes all samples, and --json lists their names")
    return lines


def _health(capture: CaptureReader) -> list[str]:
    """Return lines about the recorded steps of a training and its alarms."""
    training = capture.training
    if training is None or not len(training):
        return []
    head = f"training: {len(training):,} steps recorded, the last is {training.steps[-1]:,}"
    weights = _kept_last(training.weight_steps)
    head += "" if weights is None else f", weights stored after step {weights:,}"
    told = summaries(first_alarms(training, capture.graph), training.layers)
    overfitting = overfitting_in(training.epoch_ends)
    told = (*told, *([overfitting_words(overfitting)] if overfitting else []))
    return ["", f"{head}; {'alarms, when first seen:' if told else 'no alarms'}", *told]


def _cell(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
