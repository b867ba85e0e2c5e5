"""Score-CAM: class activation maps from scores of masked inputs, without gradients.

H. Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks", CVPR Workshops 2020,
arXiv:1910.01279.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.attributions.layer_gradients import activations, rectified
from nnviz3d.capture.attributions.method import Method, Settings
from nnviz3d.capture.attributions.spatial_layers import input_under
from nnviz3d.capture.attributions.variation_scores import VariationScores
from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.data.axes import as_arranged, channels_last
from nnviz3d.data.upsample import upsampled
from nnviz3d.errors import ModelError


def score_cam(
    model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
) -> NDArray[np.float32]:
    """Weigh each channel by the score of the input masked with this channel.

    Each channel is interpolated to the input's locations and scaled to [0, 1]; this mask blends the input (1) with the
    baseline (0). A softmax over the scores of the masked inputs gives the channels' weights (algorithm 1 of the paper;
    scores are those before the model's own softmax). The paper subtracts the baseline's score first, which does not
    change the softmax. A channel that is equal at all locations masks nothing and is left out.

    Raises
    ------
    ModelError
        If the layer has no spatial axes, or no input has spatial axes that correspond to them.
    """
    under = input_under(model.described, settings.layer)
    if under is None:
        raise ModelError(
            f"Score-CAM masks the input by {settings.layer}, but no input has spatial axes that correspond to it; "
            "use grad_cam."
        )
    arrays, targets = [np.asarray(values) for values in x], np.asarray(y)
    graph = model.described.graph
    named = graph.node(graph.inputs[under]).axes
    given, baselines = channels_last(arrays[under], named), channels_last(np.asarray(settings.baselines[under]), named)
    scores_of = VariationScores(model, g)
    maps: list[NDArray[np.float32]] = []
    for batch in activations(model, arrays, settings.layer):
        for values in batch:
            i = len(maps)
            # Channels first: one batch row for each channel.
            channels = np.moveaxis(values, -1, 0)
            axes = tuple(range(1, channels.ndim))
            low, high = channels.min(axis=axes, keepdims=True), channels.max(axis=axes, keepdims=True)
            telling = np.flatnonzero(high > low)
            if not len(telling):
                maps.append(np.zeros(values.shape[:-1], dtype=np.float32))
                continue
            channels, low, high = channels[telling], low[telling], high[telling]
            masks = ((channels - low) / (high - low)).astype(np.float32)
            base = baselines[i]

            def masked(
                k: NDArray[np.int64], i: int = i, masks: NDArray[np.float32] = masks, base: NDArray[Any] = base
            ) -> tuple[list[NDArray[Any]], NDArray[Any]]:
                inputs = [np.repeat(array[i : i + 1], len(k), axis=0) for array in arrays]
                share = upsampled(masks[k], base.shape[: masks.ndim - 1])
                share = share.reshape(*share.shape, *(1 for _ in base.shape[masks.ndim - 1 :]))
                inputs[under] = as_arranged(base + share * (given[i] - base), named)
                return inputs, np.repeat(targets[i], len(k))

            def advance(done: int, of: int, i: int = i) -> None:
                settings.report(i * of + done, len(targets) * of)

            scores = scores_of(len(telling), masked, advance).astype(np.float64)
            weights = np.exp(scores - scores.max())
            weights /= weights.sum()
            maps.append(rectified(np.tensordot(weights, channels, 1)).astype(np.float32))
    return np.stack(maps)


SCORE_CAM = Method("score_cam", "layer", attribute=score_cam, reads=("baseline",))
