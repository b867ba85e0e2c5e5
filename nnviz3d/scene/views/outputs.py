"""The answers of a model in words: names and numbers of its outputs, beside their blocks, in the title and in panels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.class_names import class_name, is_classifier, predicted_of_two, top_classes, two_classes
from nnviz3d.scene.colors import number, score
from nnviz3d.scene.context import SceneContext, shape_text
from nnviz3d.scene.panel_rows import BarRow, GaugeRow, Row, TextRow
from nnviz3d.scene.primitives import Label, Labels, Panel, Primitive
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.views.output_pictures import class_map, comparisons, drawn_as_picture
from nnviz3d.scene.views.titles import range_text, title_panel

NAMED_CELLS = 16
"""Maximum size of a vector with a name beside every cell; for larger outputs the best scores are listed."""
FEW, MORE = 3, 5
"""Number of listed scores, and their number in a scene that explains a decision."""
_ROUNDED = 1e-3
"""Distance from 1 of a sum of probabilities, at most."""
_ANSWERS = 3
"""Maximum number of outputs whose answers the title has, and of gauges."""
_IN_ORDER = 4
"""Maximum size of an output that is no classifier and whose numbers are listed in their order beside it."""
_ENDS = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_tanh": (-1.0, 1.0)}
"""Smallest and largest value of activation functions with a bounded range."""


def scores_of(
    context: SceneContext,
    outputs: Sequence[str],
    sample: int,
    listed: int = FEW,
    compared: Selection | None = None,
    *,
    changed: bool = False,
) -> tuple[Primitive, ...]:
    """Return the title with the answers of some outputs, and their numbers with names: beside their blocks, in panels.

    Parameters
    ----------
    compared
        The selection, if the cells show the difference from another model: then the title has its answers, too.
    changed
        Whether the cells show the change by interventions: then the title has the answers of the changed run, too.
    """
    labels = [label for output in outputs if _is_short(context, output) for label in _beside(context, output, sample)]
    panels: list[Panel] = []
    for output in outputs:
        scores = context.values(output, sample).values.reshape(-1)
        if len(context.graph.node(output).shape) <= 1 and len(scores) > NAMED_CELLS:
            names = names_of(context.capture, output, len(scores))
            # The first panel is outermost; with several outputs each has its own.
            name = "scores" if not panels else f"scores/{output}"
            panels.append(Panel(name, "top-right", tuple(best_rows(output, scores, names, listed))))
    found = [answer_of(context, output, sample) for output in outputs[:_ANSWERS]]
    if compared is not None:
        found += filter(None, (other_answer(context, output, compared) for output in outputs[:_ANSWERS]))
    if changed:
        found += filter(None, (changed_answer(context, output, sample) for output in outputs[:_ANSWERS]))
    more = len(outputs) - _ANSWERS
    answer = " · ".join([*found, *([f"and {more:,} more outputs"] if more > 0 else [])])
    return (
        title_panel(context, sample, answer or None),
        Labels("scores", tuple(labels)),
        *panels[:_ANSWERS],
        *gauges(context, outputs, sample),
        *comparisons(context, outputs, sample),
    )


def answer_of(context: SceneContext, output: str, sample: int) -> str:
    """Write what an output says, in a few words; with several outputs its name comes first."""
    node, values = context.graph.node(output), context.values(output, sample)
    several = len(context.graph.outputs) > 1
    numbers, shape = values.values.reshape(-1), values.grid.shape
    whose = f"{node.name}: " if several else ""
    if not numbers.size:
        return f"{whose}no numbers"
    if len(shape) > 1:
        return f"{node.name}: {_of_map(context, output, sample)}"
    return _of_vector(context, output, numbers, whose)


def other_answer(context: SceneContext, output: str, selection: Selection) -> str:
    """Write what an output of the compared model says; nothing of a map, whose difference is drawn."""
    numbers, other = context.subtracted(output, selection).reshape(-1), context.counterpart
    name, node = "" if other is None else other.name, context.graph.node(output)
    if not numbers.size or len(context.placement(output).grid.shape) > 1:
        return ""
    whose = f"{node.name}: " if len(context.graph.outputs) > 1 else ""
    return f"{name}: {_of_vector(context, output, numbers, whose)}"


def changed_answer(context: SceneContext, output: str, sample: int) -> str:
    """Write what an output says in the changed run; nothing if the change does not reach it, or of a map."""
    numbers = context.explanations(sample).changed(output)
    if numbers is None or not numbers.size or len(context.placement(output).grid.shape) > 1:
        return ""
    node = context.graph.node(output)
    whose = f"{node.name}: " if len(context.graph.outputs) > 1 else ""
    return f"changed: {_of_vector(context, output, numbers.astype(np.float32).reshape(-1), whose)}"


def note_on_change(context: SceneContext, sample: int, *, drawn: bool) -> str:
    """Say which of the shown numbers are without a sample's interventions; empty for a sample without any.

    Parameters
    ----------
    drawn
        Whether the cells show the change; then the title has the answers of the changed run, else they are added here.
    """
    count = len(context.explanations(sample).interventions)
    if not count:
        return ""
    without = f"without the {'change' if count == 1 else 'changes'}"
    if drawn:
        return f"scores in the picture: {without}"
    answers = (changed_answer(context, output, sample) for output in context.graph.outputs[:_ANSWERS])
    return " · ".join(filter(None, [f"shown {without}", *answers]))


def _of_vector(context: SceneContext, output: str, numbers: NDArray[np.float32], whose: str) -> str:
    """Write what the numbers of a vector say: the class with the largest score, or the number itself."""
    several = len(context.graph.outputs) > 1
    if len(numbers) == 1:
        text = score(float(numbers[0])) + _between_two(context, output, float(numbers[0]))
        return f"{whose}{text}" if several else f"output {text}"
    best = top_classes(numbers, 1)[0]
    name = names_of(context.capture, output, len(numbers))[best]
    if np.isnan(numbers[best]):
        return f"{whose}the output is NaN"
    if several and len(numbers) <= _IN_ORDER and not is_classifier(context.capture, output):
        return f"{whose}{', '.join(score(float(value)) for value in numbers)}"
    what = "predicted" if is_classifier(context.capture, output) else "largest output"
    return f"{whose}{what} {name} ({score(float(numbers[best]))})"


def _of_map(context: SceneContext, output: str, sample: int) -> str:
    values = context.values(output, sample)
    classes = class_map(context, output, sample)
    if classes is not None:
        best, share = classes.most
        return f"mostly {class_name(classes.names, best)} ({share:.0%} of the picture)"
    what = "a picture" if drawn_as_picture(context, output) else "numbers"
    finite = bool(np.isfinite(values.values).any())
    return f"{what} {shape_text(context.graph.node(output), values.grid.shape)}, " + (
        range_text(values.statistics) if finite else "all NaN or infinite"
    )


def _between_two(context: SceneContext, head: str, value: float) -> str:
    """Return the class, one of two, that a single probability predicts; empty for any other number."""
    name = predicted_of_two(context.capture, head, value)
    return "" if name is None else f", predicted {name}"


def names_of(capture: CaptureReader, head: str, count: int) -> list[str]:
    """Return names of an output's numbers: class names, for a single number its class for 1, otherwise positions."""
    if is_classifier(capture, head):
        return [class_name(capture.classes, i) for i in range(count)]
    if count == 1:
        two = two_classes(capture, head)
        return ["output" if two is None else two[1]]
    return [str(i) for i in range(count)]


