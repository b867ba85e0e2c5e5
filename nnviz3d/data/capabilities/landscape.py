"""Loss landscapes: the loss of a model over a plane through its weights.

Li, Xu, Taylor, Studer, Goldstein 2018, "Visualizing the Loss Landscape of Neural Nets", arXiv:1712.09913.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions, are_numbers
from nnviz3d.data.capabilities.gradients import no_gradients
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

MOST_POINTS = 501
"""Largest number of grid points along a direction."""
_PATH = "landscape"
"""The group of the landscape in a capture."""
_ARRAYS: Mapping[str, tuple[int | None, ...]] = {
    "along": (None,),
    "across": (None,),
    "values": (None, None),
    "shares": (None,),
    "steps": (None,),
    "path": (None, 2),
    "path_losses": (None,),
    "distances": (None,),
}
"""The arrays of a landscape, and their axes."""
_ATTRIBUTES: Mapping[str, type | tuple[type, ...]] = {"loss": str, "dataset": str, "count": int, "settings": dict}


@dataclass(frozen=True, kw_only=True)
class LandscapeOptions:
    """Settings of a landscape.

    Attributes
    ----------
    resolution
        Number of grid points along each direction, an odd number, so that the trained weights are one of them.
    extent
        Distance of the edges of the grid from the trained weights: in random directions, 1 changes each filter by as much
        as its own norm; in the plane of a training, 1 is a quarter of the path's size beyond the path.
    labels
        A ``.npy`` or ``.npz`` file of the true classes or targets, one for each sample of the data set; empty: those that
        the data set itself brings.
    training
        The capture of a recorded training, whose kept weights span the plane; empty: two random directions span it.
    seed
        Of the random directions.
    """

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "revalidate_instances": "always"}

    resolution: int = 25
    extent: float = 1.0
    labels: str = ""
    training: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not 3 <= self.resolution <= MOST_POINTS or self.resolution % 2 == 0:
            raise ValueError(f"resolution is an odd number from 3 to {MOST_POINTS}, not {self.resolution}")
        if not 0 < self.extent < float("inf"):
            raise ValueError(f"extent is more than 0, not {self.extent:g}")


@dataclass(frozen=True, kw_only=True)
class LandscapeFields:
    """Fields of the request.

    Attributes
    ----------
    landscape
        Whether the loss landscape is captured.
    landscape_options
        The settings of the landscape.
    """

    landscape: bool = False
    landscape_options: LandscapeOptions = LandscapeOptions()


@dataclass(frozen=True)
class LandscapeCaptureOptions(CaptureOptions):
    """Options for the loss landscape."""

    landscape: Annotated[bool, "The loss on the data set over a plane through the model's weights."] = False
    labels: Annotated[Path | None, "True classes or targets of the data set for --landscape, a .npy or .npz file."] = (
        None
    )
    training: Annotated[
        Path | None, "A recorded training for --landscape: its kept weights span the plane, its path lies in it."
    ] = None
    resolution: Annotated[int | None, "Grid points along each direction of --landscape, odd; by default 25."] = None
    extent: Annotated[
        float | None, "Distance from the trained weights to the edge of --landscape; by default 1, a filter's own norm."
    ] = None

    def request_fields(self) -> Mapping[str, Any]:
        """Return the settings of the landscape."""
        given = {
            name: getattr(self, name)
            for name in ("labels", "training", "resolution", "extent")
            if getattr(self, name) is not None
        }
        if given and not self.landscape:
            raise UserError(f"--{next(iter(given))} goes with --landscape, which is not given.")
        if not 3 <= given.get("resolution", 3) <= MOST_POINTS or given.get("resolution", 3) % 2 == 0:
            raise UserError(f"--resolution is an odd number from 3 to {MOST_POINTS}; got {self.resolution}.")
        if not 0 < given.get("extent", 1.0) < float("inf"):  # NaN too
            raise UserError(f"--extent is more than 0; got {self.extent:g}.")
        settings: dict[str, Any] = {
            name: str(value) if isinstance(value, Path) else value for name, value in given.items()
        }
        return {"landscape": self.landscape, "landscape_options": LandscapeOptions(**settings)}


@dataclass(frozen=True)
class LossLandscape:
    """The loss of a model over a plane through its weights.

    Attributes
    ----------
    loss
        The name of the loss.
    dataset
        The name of the data set.
    count
        The number of its samples.
    along, across
        ``(n,)`` and ``(m,)`` float64: coordinates of the grid in the first and in the second direction; both rise, and the
        trained weights are at 0. In random directions, 1 changes each filter by as much as its own norm; in the plane of
        a training, coordinates are distances between weights.
    values
        ``(m, n)`` float32: the losses at the grid points. They may be infinite or NaN.
    shares
        ``(2,)`` float64: shares of the kept weights' squared distances from the last ones that lie in each direction; empty
        for random directions.
    steps
        ``(S,)`` int64: the steps of the training whose weights were kept; empty for random directions.
    path
        ``(S, 2)`` float64: coordinates of those weights, projected onto the plane; the last ones are at (0, 0).
    path_losses
        ``(S,)`` float32: the loss for those weights themselves, not for their projections.
    distances
        ``(S,)`` float64: distances of those weights from the plane.
    settings
        Resolution, extent, seed, and the name of the recorded training.
    """

    loss: str
    dataset: str
    count: int
    along: NDArray[np.float64]
    across: NDArray[np.float64]
    values: NDArray[np.float32]
    shares: NDArray[np.float64]
    steps: NDArray[np.int64]
    path: NDArray[np.float64]
    path_losses: NDArray[np.float32]
    distances: NDArray[np.float64]
    settings: Mapping[str, object]

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the trained weights."""
        return int(abs(self.across).argmin()), int(abs(self.along).argmin())

    @property
    def center(self) -> np.float32:
        """The loss at the trained weights."""
        center: np.float32 = self.values[self.origin]
        return center


