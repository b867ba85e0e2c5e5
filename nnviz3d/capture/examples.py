"""Find the samples of a data set that activate each channel of a layer most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.embedding import thumbnails_of
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work
from nnviz3d.data.axes import channels_last
from nnviz3d.data.capabilities.examples import ChannelExamples, too_few, write_examples
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.request import Progress
from nnviz3d.data.selectors import by_kind, lacks, matching
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import ModelError

MOST = 8
"""Number of samples that are kept for each channel."""


class StrongestSamples:
    """The samples with the largest mean of each channel among those that were added; of equal means the earlier sample.

    Attributes
    ----------
    samples
        ``(C, k)`` int64: their positions, the one with the largest mean first; k is at most `MOST`.
    means
        ``(C, k)`` float32.
    """

    def __init__(self) -> None:
        self.samples: NDArray[np.int64] = np.empty((0, 0), dtype=np.int64)
        self.means: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)

    def add(self, start: int, means: NDArray[np.float32]) -> None:
        """Add the means of further samples, ``(n, C)``, the first of which has the position `start`."""
        positions = np.tile(start + np.arange(len(means)), (means.shape[1], 1))
        if self.samples.size:
            positions, means = np.hstack([self.samples, positions]), np.vstack([self.means.T, means])
        # A sample for which a channel is NaN comes last. Sorting is stable, so the earlier sample comes first.
        order = np.argsort(np.where(np.isnan(means), np.inf, -means).T, axis=1, kind="stable")[:, :MOST]
        self.samples = np.take_along_axis(positions, order, axis=1)
        self.means = np.take_along_axis(means.T, order, axis=1)


def compute_examples(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Run the model on the data set, and write the samples that activate the channels of the chosen layers most.

    Raises
    ------
    ModelError
        If no layer matches, a layer has no numbers for each sample, or there is only one sample.
    SampleError
        If the data set cannot be read.
    """
    samples, arrays = work.samples, work.arrays
    if work.insights.dataset:
        samples = work.read(work.insights.dataset, shapes=work.samples.shapes)
        arrays = work.prepare(samples)
    nodes = _chosen(work.program.graph, work.insights.examples)
    few = too_few(len(samples))
    if few:
        raise ModelError(few)
    found = {node_id: StrongestSamples() for node_id in nodes}
    for batch in work.program.batches(arrays, nodes):
        report(Progress(stage="examples", done=batch.start, total=len(samples)))
        for node_id in nodes:
            numbers = batch.numbers(node_id)
            if numbers is None:
                raise ModelError(f"{node_id} has no numbers for each sample, so no samples activate its channels most.")
            found[node_id].add(batch.start, means_of(numbers, work.program.graph.node(node_id).axes))
    thumbnails = thumbnails_of(samples)
    for node_id, strongest in found.items():
        write_examples(writer, _record(node_id, strongest, samples, thumbnails))


def means_of(values: NDArray[np.floating], axes: tuple[str, ...]) -> NDArray[np.float32]:
    """Return the mean of each channel over all locations, ``(n, *shape)`` to ``(n, C)``; of vectors the numbers."""
    if values.ndim <= 2:
        return values.reshape(len(values), -1).astype(np.float32)
    last = channels_last(values, axes)
    return np.asarray(last.reshape(len(last), -1, last.shape[-1]).mean(axis=1, dtype=np.float64), dtype=np.float32)


def _record(
    node_id: str, strongest: StrongestSamples, samples: Samples, thumbnails: NDArray[np.uint8]
) -> ChannelExamples:
    shown = np.unique(strongest.samples)
    return ChannelExamples(
        node=node_id,
        samples=strongest.samples,
        means=strongest.means,
        shown=shown,
        names=tuple(samples.names[i] for i in shown),
        thumbnails=thumbnails[shown] if len(thumbnails) else thumbnails,
        count=len(samples),
    )


def _chosen(graph: ModelGraph, globs: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(node.id for node in graph)
    chosen: set[str] = set()
    for glob in globs:
        found = matching(glob, graph)
        if not found:
            lacking = lacks(glob, graph) if by_kind(glob) else f"No layer is named {glob!r}"
            raise ModelError(f"{lacking}; name one for --examples: {', '.join(names)}.")
        chosen.update(found)
    return tuple(name for name in names if name in chosen)
