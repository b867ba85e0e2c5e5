"""Networks inside recurrent layers are named; single layers inside, and networks that are opened, are not."""

import keras
import pytest
from keras import layers

from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.capture.programs.hidden_networks import hidden_remarks


class Averaged(layers.Wrapper):
    """Runs its layer twice and averages."""

    def call(self, x):
        return (self.layer(x) + self.layer(-x)) / 2


class Cell(layers.Layer):
    """A recurrent cell made of two layers."""

    state_size = 3

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.read, self.keep = layers.Dense(3, name="read"), layers.Dense(3, name="keep")

    def build(self, shape):
        self.read.build(shape)
        self.keep.build((shape[0], 3))

    def call(self, x, states):
        found = self.read(x) + self.keep(states[0])
        return found, [found]


def network():
    parts = [layers.Conv1D(2, 1, name="inner_conv"), layers.GlobalAveragePooling1D(name="pool")]
    return keras.Sequential([keras.Input((5, 4)), *parts], name="net")


class Deep(layers.Layer):
    """A recurrent cell made of eight layers."""

    state_size = 4

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [layers.Dense(4, name=f"d{i}") for i in range(8)]

    def build(self, shape):
        for part in self.parts:
            part.build((shape[0], 4))

    def call(self, x, states):
        for part in self.parts:
            x = part(x)
        return x, [x + states[0]]


def remarks(layer, *shape):
    start = keras.Input(shape, name="start")
    model = keras.Model(start, layer(start))
    return hidden_remarks(describe(open_model(model, expected_inputs(model)), "model"))


def test_network_in_a_recurrent_cell_is_named_with_its_layers():
    assert remarks(layers.RNN(Cell(name="cell"), name="recurrent"), 5, 4) == [
        "recurrent (RNN) is shown as one block: the layers of 'cell' inside it are not shown (read, keep)."
    ]


def test_long_network_is_named_with_its_first_layers():
    assert remarks(layers.RNN(Deep(name="deep"), name="recurrent"), 5, 4) == [
        "recurrent (RNN) is shown as one block: the layers of 'deep' inside it are not shown (d0, d1, d2, d3, d4, d5 and 2 "
        "more)."
    ]


def test_layer_with_a_hidden_network_that_is_called_twice_is_named_once():
    start = keras.Input((5, 4), name="start")
    each = layers.RNN(Cell(name="cell"), name="recurrent")
    model = keras.Model(start, layers.Add()([each(start), each(-start)]))
    assert len(hidden_remarks(describe(open_model(model, expected_inputs(model)), "model"))) == 1


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: layers.TimeDistributed(layers.Dense(2)), (3, 4)),
        (lambda: layers.Bidirectional(layers.LSTM(2)), (3, 4)),
        (lambda: layers.RNN([layers.LSTMCell(2), layers.LSTMCell(2)]), (3, 4)),
        (lambda: layers.SpectralNormalization(layers.Dense(2)), (4,)),
        (network, (5, 4)),
        (lambda: layers.TimeDistributed(layers.TimeDistributed(network())), (2, 3, 5, 4)),
        (lambda: Averaged(network()), (5, 4)),
    ],
)
def test_single_layers_and_opened_networks_are_not_named_as_hidden(layer, shape):
    assert remarks(layer(), *shape) == []
