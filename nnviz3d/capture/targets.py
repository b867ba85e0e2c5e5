"""Finds the numbers that are to be explained: the model's own answer, a class, or any number of an output."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.programs.activations import batch_size, portions
from nnviz3d.capture.programs.differentiable import DifferentiableModel
from nnviz3d.capture.programs.frozen import Compiled
from nnviz3d.data.explanations import write_targets
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.graph import ModelGraph, head_of
from nnviz3d.data.insights import PREDICTED, Target
from nnviz3d.data.printable import capped, folded
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError

_SHOWN = 10
"""How many names a sentence lists."""


@dataclass(frozen=True)
class Slot:
    """What is explained under one name, for all samples.

    Attributes
    ----------
    name
        As in the store: `PREDICTED`, or the target's own.
    output
        Node id of the output.
    index
        ``(N,)`` int64: flat index into the output, for each sample.
    score
        ``(N,)`` float32: before softmax or sigmoid.
    probability
        ``(N,)`` float32: behind them; `None` if there are none.
    against
        Whether the negated number, and 1 minus its probability, is explained.
    """

    name: str
    output: str
    index: NDArray[np.int64]
    score: NDArray[np.float32]
    probability: NDArray[np.float32] | None
    against: bool = False

    @property
    def asked(self) -> NDArray[np.int64]:
        """Return the number for the operators: ``index``, or ``~index`` if the target is negated."""
        return ~self.index if self.against else self.index

    def write(self, writer: CaptureWriter) -> None:
        """Write it."""
        write_targets(writer, self.name, self.output, self.index, self.score, self.probability, against=self.against)


def find_slots(
    model: DifferentiableModel,
    arrays: Sequence[NDArray[Any]],
    targets: Sequence[str],
    classes: Sequence[str] | None,
) -> tuple[Slot, ...]:
    """Find what is explained, and the scores that the samples get.

    Parameters
    ----------
    arrays
        ``(N, *shape)`` for each input, ready for the model.
    targets
        As in `Insights.targets`. None means `PREDICTED`: for each sample, the largest score of the model's head, which is
        its last output that is a vector of more than one number, else its last that is one number.
    classes
        Names of the head's numbers, if known.

    Raises
    ------
    ModelError
        If a target is none of this model's, or none is named and the model has no head.
    """
    graph = model.described.graph
    wanted = [read_target(text, graph, classes) for text in targets if text != PREDICTED]
    predicted = not wanted or PREDICTED in targets
    outputs = dict.fromkeys([*([_head(graph)] if predicted else []), *(target.output for target in wanted)])
    scored = {output: _scores(model, arrays, output) for output in outputs}
    slots: list[Slot] = []
    if predicted:
        slots.append(_slot(PREDICTED, _head(graph), _largest(scored[_head(graph)][0]), scored))
    for target in dict.fromkeys(wanted):
        indices = np.full(len(scored[target.output][0]), target.index, dtype=np.int64)
        slot = _slot(target.slot, target.output, indices, scored, against=target.against)
        if predicted and slots[0].output == slot.output and (slots[0].asked == slot.asked).all():
            continue  # it is every sample's own answer, which is explained already
        slots.append(slot)
    return tuple(slots)


def _slot(
    name: str,
    output: str,
    index: NDArray[np.int64],
    scored: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32] | None]],
    *,
    against: bool = False,
) -> Slot:
    row = np.arange(len(index))
    scores, probabilities = scored[output]
    score = scores[row, index]
    probability = None if probabilities is None else probabilities[row, index]
    if against:
        score, probability = -score, None if probability is None else 1 - probability
    return Slot(name, output, index, score, probability, against)


def read_target(text: str, graph: ModelGraph, classes: Sequence[str] | None) -> Target:
    """Read a class's number or name, ``OUTPUT[INDEX]``, or ``not OUTPUT[INDEX]``.

    If a single number tells two classes apart, the second class is the number itself, and the first its negation.

    Raises
    ------
    ModelError
        If it is none of this model's; the sentence says what there is.
    """
    asked = text.strip()
    told = Target.of_text(asked)
    if told is not None and told.output in graph.outputs:
        return _within(told, graph, None)
    if told is not None and folded(asked) not in map(folded, classes or ()):
        outputs = ", ".join(graph.outputs)
        raise ModelError(
            f"{quoted(told.output)!r} is no output of {graph.name}; expected one of {outputs}, as in {_example(graph)}."
        )
    head = _head(graph)
    size = graph.node(head).size
    two = classes is not None and size == 1 and len(classes) == 2
    known = classes if classes is not None and (len(classes) == size or two) else None
    if re.fullmatch(r"-?\d+", asked):
        index = capped(asked)
        if not two:
            return _within(Target(head, index), graph, known)
        if index not in (0, 1):
            raise ModelError(f"{graph.name} has no class {quoted(asked)}; expected 0 or 1 ({_listed(known or ())}).")
    else:
        index = _class_named(asked, known, graph)
    return Target(head, 0, against=index == 0) if two else Target(head, index)


def _within(target: Target, graph: ModelGraph, classes: Sequence[str] | None) -> Target:
    size = graph.node(target.output).size
    if size == 0:
        raise ModelError(f"The shape of {target.output!r} is not known before it runs, so none of it can be explained.")
    if 0 <= target.index < size:
        return target
    what = f"{graph.name} has no class {target.index}" if classes else f"{target.output!r} has no number {target.index}"
    names = f" ({_listed(classes)})" if classes else ""
    raise ModelError(f"{what}; expected a number from 0 to {size - 1}{names}.")


def _class_named(name: str, classes: Sequence[str] | None, graph: ModelGraph) -> int:
    if classes is None:
        raise ModelError(
            f"The classes of {graph.name} have no names, so there is no {quoted(name)!r}; "
            "give a number, as in 0, or their names with --classes."
        )
    known = [folded(one) for one in classes]
    found = [i for i, one in enumerate(known) if one == folded(name)]
    if len(found) > 1:
        raise ModelError(
            f"The classes {' and '.join(str(i) for i in found)} are both called {quoted(name)!r}; give the number."
        )
    if found:
        return found[0]
    close = difflib.get_close_matches(folded(name), known, n=3, cutoff=0.5)
    if close:
        meant = " or ".join(classes[known.index(one)] for one in close)
        raise ModelError(f"{graph.name} has no class {quoted(name)!r}; did you mean {meant}?")
    raise ModelError(f"{graph.name} has no class {quoted(name)!r}; its classes are {_listed(classes)}.")


def _listed(names: Sequence[str]) -> str:
    if len(names) <= _SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: _SHOWN - 1])}, ... {names[-1]}"


def _head(graph: ModelGraph) -> str:
    head = head_of(graph)
    if head is None:
        raise ModelError(
            f"No output of {graph.name} is a vector, so it has no class to explain; name one of an output's numbers, "
            f"as in {_example(graph)}."
        )
    return head


def _example(graph: ModelGraph) -> str:
    return f"{graph.outputs[-1]}[0]"


def _largest(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the first largest number of each row; NaN counts as the least."""
    return np.asarray(np.argmax(np.where(np.isnan(scores), -math.inf, scores), axis=1), dtype=np.int64)


def _scores(
    model: DifferentiableModel, arrays: Sequence[NDArray[Any]], output: str
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return all of an output's scores ``(N, size)``, and its probabilities if it ends in a softmax or sigmoid."""

    def build() -> Compiled:
        def run(*x: Any) -> tuple[Any, ...]:
            values = model(x)
            return tuple(_rows(part) for part in (values.scores(output), values[output]))

        return Compiled(run, model.signature)

    function = model.compiled(("scores", output), build)
    size = batch_size(model.described, len(arrays[0]))
    parts = []
    for _, count, portion in portions(arrays, size, model.only_batch):
        parts.append([np.asarray(part)[:count] for part in function(*model.tensors(portion))])
    scores, probabilities = (np.concatenate(column) for column in zip(*parts, strict=True))
    return scores, probabilities if model.squashes(output) else None


def _rows(values: Any) -> Any:
    return tf.cast(tf.reshape(values, (tf.shape(values)[0], -1)), tf.float32)
