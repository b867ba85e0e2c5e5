"""A search among the samples of an embedding, by name, class, mistake, column, or an area that the user has enclosed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.selection import ColoredBy, PointFilter
from nnviz3d.scene.views.points.columns import CLASSES, LABEL, PointColumn


def matching(
    found: Embedding, wanted: PointFilter, by: ColoredBy | None, columns: Mapping[str, PointColumn]
) -> NDArray[np.bool_]:
    """Return which samples of an embedding match a filter, ``(M,)``.

    Parameters
    ----------
    by
        What the points are coloured by: a class is that of the prediction if they are coloured by it, else that of the
        label.
    columns
        What is known of the samples.
    """
    matched = np.ones(len(found.names), dtype=bool)
    if wanted.name:
        matched &= _named(found.names, columns, wanted.name.casefold())
    classes = _colored(found, by)
    if wanted.of_class is not None:
        matched &= classes == wanted.of_class if len(classes) else False
    if wanted.wrong:
        matched &= found.wrong
    if wanted.column:
        matched &= _within(columns.get(wanted.column), wanted, len(matched))
    if wanted.chosen is not None:
        enclosed = np.zeros(len(matched), dtype=bool)
        indices = np.array(wanted.chosen, dtype=np.int64)
        enclosed[indices[(indices >= 0) & (indices < len(matched))]] = True
        matched &= enclosed
    return matched


def _named(names: tuple[str, ...], columns: Mapping[str, PointColumn], part: str) -> NDArray[np.bool_]:
    """Return the samples with a part of a text in their names, or in a word of the table about them."""
    matched = np.fromiter((part in name.casefold() for name in names), dtype=bool, count=len(names))
    for column in columns.values():
        if column.codes is not None and column.name not in CLASSES:
            matched |= np.isin(
                column.codes, [code for code, title in column.titles.items() if part in title.casefold()]
            )
    return matched


def _within(column: PointColumn | None, wanted: PointFilter, count: int) -> NDArray[np.bool_]:
    """Return the samples with the wanted word or number in a column; none if there is no such column."""
    if column is None:
        return np.zeros(count, dtype=bool)
    if column.codes is not None:
        code = column.code_of(wanted.value)
        return np.ones(count, dtype=bool) if not wanted.value else np.asarray(column.codes == code)
    numbers = np.empty(0) if column.numbers is None else column.numbers
    matched = np.ones(count, dtype=bool)
    with np.errstate(invalid="ignore"):  # what is no number is not within any limits
        if wanted.low is not None:
            matched &= numbers >= wanted.low
        if wanted.high is not None:
            matched &= numbers <= wanted.high
    return matched


def can_be_wrong(found: Embedding) -> bool:
    """Whether labels and predictions are known, at least of some samples."""
    return bool(len(found.labels) and len(found.predictions))


def classes_of(found: Embedding, names: tuple[str, ...] | None, by: ColoredBy | None) -> list[tuple[int, str]]:
    """Return the classes of an embedding's samples, by number and name, in the order of their numbers.

    Parameters
    ----------
    names
        The names of the model's classes.
    by
        As in `matching`.
    """
    known = (int(k) for k in np.unique(_colored(found, by)) if k not in (NO_CLASS, NO_LABEL))
    return [(k, class_name(names, k)) for k in known]


@dataclass(frozen=True)
class SelectedCounts:
    """Counts of the samples of an embedding that match a filter: of all of them, and by category.

    Attributes
    ----------
    count, total
        The number of matching samples, and of all.
    by
        The column of the categories; empty if there is none.
    categories
        Name and number of each category among the matching samples, the most frequent first.
    """

    count: int
    total: int
    by: str = ""
    categories: tuple[tuple[str, int], ...] = ()

    @staticmethod
    def of(
        found: Embedding, wanted: PointFilter, by: ColoredBy | None, columns: Mapping[str, PointColumn]
    ) -> SelectedCounts:
        """Count the samples that match a filter; the parameters are those of `matching`."""
        matched = matching(found, wanted, by, columns)
        column = counted_column(columns, by)
        categories = () if column is None else tuple(counts_of(column, matched))
        return SelectedCounts(
            int(matched.sum()), len(matched), column.name if column and categories else "", categories
        )

    @property
    def words(self) -> str:
        """The counts of the samples: ``31 of 1,000 samples``."""
        return f"{self.count:,} of {self.total:,} samples"

    def split(self, most: int) -> tuple[tuple[tuple[str, int], ...], int, int]:
        """Return the most frequent categories, and of all others the number and the number of their samples."""
        others = self.categories[most:]
        return self.categories[:most], len(others), sum(count for _, count in others)


def counts_of(column: PointColumn, matched: NDArray[np.bool_]) -> list[tuple[str, int]]:
    """Return the categories of the matched samples with their numbers, the most frequent first; empty for numbers."""
    if column.codes is None:
        return []
    codes, counts = np.unique(column.codes[matched], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    none = "no label" if column.name == LABEL else "none"
    return [(column.titles.get(int(codes[k]), none), int(counts[k])) for k in order]


def counted_column(columns: Mapping[str, PointColumn], by: ColoredBy | None) -> PointColumn | None:
    """Return the column of categories by which samples are counted: that of the colours, or else the classes."""
    names = (by, LABEL, *columns)
    found = (columns.get(name) for name in names if name is not None)
    return next((column for column in found if column is not None and column.codes is not None), None)


def _colored(found: Embedding, by: ColoredBy | None) -> NDArray[np.int64]:
    """Return the classes that a class stands for: those of the colours, if these show classes."""
    if by == LABEL or (by not in CLASSES and by is not None and len(found.labels)):
        return found.labels
    return found.predictions
