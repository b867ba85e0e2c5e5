"""SmoothGrad: the mean gradient of noisy copies of a sample, which has less noise than the sample's own gradient.

Daniel Smilkov, Nikhil Thorat, Been Kim, Fernanda Viégas, Martin Wattenberg: SmoothGrad: Removing Noise by Adding Noise.
2017. https://arxiv.org/abs/1706.03825

As for `vanilla`, a map's value is the largest absolute value over a pixel's channels, here of the mean gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.input_axes import over_channels
from nnviz3d.capture.attributions.input_gradients import mean_gradient
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator

COPIES = 50
NOISE = 0.15
"""Standard deviation of the noise, as a share of the sample's range; the paper recommends 10 to 20 %."""


def attribute(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Return the largest ``|mean gradient|`` over the channels of each location, ``(n, *locations)``.

    Every sample gets the same noise, scaled to its range, so its map does not depend on the other samples.
    """
    position = model.described.graph.inputs.index(settings.layer)
    values = np.asarray(x[position])
    each = tuple(range(1, values.ndim))
    deviation = NOISE * (values.max(axis=each, keepdims=True) - values.min(axis=each, keepdims=True))
    random = np.random.default_rng(settings.seed)

    def noisy(clean: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(clean + deviation * random.standard_normal(values.shape[1:]))

    mean = mean_gradient(model, x, y, g, settings.layer, [(1 / COPIES, noisy)] * COPIES, settings.report)
    return over_channels(model.described, settings.layer, np.abs(mean), np.max)


SMOOTHGRAD = Method(
    "smoothgrad",
    "input",
    attribute=attribute,
    reads=("seed",),
    constants={"copies": COPIES, "noise": NOISE},
)
