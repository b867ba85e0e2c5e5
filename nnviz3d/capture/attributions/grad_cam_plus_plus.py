"""Grad-CAM++: class activation maps from gradients that are weighted at each location.

A. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-Based Visual Explanations for Deep Convolutional Networks",
WACV 2018, arXiv:1710.11063.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.layer_gradients import Numbers, combined, location_axes, rectified
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator


def grad_cam_plus_plus(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Weigh each channel by its positive gradients, normalized so that several objects in a picture count equally.

    As in the paper, the exponential of the score is differentiated. Its derivatives are powers of the score's
    gradient. Their common factor only scales the whole map and is left out.
    """

    def weighed(activation: Numbers, gradient: Numbers) -> Numbers:
        axes = location_axes(gradient)
        below = 2 * gradient**2 + activation.sum(axis=axes, keepdims=True) * gradient**3
        shares = np.divide(gradient**2, below, out=np.zeros_like(gradient), where=below != 0)
        weights = (shares * rectified(gradient)).sum(axis=axes, keepdims=True)
        return rectified((weights * activation).sum(axis=-1))

    return combined(model, x, y, g, settings, weighed)


GRAD_CAM_PLUS_PLUS = Method("grad_cam_plus_plus", "layer", attribute=grad_cam_plus_plus)
