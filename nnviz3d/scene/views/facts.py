"""What there is to say of a pick: its place in words, and its numbers with every digit that they have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.records import RANKINGS
from nnviz3d.scene.colors import score
from nnviz3d.scene.context import SceneContext, class_name, head_of, is_classifier, shape_text, top_classes
from nnviz3d.scene.derived.contributions import contributions
from nnviz3d.scene.derived.embedding_trajectory import embedding_of
from nnviz3d.scene.derived.kernels import kernel_of
from nnviz3d.scene.derived.layer_figures import measured_weights
from nnviz3d.scene.derived.neurons import neurons_at, unit_values
from nnviz3d.scene.derived.unit_weights import links_of, slice_of
from nnviz3d.scene.layout.attention import Sheet, sheet_scores
from nnviz3d.scene.primitives import KeyRow, Row, TextRow
from nnviz3d.scene.selection import (
    CellPick,
    ChannelPick,
    EdgePick,
    HistoryPick,
    KernelPick,
    LayerPick,
    LinkPick,
    Pick,
    PointPick,
    ScorePick,
    Selection,
)
from nnviz3d.scene.views.attributions import over_input, title_of
from nnviz3d.scene.views.history import WORDS
from nnviz3d.scene.views.structure import number_of_parameters

_MOST_CHANNELS = 4


@dataclass(frozen=True)
class Facts:
    """What there is to say of a pick.

    Attributes
    ----------
    title
        What it is: ``conv2d_1 [5, 7, 12]``.
    value
        Its number with as many digits as tell it from its neighbours; empty for what has none.
    parts
        Further numbers by name.
    more
        The rest, in words.
    """

    title: str
    value: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    more: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """All in one line, without what only repeats the place in words."""
        if self.value:
            return f"{self.title} = {self.value}"
        return f"{self.title}: {', '.join([f'{name} {number}' for name, number in self.parts] or self.more)}"

    @property
    def rows(self) -> tuple[Row, ...]:
        """All of it beside what is marked."""
        rows: list[Row] = [TextRow(self.title)]
        if self.value:
            rows.append(TextRow(self.value, "title" if len(self.value) < 24 else "text"))
        rows.extend(KeyRow(name, number) for name, number in self.parts)
        rows.extend(TextRow(text, "quiet") for text in self.more)
        return tuple(rows)


def facts(context: SceneContext, pick: Pick, selection: Selection) -> Facts | None:
    """Say what is known of a pick for the selected sample and target; `None` if the sample has no such place."""
    match pick:
        case CellPick():
            return _facts_of_cell(context, pick, selection)
        case EdgePick():
            return _facts_of_edge(context, pick, selection)
        case ScorePick():
            return _facts_of_score(context, pick, selection.sample)
        case KernelPick():
            return _facts_of_weight(context, pick)
        case HistoryPick():
            return _facts_of_figure(context, pick)
        case ChannelPick():
            return _facts_of_channel(context, pick, selection.sample)
        case LinkPick():
            return _facts_of_link(context, pick, selection.sample)
        case LayerPick():
            node = context.graph.node(pick.layer)
            known = context.place(node.id).grid.shape if None in node.shape else None
            size = f"{number_of_parameters(node.parameters)} parameters"
            function = (f"activation function {node.activation}",) if node.activation else ()
            weights = (f"{name} {text}" for name, text in measured_weights(context.capture, node))
            return Facts(node.id, more=(node.kind, shape_text(node, known), size, *function, *weights))
        case PointPick():
            if pick.placed:
                return facts_of_sample(context.capture, pick.index)
            return facts_of_point(context.capture, embedding_of(context.capture, pick.embedding), pick.index)


def facts_of_sample(capture: CaptureReader, sample: int) -> Facts:
    """Say what is known of one of the capture's samples, as of a point."""
    answer = answer_of(capture, sample)
    return Facts(capture.sample_name(sample), more=_answered(capture, capture.label(sample), answer))


def answer_of(capture: CaptureReader, sample: int) -> tuple[int, float] | None:
    """Return the class that the model takes a sample for, and its score; `None` if it tells no classes."""
    head = head_of(capture.graph)
    if head is None or not capture.has_activations(head) or not is_classifier(capture, head):
        return None
    scores = capture.activation(head, sample).reshape(-1)
    best = top_classes(scores, 1)[0]
    return best, float(scores[best])


def facts_of_point(capture: CaptureReader, found: Embedding, index: int) -> Facts:
    """Say what is known of a sample among others: its label, what the model makes of it, and whether that is wrong."""
    label = int(found.labels[index]) if len(found.labels) else None
    probability = float(found.probabilities[index]) if len(found.probabilities) else None
    answer = (int(found.predictions[index]), probability) if len(found.predictions) else None
    return Facts(found.names[index], more=_answered(capture, label, answer))


