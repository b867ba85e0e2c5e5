"""What can be chosen to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

from nnviz3d.data.reader import CaptureReader


@dataclass(frozen=True)
class Sample:
    """One sample, whether the model has been run on it or not.

    Attributes
    ----------
    name
        What people call it.
    index
        Which of the capture's samples it is; `None` until the model has been run on it.
    source
        How a request names it; `None` if it cannot be run again.
    """

    name: str
    index: int | None = None
    source: str | None = None


def captured_samples(capture: CaptureReader) -> tuple[Sample, ...]:
    """Return what a capture holds."""
    return tuple(Sample(capture.sample_name(i), i) for i in range(capture.committed))
