"""The explanation of a pick for page and window: its arithmetic, what speaks for and against it, and its weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.sum_terms import CellSum
from nnviz3d.data.grouped_capture import originals, without_groups
from nnviz3d.scene.colors import DEFAULT_DIVERGING, DEFAULT_SEQUENTIAL, INF_COLOR, NAN_COLOR, colormap, number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.cell_explanation import CellExplanation, explained_cell, explained_gate
from nnviz3d.scene.derived.explanation_words import (
    Pairs,
    TermLine,
    arithmetic,
    before_reshaping,
    connection_pairs,
    index_title,
    term_lines,
)
from nnviz3d.scene.derived.kernel_pictures import (
    KernelPicture,
    kernel_of_connection,
    kernel_of_units,
    kernel_of_weight,
)
from nnviz3d.scene.derived.kernels import KernelPick
from nnviz3d.scene.derived.output_verdict import OutputVerdict, output_verdict
from nnviz3d.scene.derived.shown_digits import exact_number
from nnviz3d.scene.panel_rows import BarRow, KeyRow, PictureRow, Row, TextRow
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.views.connections import EdgePick
from nnviz3d.scene.views.gates import GatePick
from nnviz3d.scene.views.node_link.picks import LinkPick

MOST = 5
"""Maximum number of terms that are listed for, and against."""
_PIXELS = 96
"""Least height of a kernel's picture, in pixels."""
_FRAME = (237, 250, 255)
_FEW = 3
"""The same in the picture, if there are several sums."""


@dataclass(frozen=True)
class Sum:
    """A sum in words.

    Attributes
    ----------
    name
        What it is the sum of, for a choice among several.
    raises, lowers
        Headings of the terms that make it larger, and of those that make it smaller.
    lines
        The strongest terms, those that make it larger first.
    pairs
        What follows, as pairs of name and number.
    """

    name: str = ""
    raises: str = ""
    lowers: str = ""
    lines: tuple[TermLine, ...] = ()
    pairs: Pairs = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class PickExplanation:
    """Why a picked number is what it is.

    Attributes
    ----------
    title
        The name of the pick.
    sums
        Its arithmetic; of a class, also that of its score minus the rival's.
    reason
        Why the arithmetic is not known, as a sentence.
    slopes
        Gradients for the selected target, as pairs of name and number.
    kernel
        The weights that a connection or a weight belongs to.
    cell
        The cell, if the pick is one.
    """

    title: str
    sums: tuple[Sum, ...] = (Sum(),)
    reason: str = ""
    slopes: Pairs = field(default_factory=list)
    kernel: KernelPicture | None = None
    cell: CellPick | None = None


def explanation_of(context: SceneContext, selection: Selection) -> PickExplanation | None:
    """Explain the pick; `None` if there is nothing to explain."""
    pick, sample = selection.pick, selection.sample
    match pick:
        case CellPick():
            return _of_cell(context, pick, selection) if pick.layer in context.graph else None
        case EdgePick():
            return _of_edge(context, pick, sample)
        case GatePick():
            found = explained_gate(context, pick.layer, pick.gate, (pick.step, pick.unit), sample)
            title = f"{pick.layer}: {index_title(pick.gate, (pick.step, pick.unit))}"
            return PickExplanation(title, (_sum(context, found),), found.reason)
        case LinkPick():
            ends = (pick.source, pick.source_unit), pick.taken, (pick.target, pick.target_unit)
            title = f"{pick.source}[{pick.source_unit}] → {pick.target}[{pick.target_unit}]"
            return PickExplanation(title, kernel=kernel_of_units(context, *ends, sample))
        case KernelPick():
            kernel = kernel_of_weight(context, pick)
            return (
                None
                if kernel is None
                else PickExplanation(index_title(f"weight of {pick.layer}", pick.index), kernel=kernel)
            )
    return None


def _of_cell(context: SceneContext, pick: CellPick, selection: Selection) -> PickExplanation | None:
    values = context.values(pick.layer, selection.sample).values
    if not context.placement(pick.layer).grid.holds(pick.index) or len(pick.index) > values.ndim:
        return None
    title, slopes = index_title(pick.layer, pick.index), _slopes(context, pick, selection)
    verdict = output_verdict(context, pick, selection.sample)
    if verdict is None:
        found = explained_cell(context, pick, selection.sample)
        return PickExplanation(title, (_sum(context, found),), found.reason, slopes, cell=pick)
    sums = tuple(_sums_of_output(context, verdict, pick))
    shown = f"{title}: {verdict.name}" if verdict.name not in (title, pick.layer) else title
    return PickExplanation(shown, sums, verdict.found.reason, slopes, cell=pick)


def _sums_of_output(context: SceneContext, verdict: OutputVerdict, pick: CellPick) -> list[Sum]:
    name, found = verdict.name, verdict.found
    other = f"Against {name}" if verdict.against == f"not {name}" else f"For {verdict.against}"
    first = _sum(context, found, f"For {name}", other)
    if verdict.cell != pick:
        of_layer = [["score", index_title(verdict.cell.layer, verdict.cell.index)]]
        first = replace(first, pairs=[*of_layer, *first.pairs])
    if verdict.difference is None:
        return [first]
    rival = verdict.rival
    more = _sum_of(
        context, verdict.difference, found.sources, f"For {name} more than {rival}", f"For {rival} more than {name}"
    )
    return [replace(first, name=f"all that counts for {name}"), replace(more, name=f"{name} rather than {rival}")]