def _answered(capture: CaptureReader, label: int | None, answer: tuple[int, float | None] | None) -> tuple[str, ...]:
    said = [] if label is None else [f"labelled {class_name(capture.classes, label)}"]
    if answer is not None:
        told, sure = answer
        if told == NO_CLASS:
            return (*said, "the output is NaN")
        wrong = ", which is wrong" if label is not None and label != told else ""
        said.append(
            f"predicted {class_name(capture.classes, told)}{'' if sure is None else f' ({score(sure)})'}{wrong}"
        )
    return tuple(said)


def value_at(context: SceneContext, layer: str, index: tuple[int, ...], sample: int) -> NDArray[np.float32] | None:
    """Return the number at a place of a layer, or the numbers of a pixel; `None` if the sample has no such place."""
    values, grid = context.values(layer, sample).values, context.place(layer).grid
    if values.ndim != len(grid.shape) or not replace(grid, shape=values.shape).holds(index):
        return None
    return np.asarray(grid.numbers(values, index))


def exact(value: np.floating) -> str:
    """Write a number with as many digits as its precision needs to be read back as the same."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    return str(value)


def _facts_of_cell(context: SceneContext, pick: CellPick, selection: Selection) -> Facts | None:
    sample = selection.sample
    found = value_at(context, pick.layer, pick.index, sample)
    if found is None:
        return None
    place = f" [{', '.join(map(str, pick.index))}]" if pick.index else ""
    more = [_words(context, pick.layer, pick.index)]
    raw = _pixel(context, pick, sample)
    if raw:
        more.append(raw)
    value = _written(found)
    parts = tuple((name, _written(numbers)) for name, numbers in _derived(context, pick, found, selection))
    if parts:
        value, parts = "", (("activation", value), *parts)
    return Facts(f"{pick.layer}{place}", value, parts, tuple(text for text in more if text))


def _derived(
    context: SceneContext, pick: CellPick, activation: NDArray[np.float32], selection: Selection
) -> Iterable[tuple[str, NDArray[np.float32]]]:
    """Give what else is known of a cell, by name: of the selected target, and against the sample it is compared with."""
    grid = context.place(pick.layer).grid
    where = grid.place(pick.index)
    if context.has_gradients(selection):
        gradient = context.gradient(pick.layer, selection)
        if gradient is not None:
            here = grid.numbers(gradient, pick.index)
            yield "gradient", here
            with np.errstate(invalid="ignore", over="ignore"):
                yield "gradient × activation", np.asarray(here * activation + np.float32(0))
    explanations = context.explanations(selection.sample)
    for method in context.capture.methods:
        found = explanations.attribution(method, selection.target, pick.layer)
        if found is not None:
            yield title_of(found)[0], np.asarray(found.values[where[: found.values.ndim]])
        elif (
            pick.layer in context.graph.inputs
            and (other := explanations.attribution(method, selection.target)) is not None
        ):
            name, values = over_input(context, other) or ("", other.values)
            if name == pick.layer:
                yield f"{title_of(other)[0]}, interpolated", np.asarray(values[where[: values.ndim]])
    if selection.against is not None:
        yield "difference", grid.numbers(context.difference(pick.layer, selection), pick.index)


def _written(numbers: NDArray[np.float32]) -> str:
    rest = ", …" if numbers.size > _MOST_CHANNELS else ""
    return ", ".join(exact(v) for v in numbers.reshape(-1)[:_MOST_CHANNELS]) + rest


def _facts_of_edge(context: SceneContext, pick: EdgePick, selection: Selection) -> Facts | None:
    sample = selection.sample
    activation = value_at(context, pick.source, pick.source_index, sample)
    target = value_at(context, pick.target, pick.target_index, sample)
    if activation is None or activation.ndim or target is None:
        return None
    weight, value = np.float32(pick.weight), np.float32(activation)
    ends = ((pick.source, pick.source_index), (pick.target, pick.target_index))
    title = " → ".join(f"{layer}[{', '.join(map(str, index))}]" for layer, index in ends)
    # The same product of two float32 as was captured; zero has no sign for people.
    product = weight * value + np.float32(0)
    parts = (("weight", exact(weight)), ("activation", exact(value)), ("contribution", exact(product)))
    slope = _slope_of(context, pick, selection)
    return Facts(title, parts=parts if slope is None else (*parts, ("gradient by the weight", exact(slope))))


def _slope_of(context: SceneContext, pick: EdgePick, selection: Selection) -> np.float32 | None:
    """Return the gradient of the selected target's score by a connection; `None` if it was not captured."""
    shapes = context.place(pick.source).grid.shape, context.place(pick.target).grid.shape
    ends = [flat_index(pick.source_index, shapes[0]), flat_index(pick.target_index, shapes[1])]
    for ranking in RANKINGS:
        pair = context.capture.connections(pick.source, pick.target, ranking, selection.sample)
        if pair is None:
            continue
        slopes = context.explanations(selection.sample).connection_gradient(pair, selection.target)
        found = np.flatnonzero((pair.index == ends).all(axis=1))
        if slopes is not None and len(found):
            return np.float32(slopes[found[0]])
    return None


