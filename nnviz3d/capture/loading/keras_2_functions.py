"""Calls of TensorFlow functions in models of Keras 2, as operations of Keras 3.

Keras 2 stores an operator or a function between layers, such as ``x / 255`` or ``tf.concat``, as a layer ``TFOpLambda`` or
``SlicingOpLambda`` with the function's public name. Only the functions listed here are called: they compute numbers from
their arguments and do nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

FUNCTION_LAYERS = ("TFOpLambda", "SlicingOpLambda")
"""Classes of Keras 2 whose layers call a TensorFlow function."""

_NAMES = {
    "": """argsort bitcast boolean_mask broadcast_to cast clip_by_norm clip_by_value concat convert_to_tensor ensure_shape
        expand_dims eye fill gather gather_nd identity linspace norm one_hot ones ones_like pad range rank repeat reshape
        reverse roll searchsorted sequence_mask shape size slice sort split squeeze stack stop_gradient strided_slice
        tensor_scatter_nd_add tensor_scatter_nd_update tensordot tile transpose unstack where zeros zeros_like""",
    "__operators__": "add getitem",
    "compat.v1": """argmax argmin batch_to_space boolean_mask expand_dims floor_div gather gather_nd norm ones_like pad
        reduce_all reduce_any reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum reverse_sequence
        shape size space_to_batch space_to_depth squeeze transpose where zeros_like""",
    "compat.v1.image": "resize_bilinear resize_images resize_nearest_neighbor",
    "compat.v1.math": "in_top_k softmax log_softmax",
    "compat.v1.nn": """avg_pool avg_pool2d conv1d conv2d conv3d conv2d_transpose convolution depthwise_conv2d
        embedding_lookup max_pool max_pool2d max_pool3d pool sigmoid_cross_entropy_with_logits softmax log_softmax
        depth_to_space space_to_depth""",
    "compat.v1.strings": "length substr",
    "dtypes": "cast complex saturate_cast",
    "image": """adjust_brightness adjust_contrast adjust_gamma adjust_hue adjust_saturation central_crop
        convert_image_dtype crop_and_resize crop_to_bounding_box extract_patches flip_left_right flip_up_down
        grayscale_to_rgb hsv_to_rgb image_gradients pad_to_bounding_box per_image_standardization resize
        resize_with_crop_or_pad resize_with_pad rgb_to_grayscale rgb_to_hsv rgb_to_yuv rot90 sobel_edges total_variation
        transpose yuv_to_rgb""",
    "keras.backend": "batch_flatten",
    "linalg": """adjoint band_part cholesky cross det diag diag_part eigh eigvalsh inv matmul matvec norm normalize
        pinv set_diag solve trace""",
    "math": """abs accumulate_n acos acosh add add_n angle argmax argmin asin asinh atan atan2 atanh bincount ceil conj cos
        cosh count_nonzero cumprod cumsum cumulative_logsumexp digamma divide divide_no_nan equal erf erfc erfinv exp expm1
        floor floordiv floormod greater greater_equal imag invert_permutation is_finite is_inf is_nan l2_normalize less
        less_equal lgamma log log1p log_sigmoid log_softmax logical_and logical_not logical_or logical_xor maximum minimum
        mod multiply multiply_no_nan negative not_equal pow real reciprocal reciprocal_no_nan reduce_all reduce_any
        reduce_euclidean_norm reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_std reduce_sum
        reduce_variance rint round rsqrt scalar_mul segment_max segment_mean segment_min segment_sum sigmoid sign sin sinh
        softmax softplus softsign sqrt square squared_difference subtract tan tanh top_k truediv unsorted_segment_sum
        xdivy xlogy zero_fraction""",
    "nn": """atrous_conv2d avg_pool avg_pool1d avg_pool2d avg_pool3d bias_add conv1d conv1d_transpose conv2d
        conv2d_transpose conv3d convolution crelu depth_to_space depthwise_conv2d dropout elu embedding_lookup gelu
        l2_normalize leaky_relu local_response_normalization log_softmax lrn max_pool max_pool1d max_pool2d
        max_pool3d moments pool relu relu6 selu separable_conv2d sigmoid_cross_entropy_with_logits silu softmax softplus
        softsign space_to_depth swish tanh top_k""",
    "quantization": "fake_quant_with_min_max_args fake_quant_with_min_max_vars",
    "random": "normal stateless_normal stateless_uniform truncated_normal uniform",
    "signal": "dct fft frame idct ifft inverse_stft irfft mfccs_from_log_mel_spectrograms rfft stft",
    "strings": "join length lower regex_full_match regex_replace strip substr to_hash_bucket_fast to_number upper",
}
"""Names of the functions by package."""

FUNCTIONS = frozenset(f"{package}.{name}".lstrip(".") for package, names in _NAMES.items() for name in names.split())
"""Public names of the functions, without ``tf.``."""

WITHOUT_INPUTS = ("einsum", "meshgrid", "__operators__.eq", "__operators__.ne")
"""Functions of which Keras 2 stores only the first argument of a call."""

_KINDS = {
    "abs": "Absolute",
    "add_n": "Add",
    "concat": "Concatenate",
    "clip_by_value": "Clip",
    "floor_div": "FloorDivide",
    "floordiv": "FloorDivide",
    "floormod": "Mod",
    "gather": "Take",
    "getitem": "GetItem",
    "norm": "Norm",
    "normal": "RandomNormal",
    "dropout": "RandomDropout",
    "pow": "Power",
    "reverse": "Flip",
    "swish": "Silu",
    "truediv": "TrueDivide",
    "truncated_normal": "RandomTruncatedNormal",
    "uniform": "RandomUniform",
    "reduce_variance": "Var",
}
"""Kinds of the nodes of some functions: the names of the same operations in Keras 3."""

_MOST_AXES = 16
"""Longest vector that may be the shape of a tensor."""


class TensorFlowCall(keras.Operation):  # type: ignore[misc]
    """An operation that computes with TensorFlow's own functions."""

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Infer shapes as Keras 2 does, from the known numbers in tensors of sizes too."""
        with tf.__internal__.FuncGraph("shapes").as_default():
            args, kwargs = keras.tree.map_structure(_placeholder, (args, kwargs))
            outputs = self.call(*args, **kwargs)
            if any(tensor.shape.rank is None for tensor in keras.tree.flatten(outputs)):
                raise ValueError(f"the rank of the output of its layer {self.name!r} is known only when it runs.")
            return keras.tree.map_structure(_symbol, outputs)


@keras.saving.register_keras_serializable(package="nnviz3d")
class TensorFlowFunction(TensorFlowCall):
    """A call of one TensorFlow function; each kind has a class of its own, whose name is the kind of the node.

    Parameters
    ----------
    name
        Name of the layer in the file.
    function
        Public name of the function, without ``tf.``.
    constants
        Arguments of the call that are no tensors; ``axis`` and ``perm`` say which axes the call keeps.
    """

    def __init__(self, name: str, function: str, constants: dict[str, Any] | None = None) -> None:
        super().__init__(name=name)
        self.function = function
        self.constants = constants or {}
        self._compute = _resolve(function)
        self.axis = self.constants.get("axis")
        self.axes = self.constants.get("perm")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TensorFlowFunction:
        """Make the operation, as an instance of the class of its kind."""
        kind: type[TensorFlowFunction] = type(_kind(config["function"]), (TensorFlowFunction,), {})
        return kind(**config)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"name": self.name, "function": self.function, "constants": self.constants}

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function with tensors and numbers."""
        given = [_argument(value) for value in args]
        result = self._compute(*given, **{key: _option(key, value) for key, value in kwargs.items()})
        # Some functions return named tuples, whose class cannot be rebuilt by Keras.
        return tuple(result) if isinstance(result, tuple) else result


