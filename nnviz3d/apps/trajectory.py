"""Embed the outputs that a recorded training keeps of its samples."""

from __future__ import annotations

from collections.abc import Callable

from nnviz3d.analysis.embedding_trajectory import embed_training
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.training_embedding import EmbeddingTrajectory


def trajectory_of(
    capture: CaptureReader,
    earlier: EmbeddingTrajectory | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> EmbeddingTrajectory | None:
    """Return the points of a training's samples at each step; `None` if the capture keeps no outputs to embed.

    Parameters
    ----------
    earlier
        The points at the first steps, which are kept.
    report
        Is called with the number of finished steps and of all steps.

    Raises
    ------
    ModelError
        If there are too few samples.
    """
    embedded = None if capture.training is None else capture.training.embedded
    if embedded is None or not len(embedded):
        return None
    return embed_training(embedded, earlier=earlier, report=report)
