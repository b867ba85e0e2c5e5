"""What a person has chosen while looking: all interactive state in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

from nnviz3d.data.records import Ranking
from nnviz3d.scene.colors import Normalize


@dataclass(frozen=True)
class Selection:
    """Choices that change what is drawn; `None` leaves it to the scene.

    Attributes
    ----------
    sample
        Which of the captured samples.
    layer
        A node id that stands out.
    threshold
        Share of a layer's colour range below which cells are not drawn, 0 to 1.
    colormap
        Name of a colour map for layers without negative numbers.
    normalize, ranking
        As in the views of these settings.
    """

    sample: int = 0
    layer: str | None = None
    threshold: float | None = None
    colormap: str | None = None
    normalize: Normalize | None = None
    ranking: Ranking | None = None
