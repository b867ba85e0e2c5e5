"""The request for a capture, and the events that the capture process reports: lines of JSON."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from nnviz3d.data.capabilities import CAPABILITIES, InsightFields
from nnviz3d.data.capabilities.targets import TARGETS
from nnviz3d.data.model_sources import LoadOptions

Preprocessing = Literal["tf", "torch", "caffe", "unit", "none"]


class Insights(BaseModel, InsightFields, frozen=True, extra="forbid"):
    """The request for everything beyond one forward pass.

    The fields of each capability are described in its module of `nnviz3d.data.capabilities`: those of attention, for
    example, by `AttentionFields`.
    """

    @property
    def explains(self) -> bool:
        """Whether any target is explained."""
        return TARGETS.wanted(self)

    def plus(self, other: Insights) -> Insights:
        """Return the request for everything that either of two asks for.

        Where only one can be had, it is this one's; of a capability that `replaces`, it is the other's.
        """
        replaced = {one.name for capability in CAPABILITIES if capability.replaces for one in fields(capability.fields)}
        together: dict[str, Any] = {}
        for name in self.model_fields_set | other.model_fields_set:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name in replaced:
                together[name] = theirs if name in other.model_fields_set else mine
            elif isinstance(mine, bool):
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

    @property
    def of_model(self) -> Insights:
        """The part of the request that belongs to the model, and is computed once for all samples."""
        of_samples = [one for capability in CAPABILITIES if capability.of_sample for one in fields(capability.fields)]
        return self.model_copy(update={one.name: one.default for one in of_samples})


NOTHING_MORE = Insights()
"""The request for a forward pass alone."""


class CaptureRequest(BaseModel):
    """Everything that one capture depends on.

    Attributes
    ----------
    model
        A file, a folder or a name of one of the kinds in `SOURCES`, such as a ``.keras`` file or ``keras:NAME``.
    inputs
        Pictures, a folder, ``.npy``, ``.npz``, ``.csv`` or ``.txt``, one row of those as in ``x.npy[3]``, ``.wav``, a
        sentence, ``digits:N``, or ``random``; ``NAME=FILE`` for one of several inputs; none means ``random``.
    out
        The capture to write.
    preprocess
        One of Keras' modes; `None`: the default for the model, which a `Notice` names.
    weights
        ``imagenet``, ``none``, or a file, for ``keras:NAME`` only; `None` means ``imagenet``.
    all_weights
        Store every variable, not only those of small layers.
    classes
        A text file with one class name on each line.
    trust
        Load Lambda layers and other code that a model file carries; otherwise, safe mode refuses them.
    custom
        Classes and functions of the user that the model needs, ``module:object``; their modules are imported.
    architecture
        For a file of weights alone: a ``.json`` or ``.keras`` file with the architecture.
    top_k
        Number of connections to keep for each pair of layers and each ranking.
    seed
        Seed of random inputs and of the random numbers in the model.
    only
        The only sample of the inputs to capture, counted from 0; `None` means all.
    part
        The samples of the inputs to capture, from the first number up to the second, counted from 0; an end beyond the last
        sample means all that follow. `None` means all.
    outputs_only
        Write nothing but the outputs of the layers that are embedded, and what belongs to their points: a part of an
        embedding that another program makes.
    changed_only
        Write nothing but the changed run by the interventions, of one sample; another capture holds its unchanged run.
    shapes
        One for each input of the model, without the batch: sizes that the model leaves open. They are those of an earlier
        capture, which the samples will be compared with. Empty: the samples decide.
    insights
        The request for everything beyond one forward pass.
    keep
        Patterns of the layers whose numbers are stored, besides those of the model's inputs and outputs, as
        `nnviz3d.data.kept_layers` reads them. Empty: all layers.
    float16
        Whether the numbers of layers and their gradients are rounded to float16.
    notes
        Sentences for the provenance of the capture, from the program that asks.
    prepare
        Only load the model, and run it on the input once, so that it is compiled. Nothing is written.
    transient
        The capture is temporary and belongs to a session: it holds no weights, which the session's first capture has, and
        a ``.zarr.zip`` is not compressed.
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
    custom: tuple[str, ...] = ()
    architecture: str | None = None
    top_k: Annotated[int, Field(ge=1)] = 256
    seed: int = 0
    only: int | None = None
    part: tuple[int, int] | None = None
    outputs_only: bool = False
    changed_only: bool = False
    shapes: tuple[tuple[int, ...], ...] = ()
    prepare: bool = False
    transient: bool = False
    notes: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    float16: bool = False
    insights: Insights = NOTHING_MORE

    @property
    def loading(self) -> LoadOptions:
        """The options that say how the model is loaded."""
        return LoadOptions(self.weights, self.trust, self.custom, self.architecture)


class Invitation(BaseModel):
    """Address of a live model for further captures. The program that holds the model passes it to the viewer.

    Attributes
    ----------
    port, token
        The port on the loopback where the program listens, and the secret that a client has to send first.
    request
        A request for the model, without a sample.
    samples
        The samples to choose from: the name of each, and its source in a request.
    position
        The sample in the first capture.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int
    token: str
    request: CaptureRequest
    samples: tuple[tuple[str, str], ...]
    position: int = 0


STAGES = {
    "import": "Starting TensorFlow",
    "load": "Loading the model",
    "trace": "Tracing the model",
    "forward": "Running the model",
    "write": "Writing the capture",
    "connections": "Finding the strongest connections",
} | {stage: words for capability in CAPABILITIES for stage, words in capability.stages.items()}
"""All stages of `Progress`, those of every capture and those of the capabilities, in words."""


def _known(stage: str) -> str:
    if stage not in STAGES:
        raise ValueError(f"there is no stage {stage!r}; a capability declares its stages in its description")
    return stage


class Progress(BaseModel):
    """The progress of one stage of the work."""

    event: Literal["progress"] = "progress"
    stage: Annotated[str, AfterValidator(_known)]
    done: int
    total: int | None = None


class Notice(BaseModel):
    """Something the user should know, such as the chosen preprocessing and the reason for it."""

    event: Literal["notice"] = "notice"
    text: str


class Working(BaseModel):
    """A sign of life, which is sent every few seconds during a request."""

    event: Literal["working"] = "working"


class Finished(BaseModel):
    """The capture is complete.

    Attributes
    ----------
    samples
        Number of samples that were captured.
    total
        Number of samples of the inputs, if the request names a part of them.
    """

    event: Literal["finished"] = "finished"
    out: Path
    samples: int
    nodes: int
    seconds: dict[str, float]
    total: int | None = None


class Refused(BaseModel):
    """A mistake of the user, as one sentence."""

    event: Literal["refused"] = "refused"
    message: str


class Crashed(BaseModel):
    """A bug, with its traceback."""

    event: Literal["crashed"] = "crashed"
    traceback: str


Event = Annotated[Progress | Notice | Working | Finished | Refused | Crashed, Field(discriminator="event")]
EVENT: TypeAdapter[Progress | Notice | Working | Finished | Refused | Crashed] = TypeAdapter(Event)
