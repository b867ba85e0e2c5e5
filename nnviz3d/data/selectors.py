"""Selectors of layers: a name, a pattern of names, a kind such as ``last convolution``, or several alternatives.

Scene files and the command line contain selectors; the scene and the capture process read them with this module.
A selector is one of

- a node id, ``conv2d_1``, or a pattern of ids, ``block*/conv``;
- the path of a nested model, a wrapper or a composite layer, ``encoder``: its last layer;
- ``first KIND``, ``last KIND`` or ``every KIND``, where KIND is one of `KINDS`: it fits any model that has such a layer;
- ``last hidden``: the layer before the output layer;
- several of these with ``or`` between them, ``conv2d_1 or first convolution``: the first that fits the model counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase

from nnviz3d.data.graph import LayerNode, ModelGraph, head_of

_OR = " or "
_SAME_NUMBERS = ("Dropout", "ActivityRegularization", "Identity")
"""Kinds of layers that return their input unchanged at inference."""


def _with(*words: str, without: tuple[str, ...] = ()) -> Callable[[LayerNode], bool]:
    def fits(node: LayerNode) -> bool:
        return any(word in node.kind for word in words) and not any(word in node.kind for word in without)

    return fits


KINDS: dict[str, Callable[[LayerNode], bool]] = {
    "convolution": _with("Conv", without=("LSTM",)),
    "dense": _with("Dense", "Gemm", "FullyConnected"),
    "pooling": _with("Pool"),
    "normalization": _with("Norm"),
    "attention": _with("Attention"),
    "recurrent": _with("LSTM", "GRU", "RNN", "Bidirectional"),
    "embedding": _with("Embedding"),
}
"""Kinds of layers that a selector can ask for."""
_BY_KIND = re.compile(rf"(?P<which>first|last|every) (?P<kind>{'|'.join(KINDS)})|last hidden")


def by_kind(selector: str) -> bool:
    """Whether a selector ends in a kind of layer, which does not depend on a model's layer names."""
    return any(_BY_KIND.fullmatch(one) for one in selector.split(_OR))


def without_names(selector: str) -> str:
    """Return a selector for models with other layer names: only its kind, if it ends in one."""
    return _OR.join(one for one in selector.split(_OR) if not by_kind(selector) or by_kind(one))


def matching(selector: str, graph: ModelGraph) -> tuple[str, ...]:
    """Return the nodes that a selector fits, in the graph's order; empty if the model has no such layer."""
    if selector in graph:
        return (selector,)
    for one in selector.split(_OR):
        found = _found(one, graph)
        if found:
            return found
    return ()


def lacks(selector: str, graph: ModelGraph) -> str:
    """Return the beginning of a sentence about a missing kind of layer: ``birdnet has no convolution``."""
    kinds = dict.fromkeys(one.rpartition(" ")[2] for one in selector.split(_OR) if by_kind(one))
    words = (kind if kind == "convolution" else f"{kind} layer" for kind in kinds)
    return f"{graph.name} has no {' and no '.join(words)}"


def _found(selector: str, graph: ModelGraph) -> tuple[str, ...]:
    match = _BY_KIND.fullmatch(selector)
    if match is None:
        named = tuple(node.id for node in graph if node.id == selector or fnmatchcase(node.id, selector))
        return named or tuple(node.id for node in graph if node.path.startswith(f"{selector}/"))[-1:]
    if match["kind"] is None:
        hidden = _last_hidden(graph)
        return () if hidden is None else (hidden,)
    found = tuple(node.id for node in graph if KINDS[match["kind"]](node))
    return found if match["which"] == "every" else found[:1] if match["which"] == "first" else found[-1:]


def _last_hidden(graph: ModelGraph) -> str | None:
    """Find the layer before the output layer, skipping layers that only pass numbers on; `None` if it is the input."""
    output = head_of(graph)
    weighted = {node.path for node in graph if node.parameters}
    # A separate softmax may follow the layer whose weights compute the scores.
    while output is not None and graph.node(output).path not in weighted:
        output = next(iter(graph.sources(output)), None)
    hidden = None if output is None else next(iter(graph.sources(output)), None)
    while hidden is not None and any(kind in graph.node(hidden).kind for kind in _SAME_NUMBERS):
        hidden = next(iter(graph.sources(hidden)), None)
    return None if hidden in graph.inputs else hidden
