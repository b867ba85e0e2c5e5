"""Attributions: maps of how much each location of a layer, or of the input, contributes to a target's score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from nnviz3d.data.capabilities.capability import Capability, CaptureContents, CaptureOptions, are_numbers, split_names
from nnviz3d.data.capabilities.gradients import no_gradients
from nnviz3d.data.storage.schema import split_id
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays
    from nnviz3d.data.targets import Explained

TITLES: Mapping[str, tuple[str, bool]] = {
    "vanilla": ("Gradient", False),
    "gradient_x_input": ("Gradient × input", True),
    "smoothgrad": ("SmoothGrad", False),
    "integrated_gradients": ("Integrated gradients", True),
    "occlusion": ("Occlusion", True),
    "cam": ("CAM", True),
    "grad_cam": ("Grad-CAM", False),
    "grad_cam_plus_plus": ("Grad-CAM++", False),
    "layer_cam": ("LayerCAM", False),
    "score_cam": ("Score-CAM", False),
}
"""Display names of the attribution methods, and whether their numbers may be negative."""

AUTOMATIC = "automatic"
"""Stands in a request that names no method for the one that suits the model: Grad-CAM where layers have spatial axes such
as rows and columns, else integrated gradients of the input."""

Baseline = Literal["zero", "mean", "blur", "noise"]
"""Inputs without information."""


@dataclass(frozen=True, kw_only=True)
class AttributionFields:
    """Fields of the request.

    Attributes
    ----------
    attributions
        Methods by name: ``grad_cam``, ``integrated_gradients``, ...; ``automatic`` is the one that suits the model.
    layers
        The layers that class activation maps are of; empty: the last convolution.
    baseline
        The input without information, for integrated gradients and occlusion: ``zero``, ``mean`` (of the sample),
        ``blur``, or ``noise``.
    """

    attributions: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    baseline: Baseline = "zero"


@dataclass(frozen=True)
class AttributionOptions(CaptureOptions):
    """Options for attributions."""

    attribution: Annotated[
        tuple[str, ...],
        "Capture attribution maps: automatic, grad_cam, integrated_gradients, ...; a wrong name gets the whole list.",
    ] = ()
    at: Annotated[tuple[str, ...], "Layers for the class activation maps; by default the last convolution."] = ()
    baseline: Annotated[
        Baseline, "The input without information, for integrated gradients, occlusion and faithfulness."
    ] = "zero"

    def request_fields(self) -> Mapping[str, Any]:
        """Return the methods, the layers and the baseline."""
        if self.at and not self.attribution:
            raise UserError("--at names layers for --attribution, which is not given.")
        return {
            "attributions": split_names(self.attribution),
            "layers": split_names(self.at),
            "baseline": self.baseline,
        }


@dataclass(frozen=True)
class Attribution:
    """A map of how much each location of a layer, or of the input, contributes to a target's score, for one sample.

    Attributes
    ----------
    method
        ``grad_cam``, ``integrated_gradients``, ...
    layer
        Node id of the layer that the map is of: an input, or a convolution at its own resolution.
    values
        One number for each location, without channels: ``(H, W)``, ``(steps,)``, ``(D, H, W)``; or with channels, in the
        layer's shape. Signed if the method is.
    explained
        The target, and its score.
    settings
        The other settings that determine the map: the baseline, the number of steps, the seed.
    shares
        ``(S,)``: the shares of locations that were changed to measure the faithfulness, from 0 to 1; empty if it was not
        measured.
    deletion, insertion
        ``(S,)``: the target's probability (its score, if it has none) after the most important locations were deleted,
        and after they alone were inserted (Petsiuk et al. 2018, arXiv:1806.07421).
    """

    method: str
    layer: str
    values: NDArray[np.float32]
    explained: Explained
    settings: Mapping[str, object]
    shares: NDArray[np.float32]
    deletion: NDArray[np.float32]
    insertion: NDArray[np.float32]

    @property
    def deletion_auc(self) -> float | None:
        """Area under the deletion curve: a smaller area means a more faithful map."""
        return _area(self.deletion, self.shares)

    @property
    def insertion_auc(self) -> float | None:
        """Area under the insertion curve: a larger area means a more faithful map."""
        return _area(self.insertion, self.shares)


def _area(curve: NDArray[np.float32], shares: NDArray[np.float32]) -> float | None:
    import numpy as np

    return float(np.trapezoid(curve, shares)) if len(shares) else None


def attribution_path(method: str, slot: str, node_id: str) -> str:
    """Return the group of a method's maps of a target by one layer."""
    path, call = split_id(node_id)
    return f"attributions/{method}/{slot}/{path}/@{call}"


