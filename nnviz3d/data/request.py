"""What is asked of whoever runs a model, and what it says while it does it: lines of JSON."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from nnviz3d.data.capabilities import CAPABILITIES, InsightFields
from nnviz3d.data.capabilities.targets import TARGETS

Preprocessing = Literal["tf", "torch", "caffe", "unit", "none"]


class Insights(BaseModel, InsightFields, frozen=True, extra="forbid"):
    """The request for everything beyond one forward pass.

    The fields of each capability are described in its module of `nnviz3d.data.capabilities`: `TargetFields`,
    `GradientFields`, `AttributionFields`, `AttentionFields`, `FeatureFields`, `EmbeddingFields`.
    """

    @property
    def explains(self) -> bool:
        """Whether any target is explained."""
        return TARGETS.wanted(self)

    def plus(self, other: Insights) -> Insights:
        """Return the request for everything that either of two asks for; where only one can be had, this one's."""
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
        """The part of the request that belongs to each sample, and so holds for further samples too."""
        of_model = [one for capability in CAPABILITIES if not capability.of_sample for one in fields(capability.fields)]
        return self.model_copy(update={one.name: one.default for one in of_model})


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
