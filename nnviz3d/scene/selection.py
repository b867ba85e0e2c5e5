"""The selection: all interactive state of a scene in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from nnviz3d.data.quantities import Quantity
from nnviz3d.data.records import Ranking
from nnviz3d.data.targets import Target
from nnviz3d.scene.colors import Normalize

ChannelOrder = Literal["index", "mean", "contribution"]
ChannelPictures = Literal["maps", "features", "examples"]
ColoredBy = str
"""Name of a column of the samples of an embedding: ``label``, ``prediction``, ``score``, or a column of a table."""
HistogramOf = Literal["weights", "gradients", "updates"]


@dataclass(frozen=True)
class Pick:
    """Base class of picks: things that a user can mean by a point of the picture. Each kind belongs to a view."""

    @property
    def of_layer(self) -> str | None:
        """The layer that the pick belongs to, for a connection the layer at its end; `None` if there is none."""
        found: str | None = getattr(self, "layer", None)
        return found


@dataclass(frozen=True)
class CellPick(Pick):
    """A number of a layer.

    Attributes
    ----------
    index
        Its index in one sample's tensor. A pixel of a coloured picture has several numbers; its index has no channel.
    """

    layer: str
    index: tuple[int, ...]


@dataclass(frozen=True)
class LayerPick(Pick):
    """A whole layer."""

    layer: str


@dataclass(frozen=True)
class PointFilter:
    """A choice among the samples of an embedding.

    Attributes
    ----------
    name
        A part of their names, or of a word in one of their columns, in any case; empty: any name.
    of_class
        Their class, by label or by prediction as the points are coloured; `None`: any class.
    wrong
        Whether only samples with a wrong prediction match.
    column
        Name of a column; empty: none.
    value
        The word in this column, if it holds words; empty: any word.
    low, high
        The least and the greatest number in this column, if it holds numbers; `None`: no limit.
    chosen
        The samples that the user has enclosed, by their indices in rising order; `None`: any sample.
    isolated
        Whether the others are hidden.
    """

    name: str = ""
    of_class: int | None = None
    wrong: bool = False
    column: str = ""
    value: str = ""
    low: float | None = None
    high: float | None = None
    chosen: tuple[int, ...] | None = None
    isolated: bool = False

    @property
    def everything(self) -> bool:
        """Whether all samples match."""
        limited = bool(self.value) or self.low is not None or self.high is not None
        column = self.column if limited else ""
        return replace(self, column=column, isolated=False) == EVERY_POINT


EVERY_POINT = PointFilter()
"""The filter that leaves nothing out."""


@dataclass(frozen=True)
class Selection:
    """Choices that change the picture; `None` means the default of the scene.

    Attributes
    ----------
    sample
        Index of a captured sample.
    layer
        Node id of the highlighted layer.
    threshold
        Share of a layer's colour range below which cells are not drawn, 0 to 1.
    colormap
        Name of a colour map for layers without negative numbers.
    normalize, ranking
        As in the settings of the views.
    quantity
        What the cells of the blocks show: the activation, the gradient of the target's score by the activation,
        gradient times activation, the difference of two samples or two models, or the change by interventions.
    against
        The sample B of a difference A - B; by default the same sample of the compared model, if there is one.
    target
        One of the explained targets; by default the model's prediction.
    method
        Attribution method of the shown map.
    map_opacity
        How much of the picture the strongest colour of the map hides, 0 to 1.
    unfold
        A layer whose channels are unfolded side by side before the network.
    unfolded
        How far they are unfolded, from 0 (folded, even if the scene unfolds them) to 1.
    channel_order, channel_pictures
        As `order` and `show` in the view of channels; a layer without features or examples shows its maps.
    embedding
        Layer of the shown embedding.
    colored_by
        What the colours of points show: label, prediction, score, or a column of the table about the samples.
    points
        The points that are searched for.
    step
        A step of a recorded training: everything is shown as it was last recorded up to this step. By default the
        clock's step, or else the last one.
    statistic
        Statistic in the history of a training, one of `nnviz3d.data.training.STATISTICS`.
    histogram
        What the histograms of a training count; by default what the scene says.
    pick
        The pick, which is marked and described.
    """

    sample: int = 0
    layer: str | None = None
    threshold: float | None = None
    colormap: str | None = None
    normalize: Normalize | None = None
    ranking: Ranking | None = None
    quantity: Quantity | None = None
    against: int | None = None
    target: Target | None = None
    method: str | None = None
    map_opacity: float | None = None
    unfold: str | None = None
    unfolded: float = 1.0
    channel_order: ChannelOrder | None = None
    channel_pictures: ChannelPictures | None = None
    embedding: str | None = None
    colored_by: ColoredBy | None = None
    points: PointFilter = PointFilter()
    step: int | None = None
    statistic: str | None = None
    histogram: HistogramOf | None = None
    pick: Pick | None = None
