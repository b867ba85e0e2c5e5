"""The numbers of a capture as arrays of xarray, with named axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capture import open_capture
from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.note_words import ROUNDED
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.rounding import is_rounded
from nnviz3d.data.selectors import matching
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    import xarray as xr


def to_xarray(capture: CaptureReader | str | Path, layers: str | Sequence[str] = "*") -> xr.DataTree:
    """Return the numbers of layers as a tree of xarray's datasets, one for each layer.

    Parameters
    ----------
    capture
        A capture, or its path.
    layers
        Selectors of layers: names, globs such as ``conv*``, or kinds.

    Returns
    -------
    xarray.DataTree
        ``tree["conv2d"].activation`` has the axes sample, row, column and channel, exactly as stored;
        numbers that were rounded to float16 are float32, and have the attribute ``stored``. Further outputs of a
        layer are ``activation_1`` and so on; pictures are in the dataset of their input. Samples have their names and
        labels as coordinates (NaN where a label is not known), channels the names of units or classes, if they are known. A
        layer whose name begins another's, such as ``block`` of ``block/conv``, is at ``block/@``.

    Raises
    ------
    UserError
        If xarray is not installed, or no layer matches a selector.
    """
    try:
        import xarray
    except ModuleNotFoundError as error:
        if error.name != "xarray":
            raise
        raise UserError(
            "to_xarray needs xarray, which is not installed; install it with: pip install xarray."
        ) from None
    found = open_capture(capture) if isinstance(capture, str | Path) else capture
    graph = found.graph
    samples = {"sample": [found.sample_name(i) for i in range(found.committed)]}
    coordinates: dict[str, Any] = {name: ("sample", values) for name, values in samples.items()}
    labels = found.labels
    if labels is not None:
        known = labels != NO_LABEL
        coordinates["label"] = ("sample", labels if known.all() else np.where(known, labels, np.nan))
    about = {"model": found.provenance.model, "notes": list(found.provenance.notes)}
    if found.classes is not None:
        about["classes"] = list(found.classes)
    tree = {"/": xarray.Dataset(coords=coordinates, attrs=about)}
    for name in _chosen([layers] if isinstance(layers, str) else layers, graph):
        content = _layer(found, name)
        if content:
            node = graph.node(name)
            # A child of the tree inherits coordinates with an index alone, so each dataset has the labels.
            own = coordinates | _channel_names(found, name)
            tree[_place(name, graph)] = xarray.Dataset(content, own, {"layer": name, "kind": node.kind})
    return xarray.DataTree.from_dict(tree)


def _chosen(selectors: Sequence[str], graph: ModelGraph) -> list[str]:
    chosen: set[str] = set()
    for selector in selectors:
        names = matching(selector, graph)
        if not names:
            raise UserError(f"No layer matches {selector!r}; the model has {', '.join(node.id for node in graph)}.")
        chosen.update(names)
    return [node.id for node in graph if node.id in chosen]


def _place(name: str, graph: ModelGraph) -> str:
    """Return the path of a layer in the tree: its name, if no other layer is below it."""
    return f"{name}/@" if any(node.id.startswith(f"{name}/") for node in graph) else name


def _layer(capture: CaptureReader, name: str) -> dict[str, tuple[Any, ...]]:
    """Return the arrays of a layer with the names of their axes."""
    node = capture.graph.node(name)
    found: dict[str, tuple[Any, ...]] = {}
    for output in range(len(node.shapes)):
        if capture.has_activations(name, output):
            record = capture.activations(name, output)
            about = {"stored": ROUNDED} if is_rounded(capture, name) else {}
            found["activation" if not output else f"activation_{output}"] = (record.axes, record.values, about)
    pictures = [capture.picture(name, i) for i in range(capture.committed)] if name in capture.graph.inputs else []
    known = [one for one in pictures if one is not None]
    if known and len(known) == len(pictures) and len({one.shape for one in known}) == 1:
        found["picture"] = (("sample", "picture row", "picture column", "color"), np.stack(known))
    return found


def _channel_names(capture: CaptureReader, name: str) -> dict[str, Any]:
    """Return the names of a layer's channels as a coordinate, if they are known and different."""
    node = capture.graph.node(name)
    axis = channel_axis(node.axes)
    units: Sequence[str] | None = capture.unit_names(name)
    if units is None and name in capture.graph.outputs:
        units = capture.classes
    count = None if axis is None else capture.activation_shape(name)[axis] if capture.has_activations(name) else None
    if units is None or count != len(units) or len(set(units)) != len(units):
        return {}
    return {"channel": list(units)}
