"""LayerCAM: class activation maps of early, high-resolution layers too.

P.-T. Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE Transactions on
Image Processing 30, 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.layer_gradients import Numbers, combined, rectified
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator


def layer_cam(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Weigh each activation by its own gradient where that is positive; this works for early, high-resolution layers."""

    def weighed(activation: Numbers, gradient: Numbers) -> Numbers:
        return rectified((rectified(gradient) * activation).sum(axis=-1))

    return combined(model, x, y, g, settings, weighed)


LAYER_CAM = Method("layer_cam", "layer", attribute=layer_cam)
