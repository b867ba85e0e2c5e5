"""What a layer answers to a set of samples in the course of a training, and where that places them as points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from nnviz3d.data.printable import printable
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.errors import CaptureError, DamagedCapture


@dataclass(frozen=True)
class EmbeddedSet:
    """M samples whose answers are followed through a training.

    Attributes
    ----------
    layer
        Node id of the layer whose answers are kept.
    width
        D: how many numbers are kept of each answer.
    pooled
        Whether these are means of channels over their places.
    names
        What each sample is called.
    labels
        ``(M,)`` int64 classes; empty if they are not known.
    thumbnails
        ``(M, h, w, 3)`` uint8; M is 0 if samples are no pictures.
    predicts
        Whether the model tells a class for each, which is then kept too.
    probable
        Whether it tells how probable that is.
    """

    layer: str
    width: int
    pooled: bool
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    thumbnails: NDArray[np.uint8]
    predicts: bool
    probable: bool


@dataclass(frozen=True)
class Course:
    """Where points stand at each of E steps, turned so that from step to step they move as little as they can.

    Attributes
    ----------
    points
        ``(E, M, 3)`` or ``(E, M, 2)``, in one unit through all steps.
    quality
        For each step ``trustworthiness``, ``neighbours``, ``kl`` and ``variance``, as in `Embedding`; empty if the
        outputs could not be placed, so that the points stayed where they were at the step before.
    settings
        How they were placed.
    keys
        What determines the points of each step, and of those before it, as a hash.
    """

    points: NDArray[np.float32]
    quality: tuple[Mapping[str, float], ...]
    settings: Mapping[str, object]
    keys: tuple[str, ...]


class Embedded:
    """What was kept of such a set at E steps; got by `Training.embedded`. Steps are numbered 0 to E - 1, or from -1 back.

    Attributes
    ----------
    steps
        The steps after which it was kept, ``(E,)``.
    """

    def __init__(self, stored: StoredArrays, steps: NDArray[np.int64]) -> None:
        self._stored = stored
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def set(self) -> EmbeddedSet:
        """Whose answers they are."""
        attributes, read = self._stored.attributes(schema.EMBEDDED), self._whole
        try:
            found = EmbeddedSet(
                layer=str(attributes["layer"]),
                width=int(attributes["width"]),
                pooled=attributes["pooled"] is True,
                names=tuple(printable(str(name)) for name in attributes["names"]),
                labels=read("labels", (None,)),
                thumbnails=read("thumbnails", (None, None, None, 3)),
                predicts=attributes["predicts"] is True,
                probable=attributes["probable"] is True,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._senseless() from error
        counts = (len(found.labels), len(found.thumbnails))
        if found.layer not in self._stored.graph or any(count not in (0, len(found.names)) for count in counts):
            raise self._senseless()
        return found

    def _senseless(self) -> DamagedCapture:
        return self._stored.damaged("its description of the points is invalid")

    def vectors(self, at: int = -1) -> NDArray[np.float32]:
        """Read the layer's answers at a step, ``(M, D)``."""
        shape = (len(self.set.names), self.set.width)
        return self._row("vectors", at, math.prod(shape)).reshape(shape)

    def predictions(self, at: int = -1) -> NDArray[np.int64]:
        """Read the class that the model took each sample for at a step, ``(M,)``; empty if it tells none."""
        return self._row("predictions", at, len(self.set.names)) if self.set.predicts else np.empty(0, np.int64)

    def probabilities(self, at: int = -1) -> NDArray[np.float32]:
        """Read how probable it took that class to be, ``(M,)``; empty if it does not tell."""
        return self._row("probabilities", at, len(self.set.names)) if self.set.probable else np.empty(0, np.float32)

    @cached_property
    def course(self) -> Course | None:
        """Where the answers were placed as points, if somebody wrote that down."""
        told = self._stored.attributes(schema.COURSE)
        if not told:
            return None
        try:
            found = Course(
                self._stored.read(self._stored.require(f"{schema.COURSE}/points", (None, None, None), "f"), ...),
                tuple({str(k): float(v) for k, v in one.items()} for one in told["quality"]),
                dict(told["settings"]),
                tuple(map(str, told["keys"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._stored.damaged(f"{schema.COURSE} is invalid") from error
        steps, samples, axes = found.points.shape
        if samples != len(self.set.names) or axes not in (2, 3) or {len(found.quality), len(found.keys)} != {steps}:
            raise self._stored.damaged(f"{schema.COURSE} is invalid")
        return found

    def _whole(self, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        return self._stored.read(self._stored.require(f"{schema.EMBEDDED}/{name}", shape), ...)

    def _row(self, name: str, at: int, width: int) -> NDArray[Any]:
        count = len(self.steps)
        if not -count <= at < count:
            raise CaptureError(f"{self._stored.path} holds no answers at place {at}; {count} were kept.")
        array = self._stored.require(schema.training_path(f"embedded_{name}"), (None, width))
        return self._stored.read(array, at % count)


def write_course(path: Path, course: Course) -> None:
    """Write into a capture, a folder in which nothing else is written any more, where its points stand."""
    root = zarr.open_group(path, mode="r+", zarr_format=3)
    group = root.create_group(schema.COURSE, overwrite=True)
    group.create_array("points", data=course.points)
    told = {"quality": [dict(one) for one in course.quality], "settings": dict(course.settings), "keys": course.keys}
    group.update_attributes(told)
