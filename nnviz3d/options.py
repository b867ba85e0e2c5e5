"""What the commands have in common: their options, by group. Nothing heavy is imported, for ``--help`` reads this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import CoercionError, Group, Parameter, Token, convert

from nnviz3d.data.quantities import OF_GRADIENTS, Quantity, canonical
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    from nnviz3d.apps.target import ModelOptions
    from nnviz3d.data.request import Insights


def _given(kind: Any, tokens: Sequence[Token]) -> Any:
    """Read an option that may be left out, as one type of its union; ``none`` does not mean left out, nor 2.5 two."""
    if kind is NoneType:
        raise CoercionError(target_type=kind)
    value = convert(kind, tokens)
    if kind is int and "." in tokens[0].value and float(tokens[0].value) != value:  # `convert` rounds
        raise CoercionError(msg=f"{tokens[0].value} is no whole number.", token=tokens[0])
    return value


OPTIONAL = Parameter(converter=_given)


def _quantity(kind: Any, tokens: Sequence[Token]) -> Any:
    """Read a quantity, by its name or an alias."""
    return _given(kind, [token.evolve(value=canonical(token.value)) for token in tokens])


_MODEL = Group("Model", sort_key=2)
_INSIGHT = Group("Insight", sort_key=3)
_LOOK = Group("Look", sort_key=4)
_Names = Annotated[tuple[str, ...], Parameter(negative=(), consume_multiple=False)]
_Switch = Annotated[bool, Parameter(negative=())]

Preprocess = Literal["tf", "torch", "caffe", "unit", "none"]


@Parameter(name="*", group=_MODEL)
@dataclass(frozen=True)
class Model:
    """Options for a target that is a model."""

    input: Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], negative=())] = ()
    """Pictures, a folder, .npy or .npz, rows of one (x.npy[3:10]), digits:N, sklearn:NAME, or random; may be repeated."""
    preprocess: Annotated[Preprocess | None, OPTIONAL] = None
    """How pictures are prepared; by default as the model was trained, which is said."""
    weights: str | None = None
    """For keras:NAME: imagenet (the default), none, or a file. For any model: all, to keep every weight."""
    classes: Path | None = None
    """A text file with one class name a line."""
    trust: _Switch = False
    """Run code that the model file carries, such as Lambda layers. Only for files from people you trust."""
    limit: Annotated[float | None, OPTIONAL] = None
    """Limit in gigabytes of memory for reading one file; by default 2."""

    def options(self) -> ModelOptions:
        """Return the options that describe the model, and set the limit for this process and those that it starts.

        Raises
        ------
        UserError
            If the limit is not a positive number.
        """
        from nnviz3d.apps.target import ModelOptions
        from nnviz3d.data.files.memory_limit import set_limit

        if self.limit is not None:
            set_limit(self.limit)
        return ModelOptions(self.input, self.preprocess, self.weights, self.classes, self.trust)


@Parameter(name="*", group=_INSIGHT)
@dataclass(frozen=True)
class Insight:
    """Options for what is kept beyond the forward pass. Lists are separated by commas, or the option is repeated."""

    class_: Annotated[_Names, Parameter(name="--class")] = ()
    """What is explained: classes by number or name, or any output's number, dense_1[5]; by default the model's answer."""
    gradients: _Switch = False
    """The gradient of its score by every layer."""
    attribution: _Names = ()
    """Maps of what counts for it: grad_cam, integrated_gradients, occlusion, ...; a wrong name gets the whole list."""
    at: _Names = ()
    """Layers for the class activation maps; by default the last convolution."""
    baseline: Literal["zero", "mean", "blur", "noise"] = "zero"
    """What stands for nothing there, for integrated gradients, occlusion and faithfulness."""
    attention: _Switch = False
    """The scores of all attention layers."""
    features: _Names = ()
    """Layers whose channels are driven as high as they go: conv2d_2, or some channels: conv2d_2[0:8]."""
    objective: Literal["channel", "neuron"] = "channel"
    """What is driven: a channel's mean, or its cell in the middle."""
    parametrization: Literal["fourier", "pixel"] = "fourier"
    """How those pictures are written while they are looked for."""
    steps: Annotated[int | None, OPTIONAL] = None
    """Steps of that search; by default 256."""
    embed: _Names = ()
    """Layers whose answers are placed as points by t-SNE."""
    dataset: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """What they answer to, named as inputs are; by default the input itself."""
    pca: _Switch = False
    """Place the points by PCA alone, which takes no time."""
    perplexity: Annotated[float | None, OPTIONAL] = None
    """How many neighbours count for t-SNE, roughly; by default 30, less for few points."""
    dimensions: Literal[2, 3] = 3
    """Of the points."""
    engine: Literal["opentsne", "sklearn"] = "opentsne"
    """Who runs t-SNE: openTSNE, with progress; or scikit-learn, the reference."""
    pooled: _Switch = False
    """Average maps over their places before they are embedded: one number a channel."""

    def wanted(self) -> Insights:
        """Return what they ask for.

        Raises
        ------
        UserError
            If an option is given that nothing uses.
        """
        from nnviz3d.data.request import EmbeddingOptions, FeatureOptions, Insights

        self._check()
        plain = FeatureOptions(objective=self.objective, parametrization=self.parametrization)
        return Insights(
            targets=_split(self.class_),
            gradients=self.gradients,
            attributions=_split(self.attribution),
            layers=_split(self.at),
            baseline=self.baseline,
            attention=self.attention,
            features=_split(self.features),
            feature_options=plain if self.steps is None else plain.model_copy(update={"steps": self.steps}),
            embeddings=_split(self.embed),
            dataset=self.dataset,
            embedding_options=EmbeddingOptions(
                method="pca" if self.pca else "tsne",
                engine=self.engine,
                dimensions=self.dimensions,
                perplexity=self.perplexity,
                pooled=self.pooled,
            ),
        )

    def _check(self) -> None:
        if self.class_ and not (self.gradients or self.attribution):
            raise UserError("--class says what is explained; say how with --gradients or --attribution.")
        if self.at and not self.attribution:
            raise UserError("--at names layers for --attribution, which is not given.")
        if self.dataset and not self.embed:
            raise UserError("--dataset is what --embed places as points; say which layer with --embed.")
        if self.steps is not None and self.steps < 1:
            raise UserError(f"--steps is 1 or more; got {self.steps}.")
        if self.perplexity is not None and not self.perplexity > 0:  # NaN too
            raise UserError(f"--perplexity is more than 0; got {self.perplexity:g}.")