def _sum(context: SceneContext, found: CellExplanation, raises: str = "Raises it", lowers: str = "Lowers it") -> Sum:
    return Sum() if found.sum is None else _sum_of(context, found.sum, found.sources, raises, lowers)


def _sum_of(context: SceneContext, found: CellSum, sources: tuple[str, ...], raises: str, lowers: str) -> Sum:
    lines = term_lines(found, sources, MOST, partial(before_reshaping, without_groups(context.capture)))
    if found.largest:
        raises, lowers = "Takes the largest of", "Takes none of"
    elif len(found.products) == 1:
        raises = lowers = "Takes"
    return Sum("", raises, lowers, tuple(lines), arithmetic(found))


def _of_edge(context: SceneContext, pick: EdgePick, sample: int) -> PickExplanation:
    """Return where a connection stands among all terms of its target."""
    found = explained_cell(context, CellPick(pick.target, pick.target_index), sample)
    title = f"{index_title(pick.source, pick.source_index)} → {index_title(pick.target, pick.target_index)}"
    own = originals(context.capture).get(pick.source, pick.source)
    pairs = connection_pairs(found, (own, pick.source_index), pick.weight)
    whole = _sum(context, found)
    ends = (pick.source, pick.source_index), (pick.target, pick.target_index)
    kernel = kernel_of_connection(context, *ends, sample)
    return PickExplanation(title, (replace(whole, pairs=[*pairs, *whole.pairs]),), found.reason, kernel=kernel)


def _slopes(context: SceneContext, pick: CellPick, selection: Selection) -> Pairs:
    """Return the gradient at a cell for the selected target, if it was captured."""
    explained = context.explained(selection) if context.has_gradients(selection) else None
    values = context.values(pick.layer, selection.sample).values
    if explained is None or len(pick.index) != values.ndim:
        return []
    gradient = context.gradient(pick.layer, selection)
    if gradient is None:
        return []
    slope, name = float(gradient[pick.index]), context.name_of(explained.target)
    return [
        [f"gradient of {name}", exact_number(slope)],
        ["gradient × activation", number(slope * float(values[pick.index]))],
    ]


def map_pixels(values: NDArray[np.floating], *, signed: bool) -> NDArray[np.uint8]:
    """Return numbers as colours, ``(rows, columns)`` to ``(rows, columns, 3)``; black or dark is 0.

    NaN and infinite numbers have the colours that they have in all views.

    Parameters
    ----------
    signed
        Whether the colours tell negative numbers from positive ones.
    """
    finite = np.where(np.isfinite(values), values, 0.0)
    most = float(np.abs(finite).max(initial=0.0)) or 1.0
    colors = colormap(DEFAULT_DIVERGING if signed else DEFAULT_SEQUENTIAL)
    found = np.array(colors.at(finite / most / 2 + 0.5 if signed else finite / most))
    found[np.isnan(values)], found[np.isinf(values)] = NAN_COLOR, INF_COLOR
    return np.round(found * 255).astype(np.uint8)


def odd_words(count: int) -> str:
    """Return the end of a sentence about numbers that says how many of them are NaN or infinite; empty if none is."""
    return f"; {count:,} {'is' if count == 1 else 'are'} NaN or infinite" if count else ""


def _enlarged(pixels: NDArray[np.uint8], at: tuple[int, ...] | None) -> NDArray[np.uint8]:
    """Enlarge a small picture, with a frame around one of its pixels."""
    side = max(_PIXELS // len(pixels), 1)
    large = pixels.repeat(side, axis=0).repeat(side, axis=1)
    if at is not None and side > 6:
        row, column = (slice(side * i, side * (i + 1)) for i in at)
        inner = large[row, column][2:-2, 2:-2].copy()
        large[row, column] = _FRAME
        large[row, column][2:-2, 2:-2] = inner
    return large


def explanation_rows(found: PickExplanation) -> tuple[Row, ...]:
    """Return an explanation as rows of a panel in the picture."""
    rows: list[Row] = [TextRow(found.title, "title")]
    most = MOST if len(found.sums) == 1 else _FEW
    for one in found.sums:
        if one.name:
            rows.append(TextRow(one.name))
        for head, against in ((one.raises, False), (one.lowers, True)):
            lines = [line for line in one.lines if line.against == against][:most]
            rows += [TextRow(head, "quiet")] if lines else []
            rows += [BarRow(line.place, number(line.product), line.share, strong=not against) for line in lines]
        rows += [KeyRow(name, text) for name, text in one.pairs]
    rows += [KeyRow(name, text) for name, text in found.slopes]
    if found.kernel is not None:
        if found.kernel.values.ndim == 2:
            rows.append(PictureRow(_enlarged(map_pixels(found.kernel.values, signed=True), found.kernel.at)))
        odd = odd_words(int(np.count_nonzero(~np.isfinite(found.kernel.values))))
        rows.append(TextRow(found.kernel.words + odd, "quiet"))
    if found.reason:
        rows.append(TextRow(found.reason, "quiet"))
    return tuple(rows)
