"""The arithmetic of attention layers: the scores of a query times what each head takes from each key's position.

Vaswani et al. 2017, arXiv:1706.03762. A number of `MultiHeadAttention` for query t and channel c is

    sum over heads h and positions s of  score[h, t, s] * (value[s] @ V[h] + v[h]) @ O[h, :, c]  +  o[c].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.analysis.sum_terms import CellSum, UnknownSumError, weight_of
from nnviz3d.data.graph import LayerNode

ATTENTION = ("MultiHeadAttention", "GroupQueryAttention", "Attention", "AdditiveAttention")
"""Kinds of layers whose arithmetic `attended` knows."""
Numbers = NDArray[np.float64]


def attended(
    node: LayerNode,
    index: tuple[int, ...],
    inputs: Sequence[NDArray[np.float32]],
    weights: Mapping[str, NDArray[Any]],
    scores: NDArray[np.float32] | None,
) -> CellSum:
    """Return the terms of a number of an attention layer, one for each head and position.

    Parameters
    ----------
    inputs
        Query, value and, if it is another tensor than the value, key; only one tensor for self-attention.
    scores
        ``(heads, T, S)`` as captured; otherwise they are computed here, without masks.

    Raises
    ------
    UnknownSumError
        If the tensors are no sequences, or weights were not stored.
    """
    query, value = inputs[0], inputs[min(1, len(inputs) - 1)]
    key = inputs[2] if len(inputs) > 2 else value
    if len(index) != 2 or any(one.ndim != 2 for one in (query, value, key)) or len(inputs) > 3:
        raise UnknownSumError("it attends over more than one axis, or takes a mask")
    (step, channel), source = index, min(1, len(inputs) - 1)
    shares: Numbers | None
    if node.kind in ("Attention", "AdditiveAttention"):
        given, bias = value[np.newaxis, :, channel].astype(np.float64), 0.0
        sizes = np.abs(given)
        logits = 0.0
        if scores is not None:
            shares = _stored(scores, step, 1, len(value))
        elif node.kind == "Attention":
            shares = _dot_product(query[step], key)
        else:
            shares = _additive(query[step], key, weights)
    else:
        given, sizes, bias = _taken(weights, value, channel)
        if scores is None:
            shares, logits = _scores(weights, query[step], key)
        else:
            shares, logits = _stored(scores, step, len(given), len(value)), 0.0
    if shares is None or shares.shape != given.shape:
        raise UnknownSumError("its scores have another shape")
    if not shares.any():
        raise UnknownSumError("a mask hides all positions from this one")
    heads, positions = given.shape
    places = np.tile(np.arange(positions), heads)[:, np.newaxis]
    names = tuple(f"head {head}" for head in range(heads) for _ in range(positions)) if heads > 1 else ()
    hidden = float((shares * sizes).sum()) * (1 + logits)
    return CellSum(
        np.full(heads * positions, source, dtype=np.int64),
        places,
        shares.reshape(-1),
        given.reshape(-1),
        bias,
        names=names,
        weight_name="score",
        hidden=hidden,
    )


def _taken(
    weights: Mapping[str, NDArray[Any]], value: NDArray[np.float32], channel: int
) -> tuple[Numbers, Numbers, float]:
    """Return what each head takes from each position for a channel of the output, ``(heads, S)``.

    Returns
    -------
    The numbers, the sums of the sizes of their terms, and the bias of the channel.
    """
    kernel, out = (
        np.asarray(weight_of(weights, f"{name}.kernel"), np.float64) for name in ("value", "attention_output")
    )
    if kernel.ndim != 3 or out.ndim != 3 or value.shape[1] != kernel.shape[0]:
        raise UnknownSumError("its weights do not fit its input")
    own = np.asarray(weights.get("value.bias", np.zeros(kernel.shape[1:])), dtype=np.float64)
    if out.shape[0] % kernel.shape[1]:
        raise UnknownSumError("its weights do not fit its input")
    # In grouped-query attention several heads share a value.
    repeats = out.shape[0] // kernel.shape[1]
    kernel, own = np.repeat(kernel, repeats, axis=1), np.repeat(own, repeats, axis=0)
    column = out[..., channel]
    values = np.einsum("sj,jhd->hsd", value.astype(np.float64), kernel) + own[:, np.newaxis]
    sizes = np.einsum("sj,jhd->hsd", np.abs(value.astype(np.float64)), np.abs(kernel)) + np.abs(own[:, np.newaxis])
    bias = weights.get("attention_output.bias")
    return (
        np.einsum("hsd,hd->hs", values, column),
        np.einsum("hsd,hd->hs", sizes, np.abs(column)),
        0.0 if bias is None else float(bias[channel]),
    )


def _scores(
    weights: Mapping[str, NDArray[Any]], query: NDArray[np.float32], key: NDArray[np.float32]
) -> tuple[Numbers, float]:
    """Return the scores of one query without masks, ``(heads, S)``, and the greatest size of what the softmax takes."""
    kernels = {name: np.asarray(weight_of(weights, f"{name}.kernel"), dtype=np.float64) for name in ("query", "key")}
    if any(kernel.ndim != 3 for kernel in kernels.values()) or query.shape[-1] != kernels["query"].shape[0]:
        raise UnknownSumError("its weights do not fit its input")
    biases = {
        name: np.asarray(weights.get(f"{name}.bias", np.zeros(k.shape[1:])), np.float64) for name, k in kernels.items()
    }
    asked = np.einsum("j,jhd->hd", query.astype(np.float64), kernels["query"]) + biases["query"]
    keys = np.einsum("sj,jhd->hsd", key.astype(np.float64), kernels["key"]) + biases["key"][:, np.newaxis]
    keys = np.repeat(keys, max(len(asked) // max(len(keys), 1), 1), axis=0)
    if len(keys) != len(asked):
        raise UnknownSumError("its weights do not fit its input")
    products = np.einsum("hd,hsd->hs", asked, keys) / np.sqrt(asked.shape[-1])
    return _softmax(products), float(np.abs(products).max(initial=0.0))


def _dot_product(query: NDArray[np.float32], key: NDArray[np.float32]) -> Numbers:
    """Return the scores of one query of `Attention` without a scale, ``(1, S)``."""
    if query.shape[-1] != key.shape[-1]:
        raise UnknownSumError("its query and key have other sizes")
    return _softmax((key.astype(np.float64) @ query.astype(np.float64))[np.newaxis])


def _additive(query: NDArray[np.float32], key: NDArray[np.float32], weights: Mapping[str, NDArray[Any]]) -> Numbers:
    """Return the scores of one query of `AdditiveAttention`, ``(1, S)``."""
    if query.shape[-1] != key.shape[-1]:
        raise UnknownSumError("its query and key have other sizes")
    scale = np.asarray(weights.get("scale", np.ones(query.shape[-1])), dtype=np.float64)
    return _softmax((scale * np.tanh(query.astype(np.float64) + key)).sum(axis=-1)[np.newaxis])


def _stored(scores: NDArray[np.float32], step: int, heads: int, positions: int) -> Numbers | None:
    fits = scores.ndim == 3 and scores.shape[0] == heads and scores.shape[2] == positions and step < scores.shape[1]
    return scores[:, step].astype(np.float64) if fits else None


def _softmax(values: Numbers) -> Numbers:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
