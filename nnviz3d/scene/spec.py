"""The scene file: what to show of which capture, and how. Unknown keys are refused, errors carry the TOML path."""

from __future__ import annotations

import tomllib
from functools import reduce
from glob import escape
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nnviz3d.data.records import Ranking
from nnviz3d.data.request import Insights, Preprocessing
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import DEFAULT_DIVERGING, DEFAULT_SEQUENTIAL, DIVERGING, SEQUENTIAL, Normalize
from nnviz3d.scene.selection import Quantity

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]


def _one_of(name: str, names: tuple[str, ...], what: str) -> str:
    if name not in names:
        raise ValueError(f"there is no {what} {name!r}; choose one of {', '.join(names)}")
    return name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class View(_Strict):
    """A part of a scene file that says what to show."""

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        return Insights()

    @property
    def headroom(self) -> float:
        """World height that this view takes above each block."""
        return 0.0


class Source(_Strict):
    """Where the numbers come from: a ready capture, or a model and what to feed it. Files are relative to the scene.

    Where both are given, the ready capture serves until other input is asked for. `sample` says which of the samples is
    shown first. A model, and the names of its classes, may also stand in the working folder; `hint` says how to get
    them if they are in neither.
    """

    capture: str | None = None
    model: str | None = None
    input: str | tuple[str, ...] = ()
    choices: str | tuple[str, ...] = ()
    preprocess: Preprocessing | None = None
    classes: str | None = None
    sample: Annotated[int, Field(ge=0)] = 0
    hint: str | None = None

    @model_validator(mode="after")
    def _something(self) -> Source:
        if self.capture is None and self.model is None:
            raise ValueError("give a capture, or a model")
        return self


class Layout(_Strict):
    """How the blocks are placed."""

    kind: Literal["flow"] = "flow"


class Reveal(_Strict):
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
        Globs over node ids.
    threshold
        Share of a layer's colour range below which cells are not drawn. Vectors are always drawn whole.
    quantity
        What the cells show: the ``activation`` itself, the ``gradient`` of the target's score by it, the
        ``attribution`` (gradient times activation), or the ``difference`` of the sample and another one.
    against
        That other sample.
    """

    kind: Literal["activations"]
    quantity: Quantity = "activation"
    against: Annotated[int, Field(ge=0)] | None = None
    layers: Annotated[tuple[str, ...], Field(min_length=1)] = ("*",)
    normalize: Normalize = "layer"
    threshold: Share = 0.25
    colormap: str = DEFAULT_SEQUENTIAL
    diverging: str = DEFAULT_DIVERGING
    reveal: Reveal = Reveal()

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        return Insights(gradients=self.quantity in ("gradient", "attribution"))

    @field_validator("colormap")
    @classmethod
    def _sequential(cls, name: str) -> str:
        return _one_of(name, SEQUENTIAL, "colour map for numbers from zero up")

    @field_validator("diverging")
    @classmethod
    def _diverging(cls, name: str) -> str:
        return _one_of(name, DIVERGING, "colour map for signed numbers")


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
        Whose embedding; by default the first that the capture has.
    color
        Whether a point is coloured by its true class or by the one the model predicts.
    animate
        When the points move from PCA's first look to where they are in the end.
    """

    kind: Literal["embedding"]
    layer: str | None = None
    color: Literal["label", "prediction"] = "label"
    animate: Reveal = Reveal()

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        # A layer's own name, even where it reads like a pattern of several.
        return Insights(embeddings=() if self.layer is None else (escape(self.layer),))


class Move(_Strict):
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
        Node id; by default the last layer with maps.
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
    order: Literal["index", "mean", "contribution"] = "mean"
    show: Literal["maps", "features"] = "maps"
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
    colormap: str = DEFAULT_SEQUENTIAL
    rollout: bool = True

    @property
    def needs(self) -> Insights:
        """What a capture must hold for this view beyond one forward pass."""
        return Insights(attention=True)

    @field_validator("colormap")
    @classmethod
    def _sequential(cls, name: str) -> str:
        return _one_of(name, SEQUENTIAL, "colour map for numbers from zero up")


class Statistics(View):
    """A histogram on each block whose numbers were captured, with their mean, standard deviation and zeros."""

    kind: Literal["statistics"]

    @property
    def headroom(self) -> float:
        """World height that the histograms and their figures take above each block."""
        return 1.2


ViewSpec = Annotated[
    AttentionSheets | Structure | Activations | ConnectionsView | EmbeddingCloud | Channels | Attributions | Statistics,
    Field(discriminator="kind"),
]
KINDS = tuple(str(view.model_fields["kind"].annotation.__args__[0]) for view in get_args(get_args(ViewSpec)[0]))
"""The kinds of views, as scene files call them."""


