"""The gradient of a class's score by the pixels.

Karen Simonyan, Andrea Vedaldi, Andrew Zisserman: Deep Inside Convolutional Networks: Visualising Image Classification
Models and Saliency Maps. 2013. https://arxiv.org/abs/1312.6034

As there, the map has the largest absolute value over a pixel's channels, so it tells how much a pixel counts, not
whether it speaks for or against. The signed gradient of every number stands among the gradients of all layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.attributions.pixels import over_channels
from nnviz3d.capture.attributions.slopes import gradient_by_input
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator


def attribute(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Return the largest ``|gradient|`` over the channels of each place, ``(n, *places)``."""
    _, slopes = gradient_by_input(model, x, y, g, settings.layer)
    return over_channels(model.described, settings.layer, np.abs(slopes), np.max)


VANILLA = Method("vanilla", "input", attribute=attribute)
