"""One small model for each usual kind, with samples and the hand-written edges of its graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A kind of model.

    Attributes
    ----------
    name
        The kind, as the table names it.
    build
        Makes the model; the folder is for models that are saved and loaded.
    samples
        Makes the input: one array, or a list or dictionary of arrays.
    edges
        The graph: ``a > b > c`` is a chain of node ids; ``a, b > c`` are edges from both.
    targets
        The explained numbers, as `Insights.targets` names them; by default the predicted class.
    """

    name: str
    build: Callable[[Path], keras.Model]
    samples: Callable[[Rng], Any]
    edges: str
    targets: tuple[str, ...] = ()


CASES: list[Case] = []


def case(
    name: str, samples: Callable[[Rng], Any], edges: str, *, targets: tuple[str, ...] = ()
) -> Callable[[Any], Any]:
    """Register a function that builds a model."""

    def register(build: Callable[[Path], keras.Model]) -> Callable[[Path], keras.Model]:
        CASES.append(Case(name, build, samples, edges, targets))
        return build

    return register


def normal(*shape: int) -> Callable[[Rng], Any]:
    """Samples of normally distributed numbers."""
    return lambda rng: rng.normal(size=shape).astype(np.float32)


def tokens(size: int, *shape: int) -> Callable[[Rng], Any]:
    """Samples of integers from 1 to size - 1."""
    return lambda rng: rng.integers(1, size, shape).astype(np.int32)


@case(
    "Sequential CNN, reloaded",
    normal(2, 12, 12, 1),
    "picture > conv > pool > conv_1 > flatten > hidden > scores",
)
def sequential(folder: Path) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1), name="picture"),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(4, 3, activation="relu", name="conv_1"),
            layers.Flatten(name="flatten"),
            layers.Dense(8, activation="relu", name="hidden"),
            layers.Dense(3, activation="softmax", name="scores"),
        ]
    )
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


@case(
    "Residual block with Add",
    normal(2, 8, 8, 3),
    "start > stem > relu > inside > add > pool > scores; stem > add",
)
def residual(_: Path) -> keras.Model:
    start = keras.Input((8, 8, 3), name="start")
    x = layers.Conv2D(4, 3, padding="same", name="stem")(start)
    y = layers.Conv2D(4, 3, padding="same", name="inside")(layers.ReLU(name="relu")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="add")([x, y]))
    return keras.Model(start, layers.Dense(3, activation="softmax", name="scores")(x))


@case(
    "Two inputs with Concatenate",
    lambda rng: {"left": normal(2, 4)(rng), "right": normal(2, 3)(rng)},
    "left, right > both > scores",
)
def two_inputs(_: Path) -> keras.Model:
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    both = layers.Concatenate(name="both")([left, right])
    return keras.Model({"left": left, "right": right}, layers.Dense(3, activation="softmax", name="scores")(both))


@case("Two outputs", normal(2, 5), "start > hidden > kind; hidden > price")
def two_outputs(_: Path) -> keras.Model:
    start = keras.Input((5,), name="start")
    x = layers.Dense(6, activation="tanh", name="hidden")(start)
    return keras.Model(start, [layers.Dense(1, name="price")(x), layers.Dense(3, activation="softmax", name="kind")(x)])


@case("Shared layer, called twice", normal(2, 5), "start > shared > tanh > shared@1 > scores")
def shared(_: Path) -> keras.Model:
    start = keras.Input((5,), name="start")
    layer = layers.Dense(5, name="shared")
    return keras.Model(
        start, layers.Dense(2, name="scores")(layer(layers.Activation("tanh", name="tanh")(layer(start))))
    )


@case("Nested Sequential", normal(2, 6, 6, 1), "picture > body/conv > body/flat > head/hidden > head/scores")
def nested_sequential(_: Path) -> keras.Model:
    body = keras.Sequential([layers.Conv2D(3, 3, name="conv"), layers.Flatten(name="flat")], name="body")
    head = keras.Sequential(
        [layers.Dense(4, activation="relu", name="hidden"), layers.Dense(2, name="scores")], name="head"
    )
    return keras.Sequential([keras.Input((6, 6, 1), name="picture"), body, head])