def _kind(function: str) -> str:
    name = function.rpartition(".")[2]
    return _KINDS.get(name) or "".join(part.capitalize() for part in name.removeprefix("reduce_").split("_"))


def _resolve(function: str) -> Callable[..., Any]:
    """Return a listed function by its public name."""
    if function not in FUNCTIONS:
        raise ValueError(f"tf.{function} is not a function that can be called.")
    if function in _OURS:
        return _OURS[function]
    found: Any = tf
    for part in function.split("."):
        found = getattr(found, part)
    resolved: Callable[..., Any] = found
    return resolved


def _add(x: Any, y: Any) -> Any:
    """Add as the operator ``+`` does, which joins strings; its first number may be a constant."""
    return tf.__operators__.add(x if tf.is_tensor(x) else tf.convert_to_tensor(x, y.dtype), y)


def _batch_flatten(x: Any) -> Any:
    return tf.reshape(x, tf.stack([-1, tf.reduce_prod(tf.shape(x)[1:])]))


_OURS: dict[str, Callable[..., Any]] = {"__operators__.add": _add, "keras.backend.batch_flatten": _batch_flatten}


def _argument(value: Any) -> Any:
    """Replace each dictionary in an argument by the slice or the ellipsis that it describes."""
    if isinstance(value, list):
        return [_argument(item) for item in value]
    if not isinstance(value, dict):
        return value
    return ... if ELLIPSIS in value else slice(value.get("start"), value.get("stop"), value.get("step"))


ELLIPSIS = "ellipsis"
"""The key of a dictionary that stands for ``...``."""


def _option(name: str, value: Any) -> Any:
    """Return an argument by name; some functions do not take a type by its name."""
    is_type = isinstance(value, str) and name in {"dtype", "out_type", "output_type"}
    return tf.as_dtype(value) if is_type else _argument(value)


def _placeholder(value: Any) -> Any:
    """Return a tensor without values for a symbolic one; a tensor of known sizes is made from a shape, which keeps them."""
    if not isinstance(value, keras.KerasTensor):
        return value
    sizes = getattr(value, "known_sizes", None)
    if sizes is None:
        return tf.compat.v1.placeholder(value.dtype, value.shape)
    known = tf.shape(tf.compat.v1.placeholder("float32", sizes), out_type=value.dtype)
    return known if len(value.shape) else known[0]


def _symbol(tensor: Any) -> Any:
    """Return a symbolic tensor; one that may hold sizes gets those that TensorFlow can infer."""
    symbol = keras.KerasTensor(tuple(tensor.shape), tensor.dtype.name)
    count = tensor.shape.num_elements()
    if tensor.dtype in {tf.int32, tf.int64} and tensor.shape.rank < 2 and count is not None and count <= _MOST_AXES:
        symbol.known_sizes = _sizes(tensor)
    return symbol


def _sizes(tensor: Any) -> tuple[int | None, ...] | None:
    """Infer the sizes in a vector or scalar, with `None` for each unknown one; `None` if it holds other numbers."""
    value = tf.get_static_value(tensor)
    if value is not None and (value < 0).any():
        return None
    try:
        sizes = tuple(tf.fill(tf.reshape(tensor, [-1]) if tensor.shape.rank == 0 else tensor, 0).shape)
    except ValueError:  # TensorFlow refuses negative sizes: the numbers are no sizes
        return None
    return sizes if any(size is not None for size in sizes) else None
