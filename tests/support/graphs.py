"""Graphs built by hand: chains, skips, branches, several inputs and outputs, short and long."""

from __future__ import annotations

from itertools import pairwise

from nnviz3d.data.graph import Edge, LayerNode, ModelGraph

Spec = tuple[str, str, tuple[int | None, ...]]


def graph_of(nodes: list[Spec], edges: list[tuple[str, str]], name: str = "hand") -> ModelGraph:
    """Build a graph; nodes without incoming edges are its inputs, nodes without outgoing edges its outputs."""
    sources, targets = {a for a, _ in edges}, {b for _, b in edges}
    return ModelGraph(
        name,
        tuple(LayerNode(name, 0, kind, (shape,)) for name, kind, shape in nodes),
        tuple(Edge(a, b) for a, b in edges),
        tuple(name for name, _, _ in nodes if name not in targets),
        tuple(name for name, _, _ in nodes if name not in sources),
    )


def chain(nodes: list[Spec]) -> ModelGraph:
    names = [name for name, _, _ in nodes]
    return graph_of(nodes, list(pairwise(names)))


def small_chain() -> ModelGraph:
    return chain([("input", "InputLayer", (28, 28, 1)), ("conv", "Conv2D", (26, 26, 32)), ("out", "Dense", (10,))])


def digits_like() -> ModelGraph:
    return chain(
        [
            ("input", "InputLayer", (28, 28, 1)),
            ("conv", "Conv2D", (26, 26, 32)),
            ("pool", "MaxPooling2D", (13, 13, 32)),
            ("conv_1", "Conv2D", (11, 11, 64)),
            ("pool_1", "MaxPooling2D", (5, 5, 64)),
            ("conv_2", "Conv2D", (3, 3, 64)),
            ("flatten", "Flatten", (576,)),
            ("dense", "Dense", (64,)),
            ("dense_1", "Dense", (10,)),
        ]
    )


def vgg_like() -> ModelGraph:
    nodes: list[Spec] = [("input", "InputLayer", (224, 224, 3))]
    side = 224
    for block, (count, channels) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], start=1):
        nodes += [(f"block{block}_conv{k}", "Conv2D", (side, side, channels)) for k in range(1, count + 1)]
        side //= 2
        nodes.append((f"block{block}_pool", "MaxPooling2D", (side, side, channels)))
    nodes += [("flatten", "Flatten", (25088,)), ("fc1", "Dense", (4096,)), ("fc2", "Dense", (4096,))]
    nodes.append(("predictions", "Dense", (1000,)))
    return chain(nodes)


def residual() -> ModelGraph:
    """Return two blocks with a skip each; the second skip contains a convolution."""
    shape = (16, 16, 8)
    names = ["input", "stem", "a1", "a2", "add_a", "b1", "b2", "b3", "short", "add_b", "head"]
    kinds = ["InputLayer", *["Conv2D"] * 3, "Add", *["Conv2D"] * 4, "Add", "Dense"]
    shapes: list[tuple[int | None, ...]] = [(16, 16, 3), *[shape] * 9, (10,)]
    edges = [
        ("input", "stem"),
        ("stem", "a1"),
        ("a1", "a2"),
        ("a2", "add_a"),
        ("stem", "add_a"),
        ("add_a", "b1"),
        ("b1", "b2"),
        ("b2", "b3"),
        ("b3", "add_b"),
        ("add_a", "short"),
        ("short", "add_b"),
        ("add_b", "head"),
    ]
    return graph_of(list(zip(names, kinds, shapes, strict=True)), edges)


def inception() -> ModelGraph:
    """Return two modules of four branches of unequal length that end in a concatenation."""
    nodes: list[Spec] = [("input", "InputLayer", (32, 32, 3)), ("stem", "Conv2D", (16, 16, 32))]
    edges = [("input", "stem")]
    before = "stem"
    for module in ("m1", "m2"):
        ends = []
        for branch, length in enumerate((1, 2, 3, 2)):
            last = before
            for k in range(length):
                name = f"{module}/b{branch}/conv{k}"
                nodes.append((name, "Conv2D", (16, 16, 16)))
                edges.append((last, name))
                last = name
            ends.append(last)
        nodes.append((f"{module}/concat", "Concatenate", (16, 16, 64)))
        edges += [(end, f"{module}/concat") for end in ends]
        before = f"{module}/concat"
    nodes.append(("head", "Dense", (10,)))
    return graph_of(nodes, [*edges, (before, "head")])