def _split(given: Sequence[str]) -> tuple[str, ...]:
    """Take lists apart at their commas."""
    return tuple(name for part in given for name in (n.strip() for n in part.split(",")) if name)


@Parameter(name="*", group=_LOOK)
@dataclass(frozen=True)
class Look:
    """Options for what is shown, and how."""

    scene: str | None = None
    """A scene (a .toml file or a bundled one) by which to look at a model or a capture."""
    sample: Annotated[int | None, OPTIONAL] = None
    """Which of the captured samples, from 0."""
    layer: str | None = None
    """A layer that stands out."""
    threshold: Annotated[float | None, OPTIONAL] = None
    """Hide cells below this share of their layer's range, 0 to 1."""
    colormap: str | None = None
    """inferno, magma, plasma, viridis, cividis, gray; or ember-ice, berlin, managua, vanimo for signed numbers."""
    normalize: Annotated[Literal["layer", "global", "symmetric"] | None, OPTIONAL] = None
    """One colour scale a layer, one for all, or a symmetric one a layer."""
    ranking: Annotated[Literal["weight", "contribution"] | None, OPTIONAL] = None
    """Which connections count as strongest: by |weight|, or by |weight x activation|."""
    quantity: Annotated[Quantity | None, Parameter(converter=_quantity)] = None
    """What the cells show: difference is --sample minus --against; attribution is accepted for gradient_x_activation."""
    class_: Annotated[str | None, Parameter(name="--class")] = None
    """What is explained: a class by number or name, or any output's number, dense_1[5]."""
    method: str | None = None
    """Whose map of what counts for it is shown: grad_cam, integrated_gradients, occlusion, ..."""
    against: Annotated[int | None, OPTIONAL] = None
    """The sample that is taken off for --quantity difference, from 0."""
    step: Annotated[int | None, OPTIONAL] = None
    """A step of a recorded training: all is shown as it was kept last by then; by default the clock's, or the last one."""
    dataset: Annotated[tuple[str, ...], Parameter(negative=())] = ()
    """For a scene of points: what they are, named as inputs are; by default the input itself."""

    def opening(self) -> dict[str, Any]:
        """Return what `opened` has to know of them.

        Raises
        ------
        UserError
            If they contradict each other.
        """
        from nnviz3d.data.request import Insights

        if (self.against is None) == (self.quantity == "difference"):
            raise UserError(
                "--quantity difference and --against N go together: the cells show --sample minus --against."
            )
        wanted = Insights(
            targets=() if self.class_ is None else (self.class_,),
            gradients=self.quantity in OF_GRADIENTS,
            attributions=() if self.method is None else (self.method,),
            dataset=self.dataset,
        )
        return {"sample": self.sample, "wanted": wanted, "whole": self.quantity == "difference"}


NO_MODEL = Model()
NO_LOOK = Look()
NO_INSIGHT = Insight()
