"""Statistics of a layer as text: of its activation for one sample, and of its variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from nnviz3d.analysis.statistics import LayerStatistics, layer_statistics, saturation_rule
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.facts import exact
from nnviz3d.scene.selection import Selection

Pair = tuple[str, str]


def weights_of_then(capture: CaptureReader) -> str:
    """Return the training step after which the shown weights were stored, as text; empty without a training."""
    records = capture.step_records
    return "" if records is None or records.weight_step is None else f", after step {records.weight_step:,}"


def measured_values(node: LayerNode, values: Any) -> list[Pair]:
    """Return statistics of a layer's numbers for one sample, as names and texts; extremes exactly as captured."""
    found = layer_statistics(values, node.activation)
    if not found.count:
        return [("values", "none")]
    pairs = [("values", "none is finite")]
    if found.finite:
        extremes = (("minimum", found.minimum), ("maximum", found.maximum))
        pairs = [("mean", number(found.mean)), ("std", number(found.std))]
        pairs[:0] = [(name, exact(np.float32(value))) for name, value in extremes]
    pairs.append(("zeros", _share(found.zeros, found.count)))
    if found.saturated is not None:
        pairs.append(("saturated", f"{_share(found.saturated, found.count)}: {saturation_rule(node.activation)}"))
    return pairs + _not_finite(found)


def derived_values(context: SceneContext, node_id: str, quantity: Quantity, selection: Selection) -> list[Pair]:
    """Return statistics of the quantity that a layer's cells show, if it is another one than the activation.

    Names begin with that of the quantity. Nothing is returned if the layer has no such numbers.
    """
    if quantity == "activation" or (quantity in OF_GRADIENTS and not context.has_gradients(selection)):
        return []
    held = context.shown(node_id, quantity, selection)
    name = quantity.replace("_x_", " × ")
    if held is None:
        return [(name, "none")]
    node = replace(context.graph.node(node_id), activation=None)  # what saturates is the activation alone
    size = float(np.sqrt(np.mean(np.square(held.values, dtype=np.float64)))) if held.values.size else 0.0
    pairs = measured_values(node, held.values)
    return [(f"{name} {what}", text) for what, text in (*pairs, ("root mean square", number(size)))]


def measured_weights(context: SceneContext, node: LayerNode) -> tuple[Pair, ...]:
    """Return statistics of each captured variable of a layer, as names and texts; nothing if none was captured.

    Measuring a hundred million weights takes seconds, so each layer of a capture is measured once. A capture that is
    still being written is measured again each time, because its weights may change.
    """
    capture = context.capture
    if not capture.complete:
        return tuple(_measured_anew(capture, node))
    return context.memo.get(capture, ("weights", node.path), lambda: tuple(_measured_anew(capture, node)))


def _measured_anew(capture: CaptureReader, node: LayerNode) -> Iterator[Pair]:
    for name, values in capture.weights(node.path).items():
        found = layer_statistics(values)
        shape = " × ".join(f"{n:,}" for n in values.shape) or "scalar"
        spread = ""
        if found.finite:
            spread = f": mean {number(found.mean)}, std {number(found.std)}"
            spread += f", {number(found.minimum)} to {number(found.maximum)}"
        # A variable may have the name of a statistic, such as the mean of a normalization.
        yield f"weight {name}", shape + spread + weights_of_then(capture)
        yield from ((f"weight {name}, {what}", text) for what, text in _not_finite(found))


def _share(share: float, count: int) -> str:
    return f"{100 * share:.1f} % ({round(share * count):,} of {count:,})"


def _not_finite(found: LayerStatistics) -> list[Pair]:
    return [("not finite", f"{found.nan:,} NaN, {found.infinite:,} infinite")] if found.nan or found.infinite else []
