"""Colours and legends of points: by their classes, by a column of words, or by a column of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.embedding_quality import NEIGHBOURS
from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding
from nnviz3d.data.printable import printable
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.colors import NAN_COLOR, OTHERS, Color, Colormap, categorical, colormap, number, repeated
from nnviz3d.scene.panel_rows import Row, ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Panel
from nnviz3d.scene.views.points.columns import CLASSES, LABEL, PointColumn

COLORED = 10
"""Maximum number of categories with separate colours; these are the most frequent ones."""
_ACROSS = ((14, 5), (24, 3), (1000, 2))
"""Most characters of a category and its count, and the number of categories in a row of the legend."""
_UNKNOWN = (0.27, 0.30, 0.36)
"""Colour of points of which a column holds nothing."""
_DARKEST = 0.22
"""Share of the colour map for numbers that is left out at its dark end, which would not be seen on the background."""
_LONGEST_NAME = 36
"""Most characters of a category in the legend; a longer one is cut in its middle."""


class Painted(NamedTuple):
    """Colours and legend of the points.

    Attributes
    ----------
    by
        Name of the column that the colours show.
    codes
        ``(M,)``: category of each point; empty if the column holds numbers, or nothing is known.
    palette
        Colours of the most frequent categories.
    titles
        Their names.
    colors, sizes, rings
        As in `Points`.
    """

    by: str | None
    codes: NDArray[np.int64]
    palette: dict[int, Color]
    titles: Mapping[int, str]
    colors: NDArray[np.float32]
    sizes: NDArray[np.float32]
    rings: NDArray[np.float32] | None
    legend: Panel


class Painter:
    """Paints the points of one embedding.

    Parameters
    ----------
    classes
        Names of the model's classes.
    columns
        What is known of the samples.
    plain, large
        Diameters of a point, and of a wrongly predicted one, in pixels of a 720 pixels high picture.

    Attributes
    ----------
    wrong
        ``(M,)``: whether the prediction is wrong; not where the label or the prediction is not known.
    """

    def __init__(
        self,
        found: Embedding,
        classes: tuple[str, ...] | None,
        columns: Mapping[str, PointColumn],
        *,
        plain: float,
        large: float,
    ) -> None:
        self._found, self._classes, self._columns = found, classes, columns
        count, self.wrong = len(found.points), found.wrong
        self._plain = np.full(count, plain, dtype=np.float32)
        self._sizes = np.where(self.wrong, large, plain).astype(np.float32)

    def paint(self, by: str | None) -> Painted:
        """Return colours, sizes and legend of all points by a column; in one colour if there is none."""
        column = None if by is None else self._columns[by]
        if column is None or by in CLASSES:
            return self._by_class(by)
        return self._by_category(column) if column.numbers is None else self._by_number(column)

    def _by_class(self, by: str | None) -> Painted:
        told = self._found.predictions
        # The column has the same number for a sample without a label as for one without a prediction.
        labels = None if by != LABEL else self._columns[LABEL].codes
        classes = told if labels is None else labels
        palette = _palette(np.concatenate([classes, told]))
        rings = _colors(told, palette, NAN_COLOR) * self.wrong[:, np.newaxis] if len(told) else None
        unknown = NAN_COLOR if labels is None else _UNKNOWN
        colors = _colors(classes, palette, unknown) if len(classes) else repeated(OTHERS, 1, len(self._plain))
        titles = {k: class_name(self._classes, k) for k in palette}
        swatches = _swatches(classes, palette, titles)
        if labels is not None and not self._found.labelled.all():
            swatches.append((_UNKNOWN, f"no label  {int((~self._found.labelled).sum()):,}"))
        rows: list[Row] = list(_swatch_rows(swatches))
        if len(self._found.labels) and len(told):
            none = int((told == NO_CLASS).sum())
            if none:
                rows.append(SwatchRow(((NAN_COLOR, f"{none:,} answered with NaN"),)))
            inner = "label" if by == LABEL else "prediction"
            wrong = int(self.wrong.sum())
            rows.append(TextRow(f"{wrong:,} wrong: ball coloured by {inner}, ring by prediction", "quiet"))
        elif len(classes):
            rows.append(TextRow(f"coloured by {by}", "quiet"))
        return Painted(by, classes, palette, titles, colors, self._sizes, rings, self._legend(rows))

    def _by_category(self, column: PointColumn) -> Painted:
        codes = np.empty(0, dtype=np.int64) if column.codes is None else column.codes
        palette = _palette(codes)
        swatches = _swatches(codes, palette, column.titles)
        none = int((codes == NO_CLASS).sum())
        if none:
            swatches.append((_UNKNOWN, f"empty  {none:,}"))
        rows: list[Row] = [TextRow(f"coloured by {column.name}"), *_swatch_rows(swatches)]
        colors = _colors(codes, palette, _UNKNOWN)
        titles = {k: column.titles[k] for k in palette}
        return Painted(column.name, codes, palette, titles, colors, self._plain, None, self._legend(rows))

    def _by_number(self, column: PointColumn) -> Painted:
        numbers = np.empty(0) if column.numbers is None else column.numbers
        low, high = column.range
        known = np.isfinite(numbers)
        scale = _scale()
        with np.errstate(invalid="ignore"):
            shares = np.full(len(numbers), 0.5) if high == low else (numbers - low) / (high - low)
        colors = np.ones((len(numbers), 4), dtype=np.float32)
        colors[:, :3] = np.where(known[:, np.newaxis], scale.at(np.where(known, shares, 0.0)), _UNKNOWN)
        rows: list[Row] = [TextRow(f"coloured by {column.name}")]
        if known.any():
            middle = [(0.5, number((low + high) / 2))] if high > low else []
            ends = [(0.0, number(low)), *middle, (1.0, number(high))] if high > low else [(0.5, number(low))]
            rows.append(ScaleRow(scale, tuple(ends)))
        none = int((~known).sum())
        if none:
            rows.append(SwatchRow(((_UNKNOWN, f"no finite number  {none:,}"),)))
        empty = np.empty(0, dtype=np.int64)
        return Painted(column.name, empty, {}, {}, colors, self._plain, None, self._legend(rows))

    def _legend(self, rows: list[Row]) -> Panel:
        """Return the legend: the quality of the embedding, then these rows."""
        quality, count = self._found.quality, len(self._plain)
        said = []
        if "trustworthiness" in quality:
            said.append(f"trustworthiness {quality['trustworthiness']:.3f}")
        near = min(NEIGHBOURS, count - 1)
        if "neighbours" in quality and near > 1:
            said.append(f"{quality['neighbours']:.0%} of the {near} nearest neighbours kept")
        judged = int(str(self._found.settings.get("judged", count)))
        if said and judged < count:
            said.append(f"of {judged:,} samples")
        if "kl" in quality:
            said.append(f"KL divergence {quality['kl']:.2f}")
        first = (TextRow(" · ".join(said)),) if said else ()
        return Panel("embedding", "bottom-left", (*first, *rows))


@cache
def _scale() -> Colormap:
    """Return the colour map for numbers, whose dark end is left out."""
    viridis = colormap("viridis")
    table = np.round(viridis.at(np.linspace(_DARKEST, 1, 256)) * 255).astype(np.uint8)
    table.flags.writeable = False
    return Colormap("viridis", table, diverging=False)


def _swatches(
    codes: NDArray[np.int64], palette: Mapping[int, Color], titles: Mapping[int, str]
) -> list[tuple[Color, str]]:
    """Return the coloured categories with their counts, and the others together."""
    counts = {k: int((codes == k).sum()) for k in palette}
    names = {k: printable(titles[k], _LONGEST_NAME) for k in palette}
    found: list[tuple[Color, str]] = [(palette[k], f"{names[k]}  {count:,}") for k, count in counts.items()]
    others = int((codes != NO_CLASS).sum()) - sum(counts.values())
    return [*found, (OTHERS, f"others  {others:,}")] if others else found


def _swatch_rows(swatches: list[tuple[Color, str]]) -> list[SwatchRow]:
    longest = max((len(words) for _, words in swatches), default=0)
    across = next(count for most, count in _ACROSS if longest <= most)
    return [SwatchRow(tuple(swatches[k : k + across])) for k in range(0, len(swatches), across)]


def _palette(codes: NDArray[np.int64]) -> dict[int, Color]:
    """Assign a colour to each of the most frequent categories, in the order of their numbers."""
    known, counts = np.unique(codes[codes != NO_CLASS], return_counts=True)
    frequent = sorted(int(k) for k in known[np.argsort(-counts, kind="stable")[:COLORED]])
    return dict(zip(frequent, categorical(len(frequent)), strict=True))


def _colors(codes: NDArray[np.int64], palette: Mapping[int, Color], none: Color) -> NDArray[np.float32]:
    """Give each point the colour of its category, or that of none, ``(M, 4)``."""
    known, where = np.unique(codes, return_inverse=True)
    table = np.array([[*(none if c == NO_CLASS else palette.get(int(c), OTHERS)), 1] for c in known], dtype=np.float32)
    return np.asarray(table[where])
