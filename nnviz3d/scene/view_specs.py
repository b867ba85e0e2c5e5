"""What each kind of view can be told in a scene file."""

from __future__ import annotations

from glob import escape
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from nnviz3d.data.quantities import OF_GRADIENTS, Quantity, canonical
from nnviz3d.data.records import Ranking
from nnviz3d.data.request import Insights
from nnviz3d.data.selectors import without_names
from nnviz3d.data.training import STATISTICS
from nnviz3d.scene.colors import DEFAULT_DIVERGING, DEFAULT_SEQUENTIAL, DIVERGING, SEQUENTIAL, Normalize
from nnviz3d.scene.selection import ChannelOrder, ChannelPictures, ColoredBy

Share = Annotated[float, Field(ge=0, le=1)]
LONGEST = 3600.0
"""Longest time in seconds in a scene, and longest film."""
Seconds = Annotated[float, Field(ge=0, le=LONGEST)]


def _one_of(names: tuple[str, ...], what: str) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no {what} {name!r}; choose one of {', '.join(names)}")
        return name

    return AfterValidator(check)


Sequential = Annotated[str, _one_of(SEQUENTIAL, "colour map for numbers from zero up")]
Diverging = Annotated[str, _one_of(DIVERGING, "colour map for signed numbers")]
Figure = Annotated[str, _one_of(STATISTICS, "figure")]


class Strict(BaseModel):
    """A part of a scene file: unknown keys are refused, and nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class View(Strict):
    """A part of a scene file that chooses what to show.

    Selectors name layers, see `nnviz3d.data.selectors`: ``conv2d_1``, ``block*``, ``last convolution``.
    """

    def elsewhere(self) -> Self:
        """Return the view for a model other than the scene's own."""
        layer = getattr(self, "layer", None)
        return self if layer is None else self.model_copy(update={"layer": without_names(layer)})

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        return Insights()

    @property
    def headroom(self) -> float:
        """World height that this view takes above each block."""
        return 0.0


class Reveal(Strict):
    """The forward pass as an animation: blocks fill one after the other, in seconds."""

    start: Seconds = 0.0
    duration: Seconds = 8.0


class Structure(View):
    """Frames, names and edges.

    Attributes
    ----------
    solid
        Whether blocks are drawn as solid bodies; by default only if no view shows their numbers.
    """

    kind: Literal["structure"]
    labels: bool = True
    edges: bool = True
    solid: bool | None = None


class Activations(View):
    """Every number of the chosen layers as a voxel, the input as its picture, the scores with their names.

    Attributes
    ----------
    layers
        Selectors of layers.
    threshold
        Share of a layer's colour range below which cells are not drawn. Vectors are always drawn whole.
    quantity
        What the cells show: the ``activation``, the ``gradient`` of the target's score by the activation,
        ``gradient_x_activation`` (alias ``attribution``), or the ``difference`` of the sample and another one.
    against
        That other sample.
    """

    kind: Literal["activations"]
    quantity: Annotated[Quantity, BeforeValidator(canonical)] = "activation"
    against: Annotated[int, Field(ge=0)] | None = None
    layers: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    normalize: Normalize = "layer"
    threshold: Share = 0.25
    colormap: Sequential = DEFAULT_SEQUENTIAL
    diverging: Diverging = DEFAULT_DIVERGING
    reveal: Reveal = Reveal()

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        return Insights(gradients=self.quantity in OF_GRADIENTS)


class Backward(View):
    """The backward pass of one sample: the gradient of the target's score runs back through the blocks.

    Attributes
    ----------
    start
        When it sets out, in seconds; by default a moment after the forward pass has ended.
    duration
        How long it takes from the score to the input.
    """

    kind: Literal["backward"]
    start: Seconds | None = None
    duration: Seconds = 8.0

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        return Insights(gradients=True)


class TrainingView(View):
    """A recorded training as time goes by: the picture as it was at each recorded step, and the curve of the loss.

    Attributes
    ----------
    start
        When it begins, in seconds; by default a moment after the forward and the backward pass have ended.
    duration
        How long it takes from the first recorded step to the last.
    """

    kind: Literal["training"]
    start: Seconds | None = None
    duration: Seconds = 10.0


class HistoryView(View):
    """One figure of each layer over the steps of a recorded training: a ridge for each, above the network.

    Attributes
    ----------
    statistic
        Which figure, one of those that are recorded of each layer at each step.
    scale
        Whether heights and colours follow the number or its logarithm; by default that of norms and ratios that span
        more than a decade.
    """

    kind: Literal["history"]
    statistic: Figure = "gradient_norm"
    scale: Literal["linear", "log"] | None = None
    colormap: Sequential = "plasma"


class HealthMarks(View):
    """What is wrong with a recorded training at the step that is shown: a frame around each layer, and a list.

    Every scene has it by itself where a capture holds a training.

    Attributes
    ----------
    labels
        How many layers with one and the same alarm have a label each; more share one.
    """

    kind: Literal["health"]
    labels: Annotated[int, Field(ge=1)] = 3


class ConnectionsView(View):
    """The strongest connections between vectors, and the receptive-field fans of convolutions.

    Attributes
    ----------
    strongest
        How many lines a pair of layers gets at most.
    fans
        Whether convolutions show the fan of their strongest filter.
    """

    kind: Literal["connections"]
    ranking: Ranking = "weight"
    strongest: Annotated[int, Field(ge=1)] = 160
    fans: bool = True


