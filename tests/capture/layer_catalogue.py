"""Every layer class of keras.layers in small models: a layer of each rank that it takes, with its samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

N = 2
"""Number of samples."""
AXES = {
    "t": "time step",
    "o": "outer time step",
    "f": "frequency",
    "c": "channel",
    "p": "plane",
    "y": "row",
    "x": "column",
}


@dataclass(frozen=True)
class Case:
    """A layer in a model of its own.

    Attributes
    ----------
    make
        Makes the layer, or calls it on the symbols of the inputs.
    shapes
        Shape of each input, without the batch axis.
    axes
        Letters of the names of the output's axes, `AXES`.
    dtype
        Type of the inputs: real numbers, or ``int`` for numbers from 0 to 4, ``bytes`` for numbers of pictures, ``words``.
    joined
        Whether the layer takes its inputs as one list.
    """

    make: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    axes: str
    dtype: str = "float"
    joined: bool = False

    def call(self, number: int) -> tuple[list[Any], list[Any]]:
        """Call the layer on new symbols; returns these inputs, and the outputs in a flat list."""
        kind = {"float": "float32", "bytes": "float32", "int": "int32", "words": "string"}[self.dtype]
        inputs = [keras.Input(shape, dtype=kind, name=f"in{number}_{i}") for i, shape in enumerate(self.shapes)]
        layer = self.make()
        return inputs, keras.tree.flatten(layer(inputs) if self.joined else layer(*inputs))

    def samples(self) -> list[np.ndarray]:
        """Make the samples, ``(N, *shape)`` for each input."""
        rng = np.random.default_rng(4)
        shapes = [(N, *shape) for shape in self.shapes]
        if self.dtype == "words":
            return [rng.choice(np.array(["cat", "dog", "bird", "fish"], object), shape) for shape in shapes]
        if self.dtype == "int":
            return [rng.integers(0, 5, shape).astype(np.int32) for shape in shapes]
        if self.dtype == "bytes":
            return [rng.uniform(0, 255, shape).astype(np.float32) for shape in shapes]
        return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def model_of(cases: Sequence[Case]) -> tuple[keras.Model, list[int]]:
    """Put cases side by side into one model, whose trainable variables are random numbers.

    Returns
    -------
    model
        Its inputs and outputs are those of all cases in order.
    first
        Position of each case's first output.
    """
    called = [case.call(number) for number, case in enumerate(cases)]
    first = [sum(len(made) for _, made in called[:i]) for i in range(len(called))]
    model = keras.Model(
        [t for taken, _ in called for t in taken], [t for _, made in called for t in made], name="model"
    )
    rng = np.random.default_rng(3)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.4, variable.shape))
    return model, first


TABLE, SEQUENCE, PICTURE, VOLUME, VIDEO = (6,), (5, 4), (8, 8, 3), (6, 6, 6, 2), (4, 8, 8, 2)


def _sides(make: Callable[[], Any], count: int, **options: Any) -> list[Case]:
    shape, axes = {1: (SEQUENCE, "tc"), 2: (PICTURE, "yxc"), 3: (VOLUME, "pyxc")}[count]
    return [Case(make, (shape,), axes, **options)]


def _every_rank(make: Callable[[], Any]) -> list[Case]:
    return [Case(make, (TABLE,), "c"), *(case for n in (1, 2, 3) for case in _sides(make, n))]


def _merged(make: Callable[[], Any]) -> list[Case]:
    return [
        Case(make, (TABLE, TABLE), "c", joined=True),
        Case(make, (SEQUENCE, SEQUENCE), "tc", joined=True),
        Case(make, (PICTURE, PICTURE), "yxc", joined=True),
    ]


def _picture(make: Callable[[], Any]) -> list[Case]:
    return [Case(make, (PICTURE,), "yxc", dtype="bytes")]


def _recurrent(kind: Any) -> list[Case]:
    return [
        Case(lambda: kind(3), (SEQUENCE,), "c"),
        Case(lambda: kind(3, return_sequences=True), (SEQUENCE,), "tc"),
        Case(lambda: kind(3, return_sequences=True, return_state=True, go_backwards=True), (SEQUENCE,), "tc"),
        Case(lambda: kind(3, return_sequences=True, unroll=True), (SEQUENCE,), "tc"),
    ]


def _conv_lstm(kind: Any, shape: tuple[int, ...], axes: str, last: str) -> list[Case]:
    return [
        Case(lambda: kind(2, 3), (shape,), last),
        Case(lambda: kind(2, 3, padding="same", return_sequences=True), (shape,), axes),
    ]


def _cell(kind: Any) -> list[Case]:
    return [Case(lambda: layers.RNN(kind(3), return_sequences=True), (SEQUENCE,), "tc")]


def _frames() -> keras.Model:
    return keras.Sequential(
        [keras.Input((8, 8, 2)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.GlobalMaxPooling2D()]
    )


class _OwnWrapper(layers.Wrapper):
    def call(self, x):
        return self.layer(x) * 2.0


class _OwnLayer(layers.Layer):
    def call(self, x):
        return keras.ops.tanh(x) + 1.0


def _attention(kind: Any, *options: Any) -> list[Case]:
    def two() -> Any:
        return kind(*options)

    return [
        Case(lambda: lambda x: kind(*options)(x, x), (SEQUENCE,), "tc"),
        Case(two, (SEQUENCE, (3, 4)), "tc"),
        Case(lambda: lambda x: kind(*options)(x, x, return_attention_scores=True), (SEQUENCE,), "tc"),
    ]


def _dot_attention(kind: Any) -> list[Case]:
    return [
        Case(kind, (SEQUENCE, (3, 4)), "tc", joined=True),
        Case(lambda: lambda x: kind()([x, x], return_attention_scores=True), (SEQUENCE,), "tc"),
    ]


def _normalization() -> Any:
    return layers.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0])


_CONV1, _CONV2, _CONV3 = (
    [
        Case(lambda k=kind: k(3, 3), (shape,), axes),
        Case(lambda k=kind: k(3, 2, strides=2, padding="same"), (shape,), axes),
    ]
    for kind, shape, axes in (
        (layers.Conv1D, SEQUENCE, "tc"),
        (layers.Conv2D, PICTURE, "yxc"),
        (layers.Conv3D, VOLUME, "pyxc"),
    )
)

CASES: dict[str, list[Case]] = {
    "Activation": _every_rank(lambda: layers.Activation("gelu")),
    "ActivityRegularization": _every_rank(lambda: layers.ActivityRegularization(0.1)),
    "AdaptiveAveragePooling1D": _sides(lambda: layers.AdaptiveAveragePooling1D(2), 1),
    "AdaptiveAveragePooling2D": _sides(lambda: layers.AdaptiveAveragePooling2D(2), 2),
    "AdaptiveAveragePooling3D": _sides(lambda: layers.AdaptiveAveragePooling3D(2), 3),
    "AdaptiveMaxPooling1D": _sides(lambda: layers.AdaptiveMaxPooling1D(2), 1),
    "AdaptiveMaxPooling2D": _sides(lambda: layers.AdaptiveMaxPooling2D(2), 2),
    "AdaptiveMaxPooling3D": _sides(lambda: layers.AdaptiveMaxPooling3D(2), 3),
    "Add": _merged(layers.Add),
    "AdditiveAttention": _dot_attention(layers.AdditiveAttention),
    "AlphaDropout": _every_rank(lambda: layers.AlphaDropout(0.5)),
    "Attention": _dot_attention(layers.Attention),
    "AugMix": _picture(layers.AugMix),
    "AutoContrast": _picture(layers.AutoContrast),
    "Average": _merged(layers.Average),
    "AveragePooling1D": _sides(lambda: layers.AveragePooling1D(2), 1),
    "AveragePooling2D": _sides(lambda: layers.AveragePooling2D(2), 2),
    "AveragePooling3D": _sides(lambda: layers.AveragePooling3D(2), 3),
    "BatchNormalization": _every_rank(layers.BatchNormalization),
    "Bidirectional": [
        Case(lambda: layers.Bidirectional(layers.LSTM(3)), (SEQUENCE,), "c"),
        Case(lambda: layers.Bidirectional(layers.GRU(3, return_sequences=True)), (SEQUENCE,), "tc"),
        Case(lambda: layers.Bidirectional(layers.SimpleRNN(3), merge_mode="sum"), (SEQUENCE,), "c"),
    ],
    "CategoryEncoding": [Case(lambda: layers.CategoryEncoding(5, output_mode="multi_hot"), ((3,),), "c", dtype="int")],
    "CenterCrop": _picture(lambda: layers.CenterCrop(4, 4)),
    "Concatenate": _merged(layers.Concatenate),
    "ContrastLimitedAdaptiveHistogramEqualization": _picture(layers.ContrastLimitedAdaptiveHistogramEqualization),
    "Conv1D": [*_CONV1, Case(lambda: layers.Conv1D(3, 2, padding="causal", dilation_rate=2), (SEQUENCE,), "tc")],
    "Conv1DTranspose": [Case(lambda: layers.Conv1DTranspose(3, 3, strides=2), (SEQUENCE,), "tc")],
    "Conv2D": [*_CONV2, Case(lambda: layers.Conv2D(6, 3, groups=3), (PICTURE,), "yxc")],
    "Conv2DTranspose": [Case(lambda: layers.Conv2DTranspose(3, 3, strides=2), (PICTURE,), "yxc")],
    "Conv3D": _CONV3,
    "Conv3DTranspose": [Case(lambda: layers.Conv3DTranspose(3, 3, strides=2), (VOLUME,), "pyxc")],
    "ConvLSTM1D": _conv_lstm(layers.ConvLSTM1D, (4, 8, 2), "otc", "tc"),
    "ConvLSTM2D": _conv_lstm(layers.ConvLSTM2D, VIDEO, "tyxc", "yxc"),
    "ConvLSTM3D": _conv_lstm(layers.ConvLSTM3D, (3, 5, 5, 5, 2), "tpyxc", "pyxc"),
    "Cropping1D": _sides(layers.Cropping1D, 1),
    "Cropping2D": _sides(layers.Cropping2D, 2),
    "Cropping3D": _sides(layers.Cropping3D, 3),
    "CutMix": _picture(layers.CutMix),
    "Dense": _every_rank(lambda: layers.Dense(3, activation="relu")),
    "DepthwiseConv1D": [Case(lambda: layers.DepthwiseConv1D(3, depth_multiplier=2), (SEQUENCE,), "tc")],
    "DepthwiseConv2D": [Case(lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (PICTURE,), "yxc")],
    "Discretization": [Case(lambda: layers.Discretization([-1.0, 0.0, 1.0]), (TABLE,), "c")],
    "Dot": [Case(lambda: layers.Dot(axes=1), (TABLE, TABLE), "c", joined=True)],
    "Dropout": _every_rank(lambda: layers.Dropout(0.5)),
    "ELU": _every_rank(layers.ELU),
    "EinsumDense": [
        Case(lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="c"), (TABLE,), "c"),
        Case(lambda: layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), (SEQUENCE,), "tc"),
    ],
    "Embedding": [
        Case(lambda: layers.Embedding(5, 3), ((4,),), "tc", dtype="int"),
        Case(lambda: layers.Embedding(5, 3, mask_zero=True), ((4,),), "tc", dtype="int"),
    ],
    "Flatten": [Case(layers.Flatten, (shape,), "c") for shape in (TABLE, SEQUENCE, PICTURE, VOLUME)],
    "GRU": [*_recurrent(layers.GRU), Case(lambda: layers.GRU(3, reset_after=False), (SEQUENCE,), "c")],
    "GRUCell": _cell(layers.GRUCell),
    "GaussianDropout": _every_rank(lambda: layers.GaussianDropout(0.5)),
    "GaussianNoise": _every_rank(lambda: layers.GaussianNoise(0.5)),
    "GlobalAveragePooling1D": [Case(layers.GlobalAveragePooling1D, (SEQUENCE,), "c")],
    "GlobalAveragePooling2D": [Case(layers.GlobalAveragePooling2D, (PICTURE,), "c")],
    "GlobalAveragePooling3D": [Case(layers.GlobalAveragePooling3D, (VOLUME,), "c")],
    "GlobalMaxPooling1D": [Case(layers.GlobalMaxPooling1D, (SEQUENCE,), "c")],
    "GlobalMaxPooling2D": [Case(lambda: layers.GlobalMaxPooling2D(keepdims=True), (PICTURE,), "yxc")],
    "GlobalMaxPooling3D": [Case(layers.GlobalMaxPooling3D, (VOLUME,), "c")],
    "GroupNormalization": _every_rank(lambda: layers.GroupNormalization(-1)),
    "GroupQueryAttention": _attention(layers.GroupQueryAttention, 4, 4, 2),
    "HashedCrossing": [Case(lambda: layers.HashedCrossing(5), ((1,), (1,)), "c", dtype="words", joined=True)],
    "Hashing": [Case(lambda: layers.Hashing(5), ((3,),), "c", dtype="words")],
    "Identity": _every_rank(layers.Identity),
    "InputLayer": [Case(lambda: lambda x: x + 0.0, (TABLE,), "c")],
    "IntegerLookup": [Case(lambda: layers.IntegerLookup(vocabulary=[1, 2, 3]), ((3,),), "c", dtype="int")],
    "LSTM": [*_recurrent(layers.LSTM), Case(lambda: layers.LSTM(3, recurrent_dropout=0.2), (SEQUENCE,), "c")],
    "LSTMCell": _cell(layers.LSTMCell),
    "Lambda": [Case(lambda: layers.Lambda(lambda x: x * 2.0), (TABLE,), "c")],
    "Layer": [Case(_OwnLayer, (PICTURE,), "yxc")],
    "LayerNormalization": _every_rank(layers.LayerNormalization),
    "LeakyReLU": _every_rank(layers.LeakyReLU),
    "Masking": [Case(lambda: lambda x: layers.LSTM(2)(layers.Masking()(x)), (SEQUENCE,), "c")],
    "MaxPooling1D": _sides(layers.MaxPooling1D, 1),
    "MaxPooling2D": _sides(layers.MaxPooling2D, 2),
    "MaxPooling3D": _sides(layers.MaxPooling3D, 3),
    "Maximum": _merged(layers.Maximum),
    "MelSpectrogram": [
        Case(lambda: layers.MelSpectrogram(fft_length=32, sequence_stride=8, num_mel_bins=4), ((64,),), "ft")
    ],
    "Minimum": _merged(layers.Minimum),
    "MixUp": _picture(layers.MixUp),
    "MultiHeadAttention": [
        *_attention(layers.MultiHeadAttention, 2, 3),
        Case(lambda: lambda x: layers.MultiHeadAttention(2, 3, attention_axes=(1, 2))(x, x), (PICTURE,), "yxc"),
        Case(lambda: lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), (SEQUENCE,), "tc"),
    ],
    "Multiply": _merged(layers.Multiply),
    "Normalization": [Case(_normalization, ((4,),), "c"), Case(_normalization, (SEQUENCE,), "tc")],
    "PReLU": _every_rank(layers.PReLU),
    "Permute": [
        Case(lambda: layers.Permute((2, 1)), (SEQUENCE,), "tc"),
        Case(lambda: layers.Permute((2, 1, 3)), (PICTURE,), "yxc"),
    ],
    "Pipeline": [
        Case(
            lambda: layers.Pipeline([layers.Rescaling(0.5), layers.RandomFlip(), layers.CenterCrop(4, 4)]),
            (PICTURE,),
            "yxc",
        )
    ],
    "RMSNormalization": _every_rank(layers.RMSNormalization),
    "RNN": [
        Case(lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), (SEQUENCE,), "c"),
        Case(lambda: layers.RNN(layers.SimpleRNNCell(3), return_sequences=True), (SEQUENCE,), "tc"),
    ],
    "RandAugment": _picture(layers.RandAugment),
    "RandomBrightness": _picture(lambda: layers.RandomBrightness(0.2)),
    "RandomColorDegeneration": _picture(lambda: layers.RandomColorDegeneration(0.2)),
    "RandomColorJitter": _picture(lambda: layers.RandomColorJitter(brightness_factor=0.2)),
    "RandomContrast": _picture(lambda: layers.RandomContrast(0.2)),
    "RandomCrop": _picture(lambda: layers.RandomCrop(4, 4)),
    "RandomElasticTransform": _picture(layers.RandomElasticTransform),
    "RandomErasing": _picture(layers.RandomErasing),
    "RandomFlip": _picture(layers.RandomFlip),
    "RandomGaussianBlur": _picture(layers.RandomGaussianBlur),
    "RandomGrayscale": _picture(lambda: layers.RandomGrayscale(0.5)),
    "RandomHue": _picture(lambda: layers.RandomHue(0.2)),
    "RandomInvert": _picture(layers.RandomInvert),
    "RandomPerspective": _picture(layers.RandomPerspective),
    "RandomPosterization": _picture(lambda: layers.RandomPosterization(4)),
    "RandomRotation": _picture(lambda: layers.RandomRotation(0.2)),
    "RandomSaturation": _picture(lambda: layers.RandomSaturation(0.2)),
    "RandomSharpness": _picture(lambda: layers.RandomSharpness(0.2)),
    "RandomShear": _picture(lambda: layers.RandomShear(0.2)),
    "RandomTranslation": _picture(lambda: layers.RandomTranslation(0.2, 0.2)),
    "RandomZoom": _picture(lambda: layers.RandomZoom(0.2)),
    "ReLU": _every_rank(layers.ReLU),
    "RepeatVector": [Case(lambda: layers.RepeatVector(3), (TABLE,), "tc")],
    "Rescaling": _every_rank(lambda: layers.Rescaling(1 / 255)),
    "Reshape": [
        Case(lambda: layers.Reshape((2, 3)), (TABLE,), "tc"),
        Case(lambda: layers.Reshape((8, 4, 6)), (PICTURE,), "yxc"),
    ],
    "Resizing": _picture(lambda: layers.Resizing(5, 5)),
    "ReversibleEmbedding": [Case(lambda: layers.ReversibleEmbedding(5, 3), ((4,),), "tc", dtype="int")],
    "STFTSpectrogram": [
        Case(lambda: layers.STFTSpectrogram(frame_length=16, frame_step=8, fft_length=16), ((64, 1),), "tf")
    ],
    "SeparableConv1D": [Case(lambda: layers.SeparableConv1D(3, 3), (SEQUENCE,), "tc")],
    "SeparableConv2D": [Case(lambda: layers.SeparableConv2D(3, 3), (PICTURE,), "yxc")],
    "SimpleRNN": _recurrent(layers.SimpleRNN),
    "SimpleRNNCell": _cell(layers.SimpleRNNCell),
    "Softmax": _every_rank(layers.Softmax),
    "Solarization": _picture(layers.Solarization),
    "SpatialDropout1D": _sides(lambda: layers.SpatialDropout1D(0.5), 1),
    "SpatialDropout2D": _sides(lambda: layers.SpatialDropout2D(0.5), 2),
    "SpatialDropout3D": _sides(lambda: layers.SpatialDropout3D(0.5), 3),
    "SpectralNormalization": [
        Case(lambda: layers.SpectralNormalization(layers.Dense(3)), (TABLE,), "c"),
        Case(lambda: layers.SpectralNormalization(layers.Conv2D(3, 3)), (PICTURE,), "yxc"),
    ],
    "StackedRNNCells": [
        Case(lambda: layers.RNN(layers.StackedRNNCells([layers.LSTMCell(3), layers.LSTMCell(2)])), (SEQUENCE,), "c")
    ],
    "StringLookup": [Case(lambda: layers.StringLookup(vocabulary=["cat", "dog"]), ((3,),), "c", dtype="words")],
    "Subtract": _merged(layers.Subtract),
    "TextVectorization": [
        Case(
            lambda: layers.TextVectorization(vocabulary=["cat", "dog"], output_sequence_length=4),
            ((1,),),
            "c",
            dtype="words",
        )
    ],
    "TimeDistributed": [
        Case(lambda: layers.TimeDistributed(layers.Dense(3)), (SEQUENCE,), "tc"),
        Case(lambda: layers.TimeDistributed(layers.Conv2D(2, 3)), (VIDEO,), "tyxc"),
        Case(lambda: layers.TimeDistributed(_frames()), (VIDEO,), "tc"),
        Case(lambda: layers.TimeDistributed(layers.LSTM(3, return_sequences=True)), ((3, 5, 4),), "otc"),
    ],
    "UnitNormalization": _every_rank(layers.UnitNormalization),
    "UpSampling1D": _sides(layers.UpSampling1D, 1),
    "UpSampling2D": _sides(layers.UpSampling2D, 2),
    "UpSampling3D": _sides(layers.UpSampling3D, 3),
    "Wrapper": [Case(lambda: _OwnWrapper(layers.Dense(3)), (TABLE,), "c")],
    "ZeroPadding1D": _sides(layers.ZeroPadding1D, 1),
    "ZeroPadding2D": _sides(layers.ZeroPadding2D, 2),
    "ZeroPadding3D": _sides(layers.ZeroPadding3D, 3),
}
"""The cases of each class, by its usual name."""

WITHOUT = {
    "Equalization": "no functional model can hold it, because it declares that it returns its input: see test_flat_program",
    "FlaxLayer": "it runs under the JAX backend only",
    "InputSpec": "it is no layer",
    "MaxNumBoundingBoxes": "it takes boxes, which are no input of a network",
    "JaxLayer": "it runs under the JAX backend only",
    "TFSMLayer": "it is a folder of TensorFlow's, without layers; its own tests load one",
    "TorchModuleWrapper": "it runs under the PyTorch backend only",
}
"""Classes without a case, and the reason."""