class Keyframe(_Strict):
    """Where the camera is at a moment.

    Attributes
    ----------
    at
        Seconds.
    target
        ``all``, or ``layer:NODE``.
    azimuth, elevation
        Degrees; (0, 0) looks straight at the maps.
    distance
        Multiples of the target's diagonal; none fits the target to the frame.
    """

    at: Seconds = 0.0
    target: str = "all"
    azimuth: float = -24.0
    elevation: Annotated[float, Field(ge=-89, le=89)] = 16.0
    distance: Annotated[float, Field(gt=0)] | None = None


class Camera(_Strict):
    """Where the picture is taken from, in degrees; the defaults suit the layout and fill the frame with everything."""

    azimuth: float | None = None
    elevation: Annotated[float, Field(ge=-89, le=89)] | None = None
    keyframes: tuple[Keyframe, ...] = ()

    @field_validator("keyframes")
    @classmethod
    def _in_order(cls, frames: tuple[Keyframe, ...]) -> tuple[Keyframe, ...]:
        for before, after in pairwise(frames):
            if after.at <= before.at:
                raise ValueError(f"keyframes have to stand in order of time; {after.at:g} s follows {before.at:g} s")
        return frames


class SceneSpec(_Strict):
    """A whole scene file."""

    format: Literal[1]
    title: str = ""
    source: Source | None = None
    layout: Layout = Layout()
    views: Annotated[tuple[ViewSpec, ...], Field(min_length=1)] = (
        Structure(kind="structure"),
        Activations(kind="activations"),
        ConnectionsView(kind="connections"),
    )
    camera: Camera = Camera()

    @field_validator("views")
    @classmethod
    def _each_once(cls, views: tuple[View, ...]) -> Any:
        kinds = [getattr(view, "kind", "") for view in views]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
        if twice is not None:
            raise ValueError(f"there are two views of kind {twice!r}; give each kind once")
        if "embedding" in kinds and len(kinds) > 1:
            raise ValueError("a view of kind 'embedding' fills the picture by itself; give it a scene of its own")
        return views

    def requires(self) -> frozenset[str]:
        """Say which families of arrays a capture must hold for this scene: of ``activations`` and ``connections``."""
        return frozenset(view.kind for view in self.views) & {"activations", "connections"}

    def needs(self) -> Insights:
        """Say what a capture must hold for this scene beyond one forward pass: all that its views need, together."""
        return reduce(Insights.plus, (view.needs for view in self.views))


def default_scene(title: str = "") -> SceneSpec:
    """Return the scene that a model or a capture without a scene file gets."""
    return SceneSpec(format=1, title=title)


def read_scene(path: Path) -> SceneSpec:
    """Read and check a scene file.

    Raises
    ------
    SceneError
        If it is no TOML, or does not say a scene; the message carries the path within the file.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SceneError(f"{path.name} is not valid TOML: {error}.") from None
    except OSError as error:
        raise SceneError(f"Cannot read the scene {path}: {error.strerror or error}.") from None
    return parse_scene(data, path.name)


def parse_scene(data: dict[str, Any], name: str = "scene") -> SceneSpec:
    """Check a scene that was read from TOML."""
    try:
        return SceneSpec.model_validate(data)
    except ValidationError as error:
        found = error.errors()
        # A mistake inside a view makes pydantic miss that view as well; only the first of the two is the mistake.
        inside = any(e["loc"][:1] == ("views",) and len(e["loc"]) > 1 for e in found)
        kept = [e for e in found if not (inside and e["loc"] == ("views",))]
        raise SceneError(f"{name}: {'; '.join(_sentence(e) for e in kept)}.") from None


def _sentence(error: Any) -> str:
    where = ""
    for part in error["loc"]:
        if isinstance(part, int):
            where += f"[{part}]"
        # pydantic puts the chosen kind of a view into the location; the file has no such key.
        elif not where.startswith("views[") or part not in KINDS or "." in where:
            where += f".{part}" if where else str(part)
    if error["type"] == "extra_forbidden":
        return f"unknown key {where}"
    if error["type"] == "missing":
        return f"{where} is missing"
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return f"{where}.kind is one of {', '.join(KINDS[:-1])} and {KINDS[-1]} (got {error['input'].get('kind')!r})"
    if where == "format":
        return f"this nnviz3d reads scenes of format 1 (got {error['input']!r}); update nnviz3d for a newer one"
    message = error["msg"].removeprefix("Value error, ")
    got = "" if isinstance(error["input"], list | tuple | dict) else f" (got {error['input']!r})"
    return f"{where}: {message[0].lower()}{message[1:]}{got}"
