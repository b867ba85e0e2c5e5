"""Columns about the samples of an embedding: label, prediction, score, and the columns of a table about the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding
from nnviz3d.data.files.sample_columns import SampleColumn
from nnviz3d.data.minus_sign import with_minus
from nnviz3d.errors import SampleError
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.context import SceneContext

LABEL, PREDICTION, SCORE = "label", "prediction", "score"
CLASSES = (LABEL, PREDICTION)
"""The columns that hold classes of the model."""
OWN = (*CLASSES, SCORE)
"""The columns that an embedding has without a table."""


@dataclass(frozen=True, eq=False)
class PointColumn:
    """A column: categories or numbers.

    Attributes
    ----------
    codes
        ``(M,)``: the category of each sample, `NO_CLASS` if it has none; `None` for a column of numbers.
    titles
        The categories in their order, and their names.
    numbers
        ``(M,)`` float64, not finite where there is none; `None` for categories.
    """

    name: str
    codes: NDArray[np.int64] | None = None
    titles: Mapping[int, str] = field(default_factory=dict)
    numbers: NDArray[np.float64] | None = None

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest finite number; zeros if there is none."""
        finite = np.empty(0) if self.numbers is None else self.numbers[np.isfinite(self.numbers)]
        return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)

    def text(self, index: int) -> str:
        """Return the cell of a sample as text; empty if there is none."""
        if self.numbers is not None:
            value = float(self.numbers[index])
            return "" if np.isnan(value) else with_minus(f"{value:.6g}")
        return "" if self.codes is None else self.titles.get(int(self.codes[index]), "")

    def code_of(self, title: str) -> int | None:
        """Return the category of this name; `None` if there is none."""
        return next((code for code, known in self.titles.items() if known == title), None)


def columns_of(context: SceneContext, found: Embedding) -> dict[str, PointColumn]:
    """Return the columns of an embedding's samples by name, in the order in which they are offered.

    Raises
    ------
    SampleError
        If the table about the samples has another number of lines, or two columns would have one name.
    """
    columns: dict[str, PointColumn] = {}
    for column in (*_own(found, context.capture.classes), *_of_table(context, found)):
        if column.name in columns:
            raise SampleError(f"The table about the samples has two columns called {column.name}; rename one of them.")
        columns[column.name] = column
    return columns


def _own(found: Embedding, classes: tuple[str, ...] | None) -> list[PointColumn]:
    known = [(LABEL, np.where(found.labelled, found.labels, NO_CLASS)), (PREDICTION, found.predictions)]
    columns = [
        PointColumn(name, codes, {int(k): class_name(classes, int(k)) for k in np.unique(codes) if k != NO_CLASS})
        for name, codes in known
        if len(codes)
    ]
    if len(found.probabilities):
        columns.append(PointColumn(SCORE, numbers=found.probabilities.astype(np.float64)))
    return columns


def _of_table(context: SceneContext, found: Embedding) -> list[PointColumn]:
    table = context.setting.table
    if table is None:
        return []
    return [_of_column(column) for column in table.columns_for(found.names, f"the embedding of {found.name}")]


def _of_column(column: SampleColumn) -> PointColumn:
    # The names of the embedding's own columns keep their meaning.
    name = f"{column.name} (table)" if column.name in OWN else column.name
    if column.numbers is not None:
        return PointColumn(name, numbers=column.numbers)
    return PointColumn(name, column.codes, dict(enumerate(column.words)))
