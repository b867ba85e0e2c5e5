"""Order for an exported page: what a session shows, without anything that changes while the session goes on."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from nnviz3d.apps.comparison import joined
from nnviz3d.apps.export import ExportJob, ExportSettings
from nnviz3d.apps.open_target import Opened
from nnviz3d.apps.trajectory import trajectory_of
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.scene.selection import CellPick, LayerPick, Pick, Selection
from nnviz3d.scene.spec import SceneSpec

StoredSample = tuple[int, int]
"""A sample by the position of its capture among several, and its index in that capture."""
_SELECTION = TypeAdapter(Selection)
_PICKS: dict[str, type[Pick]] = {"cell": CellPick, "layer": LayerPick}
"""The picks that an order keeps; a page marks others only after a click."""


@dataclass(frozen=True)
class PageOrder:
    """Content of a page. Another process reads the numbers from the captures on disk.

    Attributes
    ----------
    captures
        The captures of one model.
    spec, selection, trajectory
        The scene, what is chosen in it, and the points of a training that it shows.
    samples
        The samples of the page, the one that it shows first.
    against
        The sample that is subtracted, if any.
    out
        The file to write.
    float16
        Whether the numbers of the cells are rounded to float16.
    others, names
        The compared model's captures, one for each of `captures`, and the names of both models.
    changed
        Samples with another changed run than their capture's own: the sample, and the capture of that run, or `None`.
    """

    captures: tuple[Path, ...]
    spec: SceneSpec
    selection: Selection
    samples: tuple[StoredSample, ...]
    out: Path
    against: StoredSample | None = None
    trajectory: EmbeddingTrajectory | None = None
    float16: bool = False
    others: tuple[Path | None, ...] = ()
    names: tuple[str, str, str] | None = None
    changed: tuple[tuple[StoredSample, Path | None], ...] = ()

    def job(self) -> ExportJob:
        """Open the captures, and return the export.

        Raises
        ------
        UserError
            If a capture cannot be read.
        """
        parts = [open_capture(path) for path in self.captures]
        others = [None if path is None else open_capture(path) for path in self.others]
        capture = joined(parts, others, self.names)
        # Another program may have added samples to a capture meanwhile.
        starts = [0, *accumulate(one.committed for one in parts)]
        for (part, index), path in self.changed:
            run = None if path is None else open_capture(path)
            capture = CaptureSeries.of(capture).with_changed_run(starts[part] + index, run)
        shown, *more = (starts[part] + index for part, index in self.samples)
        against = None if self.against is None else starts[self.against[0]] + self.against[1]
        selection = replace(self.selection, sample=shown, against=against)
        trajectory = trajectory_of(capture, self.trajectory) if self.spec.embeds else None
        settings = ExportSettings(samples=",".join(map(str, (shown, *more))), float16=self.float16)
        return ExportJob(Opened(self.spec, capture, shown, trajectory=trajectory), selection, self.out, settings)

    def to_json(self) -> str:
        """Write the order as JSON, for another process."""
        pick = self.selection.pick
        kind = next((kind for kind, made in _PICKS.items() if type(pick) is made), None)
        words = {
            "captures": [str(path) for path in self.captures],
            "spec": self.spec.model_dump(mode="json"),
            "selection": _SELECTION.dump_python(replace(self.selection, pick=None), mode="json"),
            "pick": None if kind is None else [kind, vars(pick)],
            "samples": self.samples,
            "out": str(self.out),
            "against": self.against,
            "trajectory": None if self.trajectory is None else _trajectory_words(self.trajectory),
            "float16": self.float16,
            "others": [None if path is None else str(path) for path in self.others],
            "names": self.names,
            "changed": [(sample, None if path is None else str(path)) for sample, path in self.changed],
        }
        # Python's JSON keeps the lone surrogates of file names that are no UTF-8.
        return json.dumps(words)

    @staticmethod
    def from_json(text: str) -> PageOrder:
        """Read an order that `to_json` wrote."""
        words = json.loads(text)
        pick = None
        if words["pick"] is not None:
            kind, fields = words["pick"]
            pick = TypeAdapter(_PICKS[kind]).validate_python(fields)
        return PageOrder(
            tuple(map(Path, words["captures"])),
            SceneSpec.model_validate(words["spec"]),
            replace(_SELECTION.validate_python(words["selection"]), pick=pick),
            tuple((part, index) for part, index in words["samples"]),
            Path(words["out"]),
            against=None if words["against"] is None else (words["against"][0], words["against"][1]),
            trajectory=None if words["trajectory"] is None else _trajectory(words["trajectory"]),
            float16=words["float16"],
            others=tuple(None if path is None else Path(path) for path in words["others"]),
            names=None if words["names"] is None else tuple(words["names"]),
            changed=tuple(
                ((part, index), None if path is None else Path(path)) for (part, index), path in words["changed"]
            ),
        )


def _trajectory_words(found: EmbeddingTrajectory) -> dict[str, Any]:
    points = np.ascontiguousarray(found.points, dtype="<f4")
    return {
        "shape": points.shape,
        "points": base64.b64encode(points.tobytes()).decode("ascii"),
        "quality": [{name: float(value) for name, value in one.items()} for one in found.quality],
        "settings": dict(found.settings),
        "keys": found.keys,
    }


def _trajectory(words: dict[str, Any]) -> EmbeddingTrajectory:
    points = np.frombuffer(base64.b64decode(words["points"]), dtype="<f4").reshape(words["shape"])
    return EmbeddingTrajectory(points, tuple(words["quality"]), words["settings"], tuple(words["keys"]))
