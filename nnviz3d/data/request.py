"""What is asked of whoever runs a model, and what it says while it does it: lines of JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Preprocessing = Literal["tf", "torch", "caffe", "unit", "none"]


class FeatureOptions(BaseModel):
    """How inputs that drive channels are looked for.

    Attributes
    ----------
    objective
        ``channel``, its mean; or ``neuron``, its cell in the middle. Numbers of an output are always taken as they are.
    parametrization
        ``fourier``, by the spectrum of a picture with decorrelated colours; or ``pixel``.
    steps
        Steps of gradient ascent.
    seed
        Of the start and of the jitter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Literal["channel", "neuron"] = "channel"
    parametrization: Literal["fourier", "pixel"] = "fourier"
    steps: Annotated[int, Field(ge=1)] = 256
    seed: int = 0


class EmbeddingOptions(BaseModel):
    """How points are placed.

    Attributes
    ----------
    method
        ``tsne``, or ``pca``, the fast first look that t-SNE starts with too.
    engine
        ``opentsne``, Barnes-Hut with progress; or ``sklearn``, the reference.
    dimensions
        2 or 3.
    perplexity
        How many neighbours count, roughly; `None`: 30, less for few points.
    pooled
        Whether maps are averaged over their places first: one number a channel.
    seed
        Of what is drawn at random.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["tsne", "pca"] = "tsne"
    engine: Literal["opentsne", "sklearn"] = "opentsne"
    dimensions: Literal[2, 3] = 3
    perplexity: Annotated[float, Field(gt=0)] | None = None
    pooled: bool = False
    seed: int = 0


class Insights(BaseModel):
    """What is wanted beyond one forward pass.

    Attributes
    ----------
    targets
        What is explained: a class by its number or name, any number of an output, ``OUTPUT[INDEX]``, or ``predicted``,
        what the model itself answers most strongly; empty: that alone.
    gradients
        The gradient of each target's score by every layer's activation.
    attributions
        Methods by name: ``grad_cam``, ``integrated_gradients``, ...
    layers
        The layers whose places class activation maps are of; empty: the last that has any.
    baseline
        What integrated gradients and occlusion take for "nothing there": ``zero``, ``mean`` (of the sample), ``blur``,
        or ``noise``.
    attention
        The scores of all attention layers.
    features
        Layers, by globs over node ids, whose channels are driven as high as they go; ``conv2d[3]`` and ``conv2d[0:8]``
        say which channels.
    feature_options
        How.
    embeddings
        Layers, by globs over node ids, whose answers are placed as points; an input stands for the samples themselves.
    dataset
        What the model is run on for that, named as inputs are; empty: the samples themselves.
    embedding_options
        How.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: tuple[str, ...] = ()
    gradients: bool = False
    attributions: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    baseline: Literal["zero", "mean", "blur", "noise"] = "zero"
    attention: bool = False
    features: tuple[str, ...] = ()
    feature_options: FeatureOptions = FeatureOptions()
    embeddings: tuple[str, ...] = ()
    dataset: tuple[str, ...] = ()
    embedding_options: EmbeddingOptions = EmbeddingOptions()

    @property
    def explains(self) -> bool:
        """Whether there is a target to find."""
        return self.gradients or bool(self.attributions)

    def plus(self, other: Insights) -> Insights:
        """Return what either of two asks for; where that is one choice, this one's."""
        together: dict[str, Any] = {}
        for name in Insights.model_fields:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, bool):
                together[name] = mine or theirs
            elif isinstance(mine, tuple):
                together[name] = tuple(dict.fromkeys((*mine, *theirs)))
            else:
                together[name] = mine if name in self.model_fields_set else theirs
        return Insights(**together)

    @property
    def of_samples(self) -> Insights:
        """What of it belongs to each sample, and so is wanted of further samples too."""
        return self.model_copy(update={"features": (), "embeddings": (), "dataset": ()})


class CaptureRequest(BaseModel):
    """Everything that one capture depends on.

    Attributes
    ----------
    model
        A ``.keras`` or ``.h5`` file, or ``keras:NAME`` for one of keras.applications.
    inputs
        Pictures, a folder, ``.npy``/``.npz``, one row of those as in ``x.npy[3]``, ``digits:N``, or ``random``; none
        means ``random``.
    out
        The capture to write.
    preprocess
        One of Keras' modes, or `None`: the default is decided and said.
    weights
        ``imagenet``, ``none``, or a file, for ``keras:NAME`` only; `None` means ``imagenet``.
    all_weights
        Store every variable, not only those of small layers.
    classes
        A text file with one class name a line.
    trust
        Load Lambda layers and other code that a model file carries. Safe mode stays on otherwise.
    top_k
        How many connections to keep for each pair of layers and each ranking.
    seed
        For random inputs and for whatever the model draws at random.
    only
        Which one of all the samples in the inputs to capture, from 0; `None` means all.
    shapes
        One for each input of the model, without the batch: where the model leaves sizes open, bring the samples to
        these, those of other samples that they are to be seen beside. Empty: the samples decide.
    insights
        What is wanted beyond one forward pass.
    transient
        The capture is one of a session that goes with it: it holds no weights, which the session's first capture has,
        and a ``.zarr.zip`` is written in haste, not compressed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    inputs: tuple[str, ...] = ()
    out: Path
    preprocess: Preprocessing | None = None
    weights: str | None = None
    all_weights: bool = False
    classes: Path | None = None
    trust: bool = False
    top_k: Annotated[int, Field(ge=1)] = 256
    seed: int = 0
    only: int | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    transient: bool = False
    insights: Insights = Insights()


class Invitation(BaseModel):
    """Where a live model can be asked for further captures: what a program that holds one tells the viewer it starts.

    Attributes
    ----------
    port, token
        Where on the loopback it listens, and the secret that it takes first.
    request
        A request for the model, without a sample.
    samples
        What can be chosen: the name of each sample, and how a request names it.
    position
        Which of them the first capture shows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int
    token: str
    request: CaptureRequest
    samples: tuple[tuple[str, str], ...]
    position: int = 0


class Progress(BaseModel):
    """One stage of the work, so far."""

    event: Literal["progress"] = "progress"
    stage: str
    done: int
    total: int | None = None


class Notice(BaseModel):
    """Something the person should know, such as which preprocessing was chosen and why."""

    event: Literal["notice"] = "notice"
    text: str


class Working(BaseModel):
    """A sign of life, sent every few seconds during a request."""

    event: Literal["working"] = "working"


class Finished(BaseModel):
    """The capture is in place."""

    event: Literal["finished"] = "finished"
    out: Path
    samples: int
    nodes: int
    seconds: dict[str, float]


class Refused(BaseModel):
    """A person's mistake, as one sentence."""

    event: Literal["refused"] = "refused"
    message: str


class Crashed(BaseModel):
    """A bug, with its traceback."""

    event: Literal["crashed"] = "crashed"
    traceback: str


Event = Annotated[Progress | Notice | Working | Finished | Refused | Crashed, Field(discriminator="event")]
EVENT: TypeAdapter[Progress | Notice | Working | Finished | Refused | Crashed] = TypeAdapter(Event)
