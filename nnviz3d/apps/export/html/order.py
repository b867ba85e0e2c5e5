"""Order for an exported page: what a session shows, without anything that changes while the session goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nnviz3d.apps.export import ExportJob, ExportSettings
from nnviz3d.apps.open_target import Opened
from nnviz3d.apps.trajectory import trajectory_of
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training_embedding import EmbeddingTrajectory
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import SceneSpec

Place = tuple[int, int]
"""A sample by the position of its capture among several, and its index in that capture."""


@dataclass(frozen=True)
class PageOrder:
    """What a page shows. Another process reads the numbers from the captures on disk.

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
    """

    captures: tuple[Path, ...]
    spec: SceneSpec
    selection: Selection
    samples: tuple[Place, ...]
    out: Path
    against: Place | None = None
    trajectory: EmbeddingTrajectory | None = None
    float16: bool = False

    def job(self) -> ExportJob:
        """Open the captures, and return the export.

        Raises
        ------
        UserError
            If a capture cannot be read.
        """
        first, *later = (open_capture(path) for path in self.captures)
        starts = [0]  # another program may have added samples to a capture meanwhile
        capture: CaptureReader = first
        for one in later:
            starts.append(capture.committed)
            capture = CaptureSeries.of(capture).plus(one)
        shown, *others = (starts[part] + index for part, index in self.samples)
        against = None if self.against is None else starts[self.against[0]] + self.against[1]
        selection = replace(self.selection, sample=shown, against=against)
        trajectory = trajectory_of(capture, self.trajectory) if self.spec.embeds else None
        settings = ExportSettings(samples=",".join(map(str, (shown, *others))), float16=self.float16)
        return ExportJob(Opened(self.spec, capture, shown, trajectory=trajectory), selection, self.out, settings)
