"""Attention rollout: the share of each input token of the first layer in each output token of the last layer.

S. Abnar and W. Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020, arXiv:2005.00928.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def rollout(layers: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Combine the attention of several layers of self-attention.

    The matrix of a layer is the mean of its heads, mixed in equal parts with the identity, which stands for the residual
    connection. The result is the product of the matrices of all layers. Feed-forward parts do not mix tokens and are
    ignored.

    Parameters
    ----------
    layers
        ``(heads, T, T)`` each, one or more, in the order in which they run. The number of heads may differ.

    Returns
    -------
    ``(T, T)``: queries of the last layer by tokens of the first layer's input. Each row adds up to 1; a token whose mask
    excludes all tokens attends only to itself.

    Raises
    ------
    ValueError
        If there is no layer, or they are of different lengths.
    """
    shapes = {scores.shape[1:] for scores in layers}
    if len(shapes) != 1 or len({*next(iter(shapes))}) != 1:
        raise ValueError(f"expected self-attention of one length, (heads, T, T) each; got {sorted(shapes)}")
    identity = np.eye(layers[0].shape[-1])
    through = identity
    for scores in layers:
        mixed = 0.5 * scores.mean(axis=0, dtype=np.float64) + 0.5 * identity
        through = mixed / mixed.sum(axis=1, keepdims=True) @ through
    return through.astype(np.float32)
