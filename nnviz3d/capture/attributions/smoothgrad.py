"""The mean gradient of noisy copies of a sample, which is less ragged than that of the sample itself.

Daniel Smilkov, Nikhil Thorat, Been Kim, Fernanda Viégas, Martin Wattenberg: SmoothGrad: Removing Noise by Adding Noise.
2017. https://arxiv.org/abs/1706.03825

As for the gradient itself, the map has the largest absolute value of the mean over a pixel's channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.attributions.pixels import over_channels
from nnviz3d.capture.attributions.slopes import mean_gradient
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator

COPIES = 50
NOISE = 0.15
"""Standard deviation of the noise, as a share of the sample's range: 10 to 20 % look best in the paper."""


def attribute(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Return the largest ``|mean gradient|`` over the channels of each place, ``(n, *places)``.

    Every sample gets the same noise, up to its own range, so that its map is the same in whatever company.
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
