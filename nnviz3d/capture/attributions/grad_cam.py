"""Grad-CAM: gradient-weighted class activation mapping.

R. R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
arXiv:1610.02391.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.layer_gradients import Numbers, combined, location_axes, rectified
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator


def grad_cam(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Weigh each channel by the mean over locations of the score's gradient, and keep positive values."""

    def weighed(activation: Numbers, gradient: Numbers) -> Numbers:
        weights = gradient.mean(axis=location_axes(gradient), keepdims=True)
        return rectified((weights * activation).sum(axis=-1))

    return combined(model, x, y, g, settings, weighed)


GRAD_CAM = Method("grad_cam", "layer", attribute=grad_cam)
