"""Attention rollout: how much each place of the last layer's answer takes from each place of the first one's input.

S. Abnar and W. Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020, arXiv:2005.00928.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def rollout(layers: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Follow attention through layers of self-attention.

    Each layer counts as the mean of its heads, and as half of what it answers: the other half goes past it, along the
    residual connection. What reaches a place through several layers is the product of their matrices. Feed-forward
    parts, which stay at their place, do not count.

    Parameters
    ----------
    layers
        ``(heads, T, T)`` each, one or more, in the order in which they run. The number of heads may differ.

    Returns
    -------
    ``(T, T)``: queries of the last layer by places of the first one's input. Each row adds up to 1; a place that a mask
    lets look nowhere keeps to itself.

    Raises
    ------
    ValueError
        If there is no layer, or they are of different lengths.
    """
    shapes = {scores.shape[1:] for scores in layers}
    if len(shapes) != 1 or len({*next(iter(shapes))}) != 1:
        raise ValueError(f"expected self-attention of one length, (heads, T, T) each; got {sorted(shapes)}")
    places = np.eye(layers[0].shape[-1])
    through = places
    for scores in layers:
        mixed = 0.5 * scores.mean(axis=0, dtype=np.float64) + 0.5 * places
        through = mixed / mixed.sum(axis=1, keepdims=True) @ through
    return through.astype(np.float32)
