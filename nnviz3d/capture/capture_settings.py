"""Settings of a capture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nnviz3d.data.request import Insights, Preprocessing


@dataclass(frozen=True)
class CaptureSettings:
    """Settings of one capture; the names and meanings are those of `CaptureRequest`.

    Attributes
    ----------
    is_part
        Whether the samples are a part of those of a larger capture, whose program knows where it will be.
    """

    out: Path
    preprocess: Preprocessing | None = None
    classes: tuple[str, ...] | None = None
    all_weights: bool = False
    top_k: int = 256
    seed: int = 0
    transient: bool = False
    notes: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    float16: bool = False
    insights: Insights = field(default_factory=Insights)
    is_part: bool = False
