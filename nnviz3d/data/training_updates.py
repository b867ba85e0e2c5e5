"""Recorded updates of single weights: the weight before a step, its gradient, and the weight after the step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class WeightUpdate:
    """The update of a variable by one step. All arrays have the shape of the variable.

    Attributes
    ----------
    step
        The training step.
    learning_rate
        The optimizer's learning rate at this step; NaN if unknown.
    before, after
        The weights before and after the step.
    gradient
        The gradient of the batch's loss, unscaled and before clipping.
    """

    step: int
    learning_rate: float
    before: NDArray[np.float32]
    gradient: NDArray[np.float32]
    after: NDArray[np.float32]
