"""Asks a model for one number of each of many variations of its samples, in batches, compiled once."""

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
"""Rows of a batch beyond which a processor gains nothing."""

Vary = Callable[[NDArray[np.int64]], tuple[Sequence[NDArray[Any]], NDArray[np.integer]]]
"""Makes the variations of these numbers, counted from 0: ``(m, *shape)`` for each input, and ``(m,)`` of what is asked."""


def rows_at_once(model: DifferentiableModel) -> int:
    """Return how many samples a batch may have: as many as the model insists on, or as memory holds activations of."""
    if model.only_batch is not None:
        return model.only_batch
    sizes = (math.prod(n or 1 for n in t.shape[1:]) for call in model.described.program.calls for t in call.outputs)
    return int(np.clip(MEMORY // (4 * sum(sizes)), 1, _MOST))


def whole_batch(model: DifferentiableModel, rows: NDArray[Any]) -> NDArray[Any]:
    """Repeat the last row until there are as many as the model insists on, if it insists."""
    return filled(rows, model.only_batch)


class Answers:
    """``g(model, x, y)`` as a function that was compiled.

    Parameters
    ----------
    model, g
        What answers, and which of its numbers.
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
        """Return the answers to variations 0 to ``count - 1``, ``(count,)``.

        Parameters
        ----------
        vary
            Makes some of them; only a batch stands in memory at a time.
        report
            Is told how many are done, and of how many.
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
