"""Descriptions of layers in words: their kinds, and the settings and shapes that the graph holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from nnviz3d.data.axes import TIME
from nnviz3d.data.graph import LayerNode, ModelGraph
from nnviz3d.scene.context import shape_text

_NAMES = {
    "Conv": "convolution",
    "DepthwiseConv": "depthwise convolution",
    "SeparableConv": "separable convolution",
    "ConvTranspose": "transposed convolution",
    "Dense": "dense layer",
    "EinsumDense": "dense layer",
    "Gemm": "dense layer",
    "FullyConnected": "dense layer",
    "BatchNormalization": "batch normalization",
    "LayerNormalization": "layer normalization",
    "MaxPooling": "max pooling layer",
    "AveragePooling": "average pooling layer",
    "GlobalAveragePooling": "global average pooling layer",
    "GlobalMaxPooling": "global max pooling layer",
    "ZeroPadding": "padding layer",
    "UpSampling": "upsampling layer",
    "Add": "addition",
    "Multiply": "multiplication",
    "Concatenate": "concatenation",
    "Activation": "activation function",
    "ReLU": "activation function",
    "Softmax": "softmax layer",
    "Dropout": "dropout layer",
    "Flatten": "flattening layer",
    "Reshape": "reshaping layer",
    "Embedding": "embedding",
    "TextVectorization": "text vectorization layer",
    "MultiHeadAttention": "attention layer",
    "Attention": "attention layer",
    "LSTM": "LSTM layer",
    "GRU": "GRU layer",
    "SimpleRNN": "recurrent layer",
    "Bidirectional": "bidirectional layer",
    "Normalization": "normalization",
    "Rescaling": "rescaling layer",
}
"""Names of kinds of layers, without the number of their dimensions; other kinds keep the name of their class."""
_QUIET = (
    "Dropout",
    "Activation",
    "ReLU",
    "ZeroPadding",
    "Flatten",
    "Reshape",
    "BatchNormalization",
    "LayerNormalization",
)
"""Kinds that the words on a stage leave out if it has others."""
_JOINS = ("Add", "Multiply", "Concatenate")
"""Kinds that join tensors."""
_FUNCTIONS = {"relu": "ReLU", "relu6": "ReLU6", "elu": "ELU", "gelu": "GELU", "selu": "SELU", "silu": "swish"}
FUNCTIONS = {
    "relu": "ReLU sets negative sums to 0.",
    "softmax": "Softmax makes shares of the sums, which add up to 1.",
    "sigmoid": "The sigmoid makes a number from 0 to 1 of each sum.",
}
"""Descriptions of activation functions, as sentences."""
_ONE = "1 number"
_MOST_KINDS = 3
"""Maximum number of kinds that a sentence lists."""


def plain_kind(node: LayerNode) -> str:
    """Return a node's kind without the number of its dimensions: ``Conv`` for ``Conv2D``."""
    return re.sub(r"[123]D", "", node.kind)


def listed(nodes: Sequence[LayerNode]) -> str:
    """Count some layers by kind: ``2 convolutions``, or ``9 layers, among them 2 convolutions and 1 addition``."""
    kinds = [plain_kind(node) for node in nodes]
    told = [kind for kind in kinds if kind not in _QUIET] or kinds
    counts = Counter(_NAMES.get(kind, f"{kind} layer") for kind in told).most_common(_MOST_KINDS)
    parts = [f"{n:,} {name}{'s' * (n > 1)}" for name, n in counts]
    words = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    if sum(n for _, n in counts) == len(nodes):
        return words
    return f"{len(nodes):,} layers, among them {words}"


