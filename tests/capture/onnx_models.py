"""Small ONNX models, made by `onnx.helper`."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(0)


def array(name, *shape, scale=0.3):
    return numpy_helper.from_array((RNG.standard_normal(shape) * scale).astype(np.float32), name)


def whole(name, *values):
    return numpy_helper.from_array(np.array(values if len(values) > 1 else values[0], dtype=np.int64), name)


def node(kind, inputs, outputs, name="", **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), name=name, **attributes)


def model(nodes, inputs, outputs, stored, name="net"):
    graph = helper.make_graph(nodes, name, inputs, outputs, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def real(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def integers(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def cnn(batch="N"):
    """A convolutional network with channels first, as PyTorch exports it: the flattened size is computed."""
    variance = numpy_helper.from_array(RNG.uniform(0.5, 2, 6).astype(np.float32), "variance")
    stored = [array("w1", 4, 1, 3, 3), array("b1", 4), array("w2", 6, 2, 3, 3), array("gamma", 6), array("beta", 6)]
    stored += [array("mean", 6), variance, array("fw", 10, 6 * 12 * 12, scale=0.05), array("fb", 10)]
    stored += [
        whole("zero", 0),
        numpy_helper.from_array(np.array([0], np.int64), "first"),
    ]
    stored.append(numpy_helper.from_array(np.array([-1], np.int64), "rest"))
    nodes = [
        node("Conv", "image w1 b1", "c1", "/conv1/Conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "c1", "r1", "/act1/Relu"),
        node("MaxPool", "r1", "p1", "/pool1/MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p1 w2", "c2", "/block/conv2/Conv", kernel_shape=[3, 3], group=2),
        node("BatchNormalization", "c2 gamma beta mean variance", "n2", "/block/bn2/BatchNormalization"),
        node("Relu", "n2", "r2", "/block/act2/Relu"),
        node("Shape", "r2", "s", "/Shape"),
        node("Gather", "s zero", "s0", "/Gather"),
        node("Unsqueeze", "s0 first", "s1", "/Unsqueeze"),
        node("Concat", "s1 rest", "shape", "/Concat", axis=0),
        node("Reshape", "r2 shape", "flat", "/Reshape"),
        node("Gemm", "flat fw fb", "logits", "/fc/Gemm", transB=1),
        node("Softmax", "logits", "probabilities", "/Softmax", axis=-1),
    ]
    return model(nodes, [real("image", batch, 1, 28, 28)], [real("probabilities", batch, 10)], stored)


def encoder(width=8, heads=2, tokens=20, longest=16):
    """One block of a transformer: tokens and positions, attention with a mask, residual sums, two outputs."""
    each = width // heads
    stored = [
        array("tokens", tokens, width),
        array("positions", longest, width),
        array("gamma", width),
        array("beta", width),
    ]
    stored += [array(f"w{part}", width, width) for part in "qkvo"]
    stored += [array("up", width, 16), array("down", 16, width), array("bias", 16), array("head", width, 3)]
    stored += [whole("heads", 0, 0, heads, each), whole("joined", 0, 0, width), whole("zero", 0), whole("one", 1)]
    stored.append(numpy_helper.from_array(np.float32(each**-0.5), "scale"))
    stored += [numpy_helper.from_array(np.float32(v), n) for n, v in (("full", 1.0), ("far", -1e4))]
    stored += [numpy_helper.from_array(np.array([1, 2], np.int64), "middle")]
    nodes = [
        node("Gather", "tokens ids", "words", "/embed/words/Gather"),
        node("Shape", "ids", "size", "/embed/Shape"),
        node("Gather", "size one", "length", "/embed/Gather"),
        node("Range", "zero length one", "order", "/embed/Range"),
        node("Gather", "positions order", "places", "/embed/places/Gather"),
        node("Add", "words places", "x", "/embed/Add"),
        node("Cast", "mask", "real_mask", "/Cast", to=TensorProto.FLOAT),
        node("Unsqueeze", "real_mask middle", "wide_mask", "/Unsqueeze"),
        node("Sub", "full wide_mask", "hidden", "/Sub"),
        node("Mul", "hidden far", "added", "/Mul"),
    ]
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [
            node("MatMul", f"x w{part}", f"m{part}", f"/layer.0/{part}/MatMul"),
            node("Reshape", f"m{part} heads", f"r{part}", f"/layer.0/{part}/Reshape"),
            node("Transpose", f"r{part}", part, f"/layer.0/{part}/Transpose", perm=order),
        ]
    nodes += [
        node("MatMul", "q k", "dots", "/layer.0/MatMul"),
        node("Mul", "dots scale", "scaled", "/layer.0/Mul"),
        node("Add", "scaled added", "masked", "/layer.0/Add"),
        node("Softmax", "masked", "scores", "/layer.0/Softmax", axis=-1),
        node("MatMul", "scores v", "mixed", "/layer.0/MatMul_1"),
        node("Transpose", "mixed", "back", "/layer.0/Transpose", perm=[0, 2, 1, 3]),
        node("Reshape", "back joined", "flat", "/layer.0/Reshape"),
        node("MatMul", "flat wo", "out", "/layer.0/o/MatMul"),
        node("Add", "x out", "sum1", "/layer.0/Add_1"),
        node("LayerNormalization", "sum1 gamma beta", "norm", "/layer.0/norm/LayerNormalization", axis=-1),
        node("MatMul", "norm up", "u", "/layer.0/up/MatMul"),
        node("Add", "u bias", "ub", "/layer.0/up/Add"),
        node("Relu", "ub", "ur", "/layer.0/Relu"),
        node("MatMul", "ur down", "d", "/layer.0/down/MatMul"),
        node("Add", "norm d", "sequence", "/layer.0/Add_2"),
        node("ReduceMean", "sequence", "pooled", "/ReduceMean", axes=[1], keepdims=0),
        node("MatMul", "pooled head", "classes", "/head/MatMul"),
    ]
    inputs = [integers("ids", "batch", "length"), integers("mask", "batch", "length")]
    return model(nodes, inputs, [real("classes", "batch", 3), real("sequence", "batch", "length", width)], stored)


def branching():
    """A model in which one branch of an operation takes a tensor from outside."""
    taken = helper.make_graph([node("Mul", "hidden hidden", "squared")], "then", [], [real("squared", "N", 4)])
    other = helper.make_graph([node("Neg", "x", "negated")], "else", [], [real("negated", "N", 4)])
    nodes = [
        node("Relu", "x", "hidden", "relu"),
        node("ReduceSum", "x", "total", "total", keepdims=0),
        node("Greater", "total zero", "positive", "positive"),
        helper.make_node("If", ["positive"], ["y"], name="if", then_branch=taken, else_branch=other),
    ]
    stored = [numpy_helper.from_array(np.float32(0), "zero")]
    return model(nodes, [real("x", "N", 4)], [real("y", "N", 4)], stored)
