"""The part of a look that says which samples of an embedding are shown in full, and indices of samples as a short text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from nnviz3d.scene.selection import PointFilter
from nnviz3d.scene.view_spec import Strict

LONGEST_NAME = 1000
"""Most characters of a word."""
LONGEST_CHOSEN = 5000
"""Most characters of the text of enclosed samples."""
LARGEST = 1e12
"""No limit of a column of numbers is larger."""
_MOST = 1_000_000
"""Most enclosed samples."""
_RUN = r"[0-9]{1,9}(?:-[0-9]{1,9})?"
_RUNS = re.compile(rf"{_RUN}(?:\.{_RUN})*")

_Word = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
_Limit = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


def runs_of(indices: Iterable[int]) -> str:
    """Return rising indices as a text: ``3-7.12`` means 3 to 7, and 12."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ".".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def in_runs(text: str) -> tuple[int, ...]:
    """Return the indices of a text of `runs_of`.

    Raises
    ------
    ValueError
        If it is no such text.
    """
    if not text:
        return ()
    if _RUNS.fullmatch(text) is None:
        raise ValueError("enclosed samples are rising numbers such as 3-7.12")
    found: list[int] = []
    before = -2
    for run in text.split("."):
        first, _, last = run.partition("-")
        start, end = int(first), int(last or first)
        if start <= before + 1 or end < start or (last and end == start):
            raise ValueError("enclosed samples are rising numbers such as 3-7.12")
        if len(found) + end - start >= _MOST:
            raise ValueError(f"at most {_MOST:,} samples are enclosed")
        found.extend(range(start, end + 1))
        before = end
    return tuple(found)


def _checked(text: str) -> str:
    in_runs(text)
    return text


class PointsSpec(Strict):
    """The filter of an embedding's samples; the fields are those of `PointFilter`.

    Attributes
    ----------
    chosen
        The enclosed samples as a text of `runs_of`.
    """

    name: _Word | None = None
    of_class: Annotated[int, Field(ge=0, lt=10**15)] | None = None
    wrong: Literal[True] | None = None
    column: _Word | None = None
    value: _Word | None = None
    low: _Limit | None = None
    high: _Limit | None = None
    isolated: Literal[True] | None = None
    chosen: Annotated[str, Field(max_length=LONGEST_CHOSEN), AfterValidator(_checked)] | None = None

    @staticmethod
    def of(found: PointFilter) -> PointsSpec | None:
        """Describe a filter; `None` if it leaves nothing out. Enclosed samples with too long a text are left out."""
        runs = None if found.chosen is None else runs_of(found.chosen)
        spec = PointsSpec(
            name=found.name or None,
            of_class=found.of_class,
            wrong=found.wrong or None,
            column=found.column or None,
            value=found.value or None,
            low=found.low,
            high=found.high,
            isolated=found.isolated or None,
            chosen=None if runs is None or len(runs) > LONGEST_CHOSEN else runs,
        )
        return None if spec == PointsSpec() else spec

    def filter(self) -> PointFilter:
        """Return the filter."""
        return PointFilter(
            name=self.name or "",
            of_class=self.of_class,
            wrong=bool(self.wrong),
            column=self.column or "",
            value=self.value or "",
            low=self.low,
            high=self.high,
            chosen=None if self.chosen is None else in_runs(self.chosen),
            isolated=bool(self.isolated),
        )
