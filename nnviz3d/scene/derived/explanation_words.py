"""The arithmetic of a pick in words and numbers, for every place that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nnviz3d.analysis.passed_numbers import SAME_ORDER, number_behind
from nnviz3d.analysis.sum_terms import CellSum
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.colors import number
from nnviz3d.scene.derived.cell_explanation import CellExplanation
from nnviz3d.scene.derived.cell_fields import CellField
from nnviz3d.scene.derived.shown_digits import exact_number, factors_of, numbers_of

_MOST_LAYERS = 12
"""Maximum number of layers of a receptive field that are listed."""
Pairs = list[list[str]]
"""Names and numbers."""


@dataclass(frozen=True)
class TermLine:
    """A term of a sum.

    Attributes
    ----------
    place
        What it takes: a number of an earlier layer, such as ``dense [5]``.
    words
        The number and the weight.
    product
        Weight times number.
    share
        Size of the product by that of the largest listed one, from 0 to 1.
    layer, index
        The earlier layer and the index in it; `None` if the term is no number of one.
    """

    place: str
    words: str
    product: float
    share: float
    layer: str | None
    index: tuple[int, ...]

    @property
    def against(self) -> bool:
        """Whether it makes the sum smaller."""
        return self.product < 0


def index_title(layer: str, index: Sequence[int]) -> str:
    """Name a number of a layer."""
    return f"{layer} [{', '.join(map(str, index))}]" if len(index) else layer


Place = tuple[str, tuple[int, ...]]
"""A layer, and the index of a number in it."""


def before_reshaping(capture: CaptureReader, place: Place) -> Place:
    """Follow layers that only change the shape, back to the layer whose number it was."""
    graph, (layer, index) = capture.graph, place
    while graph.node(layer).kind in SAME_ORDER and len(graph.sources(layer)) == 1:
        (source,) = graph.sources(layer)
        if not (capture.has_activations(source) and capture.has_activations(layer)):
            break
        shape = capture.activation_shape(source)
        index = number_behind(graph.node(layer), index, capture.activation_shape(layer), shape)
        layer = source
    return layer, index


def term_lines(found: CellSum, sources: Sequence[str], most: int, origin: Callable[[Place], Place]) -> list[TermLine]:
    """Return the strongest terms for a number, and after them those against it, at most `most` of each.

    Parameters
    ----------
    origin
        Returns the number that is named in place of one that the layer takes.
    """
    products = found.products
    order = found.strongest(len(products))
    chosen = [*order[products[order] > 0][:most], *order[products[order] < 0][:most]]
    top = float(np.abs(products[chosen]).max()) if chosen else 1.0
    return [_line(found, sources, int(k), top, origin) for k in chosen]


def _line(found: CellSum, sources: Sequence[str], term: int, top: float, origin: Callable[[Place], Place]) -> TermLine:
    position, index = int(found.sources[term]), found.place(term)
    layer = None
    if position >= 0:
        layer, index = origin((sources[position], index))
    further = found.names[term] if found.names else ""
    place = ", ".join(part for part in ("" if layer is None else index_title(layer, index), further) if part)
    weight, taken = float(found.weights[term]), float(found.inputs[term])
    words = f" × {found.weight_name} ".join(factors_of(taken, weight))
    product = float(found.products[term])
    share = 1.0 if np.isinf(product) else abs(product) / top if top else 0.0
    return TermLine(place, words, product, share, layer, index)


def arithmetic(found: CellSum | None) -> Pairs:
    """Return the arithmetic of a number after its terms, as pairs of name and number."""
    if found is None:
        return []
    count = len(found.products)
    if found.largest:
        return [[f"largest of {count:,}", exact_number(found.total)]]
    pairs = [[name, exact_number(value)] for name, value in found.figures]
    if count > 1:
        sides = [float(found.products[side].sum()) for side in (found.products > 0, found.products < 0)]
        *sums, bias = numbers_of([*(side for side in sides if side), found.bias], sum, found.total)
        pairs.append([f"{count:,} products", " + ".join(sums or ["0"]).replace("+ −", "− ")])
    else:
        numbers = [float(found.inputs[0]), float(found.weights[0]), found.bias]
        *factors, bias = numbers_of(numbers, lambda parts: parts[0] * parts[1] + parts[2], found.total)
        if found.weights[0] != 1:
            pairs.append(["factors", " × ".join(factors)])
    if found.bias:
        pairs.append(["shift" if found.figures else "bias", bias])
    taken = count == 1 and not found.bias
    result = ("number" if found.weights[0] == 1 else "product") if taken else "sum"
    pairs.append([result, exact_number(found.total)])
    factor = 1.0 if found.after is None else found.after[1]
    if found.function and factor:
        pairs.append([f"{found.function} of the {result}", exact_number(found.result / factor)])
    if found.after is not None:
        pairs.append([f"× {found.after[0]} {exact_number(found.after[1])}", exact_number(found.result)])
    return pairs


def connection_pairs(found: CellExplanation, source: tuple[str, tuple[int, ...]], weight: float) -> Pairs:
    """Return a connection's weight, its product, and where it stands among all terms of its target.

    Parameters
    ----------
    found
        The arithmetic of the number at the connection's end.
    source
        Layer and index of the number at its start.
    """
    pairs = [["weight", number(weight)]]
    if found.sum is None:
        return pairs
    term = _term_of(found.sum, found.sources, *source)
    if term is not None:
        order = found.sum.strongest(len(found.sum.products))
        rank = int(np.flatnonzero(order == term)[0]) + 1
        pairs.append(["weight × activation", number(float(found.sum.products[term]))])
        pairs.append(["rank by size", f"{rank:,} of {len(order):,}"])
    return pairs


def _term_of(found: CellSum, sources: Sequence[str], layer: str, index: tuple[int, ...]) -> int | None:
    """Return the position of the term that takes a number of a layer; `None` if there is none."""
    missing = found.index.shape[1] - len(index)
    if missing < 0:
        return None
    of_layer = np.isin(found.sources, [k for k, name in enumerate(sources) if name == layer])
    places = np.flatnonzero(of_layer & (found.index == (-1,) * missing + index).all(axis=1))
    return int(places[0]) if len(places) else None


def field_boxes(found: CellField) -> Pairs:
    """Return the receptive field as pairs of layer and box, from the nearest layer to the inputs."""
    listed = [[name, _box(part.box, part.whole)] for name, part in reversed(list(found.layers.items()))]
    if len(listed) <= _MOST_LAYERS:
        return listed
    left = len(listed) - _MOST_LAYERS
    return [*listed[: _MOST_LAYERS - 1], [f"{left:,} more layers", ""], listed[-1]]


def _box(box: tuple[tuple[int, int], ...], whole: bool) -> str:
    if whole:
        return "everything"
    return ", ".join(f"{first}" if last == first + 1 else f"{first}–{last - 1}" for first, last in box)


def unclear_words(found: CellField | None) -> str:
    """Return a sentence on a layer that reads an unknown part of its input; empty if there is none."""
    name = None if found is None else found.unclear
    return "" if name is None else f"How much {name} reads is not known, so that everything before it counts."
