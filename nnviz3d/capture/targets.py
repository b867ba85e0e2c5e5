"""Find the numbers that a request asks to explain, and their scores for each sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.programs.activations import batch_size, portions
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Place
from nnviz3d.capture.programs.frozen import Compiled
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.target_words import find_target, head
from nnviz3d.data.targets import PREDICTED, Target, write_targets

_Scored = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""Scores and, if there are some, probabilities, ``(N, size)``."""


@dataclass(frozen=True)
class Slot:
    """The explained number of each sample, under one name.

    Attributes
    ----------
    name
        The name in the store: `PREDICTED`, or `Target.slot`.
    output
        Node id of the output.
    index
        ``(N,)`` int64: flat index into the output, for each sample; 0 for the mean of a region.
    score
        ``(N,)`` float32: before softmax or sigmoid.
    probability
        ``(N,)`` float32: after softmax or sigmoid; `None` if the output ends in neither.
    against
        Whether the negated number, and 1 minus its probability, is explained.
    region
        The part of the output whose mean is explained, as in `Target`.
    """

    name: str
    output: str
    index: NDArray[np.int64]
    score: NDArray[np.float32]
    probability: NDArray[np.float32] | None
    against: bool = False
    region: str = ""

    @property
    def place(self) -> Place:
        """The output, and the part of it whose mean is explained."""
        return Place(self.output, Target(self.output, 0, region=self.region).spans)

    def target(self, sample: int) -> Target:
        """Return the explained number of a sample."""
        return Target(self.output, int(self.index[sample]), self.against, self.region)

    @property
    def asked(self) -> NDArray[np.int64]:
        """Return the number for the operators: ``index``, or ``~index`` if the target is negated."""
        return ~self.index if self.against else self.index

    def write(self, writer: CaptureWriter) -> None:
        """Write the slot into a capture."""
        write_targets(
            writer,
            self.name,
            self.output,
            self.index,
            self.score,
            self.probability,
            against=self.against,
            region=self.region,
        )


def find_slots(
    model: DifferentiableModel,
    arrays: Sequence[Rows],
    targets: Sequence[str],
    classes: Sequence[str] | None,
) -> tuple[Slot, ...]:
    """Find the numbers that are explained, and their scores for the samples.

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
        If the model has no such target, or none is named and the model has no head.
    """
    graph = model.described.graph
    found = [find_target(word, graph, classes) for word in targets]
    wanted = [target for target in found if target is not None]
    predicted = not wanted or None in found
    slots: list[Slot] = []
    scored: dict[Place, _Scored] = {}

    def scores_of(place: Place) -> _Scored:
        if place not in scored:
            scored[place] = _scores(model, arrays, place)
        return scored[place]

    if predicted:
        answer = scores_of(Place(head(graph)))
        slots.append(_slot(PREDICTED, Target(head(graph), 0), _largest(answer[0]), answer))
    for target in dict.fromkeys(wanted):
        found_scores = scores_of(Place(target.output, target.spans))
        indices = np.full(len(found_scores[0]), target.index, dtype=np.int64)
        slot = _slot(target.slot, target, indices, found_scores)
        if predicted and slots[0].place == slot.place and (slots[0].asked == slot.asked).all():
            continue  # every sample is predicted to be of this class: the first slot explains it already
        slots.append(slot)
    return tuple(slots)


def _slot(name: str, target: Target, index: NDArray[np.int64], scored: _Scored) -> Slot:
    row = np.arange(len(index))
    scores, probabilities = scored
    score = scores[row, index]
    probability = None if probabilities is None else probabilities[row, index]
    if target.against:
        score, probability = -score, None if probability is None else 1 - probability
    return Slot(name, target.output, index, score, probability, target.against, target.region)


def _largest(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the index of the first largest number of each row; NaN is less than all numbers."""
    return np.asarray(np.argmax(np.where(np.isnan(scores), -math.inf, scores), axis=1), dtype=np.int64)


def _scores(model: DifferentiableModel, arrays: Sequence[Rows], place: Place) -> _Scored:
    """Return all scores of a place ``(N, size)``, and its probabilities if the output ends in a softmax or sigmoid."""

    def build() -> Compiled:
        def run(*x: Any) -> tuple[Any, ...]:
            values = model(x)
            parts = (values.scores(place.output), values[place.output])
            return tuple(tf.cast(place.rows(part), tf.float32) for part in parts)

        return Compiled(run, model.signature)

    function = model.compiled(("scores", place), build)
    size = batch_size(model.described, len(arrays[0]))
    parts = []
    for _, count, portion in portions(arrays, size, model.only_batch):
        parts.append([np.asarray(part)[:count] for part in function(*model.tensors(portion))])
    scores, probabilities = (np.concatenate(column) for column in zip(*parts, strict=True))
    return scores, probabilities if model.squashes(place.output) else None