def two_inputs_two_outputs() -> ModelGraph:
    nodes: list[Spec] = [
        ("image", "InputLayer", (32, 32, 3)),
        ("words", "InputLayer", (None, 40)),
        ("conv", "Conv2D", (30, 30, 8)),
        ("pool", "GlobalAveragePooling2D", (8,)),
        ("lstm", "LSTM", (16,)),
        ("concat", "Concatenate", (24,)),
        ("class", "Dense", (5,)),
        ("score", "Dense", (1,)),
    ]
    edges = [
        ("image", "conv"),
        ("conv", "pool"),
        ("words", "lstm"),
        ("pool", "concat"),
        ("lstm", "concat"),
        ("concat", "class"),
        ("concat", "score"),
    ]
    return graph_of(nodes, edges)


def unet() -> ModelGraph:
    """Return skips within skips: the outer one passes over the inner one."""
    nodes: list[Spec] = [
        ("input", "InputLayer", (32, 32, 1)),
        ("down1", "Conv2D", (32, 32, 8)),
        ("pool1", "MaxPooling2D", (16, 16, 8)),
        ("down2", "Conv2D", (16, 16, 16)),
        ("pool2", "MaxPooling2D", (8, 8, 16)),
        ("bottom", "Conv2D", (8, 8, 32)),
        ("up2", "UpSampling2D", (16, 16, 32)),
        ("join2", "Concatenate", (16, 16, 48)),
        ("conv2", "Conv2D", (16, 16, 16)),
        ("up1", "UpSampling2D", (32, 32, 16)),
        ("join1", "Concatenate", (32, 32, 24)),
        ("mask", "Conv2D", (32, 32, 1)),
    ]
    names = [name for name, _, _ in nodes]
    edges = [*pairwise(names), ("down1", "join1"), ("down2", "join2")]
    return graph_of(nodes, edges)


def resnet50_like() -> ModelGraph:
    """Return the 177 nodes of ResNet50, with their real shapes."""
    nodes: list[Spec] = []
    edges: list[tuple[str, str]] = []

    def add(name: str, kind: str, shape: tuple[int | None, ...], *sources: str) -> str:
        nodes.append((name, kind, shape))
        edges.extend((source, name) for source in sources)
        return name

    last = add("input", "InputLayer", (224, 224, 3))
    last = add("pad", "ZeroPadding2D", (230, 230, 3), last)
    last = add("conv", "Conv2D", (112, 112, 64), last)
    last = add("bn", "BatchNormalization", (112, 112, 64), last)
    last = add("relu", "Activation", (112, 112, 64), last)
    last = add("pool_pad", "ZeroPadding2D", (114, 114, 64), last)
    last = add("pool", "MaxPooling2D", (56, 56, 64), last)
    side = 56
    for context, (count, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)], start=2):
        for block in range(1, count + 1):
            if block == 1 and context > 2:
                side //= 2
            narrow, wide, p = (side, side, width), (side, side, 4 * width), f"s{context}b{block}"
            skip = last
            if block == 1:
                skip = add(f"{p}_0_bn", "BatchNormalization", wide, add(f"{p}_0_conv", "Conv2D", wide, last))
            for k in (1, 2):
                last = add(f"{p}_{k}_conv", "Conv2D", narrow, last)
                last = add(f"{p}_{k}_bn", "BatchNormalization", narrow, last)
                last = add(f"{p}_{k}_relu", "Activation", narrow, last)
            last = add(f"{p}_3_bn", "BatchNormalization", wide, add(f"{p}_3_conv", "Conv2D", wide, last))
            last = add(f"{p}_out", "Activation", wide, add(f"{p}_add", "Add", wide, skip, last))
    last = add("avg_pool", "GlobalAveragePooling2D", (2048,), last)
    add("predictions", "Dense", (1000,), last)
    return graph_of(nodes, edges)


GRAPHS = {
    "3 nodes": small_chain,
    "9 nodes": digits_like,
    "23 nodes": vgg_like,
    "residual": residual,
    "inception": inception,
    "two in, two out": two_inputs_two_outputs,
    "u-net": unet,
    "177 nodes": resnet50_like,
}
"""Functions that make the graphs for all tests of a layout."""
