"""CAM: class activation mapping.

B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, arXiv:1512.04150.

If a model ends in global average pooling and one dense layer, the map's value at a location is the sum of the
channels there, each times the dense layer's weight for the class. The score is the mean of the map plus the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.layer_gradients import Numbers, combined, location_axes
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.attributions.spatial_layers import pooled_by, pooled_head
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.errors import ModelError


def cam(model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings) -> NDArray[np.float32]:
    """Weigh the channels of each location as the head does; the mean of the map plus the bias is the score.

    Raises
    ------
    ModelError
        If the model has another head, or the layer is not the one that is pooled.
    """
    described = model.described
    heads = [head for output in described.graph.outputs if (head := pooled_head(described, output)) is not None]
    if not heads:
        raise ModelError("CAM needs global average pooling followed by one Dense layer; use grad_cam.")
    pooled = dict.fromkeys(pooled_by(described, head) for head in heads)
    if settings.layer not in pooled:
        raise ModelError(
            f"CAM needs the layer before global average pooling, {' or '.join(pooled)}; use grad_cam for "
            f"{settings.layer}."
        )

    def weighed(activation: Numbers, gradient: Numbers) -> Numbers:
        # The score is linear in the pooled channels, which are means over locations. So the sum over locations of its
        # derivative with respect to a channel is the dense layer's weight. This holds for any operator that reads scores.
        weights = gradient.sum(axis=location_axes(gradient), keepdims=True)
        maps: Numbers = (weights * activation).sum(axis=-1)
        return maps

    return combined(model, x, y, g, settings, weighed)


CAM = Method("cam", "layer", attribute=cam)
