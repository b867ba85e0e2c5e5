"""Recorded outputs of one layer for the embedded samples of a training, and the trajectory of their points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.printable import printable
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.zarr_reader import StoredArrays
from nnviz3d.errors import CaptureError, DamagedCapture


@dataclass(frozen=True)
class EmbeddedSamples:
    """M samples that are embedded at several steps of a training.

    Attributes
    ----------
    layer
        Node id of the layer whose outputs are recorded.
    width
        D: number of recorded numbers per output.
    pooled
        Whether these are means of each channel over its locations.
    names
        Name of each sample.
    labels
        ``(M,)`` int64 classes; empty if they are unknown.
    thumbnails
        ``(M, h, w, 3)`` uint8; M is 0 if the samples are not pictures.
    predicts
        Whether the model predicts a class for each sample, which is then recorded too.
    probable
        Whether the probability of the predicted class is recorded.
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
class EmbeddingTrajectory:
    """Points of the embedded samples at each of E steps, rotated to move as little as possible from step to step.

    Attributes
    ----------
    points
        ``(E, M, 3)`` or ``(E, M, 2)``, in one unit for all steps.
    quality
        For each step ``trustworthiness``, ``neighbours``, ``kl`` and ``variance``, as in `Embedding`; empty if the
        outputs could not be embedded, so that the points are those of the step before.
    settings
        Settings of the embedding.
    keys
        For each step, a hash of everything that determines its points and those of the steps before.
    """

    points: NDArray[np.float32]
    quality: tuple[Mapping[str, float], ...]
    settings: Mapping[str, object]
    keys: tuple[str, ...]


class EmbeddedOutputs:
    """Recorded outputs of the embedded samples at E steps; made by `Training.embedded`.

    The argument `at` of its methods is an index in `steps`, 0 to E - 1; negative ones count from the end.

    Attributes
    ----------
    steps
        The steps after which the outputs were recorded, ``(E,)``.
    """

    def __init__(self, stored: StoredArrays, steps: NDArray[np.int64]) -> None:
        self._stored = stored
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    @cached_property
    def samples(self) -> EmbeddedSamples:
        """The embedded samples."""
        attributes, read = self._stored.attributes(schema.EMBEDDED), self._whole
        try:
            found = EmbeddedSamples(
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
            raise self._invalid() from error
        counts = (len(found.labels), len(found.thumbnails))
        if found.layer not in self._stored.graph or any(count not in (0, len(found.names)) for count in counts):
            raise self._invalid()
        return found

    def _invalid(self) -> DamagedCapture:
        return self._stored.damaged("its description of the points is invalid")

    def vectors(self, at: int = -1) -> NDArray[np.float32]:
        """Read the layer's outputs at a step, ``(M, D)``."""
        shape = (len(self.samples.names), self.samples.width)
        return self._row("vectors", at, math.prod(shape)).reshape(shape)

    def predictions(self, at: int = -1) -> NDArray[np.int64]:
        """Read the predicted class of each sample at a step, ``(M,)``; empty if the model predicts none."""
        return self._row("predictions", at, len(self.samples.names)) if self.samples.predicts else np.empty(0, np.int64)

    def probabilities(self, at: int = -1) -> NDArray[np.float32]:
        """Read the probability of the predicted classes at a step, ``(M,)``; empty if it was not recorded."""
        return (
            self._row("probabilities", at, len(self.samples.names))
            if self.samples.probable
            else np.empty(0, np.float32)
        )

    @cached_property
    def trajectory(self) -> EmbeddingTrajectory | None:
        """The trajectory of the points, if it is stored in the capture."""
        attributes = self._stored.attributes(schema.TRAJECTORY)
        if not attributes:
            return None
        try:
            found = EmbeddingTrajectory(
                self._stored.read(self._stored.require(f"{schema.TRAJECTORY}/points", (None, None, None), "f"), ...),
                tuple({str(k): float(v) for k, v in one.items()} for one in attributes["quality"]),
                dict(attributes["settings"]),
                tuple(map(str, attributes["keys"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._stored.damaged(f"{schema.TRAJECTORY} is invalid") from error
        steps, samples, axes = found.points.shape
        if samples != len(self.samples.names) or axes not in (2, 3) or {len(found.quality), len(found.keys)} != {steps}:
            raise self._stored.damaged(f"{schema.TRAJECTORY} is invalid")
        return found

    def _whole(self, name: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
        return self._stored.read(self._stored.require(f"{schema.EMBEDDED}/{name}", shape), ...)

    def _row(self, name: str, at: int, width: int) -> NDArray[Any]:
        count = len(self.steps)
        if not -count <= at < count:
            raise CaptureError(f"{self._stored.path} holds no outputs at recorded index {at}; {count} were recorded.")
        array = self._stored.require(schema.training_path(f"embedded_{name}"), (None, width))
        return self._stored.read(array, at % count)


def write_trajectory(path: Path, trajectory: EmbeddingTrajectory) -> None:
    """Write the trajectory of the points into a finished capture, which has to be a folder."""
    import zarr

    root = zarr.open_group(path, mode="r+", zarr_format=3)
    group = root.create_group(schema.TRAJECTORY, overwrite=True)
    group.create_array("points", data=trajectory.points)
    attributes = {
        "quality": [dict(one) for one in trajectory.quality],
        "settings": dict(trajectory.settings),
        "keys": trajectory.keys,
    }
    group.update_attributes(attributes)