def _is_short(context: SceneContext, name: str) -> bool:
    grid = context.placement(name).grid
    return len(grid.shape) <= 1 and 0 < grid.count <= NAMED_CELLS


def _beside(context: SceneContext, output: str, sample: int) -> list[Label]:
    """Return the numbers of a short output beside its block: each beside its cell, or a list if there are more outputs."""
    scores = context.values(output, sample).values.reshape(-1)
    if len(scores) == 1:
        return [_single(context, output, float(scores[0]))]
    if len(context.graph.outputs) == 1:
        names = names_of(context.capture, output, len(scores))
        best = top_classes(scores, 1)[0]
        words = [f"{name}   {score(float(value))}" for name, value in zip(names, scores, strict=True)]
        return beside_cells(context, output, words, "right", best)
    placement = context.placement(output)
    lines = _summary(context, output, scores)
    return [Label(placement.origin, lines, align="right", priority=20.0, small=True, span=placement.size)]


def _single(context: SceneContext, output: str, value: float) -> Label:
    """Return the number of an output of one number; a probability between two classes has both names."""
    placement, two = context.placement(output), two_classes(context.capture, output)
    lines: tuple[str, ...] = (score(value),)
    if two is not None and context.graph.node(output).activation == "sigmoid" and not np.isnan(value):
        both = sorted(((two[1], value), (two[0], 1 - value)), key=lambda one: -one[1])
        lines = tuple(f"{name}   {score(share)}" for name, share in both)
    return Label(placement.origin, lines, align="right", priority=20.0, small=True, span=placement.cell)


