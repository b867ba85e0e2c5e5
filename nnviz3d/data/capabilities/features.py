"""Feature visualizations: inputs that maximize channels of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions, split_names
from nnviz3d.data.capabilities.gradients import no_gradients
from nnviz3d.data.storage.schema import split_id
from nnviz3d.errors import CaptureError, UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

Objective = Literal["channel", "neuron", "class"]
"""The quantities that an input of a `FeatureVisualization` can maximize."""
_ARRAYS: Mapping[str, tuple[int | None, ...]] = {
    "channels": (None,),
    "images": (None, None, None, None),
    "before": (None,),
    "after": (None,),
    "dead": (None,),
}
"""The arrays of a feature visualization, and their axes."""


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """Settings of the search for inputs that maximize channels.

    Attributes
    ----------
    objective
        ``channel``, its mean; or ``neuron``, its cell in the middle. Numbers of an output are always taken as they are.
    parametrization
        ``fourier``, by the spectrum of a picture with decorrelated colours; or ``pixel``.
    steps
        Iterations of gradient ascent.
    seed
        Of the start and of the jitter.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "revalidate_instances": "always"}

    objective: Literal["channel", "neuron"] = "channel"
    parametrization: Literal["fourier", "pixel"] = "fourier"
    steps: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is 1 or more, not {self.steps}")


@dataclass(frozen=True, kw_only=True)
class FeatureFields:
    """Fields of the request.

    Attributes
    ----------
    features
        Layers whose channels are maximized, by globs over node ids; ``conv2d[3]`` and ``conv2d[0:8]`` choose channels.
    feature_options
        The settings of the search.
    """

    features: tuple[str, ...] = ()
    feature_options: FeatureOptions = FeatureOptions()


@dataclass(frozen=True)
class FeatureCaptureOptions(CaptureOptions):
    """Options for feature visualizations."""

    features: Annotated[
        tuple[str, ...],
        "Layers whose channels are maximized by pictures: conv2d_2, or some channels: conv2d_2[0:8].",
    ] = ()
    objective: Annotated[
        Literal["channel", "neuron"], "What is maximized: a channel's mean, or its cell in the middle."
    ] = "channel"
    parametrization: Annotated[Literal["fourier", "pixel"], "Representation of the pictures during the search."] = (
        "fourier"
    )
    steps: Annotated[int | None, "Iterations of the search; by default 256."] = None

    def request_fields(self) -> Mapping[str, Any]:
        """Return the layers and the settings of the search."""
        if self.steps is not None and self.steps < 1:
            raise UserError(f"--steps is 1 or more; got {self.steps}.")
        steps = {} if self.steps is None else {"steps": self.steps}
        settings = FeatureOptions(objective=self.objective, parametrization=self.parametrization, **steps)
        return {"features": split_names(self.features), "feature_options": settings}


@dataclass(frozen=True)
class FeatureVisualization:
    """Inputs that maximize channels of one layer (Erhan et al. 2009; Olah et al. 2017).

    Attributes
    ----------
    node
        Node id.
    objective
        ``channel`` (its mean), ``neuron`` (its cell in the middle) or ``class`` (a number of an output); always of the
        numbers before the layer's own activation function.
    channels
        ``(F,)`` int64.
    images
        ``(F, H, W, C)`` in [0, 1], C 1 or 3: the inputs that were found, as pictures for people.
    before, after
        ``(F,)``: the objective at the start and for the image.
    dead
        ``(F,)`` bool: channels that are 0 after the activation function, both for several random pictures and for the
        image that was found.
    settings
        Parametrization, steps, seeds.
    """

    node: str
    objective: Objective
    channels: NDArray[np.int64]
    images: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    dead: NDArray[np.bool_]
    settings: Mapping[str, object]

    def __post_init__(self) -> None:
        count = len(self.channels)
        if self.images.ndim != 4 or any(len(a) != count for a in (self.images, self.before, self.after, self.dead)):
            raise CaptureError(f"Features of {self.node!r}: expected {count} images (F, H, W, C), and as many figures.")


def feature_path(node_id: str) -> str:
    """Return the group of the inputs that maximize a layer's channels."""
    path, call = split_id(node_id)
    return f"features/{path}/@{call}"


def has_features(stored: StoredArrays, node_id: str) -> bool:
    """Whether inputs that maximize a layer's channels were captured."""
    return stored.find(f"{feature_path(node_id)}/channels") is not None


def read_features(stored: StoredArrays, node_id: str) -> FeatureVisualization | None:
    """Read the inputs that maximize a layer's channels; `None` if they were not captured."""
    path = feature_path(node_id)
    attributes = stored.attributes(path)
    if "objective" not in attributes:
        return None
    objective, settings = attributes["objective"], attributes.get("settings", {})
    if objective not in get_args(Objective) or not isinstance(settings, dict):
        raise stored.damaged(f"{path} has no valid description of its pictures")
    arrays = {name: stored.read(stored.require(f"{path}/{name}", axes), ...) for name, axes in _ARRAYS.items()}
    return FeatureVisualization(
        node_id,
        objective,
        arrays["channels"],
        arrays["images"],
        arrays["before"],
        arrays["after"],
        arrays["dead"].astype(bool),
        settings,
    )


def write_features(writer: ArrayWriter, found: FeatureVisualization) -> None:
    """Write the inputs that maximize a layer's channels."""
    path = feature_path(found.node)
    writer.group(path, {"objective": found.objective, "settings": dict(found.settings)})
    for name in _ARRAYS:
        writer.whole(f"{path}/{name}", getattr(found, name))


def _missing(capture: CaptureContents, wanted: FeatureFields) -> str:
    if not wanted.features or any(has_features(capture.stored, node.id) for node in capture.graph):
        return ""
    return f"{capture.path.name} holds no features; capture the model with --features {quote(wanted.features[0])}."


def _impossible(capture: CaptureContents, wanted: FeatureFields) -> str:
    from nnviz3d.data.selectors import lacks, matching

    if not wanted.features:
        return ""
    if any(matching(selector, capture.graph) for selector in wanted.features):
        return no_gradients(capture)
    return f"{lacks(wanted.features[0], capture.graph)}, whose channels could be maximized."


FEATURES = Capability(
    name="features",
    fields=FeatureFields,
    options=FeatureCaptureOptions,
    wanted=lambda insights: bool(insights.features),
    capture="nnviz3d.capture.features:write_feature_visualizations",
    stages={"features": "Maximizing channels"},
    missing=_missing,
    impossible=_impossible,
    views=("nnviz3d.scene.views.channels:ChannelsView",),
    panel="nnviz3d.apps.web.panels.closeup:CloseUpPanel",
    of_sample=False,
)
"""The description of this capability."""