@case(
    "Nested Functional, two deep",
    normal(2, 6),
    "start > outer/first > outer/inner/one > outer/inner/two > outer/add > scores; outer/first > outer/add",
)
def nested_functional(_: Path) -> keras.Model:
    inside = keras.Input((6,), name="inside")
    inner = keras.Model(
        inside, layers.Dense(6, name="two")(layers.Dense(6, activation="tanh", name="one")(inside)), name="inner"
    )
    middle = keras.Input((6,), name="middle")
    x = layers.Dense(6, activation="relu", name="first")(middle)
    outer = keras.Model(middle, layers.Add(name="add")([x, inner(x)]), name="outer")
    start = keras.Input((6,), name="start")
    return keras.Model(start, layers.Dense(3, activation="softmax", name="scores")(outer(start)))


@case(
    "MultiHeadAttention with LayerNormalization",
    normal(2, 6, 8),
    "start > attention > add > norm > pool > scores; start > add",
)
def attention(_: Path) -> keras.Model:
    start = keras.Input((6, 8), name="start")
    x = layers.Add(name="add")([start, layers.MultiHeadAttention(2, 4, name="attention")(start, start)])
    x = layers.GlobalAveragePooling1D(name="pool")(layers.LayerNormalization(name="norm")(x))
    return keras.Model(start, layers.Dense(3, activation="softmax", name="scores")(x))


@case(
    "Embedding, LSTM, bidirectional GRU",
    tokens(20, 2, 7),
    "words > embedding > lstm > both/forward_gru, both/backward_gru > both/concatenate > scores",
)
def recurrent(_: Path) -> keras.Model:
    words = keras.Input((7,), dtype="int32", name="words")
    x = layers.Embedding(20, 6, name="embedding")(words)
    x = layers.LSTM(5, return_sequences=True, name="lstm")(x)
    x = layers.Bidirectional(layers.GRU(4, name="gru"), name="both")(x)
    return keras.Model(words, layers.Dense(2, activation="softmax", name="scores")(x))


@case("LSTM with return_state", normal(2, 6, 3), "start > lstm > all > scores")
def lstm_states(_: Path) -> keras.Model:
    start = keras.Input((6, 3), name="start")
    last, hidden, cell = layers.LSTM(4, return_state=True, name="lstm")(start)
    x = layers.Concatenate(name="all")([last, hidden, cell])
    return keras.Model(start, layers.Dense(2, name="scores")(x))


@case("Stateful LSTM", normal(2, 6, 3), "start > lstm > scores")
def stateful(_: Path) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(batch_shape=(2, 6, 3), name="start"),
            layers.LSTM(4, stateful=True, name="lstm"),
            layers.Dense(2, name="scores"),
        ]
    )


@case("Conv3D", normal(2, 6, 8, 8, 1), "volume > conv > pool > flat > scores")
def conv3d(_: Path) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6, 8, 8, 1), name="volume"),
            # Not relu: eager TensorFlow gives the gradient of a maximum to all of several equal numbers.
            layers.Conv3D(3, 3, activation="tanh", name="conv"),
            layers.MaxPooling3D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(2, activation="softmax", name="scores"),
        ]
    )


@case(
    "Depthwise (multiplier 2), separable, transposed",
    normal(2, 8, 8, 3),
    "start > depthwise > separable > transposed > pool > scores",
)
def convolutions(_: Path) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="start"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu", name="depthwise"),
            layers.SeparableConv2D(4, 3, name="separable"),
            layers.Conv2DTranspose(3, 3, strides=2, name="transposed"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(2, activation="softmax", name="scores"),
        ]
    )


@case("Conv1D of variable length", normal(2, 20, 2), "signal > conv > pool > scores")
def variable_length(_: Path) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((None, 2), name="signal"),
            layers.Conv1D(4, 3, activation="relu", name="conv"),
            layers.GlobalMaxPooling1D(name="pool"),
            layers.Dense(2, activation="softmax", name="scores"),
        ]
    )


