"""Families of layers, by the words in their kinds, and the colour of each."""

from __future__ import annotations

from nnviz3d.data.graph import LayerNode
from nnviz3d.scene.colors import Color

FAMILIES: dict[str, Color] = {
    "input": (0.62, 0.68, 0.78),
    "convolution": (0.98, 0.60, 0.26),
    "dense": (0.94, 0.38, 0.47),
    "pooling": (0.33, 0.72, 0.93),
    "normalization": (0.45, 0.88, 0.62),
    "activation": (0.93, 0.82, 0.45),
    "attention": (0.77, 0.49, 0.80),
    "recurrent": (0.62, 0.52, 0.96),
    "merge": (0.41, 0.90, 0.75),
    "other": (0.45, 0.49, 0.58),
    "group": (0.86, 0.89, 0.95),
}
"""The colour of each family; they differ for people without one kind of cones, too."""
_WORDS = (
    ("input", ("Input",)),
    ("attention", ("Attention",)),
    ("convolution", ("Conv",)),
    ("pooling", ("Pool",)),
    ("normalization", ("Norm", "Rescaling")),
    ("recurrent", ("LSTM", "GRU", "RNN", "Bidirectional")),
    ("merge", ("Add", "Concat", "Multiply", "Subtract", "Average", "Maximum", "Minimum", "Dot", "Mul")),
    (
        "activation",
        ("Activation", "ReLU", "Relu", "Softmax", "Sigmoid", "Silu", "Gelu", "LeakyReLU", "PReLU", "ELU", "Tanh"),
    ),
    ("dense", ("Dense", "EinsumDense", "Embedding", "Gemm", "FullyConnected")),
)


def family_of(node: LayerNode) -> str:
    """Return the family of a layer by the words in its kind; ``group`` for a closed group of layers."""
    if node.members:
        return "group"
    if node.kind == "MatMul" and node.parameters:  # as ONNX has it; without weights it merges two tensors
        return "dense"
    for family, words in _WORDS:
        if any(word in node.kind for word in words):
            return family
    return "other"
