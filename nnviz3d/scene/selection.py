"""The selection: all interactive state of a scene in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nnviz3d.data.quantities import Quantity
from nnviz3d.data.records import Ranking
from nnviz3d.data.targets import Target
from nnviz3d.scene.colors import Normalize

ChannelOrder = Literal["index", "mean", "contribution"]
ChannelPictures = Literal["maps", "features"]
ColoredBy = Literal["label", "prediction"]


@dataclass(frozen=True)
class Pick:
    """Base class of what a user can mean by a point of the picture; each kind belongs to a view."""

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
        Its index in one sample's tensor; without the channel for a pixel of a coloured picture, which has several numbers.
    """

    layer: str
    index: tuple[int, ...]


@dataclass(frozen=True)
class LayerPick(Pick):
    """A layer that is drawn without its numbers."""

    layer: str


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
    quantity
        What the cells of the blocks show: the activation, the gradient of the target's score by the activation,
        gradient times activation, or the difference of two samples.
    against
        The sample B of a difference A - B.
    target
        Which of the explained targets; by default the model's own answer.
    method
        Which attribution method's map.
    unfold
        A layer whose channels stand side by side before the network.
    unfolded
        How far they have come, from 0 (folded up, whatever the scene says) to 1.
    channel_order, channel_pictures
        As `order` and `show` in the view of channels; a layer without features shows its maps.
    embedding
        Which layer's embedding.
    colored_by
        What gives points their colours.
    step
        A step of a recorded training: everything is shown as it was kept last by then. By default the clock's, or else
        the last one.
    statistic
        Which figure the history of a training shows, one of `nnviz3d.data.training.STATISTICS`.
    pick
        What was pointed at: marked, and told in full.
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
    unfold: str | None = None
    unfolded: float = 1.0
    channel_order: ChannelOrder | None = None
    channel_pictures: ChannelPictures | None = None
    embedding: str | None = None
    colored_by: ColoredBy | None = None
    step: int | None = None
    statistic: str | None = None
    pick: Pick | None = None
