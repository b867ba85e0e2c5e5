"""The grounds of a model's decision: the sum behind the chosen score, and behind that of the runner-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.sum_terms import CellSum
from nnviz3d.data.axes import CHANNEL, channel_axis
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.data.grouped_capture import without_groups
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.class_names import class_name, is_classifier, predicted_of_two, top_classes, two_classes
from nnviz3d.scene.context import SceneContext, head_of
from nnviz3d.scene.derived.cell_explanation import explained_number

_SAME_NUMBERS = ("Dropout", "Activation", "Softmax")
"""Kinds of layers between a sum and the score that is made of it."""
_SAME_PLACES = ("Dropout", "Flatten", "Reshape", "InputLayer")
"""Kinds of layers whose output holds the numbers of their input in the same order."""


@dataclass(frozen=True)
class Evidence:
    """A product in a sum.

    Attributes
    ----------
    words, layer
        The number that is weighed, ``unit 12``, and the name of its layer; empty if the words say it all.
    product
        Weight times number; of two sums the difference of their products.
    """

    words: str
    layer: str
    product: float

    @property
    def text(self) -> str:
        """The number with its layer: ``unit 12 of dense``."""
        return f"{self.words} of {self.layer}" if self.layer else self.words


@dataclass(frozen=True, eq=False)
class ModelDecision:
    """The main answer of a model for one sample.

    Attributes
    ----------
    output
        Node id of the output.
    layer
        The layer whose sum decides: the output, or the layer before its activation function.
    name, value
        The chosen class and its score; of an output of one number that is no class its name and the number.
    index
        Index of that number in the layer's tensor.
    runner_up
        The class with the second highest score and its score; `None` if there is none.
    chosen
        The index of the chosen class; `None` if the output is not a classifier.
    sum
        The sum behind the score; `None` if it is not known.
    other_sum
        That behind the runner-up's.
    against
        Whether the decision is for the smaller of the two: the first of two classes, whose score is one minus the output.
    reason
        Why the sum is not known, as a sentence.
    sources
        Node ids of the layers that the sum takes numbers of.
    """

    output: str
    layer: str
    name: str
    value: float
    index: tuple[int, ...]
    runner_up: tuple[str, float] | None
    chosen: int | None
    sum: CellSum | None
    other_sum: CellSum | None
    against: bool
    reason: str
    sources: tuple[str, ...]

    @property
    def classifies(self) -> bool:
        """Whether the answer is a class."""
        return self.chosen is not None

    @property
    def margin(self) -> NDArray[np.float64] | None:
        """The chosen class's products minus the runner-up's, term by term, ``(n,)``; `None` if they have other terms."""
        one, other = self.sum, self.other_sum
        if one is None or other is None or one.largest or other.largest:
            return None
        same = np.array_equal(one.index, other.index) and np.array_equal(one.sources, other.sources)
        return one.products - other.products if same else None


def decision_of(context: SceneContext, sample: int) -> ModelDecision | None:
    """Find the main answer for a sample and the sums behind it, in the network with all groups open.

    Returns
    -------
    ModelDecision or None
        `None` if no output is a vector or a number, or the main one was not kept or has numbers that are not finite.
    """
    capture = without_groups(context.capture)
    output = head_of(capture.graph)
    if output is None or not capture.has_activations(output):
        return None
    scores = np.asarray(capture.activation(output, sample), dtype=np.float32).reshape(-1)
    if not scores.size or not np.isfinite(scores).all():
        return None
    one, two = (int(scores.argmax()), None) if len(scores) == 1 else top_classes(scores, 2)
    chosen, runner_up, against = None, None, False
    name, value = output, float(scores[one])
    pair = two_classes(capture, output)
    predicted = predicted_of_two(capture, output, value) if pair is not None else None
    if pair is not None and predicted is not None:
        chosen = pair.index(predicted)
        against = chosen == 0
        shares = (1 - value, value)
        name, value = predicted, shares[chosen]
        runner_up = (pair[1 - chosen], shares[1 - chosen])
    elif is_classifier(capture, output) and two is not None:
        chosen = one
        name = class_name(capture.classes, one)
        runner_up = (class_name(capture.classes, two), float(scores[two]))
    elif len(scores) > 1:
        name = f"{output}[{one}]"
    layer, index = _summing(capture, output, one)
    found = explained_number(context, layer, index, sample)
    other = None
    if chosen is not None and two is not None:
        place = _summing(capture, output, two)
        other = _other_unit(capture, layer, index, found.sum, place[1]) or explained_number(context, *place, sample).sum
    return ModelDecision(
        output,
        layer,
        name,
        value,
        index,
        runner_up,
        chosen,
        found.sum,
        other,
        against,
        found.reason,
        found.sources,
    )


def _other_unit(
    capture: CaptureReader, layer: str, index: tuple[int, ...], found: CellSum | None, other: tuple[int, ...]
) -> CellSum | None:
    """Return the sum of another unit of a dense layer, which takes the same numbers; `None` for any other layer."""
    weights = capture.weights(capture.graph.node(layer).path)
    kernel, bias = weights.get("kernel"), weights.get("bias")
    if found is None or kernel is None or kernel.ndim != 2 or len(index) != 1 or len(kernel) != len(found.weights):
        return None
    if not np.array_equal(kernel[:, index[0]], found.weights):
        return None
    own = 0.0 if bias is None else float(bias[other[0]])
    return replace(found, weights=np.asarray(kernel[:, other[0]], dtype=np.float64), bias=own, result=np.nan)


def evidence(
    capture: CaptureReader, sources: Sequence[str], found: CellSum, products: NDArray[np.float64], count: int
) -> tuple[tuple[Evidence, ...], tuple[Evidence, ...]]:
    """Return the strongest positive and the strongest negative products, the strongest first, at most `count` each.

    Parameters
    ----------
    found
        The sum whose terms they are.
    products
        ``(n,)``: those of the sum, or of a difference of two sums.
    """

    def words(term: int) -> tuple[str, str]:
        source = int(found.sources[term])
        index = tuple(map(int, found.index[term]))
        return number_words(capture, sources[source], index) if source >= 0 else ("its own state", "")

    def strongest(sign: int) -> tuple[Evidence, ...]:
        order = np.argsort(-sign * products, kind="stable")[:count]
        return tuple(Evidence(*words(int(i)), float(products[i])) for i in order if sign * products[i] > 0)

    return strongest(1), strongest(-1)


def number_words(capture: CaptureReader, layer: str, index: tuple[int, ...]) -> tuple[str, str]:
    """Name a number of a layer, and the layer: ``unit 12``, or ``channel 3 at row 2, column 5``.

    A column of a table has its own name, and needs no layer. The numbers of a layer that only arranges numbers in another
    way, such as a flattening layer, are named by the layer before it.
    """
    graph = capture.graph
    names = capture.unit_names(layer)
    if names is not None and len(index) == 1 and index[0] < len(names):
        return f"“{names[index[0]]}”", ""
    while True:
        node = graph.node(layer)
        sources = graph.sources(layer)
        if not _passes_on(graph, node, _SAME_PLACES):
            break
        before = graph.node(sources[0])
        flat = int(np.ravel_multi_index(index, _known(node))) if index else 0
        index, layer = tuple(int(i) for i in np.unravel_index(flat, _known(before))), before.id
    node = graph.node(layer)
    axes = node.axes
    at = channel_axis(axes)
    if len(index) == 1 and axes == (CHANNEL,):
        return f"{'number' if layer in graph.inputs else 'unit'} {index[0]}", layer
    place = ", ".join(f"{axis} {i}" for k, (axis, i) in enumerate(zip(axes, index, strict=True)) if k != at)
    channel = f"channel {index[at]}" if at is not None and (node.channels or 0) > 1 else "the number"
    return channel + (f" at {place}" if place else ""), layer


def _passes_on(graph: ModelGraph, node: LayerNode, kinds: Sequence[str]) -> bool:
    """Whether a node of one of these kinds has one number for each number of its only input, in the same order."""
    sources = graph.sources(node.id)
    if node.kind not in kinds or len(sources) != 1 or node.details.get("data_format") == "channels_first":
        return False
    return bool(node.size) and graph.node(sources[0]).size == node.size


def _known(node: LayerNode) -> tuple[int, ...]:
    return tuple(n or 0 for n in node.shape)


def _summing(capture: CaptureReader, output: str, position: int) -> tuple[str, tuple[int, ...]]:
    """Return the layer whose sum is a number of an output before its activation function, and the number's index there."""
    graph = capture.graph
    layer, index = output, _place(graph, output, position)
    while True:
        node, sources = graph.node(layer), graph.sources(layer)
        if not _passes_on(graph, node, (*_SAME_NUMBERS, *_SAME_PLACES)) or not capture.has_activations(sources[0]):
            return layer, index
        layer = sources[0]
        index = _place(graph, layer, position)


def _place(graph: ModelGraph, layer: str, position: int) -> tuple[int, ...]:
    shape = _known(graph.node(layer))
    return tuple(int(i) for i in np.unravel_index(position, shape)) if shape else ()
