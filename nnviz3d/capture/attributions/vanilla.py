"""Saliency map: the gradient of a class's score with respect to the pixels.

Karen Simonyan, Andrea Vedaldi, Andrew Zisserman: Deep Inside Convolutional Networks: Visualising Image Classification
Models and Saliency Maps. 2013. https://arxiv.org/abs/1312.6034

As in the paper, a map's value is the largest absolute value over a pixel's channels. So it shows the strength of a
pixel's influence without its sign. The signed gradient of every number is among the gradients of all layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.input_axes import over_channels
from nnviz3d.capture.attributions.input_gradients import gradient_by_input
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator


def attribute(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Return the largest ``|gradient|`` over the channels of each location, ``(n, *locations)``."""
    _, slopes = gradient_by_input(model, x, y, g, settings.layer)
    return over_channels(model.described, settings.layer, np.abs(slopes), np.max)


VANILLA = Method("vanilla", "input", attribute=attribute)