class EmbeddingCloud(View):
    """Samples as a cloud of points, near each other where a layer answers alike. It stands alone in its scene.

    Attributes
    ----------
    layer
        Selector of the layer whose embedding is shown; by default, or if it is a kind of layer of which the capture has
        no embedding, the capture's first embedding.
    color
        Whether a point is coloured by its true class or by the one the model predicts.
    animate
        When the points move from PCA's first look to where they are in the end. In a training they move as it goes by.
    trails
        How many steps of the way that points have come in a training are drawn behind them.
    """

    kind: Literal["embedding"]
    layer: str | None = None
    color: ColoredBy = "label"
    animate: Reveal = Reveal()
    trails: Annotated[float, Field(ge=0)] = 1.0

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        # A layer's own name, even where it reads like a pattern of several.
        return Insights(embeddings=() if self.layer is None else (escape(self.layer),))


class Nodes(View):
    """The network as a graph: a ball for each neuron or channel, a line for each weight. It stands alone in its scene.

    Attributes
    ----------
    most
        How many balls a layer gets at most; of larger layers the most active units are shown.
    strongest
        How many lines a pair of layers gets at most.
    ranking
        Whether a line is as strong as its weight, or as what it contributes for the sample: weight times activation.
    """

    kind: Literal["nodes"]
    ranking: Ranking = "weight"
    most: Annotated[int, Field(ge=1, le=1024)] = 64
    strongest: Annotated[int, Field(ge=1)] = 240
    colormap: Sequential = DEFAULT_SEQUENTIAL
    diverging: Diverging = DEFAULT_DIVERGING
    reveal: Reveal = Reveal()


class Move(Strict):
    """Something that goes from one state to another, in seconds."""

    start: Seconds = 0.0
    duration: Seconds = 3.0

    def share(self, t: float) -> float:
        """Say how much of it is done at `t` seconds, from 0 to 1."""
        if self.duration <= 0:
            return float(t >= self.start)
        return min(max((t - self.start) / self.duration, 0.0), 1.0)


class Channels(View):
    """A layer's stack of channels unfolds into a grid before the network, and folds up again.

    Attributes
    ----------
    layer
        A selector; by default the last layer with maps. For features, if it is a kind of layer of which the capture has
        no features, the last layer with features.
    order
        By ``index``, by ``mean`` activation, the strongest first, or by ``contribution``: gradient times activation,
        summed over places.
    show
        The channels' ``maps``, or their ``features``: the pictures that drive them.
    unfold, fold
        When it unfolds, and when it folds up again, if it does.
    """

    kind: Literal["channels"]
    layer: str | None = None
    order: ChannelOrder = "mean"
    show: ChannelPictures = "maps"
    unfold: Move = Move()
    fold: Move | None = None

    @model_validator(mode="after")
    def _of_a_layer(self) -> Channels:
        if self.show == "features" and self.layer is None:
            raise ValueError("features are of one layer; give its name as 'layer'")
        return self

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        features = (self.layer,) if self.show == "features" and self.layer is not None else ()
        return Insights(gradients=self.order == "contribution", features=features)


class Attributions(View):
    """How much each place of the input, or of a layer, counts for a score: a map over the picture and at its layer.

    Attributes
    ----------
    method
        An attribution method; by default the first whose maps the capture holds.
    opacity
        How much of the picture the strongest colour hides.
    """

    kind: Literal["attributions"]
    method: str | None = None
    opacity: Share = 0.9

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        return Insights(attributions=(self.method or "grad_cam",))


class AttentionSheets(View):
    """The scores of every attention layer as sheets above the network: queries down, keys to the right, a sheet a head.

    Attributes
    ----------
    rollout
        Whether one further sheet follows attention through all layers of self-attention.
    """

    kind: Literal["attention"]
    colormap: Sequential = DEFAULT_SEQUENTIAL
    rollout: bool = True

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        return Insights(attention=True)


class Statistics(View):
    """A histogram above each block whose numbers were captured, with their mean, standard deviation and zeros."""

    kind: Literal["statistics"]

    @property
    def headroom(self) -> float:
        """World height that the histograms and their figures take above each block."""
        return 3.0


class Kernels(View):
    """The filters of a layer as blocks of their weights, above the network.

    Attributes
    ----------
    layer
        A selector; by default the first convolution, or if there is none a dense layer.
    order
        By ``index``, or by ``norm``, the largest first.
    most
        How many filters are shown at most, the first of that order.
    threshold
        Share of the range of colours below which weights are not drawn. A filter of one sheet is always drawn whole.
    """

    kind: Literal["kernels"]
    layer: str | None = None
    order: Literal["index", "norm"] = "index"
    most: Annotated[int, Field(ge=1, le=64)] = 64
    threshold: Share = 0.25
    colormap: Diverging = DEFAULT_DIVERGING


ViewSpec = Annotated[
    AttentionSheets
    | Backward
    | TrainingView
    | HistoryView
    | HealthMarks
    | Structure
    | Activations
    | ConnectionsView
    | EmbeddingCloud
    | Nodes
    | Channels
    | Attributions
    | Statistics
    | Kernels,
    Field(discriminator="kind"),
]
KINDS = tuple(str(view.model_fields["kind"].annotation.__args__[0]) for view in get_args(get_args(ViewSpec)[0]))
"""The kinds of views, as scene files call them."""
