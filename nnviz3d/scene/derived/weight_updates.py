"""The update of one weight by the last recorded step of a training, in words."""

from __future__ import annotations

import numpy as np

from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.facts import exact

_ROUNDING = 4.0
"""Largest distance of an update from learning rate times gradient that counts as rounding, in units of the last place of
the weight."""

_TELLING = 64.0
"""Least size of the product, in the same units."""

Parts = tuple[tuple[str, str], ...]


def update_parts(context: SceneContext, layer: str, variable: str, index: tuple[int, ...]) -> Parts:
    """Return the weight before a recorded step, its gradient, the update and the weight after, by name.

    The step is that of the shown weights. Nothing if the capture has no training, or the update was not recorded.

    Parameters
    ----------
    layer
        Node id.
    variable, index
        The name of the layer's variable, and the index of the weight in it.
    """
    training, records = context.capture.training, context.capture.step_records
    if training is None or records is None or records.weight_step is None:
        return ()
    found = training.update(context.graph.node(layer).path, variable, records.weight_step)
    if (
        found is None
        or found.step != records.weight_step
        or len(index) != found.before.ndim
        or any(i >= n for i, n in zip(index, found.before.shape, strict=True))
    ):
        return ()
    before, gradient, after = found.before[index], found.gradient[index], found.after[index]
    if np.isnan(before):
        return ()
    with np.errstate(invalid="ignore", over="ignore"):
        update = np.float32(np.float64(after) - np.float64(before))
        product = np.float64(found.learning_rate) * np.float64(gradient)
        place = np.float64(np.spacing(abs(before)))
        exact_step = abs(np.float64(update) + product) <= _ROUNDING * place
    # An update of a few units of the last place would agree with any rule.
    by_rule = " = −learning rate × gradient" if exact_step and abs(product) > _TELLING * place else ""
    return (
        (f"before step {found.step:,}", exact(before)),
        ("gradient of its batch", exact(gradient)),
        ("update", f"{exact(update)}{by_rule}"),
        ("after", exact(after)),
    )
