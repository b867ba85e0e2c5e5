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
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

PREDICTED = "predicted"
"""The slot of the model's own answer: for each sample, the number with the largest score."""
_KEY = re.compile(r"(.+)\[(\d+)\](-?)")
_NUMBER = re.compile(r"(not )?(.+)\[(\d+)\]")


@dataclass(frozen=True)
class Target:
    """The number that is explained: one number of an output, such as the score of a class.

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
    """

    output: str
    index: int
    against: bool = False

    @property
    def slot(self) -> str:
        """The target's name in the store: ``dense_1[5]``; ``dense_1[5]-`` if it is negated."""
        return f"{quote(self.output, safe='@')}[{self.index}]{'-' * self.against}"

    @property
    def text(self) -> str:
        """The target's name in a request: ``dense_1[5]``, or ``not dense_1[5]``."""
        return f"{'not ' * self.against}{self.output}[{self.index}]"

    @staticmethod
    def of_text(text: str) -> Target | None:
        """Read a target that `text` wrote; `None` if the text is something else."""
        match = _NUMBER.fullmatch(text)
        return None if match is None else Target(match[2], read_integer(match[3]), match[1] is not None)

    @staticmethod
    def of_slot(slot: str) -> Target:
        """Read what `slot` wrote."""
        match = _KEY.fullmatch(slot)
        if match is None:
            raise CaptureError(f"The capture is damaged: {slot!r} names no target. Capture again.")
        return Target(unquote(match[1]), int(match[2]), match[3] == "-")


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
        return self.slot != PREDICTED, -strength, self.target.output, self.target.index


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
    if output not in stored.graph or index < 0:
        raise stored.damaged(f"{path} explains number {index} of {output!r}, which the model does not have")
    return Explained(
        slot,
        Target(output, index, attributes.get("against") is True),
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
) -> None:
    """Write the explained number of an output and its score for each sample: ``(N,)`` each.

    Parameters
    ----------
    against
        Whether the number was negated.
    """
    path = target_path(slot)
    writer.group(path, {"output": output, "against": True} if against else {"output": output})
    writer.rows(f"{path}/index", 0, np.asarray(index, dtype=np.int64))
    writer.rows(f"{path}/score", 0, score)
    writer.rows(f"{path}/probability", 0, np.full(len(index), np.nan) if probability is None else probability)