def _facts_of_channel(context: SceneContext, pick: ChannelPick, sample: int) -> Facts:
    held = context.values(pick.layer, sample)
    values = held.values
    channel = held.grid.last(values)[..., pick.channel]
    mean = unit_values(neurons_at(context), pick.layer, values)[pick.channel]
    places = " × ".join(f"{n:,}" for n in channel.shape)
    parts = (("mean activation", exact(mean)), ("lowest", exact(channel.min())), ("highest", exact(channel.max())))
    return Facts(f"{pick.layer}, channel {pick.channel}", parts=parts, more=(f"of {places} places",))


def _facts_of_link(context: SceneContext, pick: LinkPick, sample: int) -> Facts | None:
    neurons = neurons_at(context)
    feed = neurons.feed(pick.taken, pick.target)
    title = f"{pick.source}[{pick.source_unit}] → {pick.target}[{pick.target_unit}]"
    found = slice_of(context.capture, neurons, feed, (pick.source_unit, pick.target_unit))
    if found is None:
        return None
    pairs, weights = found
    taken = context.values(pick.taken, sample).values
    parts = [("weight", exact(weights[0, 0]))]
    if weights.size != 1:
        norm = np.float32(np.linalg.norm(weights.astype(np.float64)))
        parts = [(f"norm of {weights.size} weights", exact(norm)), ("their sum", exact(weights.sum(dtype=np.float32)))]
    if taken.ndim < 2:
        values = taken.reshape(-1)[pairs[:, 0]]
        parts += [("activation", exact(values[0]))] if len(values) == 1 else []
        # Zero has no sign for people.
        parts.append(("contribution", exact(np.float32((weights[:, 0] * values).sum(dtype=np.float32) + 0))))
    elif (links := links_of(context.capture, neurons, feed)) is not None:
        given = contributions(context.capture, neurons, links, taken)
        if given is not None:
            here = (given.index == (pick.source_unit, pick.target_unit)).all(axis=1)
            parts.append(("mean contribution", exact(np.float32(given.signed[here][0]))))
    return Facts(title, parts=tuple(parts), more=(f"by way of {', '.join(feed.via)}",) if feed.via else ())


def _facts_of_score(context: SceneContext, pick: ScorePick, sample: int) -> Facts | None:
    scores = sheet_scores(context, Sheet(pick.layer, pick.head), sample)
    if scores is None or pick.query >= scores.shape[0] or pick.key >= scores.shape[1]:
        return None
    whose = "rollout of attention" if pick.layer is None else f"{pick.layer}: attention head {pick.head}"
    return Facts(f"{whose}, query {pick.query}, key {pick.key}", exact(scores[pick.query, pick.key]))


def _facts_of_weight(context: SceneContext, pick: KernelPick) -> Facts | None:
    kernel = kernel_of(context.capture, context.graph.node(pick.layer))
    if kernel is None or len(pick.index) != kernel.values.ndim:
        return None
    title = f"{pick.layer}: kernel [{', '.join(map(str, pick.index))}]"
    words = [f"{name} {i}" for name, i in zip(kernel.axes, pick.index, strict=True)]
    return Facts(title, exact(kernel.values[pick.index]), more=(", ".join(words),))


def _facts_of_figure(context: SceneContext, pick: HistoryPick) -> Facts | None:
    training = context.capture.training
    if training is None or pick.layer not in training.layers or pick.step not in training.steps:
        return None
    place = training.recorded_index(pick.step)
    value = training.statistic(pick.statistic)[place, training.layers.index(pick.layer)]
    title = f"{pick.layer}: {WORDS[pick.statistic]} at step {pick.step:,}"
    return Facts(title, exact(value), more=(f"epoch {training.epochs[place] + 1}",))


def _words(context: SceneContext, layer: str, index: tuple[int, ...]) -> str:
    """Say a place in words: the axes by name, and of a class its name."""
    grid = context.place(layer).grid
    names = ("neuron",) if len(grid.shape) == 1 else grid.named(index)
    words = ", ".join(f"{name} {i}" for name, i in zip(names, index, strict=False))
    if (
        layer == head_of(context.graph)
        and is_classifier(context.capture, layer)
        and context.capture.classes is not None
    ):
        words = f"{words}: {class_name(context.capture.classes, index[0])}"
    return words


def _pixel(context: SceneContext, pick: CellPick, sample: int) -> str:
    """Say what the picture was before it was prepared for the model, if this is a place of an input picture."""
    if pick.layer not in context.graph.inputs or len(pick.index) < 2:
        return ""
    picture, grid = context.capture.picture(pick.layer, sample), context.place(pick.layer).grid
    if picture is None or picture.shape[:2] != grid.places:
        return ""
    pixel = [int(v) for v in picture[grid.place(pick.index)]]
    if len(set(pixel)) == 1:
        return f"pixel {pixel[0]} of 255"
    return "pixel red {}, green {}, blue {}".format(*pixel)


def flat_index(index: Sequence[int], shape: tuple[int, ...]) -> int:
    """Return the flat index (C order) of a place in a tensor of a shape; a scalar has one place, 0."""
    return int(np.ravel_multi_index(tuple(index), shape)) if shape else 0