def _summary(context: SceneContext, output: str, scores: NDArray[np.float32]) -> tuple[str, ...]:
    """Write the highest scores of a classifier, or the numbers of another output in their order, as lines."""
    names = names_of(context.capture, output, len(scores))
    if not is_classifier(context.capture, output) and len(scores) <= _IN_ORDER:
        return (", ".join(score(float(value)) for value in scores),)
    lines = [f"{names[i]}   {score(float(scores[i]))}" for i in top_classes(scores, FEW)]
    return (*lines, f"highest {FEW} of {len(scores):,}") if len(scores) > FEW else tuple(lines)


def beside_cells(
    context: SceneContext, name: str, words: Sequence[str], align: str, best: int | None = None
) -> list[Label]:
    """Return a small label beside each cell of a vector; the best one is bright and is never left out for another."""
    placement = context.placement(name)
    corners = np.array(placement.origin) + placement.grid.cells(np.arange(len(words))) * np.array(placement.cell)
    first = 0 if best is None else best
    return [
        Label(
            (float(x), float(y), float(z)),
            (words[i],),
            align="right" if align == "right" else "left",
            priority=20.0 if i == best else 8.0 - 0.1 * abs(i - first),
            emphasis=1.0 if i == best else 0.5,
            small=True,
            span=placement.cell,
        )
        for i, (x, y, z) in enumerate(corners)
    ]


def best_rows(head: str, scores: NDArray[np.float32], names: Sequence[str], listed: int = FEW) -> list[Row]:
    """List the largest numbers of an output as bars; those of probabilities that add up to 1 end at 1."""
    finite = scores[np.isfinite(scores)]
    low, high = (min(0.0, float(finite.min())), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= 0 and len(finite) == len(scores) > 1 and abs(float(finite.sum(dtype=np.float64)) - 1) < _ROUNDED:
        high = 1.0
    count = len(scores)
    which = f": highest {listed} of {count:,}" if listed < count else f": all {count}" if count > 1 else ""
    rows: list[Row] = [TextRow(f"{head}{which}", "quiet")]
    for position, i in enumerate(top_classes(scores, listed)):
        share = np.clip((np.nan_to_num(scores[i], nan=low) - low) / (high - low), 0, 1) if high > low else 0.0
        rows.append(BarRow(names[i], score(float(scores[i])), float(share), position == 0))
    return rows


def gauges(context: SceneContext, outputs: Sequence[str], sample: int) -> tuple[Panel, ...]:
    """Return a panel with a gauge for each output of one number whose range is known; none where maps are explained."""
    rows: list[Row] = []
    singles = (
        [name for name in outputs if context.placement(name).grid.count == 1] if not context.setting.explains else []
    )
    for output in singles[:_ANSWERS]:
        value = float(context.values(output, sample).values.reshape(-1)[0])
        row = _gauge(context, output, value)
        if row is not None:
            rows += [TextRow(_gauge_title(context, output), "quiet"), row]
    return (Panel("gauges", "top-right", tuple(rows)),) if rows else ()


def _gauge_title(context: SceneContext, output: str) -> str:
    node, two = context.graph.node(output), two_classes(context.capture, output)
    if two is not None and node.activation == "sigmoid":
        return f"{node.name}: probability of {two[1]}, threshold 0.5"
    if node.activation in _ENDS:
        return f"{node.name}: {node.activation}, {number(_ENDS[node.activation][0])} to {number(_ENDS[node.activation][1])}"
    return f"{node.name}: within the range of the {_captured(context.capture):,} captured samples"


def _captured(capture: CaptureReader) -> int:
    """Return the number of samples that are still there; one that was run again counts once."""
    first = range(capture.stored.committed)
    added = {capture.sample_name(i) for i in capture.added_samples} - {capture.sample_name(i) for i in first}
    return len(first) + len(added)


def _gauge(context: SceneContext, output: str, value: float) -> GaugeRow | None:
    """Return the gauge of a number; `None` if no range is known: an unbounded number, and only one captured sample."""
    activation, two = context.graph.node(output).activation, two_classes(context.capture, output)
    if activation in _ENDS:
        low, high = _ENDS[activation]
        ends = (number(low), number(high))
        if two is not None and activation == "sigmoid":
            ends = (f"{two[0]} 0", f"1 {two[1]}")
        return GaugeRow(value, low, high, score(value), ends, 0.5 if activation == "sigmoid" else None)
    values = context.memo.get(context.capture, ("outputs", output), lambda: context.capture.activations(output).values)
    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() == finite.max():
        return None
    low, high = float(finite.min()), float(finite.max())
    return GaugeRow(value, low, high, score(value), (number(low), number(high)), None)