@keras.saving.register_keras_serializable("matrix")
class Block(layers.Layer):
    """A composite layer with a variable of its own, operators and keras.ops."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.one = layers.Dense(units, name="one")
        self.two = layers.Dense(units, name="two")

    def build(self, shape: Any) -> None:
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")
        self.one.build(shape)
        self.two.build((*shape[:-1], self.units))

    def call(self, x: Any) -> Any:
        return x * self.gain + self.two(ops.relu(self.one(x)))


class Stack(keras.Model):
    """A subclassed model with a list of blocks and a loop."""

    def __init__(self) -> None:
        super().__init__(name="stack")
        self.stem = layers.Dense(6, name="stem")
        self.blocks = [Block(6, name=f"block{i}") for i in range(2)]
        self.head = layers.Dense(2, activation="softmax", name="scores")

    def call(self, x: Any) -> Any:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@case(
    "Subclassed, with a list of blocks and a loop",
    normal(2, 5),
    "input > stem > block0/one > block0/relu > block0/two > block0/add > block1/one > block1/relu > block1/two > "
    "block1/add > scores; stem > block0/multiply > block0/add; block0/add > block1/multiply > block1/add",
)
def subclassed(_: Path) -> keras.Model:
    return Stack()


@case("Sequential, not built", normal(2, 5), "input_layer > hidden > scores")
def unbuilt(_: Path) -> keras.Model:
    return keras.Sequential([layers.Dense(4, activation="relu", name="hidden"), layers.Dense(2, name="scores")])


@case(
    "keras.ops in the graph",
    normal(2, 5, 4),
    "start > left > matmul > softmax > matmul_1 > add > flat > scores; start > right > transpose > matmul; "
    "start > matmul_1; start > add",
)
def with_ops(_: Path) -> keras.Model:
    start = keras.Input((5, 4), name="start")
    left, right = layers.Dense(3, name="left")(start), layers.Dense(3, name="right")(start)
    mixed = ops.softmax(ops.matmul(left, ops.transpose(right, (0, 2, 1))))
    x = ops.matmul(mixed, start) + start
    return keras.Model(start, layers.Dense(2, name="scores")(layers.Flatten(name="flat")(x)))


@case(
    "TimeDistributed convolution",
    normal(2, 4, 8, 8, 1),
    "film > each/conv > pool > scores",
)
def time_distributed(_: Path) -> keras.Model:
    film = keras.Input((4, 8, 8, 1), name="film")
    x = layers.TimeDistributed(layers.Conv2D(3, 3, activation="relu", name="conv"), name="each")(film)
    x = layers.GlobalAveragePooling3D(name="pool")(x)
    return keras.Model(film, layers.Dense(2, activation="softmax", name="scores")(x))


@case(
    "U-Net",
    normal(2, 8, 8, 1),
    "picture > down > pool > bottom > up > joined > merge > mask; down > joined",
    targets=("mask[37]",),
)
def unet(_: Path) -> keras.Model:
    picture = keras.Input((8, 8, 1), name="picture")
    down = layers.Conv2D(3, 3, padding="same", activation="relu", name="down")(picture)
    x = layers.MaxPooling2D(name="pool")(down)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="bottom")(x)
    x = layers.Conv2DTranspose(3, 2, strides=2, name="up")(x)
    x = layers.Concatenate(name="joined")([x, down])
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="merge")(x)
    return keras.Model(picture, layers.Conv2D(2, 1, activation="softmax", name="mask")(x))


@case(
    "Siamese",
    lambda rng: [normal(2, 6, 6, 1)(rng), normal(2, 6, 6, 1)(rng)],
    "left > encoder/conv > encoder/flat > encoder/code > distance > same; "
    "right > encoder/conv@1 > encoder/flat@1 > encoder/code@1 > distance",
)
def siamese(_: Path) -> keras.Model:
    encoder = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="relu", name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(4, name="code"),
        ],
        name="encoder",
    )
    left, right = keras.Input((6, 6, 1), name="left"), keras.Input((6, 6, 1), name="right")
    distance = layers.Subtract(name="distance")([encoder(left), encoder(right)])
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid", name="same")(distance))


class Sampling(layers.Layer):
    """Draws a latent vector around its mean."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = keras.random.SeedGenerator(3)

    def call(self, inputs: Any) -> Any:
        mean, deviation = inputs
        return mean + ops.exp(0.5 * deviation) * keras.random.normal(ops.shape(mean), seed=self.seed)


@case(
    "Variational autoencoder with sampling",
    normal(2, 6),
    "start > hidden > mean > sampling > decoded; hidden > deviation > sampling",
)
def vae(_: Path) -> keras.Model:
    start = keras.Input((6,), name="start")
    x = layers.Dense(5, activation="relu", name="hidden")(start)
    mean, deviation = layers.Dense(2, name="mean")(x), layers.Dense(2, name="deviation")(x)
    code = Sampling(name="sampling")([mean, deviation])
    return keras.Model(start, layers.Dense(6, name="decoded")(code))


@case(
    "Channels first",
    normal(2, 3, 8, 8),
    "start > norm > pool > scores",
)
def channels_first(_: Path) -> keras.Model:
    start = keras.Input((3, 8, 8), name="start")
    x = layers.BatchNormalization(axis=1, name="norm")(start)
    x = layers.GlobalAveragePooling2D(data_format="channels_first", name="pool")(x)
    return keras.Model(start, layers.Dense(2, activation="softmax", name="scores")(x))