def what_it_does(graph: ModelGraph, node: LayerNode) -> str:
    """Return a sentence on one layer: what it computes, with its settings, and the shape of its output."""
    kind, details = plain_kind(node), node.details
    sources = graph.sources(node.id)
    given = graph.node(sources[0]).shape if sources else ()
    then = _then(node)
    channels = node.channels
    size = " × ".join("?" if n is None else f"{n:,}" for n in node.location_shape)
    if len(sources) > 1 and kind in _JOINS:
        return f"{_a(_NAMES[kind])} of {len(sources)} tensors gives {shape_text(node)} numbers{then}."
    match kind:
        case "Conv" | "ConvTranspose" | "SeparableConv" if size and channels and "kernel_size" in details:
            window = _by(details["kernel_size"])
            return f"{_a(_NAMES[kind])}: {channels:,} filters of {window} each make a map of {size}{then}."
        case "DepthwiseConv" if size and channels and "kernel_size" in details:
            window = _by(details["kernel_size"])
            return f"A depthwise convolution: a filter of {window} for each of {channels:,} channels{then}."
        case "Dense" | "Gemm" | "FullyConnected" if given and given[-1] and channels:
            where = " at each position" if len(node.shape) > 1 else ""
            units = f"each of its {channels:,} units" if channels > 1 else "its one unit"
            return f"A dense layer: {units} weighs all {given[-1]:,} numbers before it{where}{then}."
        case "Embedding" if channels:
            return f"An embedding: each token becomes {channels:,} numbers, a row of its weights."
        case "LSTM" | "GRU" | "SimpleRNN" if channels:
            keeps = "and gives its state at each step" if TIME in node.axes else "and gives its last state"
            name = "A recurrent layer" if kind == "SimpleRNN" else f"A recurrent layer ({kind})"
            return f"{name}: it reads the sequence step by step, {keeps}: {channels:,} numbers."
        case "MultiHeadAttention" if isinstance(details.get("num_heads"), int):
            heads = details["num_heads"]
            mix = "1 head mixes" if heads == 1 else f"{heads} heads mix"
            return f"An attention layer: {mix} the positions, which leaves {shape_text(node)}."
        case "MaxPooling" | "AveragePooling" if "pool_size" in details:
            keeps = "the largest number" if kind == "MaxPooling" else "the mean"
            window = _by(details["pool_size"])
            return f"{_a(_NAMES[kind])}: of each {window} it keeps {keeps}, which leaves {shape_text(node)}."
        case "GlobalAveragePooling" | "GlobalMaxPooling" if channels:
            keeps = "the mean" if "Average" in kind else "the largest number"
            return f"{_a(_NAMES[kind])}: of each of {channels:,} channels it keeps {keeps}."
    begins = _a(_NAMES[kind]) if kind in _NAMES else node.kind
    return f"{begins}, whose output is {shape_text(node)}{then}."


def what_they_do(graph: ModelGraph, nodes: Sequence[LayerNode]) -> tuple[str, ...]:
    """Return sentences on one layer or several.

    If they are a chain whose first layer has weights, and the others have none, they say what that one computes and what
    follows. Of other layers they say the kinds, and how the shape of the tensor changes.
    """
    first, last = nodes[0], nodes[-1]
    chain = all(graph.sources(node.id) == (before.id,) for before, node in pairwise(nodes))
    if len(nodes) == 1 or (chain and first.parameters and not any(node.parameters for node in nodes[1:])):
        return (what_it_does(graph, first), *_followed(nodes[1:]))
    own = {node.id for node in nodes}
    given = {name for node in nodes for name in graph.sources(node.id)} - own
    leading = [node.id for node in nodes if _leads_out(graph, node, own)]
    change = f"the last one gives {numbers_text(last)}"
    if len(given) == 1 and leading == [last.id]:
        before = graph.node(given.pop())
        taken = "the text" if plain_kind(first) == "TextVectorization" else numbers_text(before)
        change = f"{taken} become{'s' if taken in ('the text', _ONE) else ''} {numbers_text(last)}"
        if before.shape == last.shape:
            change = f"{numbers_text(before)} become as many new ones"
    return (f"{listed(nodes)}: {change}.",)


def numbers_text(node: LayerNode) -> str:
    """Write the size of a node's output: ``28 × 28 × 1 numbers``."""
    shape = shape_text(node)
    return _ONE if shape in ("1", "scalar") else f"{shape} numbers"


def _leads_out(graph: ModelGraph, node: LayerNode, own: set[str]) -> bool:
    """Whether a node is an output, or a node that is not one of these takes its numbers."""
    return node.id in graph.outputs or any(edge.target not in own for edge in graph.edges_from(node.id))


def _followed(nodes: Sequence[LayerNode]) -> tuple[str, ...]:
    """Return a sentence on layers without weights that follow another one; none if there is nothing to say."""
    told = [node for node in nodes if plain_kind(node) not in ("Dropout", "Flatten")]
    if not told:
        return ()
    names = list(dict.fromkeys(_NAMES.get(plain_kind(node), node.kind).removesuffix(" layer") for node in told))
    return (f"Then {', '.join(names)}: {numbers_text(nodes[-1])} remain{'s' * (numbers_text(nodes[-1]) == _ONE)}.",)


def _then(node: LayerNode) -> str:
    function = node.activation
    return f", then {_FUNCTIONS.get(function, function)}" if function and function != "linear" else ""


def _a(name: str) -> str:
    return f"{'An' if name[0] in 'aeiou' else 'A'} {name}"


def _by(sizes: Any) -> str:
    """Write the size of a window: ``3 × 3``."""
    return " × ".join(str(n) for n in sizes) if isinstance(sizes, list | tuple) else str(sizes)
