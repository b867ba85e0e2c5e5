"""Progress messages and times of the stages of a capture."""

from __future__ import annotations

import time

from nnviz3d.capture.request_loop import Report
from nnviz3d.data.request import Progress


class StageClock:
    """Measures the time of each stage, and reports its progress.

    Attributes
    ----------
    seconds
        Time spent in each stage so far, by the stage's name.
    """

    def __init__(self, report: Report) -> None:
        self.seconds: dict[str, float] = {}
        self._report = report
        self._stage: str | None = None
        self._since = 0.0

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None:
        """Stop the current stage, and start or continue another one.

        Parameters
        ----------
        total, done
            Number of samples in all, and number of those that the stage has finished.
        """
        self.stop()
        self._stage, self._since = stage, time.perf_counter()
        self._report(Progress(stage=stage, done=done, total=total))

    def beside(self) -> StageClock:
        """Return a clock for another thread, which reports to the same receiver."""
        return StageClock(self._report)

    def add(self, stage: str, seconds: float) -> None:
        """Add the time of a stage that ran beside another one."""
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + seconds, 4)

    def stop(self) -> None:
        """Stop the current stage, if there is one."""
        if self._stage is not None:
            self.add(self._stage, time.perf_counter() - self._since)
        self._stage = None