def attribution_methods(stored: StoredArrays) -> tuple[str, ...]:
    """Return the attribution methods whose maps were captured."""
    return stored.members("attributions")


def read_attribution_layers(stored: StoredArrays, method: str, slot: str) -> tuple[str, ...]:
    """Return the node ids of the layers that a method's maps of a target are of; none if there are no maps."""
    path = f"attributions/{method}/{slot}"
    found = stored.attributes(path).get("layers", [])
    if not isinstance(found, list) or not all(name in stored.graph for name in map(str, found)):
        raise stored.damaged(f"{path} names layers that the model does not have")
    return tuple(map(str, found))


def read_attribution(stored: StoredArrays, method: str, explained: Explained, layer: str, sample: int) -> Attribution:
    """Read a map that was captured.

    Raises
    ------
    CaptureError
        If it is damaged.
    """
    import numpy as np

    path = attribution_path(method, explained.slot, layer)
    attributes = stored.attributes(path)
    settings, shares = attributes.get("settings", {}), attributes.get("shares", [])
    if not isinstance(settings, dict) or not are_numbers(shares):
        raise stored.damaged(f"{path} has no valid description of its maps")

    def row(name: str) -> NDArray[Any]:
        array = stored.find(f"{path}/{name}", (None, len(shares)))
        return np.empty(0, dtype=np.float32) if array is None else stored.sample(array, sample)

    return Attribution(
        method,
        layer,
        _read_map(stored, f"{path}/values", layer, sample),
        explained,
        settings,
        np.asarray(shares, dtype=np.float32),
        row("deletion"),
        row("insertion"),
    )


def _read_map(stored: StoredArrays, path: str, layer: str, sample: int) -> NDArray[np.float32]:
    """Read a map. Its shape is that of the layer's locations, or of the layer with its channels."""
    from nnviz3d.data.storage.zarr_reader import fits

    array, expected = stored.require(path), stored.graph.node(layer).shape
    if not any(fits(array.shape[1:], shape) for shape in (expected, expected[:-1], expected[1:])):
        raise stored.damaged(f"{path} has maps of the shape {array.shape[1:]} for a layer of {expected}")
    return stored.sample(array, sample)


def write_attribution(writer: ArrayWriter, slot: str, maps: Sequence[Attribution]) -> None:
    """Write one method's maps of one target by one layer: one for each of all samples, in order.

    `write_attribution_layers` has to be called before the first map of a method and a target.
    """
    import numpy as np

    first = maps[0]
    path = attribution_path(first.method, slot, first.layer)
    writer.group(path, {"settings": dict(first.settings), "shares": [float(s) for s in first.shares]})
    writer.rows(f"{path}/values", 0, np.stack([m.values for m in maps]))
    if len(first.shares):
        writer.rows(f"{path}/deletion", 0, np.stack([m.deletion for m in maps]))
        writer.rows(f"{path}/insertion", 0, np.stack([m.insertion for m in maps]))


def write_attribution_layers(writer: ArrayWriter, method: str, slot: str, layers: Sequence[str]) -> None:
    """Write the layers that a method's maps of a target are of; the first of them is shown by default."""
    writer.group(f"attributions/{method}/{slot}", {"layers": list(layers)})


def _missing(capture: CaptureContents, wanted: AttributionFields) -> str:
    methods = attribution_methods(capture.stored)
    missing = [m for m in wanted.attributions if m not in methods and not (m == AUTOMATIC and methods)]
    if not missing:
        return ""
    known = f" (it holds {', '.join(methods)})" if methods else ""
    by = "of a decision" if missing[0] == AUTOMATIC else f"by {missing[0]}"
    return f"{capture.path.name} holds no map {by}{known}; capture the model with --attribution {missing[0]}."


def _impossible(capture: CaptureContents, wanted: AttributionFields) -> str:
    return no_gradients(capture) if wanted.attributions else ""


def _held(capture: CaptureContents) -> Mapping[str, Any]:
    found, methods = capture.explanations(0), attribution_methods(capture.stored)
    layers = {layer for method in methods for layer in found.attribution_layers(method)}
    return {"attributions": methods, "layers": tuple(sorted(layers - set(capture.graph.inputs)))}


ATTRIBUTIONS = Capability(
    name="attributions",
    fields=AttributionFields,
    options=AttributionOptions,
    wanted=lambda insights: bool(insights.attributions),
    check="nnviz3d.capture.attributions.run:check_methods",
    capture="nnviz3d.capture.attributions.run:write_attributions",
    stages={"explain": "Computing the attributions"},
    missing=_missing,
    impossible=_impossible,
    views=("nnviz3d.scene.views.attributions:AttributionsView",),
    panel="nnviz3d.apps.web.panels.explanation:ExplanationPanel",
    held=_held,
)
"""The description of this capability."""