@case("Mixed precision", normal(2, 8, 8, 1), "picture > conv > flat > scores")
def mixed_precision(_: Path) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="picture"),
            layers.Conv2D(3, 3, activation="relu", dtype="mixed_float16", name="conv"),
            layers.Flatten(dtype="mixed_float16", name="flat"),
            layers.Dense(2, activation="softmax", dtype="float32", name="scores"),
        ]
    )


@case("Dictionary of outputs", normal(2, 5), "start > hidden > kind; hidden > box")
def dictionary(_: Path) -> keras.Model:
    start = keras.Input((5,), name="start")
    x = layers.Dense(6, activation="relu", name="hidden")(start)
    return keras.Model(
        start, {"kind": layers.Dense(3, activation="softmax", name="kind")(x), "box": layers.Dense(4, name="box")(x)}
    )


@case(
    "Custom layer with sublayers",
    normal(2, 5),
    "start > block/one > block/relu > block/two > block/add > scores; start > block/multiply > block/add",
)
def custom(folder: Path) -> keras.Model:
    model = keras.Sequential([keras.Input((5,), name="start"), Block(5, name="block"), layers.Dense(2, name="scores")])
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


@case("StackedRNNCells", normal(2, 5, 3), "start > rnn > scores")
def stacked_cells(_: Path) -> keras.Model:
    cells = [layers.LSTMCell(4, name="first"), layers.GRUCell(3, name="second")]
    return keras.Sequential(
        [keras.Input((5, 3), name="start"), layers.RNN(cells, name="rnn"), layers.Dense(2, name="scores")]
    )


@case("ConvLSTM2D", normal(2, 3, 6, 6, 1), "film > memory > flat > scores")
def conv_lstm(_: Path) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((3, 6, 6, 1), name="film"),
            layers.ConvLSTM2D(2, 3, name="memory"),
            layers.Flatten(name="flat"),
            layers.Dense(2, activation="softmax", name="scores"),
        ]
    )


@case("Dense, quantized to int8", normal(2, 8), "start > hidden > scores")
def quantized(_: Path) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((8,), name="start"),
            layers.Dense(6, activation="relu", name="hidden"),
            layers.Dense(2, name="scores"),
        ]
    )
    model.quantize("int8")
    return model


@case("Dense with LoRA", normal(2, 8), "start > hidden > scores")
def lora(_: Path) -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((8,), name="start"),
            layers.Dense(6, activation="relu", name="hidden"),
            layers.Dense(2, name="scores"),
        ]
    )
    hidden = model.get_layer("hidden")
    hidden.enable_lora(2)
    hidden.lora_kernel_b.assign(np.linspace(-1, 1, 12).reshape(2, 6))
    return model


@case(
    "Text classifier from strings",
    lambda _: np.array([["a good film"], ["a bad bad film"]]),
    "text > vectors > embedding > pool > scores",
)
def text(_: Path) -> keras.Model:
    vectors = layers.TextVectorization(output_sequence_length=6, name="vectors")
    vectors.adapt(["a good film", "a bad film"])
    start = keras.Input((1,), dtype="string", name="text")
    x = layers.Embedding(10, 4, name="embedding")(vectors(start))
    x = layers.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(start, layers.Dense(1, activation="sigmoid", name="scores")(x))


@case(
    "Table with lookups",
    lambda rng: {
        "age": np.array([[20.0], [60.0]], np.float32),
        "town": np.array([["Bern"], ["Oslo"]]),
        "rooms": np.array([[2], [3]]),
    },
    "age > scaled > both; town > town_index > both; rooms > rooms_index > both > hidden > price",
)
def table(_: Path) -> keras.Model:
    age = keras.Input((1,), name="age")
    town = keras.Input((1,), dtype="string", name="town")
    rooms = keras.Input((1,), dtype="int64", name="rooms")
    scaled = layers.Normalization(mean=40.0, variance=100.0, name="scaled")(age)
    towns = layers.StringLookup(vocabulary=["Bern", "Oslo"], output_mode="one_hot", name="town_index")(town)
    many = layers.IntegerLookup(vocabulary=[1, 2, 3], output_mode="one_hot", name="rooms_index")(rooms)
    both = layers.Concatenate(name="both")([scaled, towns, many])
    x = layers.Dense(5, activation="relu", name="hidden")(both)
    return keras.Model({"age": age, "town": town, "rooms": rooms}, layers.Dense(1, name="price")(x))
