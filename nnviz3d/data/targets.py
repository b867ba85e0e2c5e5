"""The numbers that are explained: their names, their scores, and how a capture stores them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np

from nnviz3d.data.printable import read_integer
from nnviz3d.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

Spans = tuple[tuple[int | None, int | None], ...]
"""First position and end of a part of each axis; `None` for the beginning and the end of the axis."""
PREDICTED = "predicted"
"""The slot of the model's own answer: for each sample, the number with the largest score."""
_KEY = re.compile(r"(.+)\[([\d:,.]+)\](-?)")
_NUMBER = re.compile(r"(not )?(.+)\[([\d:,. ]+)\]")
_SPAN = re.compile(r"(\d*):(\d*)|(\d+)")


@dataclass(frozen=True)
class Target:
    """The number that is explained: one number of an output, such as the score of a class, or the mean of several.

    If the output ends in a softmax or a sigmoid, it is the number before that: probabilities saturate, and a change that
    raises one of them may only lower the others (Simonyan et al. 2013, arXiv:1312.6034).

    Attributes
    ----------
    output
        Node id of the output.
    index
        Flat index (C order, without the sample axis) into it.
    against
        Whether the negated number is explained: for a single sigmoid, the evidence for the first of its two classes.
    region
        A part of the output whose mean is explained, as an index of NumPy without the sample axis: ``:,:,3`` is channel 3
        over the whole map, ``2:10,5:20,3`` over a rectangle. Empty for a single number. If it is given, `index` is 0.
    """

    output: str
    index: int
    against: bool = False
    region: str = ""

    @property
    def _inside(self) -> str:
        return self.region or str(self.index)

    @property
    def slot(self) -> str:
        """The target's name in the store: ``dense_1[5]``; ``dense_1[5]-`` if it is negated."""
        return f"{quote(self.output, safe='@')}[{self._inside}]{'-' * self.against}"

    @property
    def text(self) -> str:
        """The target's name in a request: ``dense_1[5]``, or ``not dense_1[5]``."""
        return f"{'not ' * self.against}{self.output}[{self._inside}]"

    @property
    def spans(self) -> Spans:
        """First position and end of the part of each axis whose mean is explained; none for a single number."""
        return _spans(self.region) if self.region else ()

    @staticmethod
    def of_text(text: str) -> Target | None:
        """Read a target that `text` wrote; `None` if the text is something else."""
        match = _NUMBER.fullmatch(text)
        return None if match is None else _target(match[2], match[3].replace(" ", ""), match[1] is not None)

    @staticmethod
    def of_slot(slot: str) -> Target:
        """Read what `slot` wrote."""
        match = _KEY.fullmatch(slot)
        found = None if match is None else _target(unquote(match[1]), match[2], match[3] == "-")
        if found is None:
            raise CaptureError(f"The capture is damaged: {slot!r} names no target. Capture again.")
        return found


def _target(output: str, inside: str, against: bool) -> Target | None:
    """Return the target of an index or of a region; `None` if the text between the brackets is neither."""
    if inside.isdecimal():
        return Target(output, read_integer(inside), against)
    parts = inside.split(",")
    valid = all(part == "..." or _SPAN.fullmatch(part) for part in parts) and parts.count("...") <= 1
    return Target(output, 0, against, inside) if valid else None


def region_of(region: str, shape: Sequence[int]) -> str:
    """Return a region of an output in full: ``...`` becomes a colon for each axis, and one number is a position.

    Parameters
    ----------
    shape
        Shape of the output, without the sample axis.

    Raises
    ------
    ValueError
        If it does not fit the shape; the message says why.
    """
    parts = region.split(",")
    if "..." in parts:
        at = parts.index("...")
        parts[at : at + 1] = [":"] * (len(shape) - len(parts) + 1)
    if len(parts) != len(shape):
        raise ValueError(f"it has {len(parts)} parts, and the output {len(shape)} axes")
    whole = ",".join(parts)
    for (first, end), size in zip(_spans(whole), shape, strict=True):
        start, stop = first or 0, size if end is None else end
        if not start < stop <= size:
            raise ValueError(f"{start}:{stop} is no part of an axis of {size}")
    return whole


def _spans(region: str) -> Spans:
    found: list[tuple[int | None, int | None]] = []
    for part in region.split(","):
        match = _SPAN.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is no part of an axis")
        if match[3] is not None:
            found.append((read_integer(match[3]), read_integer(match[3]) + 1))
        else:
            found.append((read_integer(match[1]) if match[1] else None, read_integer(match[2]) if match[2] else None))
    return tuple(found)


LOSS = Target("loss", 0)
"""The target of a training's gradients: the loss of all its probe samples, which is not a number of an output."""


@dataclass(frozen=True)
class Explained:
    """A target that was explained for one sample.

    Attributes
    ----------
    slot
        The target's name in the store: `PREDICTED`, or its `Target.slot`.
    score
        The number that was explained.
    probability
        The score's probability after the softmax or sigmoid; `None` if the output ends in neither.
    """

    slot: str
    target: Target
    score: float
    probability: float | None

    @property
    def rank(self) -> tuple[bool, float, str, int]:
        """The order in which targets are listed: the model's own answer first, then the others by falling score."""
        strength = -np.inf if np.isnan(self.score) else self.score
        return self.slot != PREDICTED, -strength, f"{self.target.output}[{self.target.region}", self.target.index


def target_path(slot: str) -> str:
    """Return the group of the number that was explained for each sample, and of its score."""
    return f"targets/{slot}"


def read_explained(stored: StoredArrays, slot: str, sample: int) -> Explained:
    """Read the target of a slot for one sample.

    Raises
    ------
    CaptureError
        If the slot is damaged.
    """
    path = target_path(slot)
    attributes = stored.attributes(path)
    output = attributes.get("output")
    if not isinstance(output, str):
        raise stored.damaged(f"{path} names no output")

    def number(name: str, kinds: str = "f") -> Any:
        return stored.sample(stored.require(f"{path}/{name}", (None,), kinds), sample)

    index, probability = int(number("index", "iu")), float(number("probability"))
    region = attributes.get("region", "")
    if output not in stored.graph or index < 0 or not isinstance(region, str):
        raise stored.damaged(f"{path} explains number {index} of {output!r}, which the model does not have")
    return Explained(
        slot,
        Target(output, index, attributes.get("against") is True, region),
        float(number("score")),
        None if np.isnan(probability) else probability,
    )


def write_targets(
    writer: ArrayWriter,
    slot: str,
    output: str,
    index: NDArray[np.int64],
    score: NDArray[np.floating],
    probability: NDArray[np.floating] | None,
    *,
    against: bool = False,
    region: str = "",
) -> None:
    """Write the explained number of an output and its score for each sample: ``(N,)`` each.

    Parameters
    ----------
    against
        Whether the number was negated.
    region
        The part of the output whose mean is the number, as in `Target`.
    """
    path = target_path(slot)
    writer.group(
        path, {"output": output} | ({"against": True} if against else {}) | ({"region": region} if region else {})
    )
    writer.rows(f"{path}/index", 0, np.asarray(index, dtype=np.int64))
    writer.rows(f"{path}/score", 0, score)
    writer.rows(f"{path}/probability", 0, np.full(len(index), np.nan) if probability is None else probability)
