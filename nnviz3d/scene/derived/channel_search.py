"""Search for channels that are 0 for all of some captured samples, in small pieces of work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.statistics import can_die
from nnviz3d.data.axes import Axes, channels_last
from nnviz3d.data.capture_at_step import CaptureAtStep
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.derived.dead_channels import DeadChannels


class ChannelSearch:
    """Reads the layers that can have dead channels, sample by sample, until each channel was active once.

    Parameters
    ----------
    capture
        The reader of all nodes; of a training at one step.
    samples
        The samples to look at, one or more.

    Attributes
    ----------
    samples
        As above.
    found
        The result for each layer that was looked at, in the order of the layers.
    left_out
        The layers whose numbers are not in the capture.
    done
        Whether all layers were looked at.
    """

    def __init__(self, capture: CaptureReader, samples: Sequence[int]) -> None:
        can = [node for node in capture.graph if can_die(node)]
        self.samples = tuple(samples)
        self.left_out = tuple(node.id for node in can if not capture.has_activations(node.id))
        self.found: list[DeadChannels] = []
        self.done = False
        self._capture = capture
        self._nodes = [node for node in can if node.id not in self.left_out]
        self._read = 0
        self._pieces = self._look()

    @property
    def share(self) -> float:
        """The share of the layers that were looked at, 0 to 1."""
        return self._read / max(len(self._nodes), 1)

    def work(self, seconds: float) -> None:
        """Read for about so many seconds; a large layer of one sample is always read as a whole."""
        until = time.monotonic() + seconds
        for _ in self._pieces:
            if time.monotonic() > until:
                return
        self.done = True

    def _look(self) -> Iterator[None]:
        for node in self._nodes:
            silent: NDArray[np.bool_] | None = None
            for values in self._numbers(node):
                if values.size:
                    active = active_channels(values, node.axes)
                    silent = ~active if silent is None else silent & ~active
                yield
                if silent is not None and not silent.any():
                    break
            if silent is not None:
                channels = tuple(np.flatnonzero(silent).tolist())
                self.found.append(DeadChannels(node.id, channels, len(silent), len(self.samples), *self._words()))
            self._read += 1

    def _numbers(self, node: LayerNode) -> Iterator[NDArray[np.float32]]:
        """Yield the numbers of each sample; those of a step of a training are stored in one piece."""
        if isinstance(self._capture, CaptureAtStep):
            yield from self._capture.activations(node.id).values[list(self.samples)]
            return
        for sample in self.samples:
            yield self._capture.activation(node.id, sample)

    def _words(self) -> tuple[str, str]:
        """Return what the channels are, in short and in words."""
        if len(self.samples) == 1:
            return "zero", f"0 everywhere for {self._capture.sample_name(self.samples[0])}"
        records = self._capture.step_records
        when = "" if records is None or records.probe_step is None else f" after step {records.probe_step:,}"
        return "dead", f"0 for all {len(self.samples):,} samples{when}"


def active_channels(values: NDArray[np.floating], axes: Axes) -> NDArray[np.bool_]:
    """Return for each channel of one sample's numbers whether any of them is not 0; NaN is not 0."""
    last = channels_last(values, axes) if len(axes) == values.ndim else values
    last = last.reshape(1) if last.ndim == 0 else last
    active: NDArray[np.bool_] = (last != 0).any(axis=tuple(range(last.ndim - 1)))
    return active
