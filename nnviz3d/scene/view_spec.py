"""Base class and building blocks of the views' settings in a scene file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.request import Insights
from nnviz3d.data.selectors import matching, without_names
from nnviz3d.data.training import STATISTICS
from nnviz3d.scene.colors import DIVERGING, SEQUENTIAL

Share = Annotated[float, Field(ge=0, le=1)]
LONGEST = 3600.0
"""Longest time in seconds in a scene, and longest film."""
Seconds = Annotated[float, Field(ge=0, le=LONGEST)]


def one_of(names: tuple[str, ...], what: str) -> AfterValidator:
    """Return the check that a name is one of several; `what` says in the error message what they are."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"there is no {what} {name!r}; choose one of {', '.join(names)}")
        return name

    return AfterValidator(check)


Sequential = Annotated[str, one_of(SEQUENTIAL, "colour map for numbers from zero up")]
Diverging = Annotated[str, one_of(DIVERGING, "colour map for signed numbers")]
Figure = Annotated[str, one_of(STATISTICS, "figure")]


class Strict(BaseModel):
    """Base class of the parts of a scene file: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


TrainingUse = Literal["unused", "if recorded", "automatic", "required"]


@dataclass(frozen=True)
class Phase:
    """A part of a scene's time.

    Attributes
    ----------
    start
        Seconds; by default the end of the phases before it.
    duration
        Seconds.
    """

    kind: Literal["forward", "backward", "training"]
    start: float | None
    duration: float


class ViewSpec(Strict):
    """A part of a scene file that chooses what to show.

    Selectors name layers, see `nnviz3d.data.selectors`: ``conv2d_1``, ``block*``, ``last convolution``.

    Attributes
    ----------
    kind
        Name of the view in a scene file.
    stands_alone
        Whether the view fills the picture, in place of the network's blocks.
    joins_any
        Whether a scene may have it together with a view that stands alone.
    error_without_blocks
        The error if it is added to a view that fills the picture; empty if that is possible.
    in_default_scene
        Whether it belongs to the scene of a model or capture without a scene file.
    fills_blocks
        Whether it draws the numbers of the blocks.
    explains
        Whether it explains a decision.
    shows_samples
        Whether it shows samples as points.
    arrays
        Families of arrays that a capture must hold: ``activations``, ``connections``.
    training
        Whether it needs a recorded training; an ``automatic`` view is added to each scene of a capture with a training.
    """

    kind: str
    stands_alone: ClassVar[bool] = False
    joins_any: ClassVar[bool] = False
    error_without_blocks: ClassVar[str] = ""
    in_default_scene: ClassVar[bool] = False
    fills_blocks: ClassVar[bool] = False
    explains: ClassVar[bool] = False
    shows_samples: ClassVar[bool] = False
    arrays: ClassVar[frozenset[str]] = frozenset()
    training: ClassVar[TrainingUse] = "unused"

    def elsewhere(self) -> Self:
        """Return the view for a model other than the scene's own."""
        layer = getattr(self, "layer", None)
        return self if layer is None else self.model_copy(update={"layer": without_names(layer)})

    def cannot_show(self, capture: CaptureReader) -> str:
        """Return one sentence on why the view can never show a capture's model; nothing if it may."""
        return ""

    def lacks(self, capture: CaptureReader) -> str:
        """Return one sentence on what the view needs of a capture that holds it for other layers alone; else nothing."""
        return ""

    def with_methods_of(self, methods: Sequence[str]) -> Self:
        """Return the view for a capture that holds maps by these attribution methods."""
        return self

    def own_layers(self, capture: CaptureReader) -> Iterable[str]:
        """Return the layers that the view needs as nodes of their own, even if groups of layers are closed.

        By default they are those that the settings name one by one.
        """
        layer = getattr(self, "layer", None)
        return () if layer is None else matching(layer, capture.graph)

    @property
    def phase(self) -> Phase | None:
        """The part of the scene's time that this view takes."""
        return None

    @property
    def needs(self) -> Insights:
        """The request for everything that this view needs beyond one forward pass."""
        return Insights()

    @property
    def headroom(self) -> float:
        """World height that this view takes above each block."""
        return 0.0


class Animation(Strict):
    """A part of the scene's time, in seconds."""

    start: Seconds = 0.0
    duration: Seconds

    def share(self, t: float) -> float:
        """Return the finished share at `t` seconds, from 0 to 1."""
        if self.duration <= 0:
            return float(t >= self.start)
        return min(max((t - self.start) / self.duration, 0.0), 1.0)


class Reveal(Animation):
    """The forward pass as an animation: blocks fill one after the other."""

    duration: Seconds = 8.0


class Move(Animation):
    """A change from one state to another."""

    duration: Seconds = 3.0