def has_landscape(stored: StoredArrays) -> bool:
    """Whether a capture holds a landscape."""
    return stored.has_group(_PATH)


def read_landscape(stored: StoredArrays) -> LossLandscape | None:
    """Read the landscape of a capture; `None` if it was not captured."""
    attributes = stored.attributes(_PATH)
    if not attributes:
        return None
    if any(not isinstance(attributes.get(name), kind) for name, kind in _ATTRIBUTES.items()):
        raise stored.damaged("its landscape has no valid description")
    arrays: dict[str, Any] = {
        name: stored.read(stored.require(f"{_PATH}/{name}", shape), ...) for name, shape in _ARRAYS.items()
    }
    size, steps = (len(arrays["across"]), len(arrays["along"])), len(arrays["steps"])
    lengths = {len(arrays[name]) for name in ("path", "path_losses", "distances")}
    grid = [arrays["along"], arrays["across"]]
    rising = all(len(axis) > 1 and are_numbers(axis.tolist()) and (axis[1:] > axis[:-1]).all() for axis in grid)
    if arrays["values"].shape != size or lengths != {steps} or len(arrays["shares"]) not in (0, 2) or not rising:
        raise stored.damaged("the arrays of its landscape do not fit together")
    described: dict[str, Any] = {name: attributes[name] for name in _ATTRIBUTES}
    return LossLandscape(**described, **arrays)


def write_landscape(writer: ArrayWriter, found: LossLandscape) -> None:
    """Write a landscape."""
    writer.group(_PATH, {name: getattr(found, name) for name in _ATTRIBUTES} | {"settings": dict(found.settings)})
    for name in _ARRAYS:
        writer.whole(f"{_PATH}/{name}", getattr(found, name))


SEVERAL_OUTPUTS = "A loss landscape needs a model with one output; this one has several."
NO_LABELS = (
    "The data set of the loss landscape brings no true classes; capture the model with --landscape --dataset DATA "
    "--labels FILE."
)


def _missing(capture: CaptureContents, wanted: LandscapeFields) -> str:
    if not wanted.landscape or has_landscape(capture.stored):
        return ""
    return (
        f"{capture.path.name} holds no loss landscape; capture the model with --landscape --dataset DATA --labels FILE."
    )


def _impossible(capture: CaptureContents, wanted: LandscapeFields) -> str:
    if not wanted.landscape:
        return ""
    return SEVERAL_OUTPUTS if len(capture.graph.outputs) != 1 else no_gradients(capture)


LANDSCAPE = Capability(
    name="landscape",
    fields=LandscapeFields,
    options=LandscapeCaptureOptions,
    wanted=lambda insights: bool(insights.landscape),
    capture="nnviz3d.capture.landscape:compute_landscape",
    check="nnviz3d.capture.landscape:check_landscape",
    stages={"landscape": "Computing the loss landscape"},
    missing=_missing,
    impossible=_impossible,
    dataset_option="--landscape",
    without_labels=NO_LABELS,
    of_sample=False,
    views=("nnviz3d.scene.views.landscape:LandscapeView",),
    panel="nnviz3d.apps.web.panels.landscape:LandscapePanel",
)
"""The description of this capability."""
