"""Gradient times input: the part of the score that a pixel adds in a linear model.

Avanti Shrikumar, Peyton Greenside, Anna Shcherbina, Anshul Kundaje: Not Just a Black Box: Learning Important Features
Through Propagating Activation Differences. 2016. https://arxiv.org/abs/1605.01713
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
    """Return the sum of ``gradient * input`` over the channels of each location, ``(n, *locations)``."""
    _, slopes = gradient_by_input(model, x, y, g, settings.layer)
    values = np.asarray(x[model.described.graph.inputs.index(settings.layer)])
    return over_channels(model.described, settings.layer, slopes * values, np.sum)


GRADIENT_X_INPUT = Method("gradient_x_input", "input", attribute=attribute)
