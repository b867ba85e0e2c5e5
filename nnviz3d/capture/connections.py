"""Finds the strongest connections between layers."""

from __future__ import annotations

from nnviz3d.capture.activations import Batch
from nnviz3d.capture.describe import DescribedModel
from nnviz3d.data.writer import CaptureWriter


class ConnectionFinder:
    def __init__(self, described: DescribedModel, k: int) -> None:
        self.skipped: list[str] = []

    def add(self, batch: Batch) -> None: ...
    def write(self, writer: CaptureWriter) -> None: ...
