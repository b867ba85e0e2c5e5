"""Scores of many variations of samples, computed in batches by one compiled function."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nnviz3d.capture.programs.activations import MEMORY, filled
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.capture.programs.frozen import Compiled

_MOST = 128
"""Largest batch; larger ones are not faster on a CPU."""

Vary = Callable[[NDArray[np.int64]], tuple[Sequence[NDArray[Any]], NDArray[np.integer]]]
"""Makes the variations with the given numbers, from 0: ``(m, *shape)`` for each input, and targets ``(m,)``."""


def rows_at_once(model: DifferentiableModel, copies: int = 1) -> int:
    """Return the batch size: the only one that the model takes, or the largest whose activations fit into memory.

    Parameters
    ----------
    copies
        How many copies of the activations have to fit.
    """
    if model.only_batch is not None:
        return model.only_batch
    if model.draws:
        return model.batch_size(_MOST, copies)
    sizes = (math.prod(n or 1 for n in t.shape[1:]) for call in model.described.program.calls for t in call.outputs)
    return max(1, int(np.clip(MEMORY // (4 * sum(sizes)), 1, _MOST)) // copies)


def whole_batch(model: DifferentiableModel, rows: NDArray[Any]) -> NDArray[Any]:
    """Repeat the last row up to the only batch size of the model, if it has one."""
    return filled(rows, model.only_batch)


class VariationScores:
    """``g(model, x, y)`` for many variations of samples, as a compiled function.

    Parameters
    ----------
    model, g
        The model, and the operator that reads one number of each sample.
    """

    def __init__(self, model: DifferentiableModel, g: Operator) -> None:
        def build() -> Compiled:
            def run(y: Any, *x: Any) -> Any:
                return tf.cast(g(model, x, y), tf.float32)

            signature = [tf.TensorSpec((model.only_batch,), tf.int64), *model.signature]
            return Compiled(run, signature)

        self._model = model
        self._rows = rows_at_once(model)
        self._run = model.compiled(("numbers", g), build)

    def __call__(
        self, count: int, vary: Vary, report: Callable[[int, int], None] = lambda done, total: None
    ) -> NDArray[np.float32]:
        """Return the numbers of variations 0 to ``count - 1``, ``(count,)``.

        Parameters
        ----------
        vary
            Makes some of the variations; only one batch is in memory at a time.
        report
            Called with the finished and the total number of variations.
        """
        found = np.empty(count, dtype=np.float32)
        for start in range(0, count, self._rows):
            numbers = np.arange(start, min(start + self._rows, count))
            x, y = vary(numbers)
            inputs = self._model.tensors([whole_batch(self._model, np.asarray(part)) for part in x])
            answers = self._run(tf.constant(whole_batch(self._model, np.asarray(y, dtype=np.int64))), *inputs)
            found[numbers] = np.asarray(answers)[: len(numbers)]
            report(int(numbers[-1]) + 1, count)
        return found
