"""Models that were built on samples of one shape run on other shapes if Keras runs them."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.errors import ModelError, SampleError
from tests.capture import zoo


class Maps(keras.Model):
    """Convolutions only."""

    def __init__(self):
        super().__init__(name="maps")
        self.one, self.two = layers.Conv2D(3, 3, padding="same", name="one"), layers.Conv2D(2, 1, name="two")

    def call(self, x):
        return self.two(self.one(x))


class Words(keras.Model):
    """A model from any number of tokens to one number."""

    def __init__(self):
        super().__init__(name="words")
        self.embedding, self.lstm = layers.Embedding(20, 4, name="embedding"), layers.LSTM(3, name="lstm")
        self.head = layers.Dense(1, name="head")

    def call(self, x):
        return self.head(self.lstm(self.embedding(x)))


class Whole(keras.Model):
    """A model that runs on pictures of one size only."""

    def __init__(self):
        super().__init__(name="whole")
        self.flat, self.head = layers.Flatten(name="flat"), layers.Dense(2, name="head")

    def call(self, x):
        return self.head(self.flat(x))


def built(model, *shape):
    model(np.zeros((1, *shape), np.float32))
    return model


def other_maps(rng):
    return built(Maps(), 8, 8, 3), zoo.numbers(rng, 2, 12, 10, 3), "two"


def other_words(rng):
    return built(Words(), 5), rng.integers(0, 20, (3, 9)).astype(np.float32), "head"


@pytest.mark.parametrize("make", [other_maps, other_words])
def test_subclassed_model_runs_on_samples_of_another_size(make, tmp_path, rng):
    model, x, head = make(rng)
    np.save(tmp_path / "x.npy", x)
    for given in (x, tmp_path / "x.npy"):
        run = nnviz3d.capture(model, given, out=tmp_path / "run.zarr")
        assert np.array_equal(run.activations(head).values, model(x))
        assert run.graph.node("input").shape == x.shape[1:]
    assert nnviz3d.capture(model, x[0], out=tmp_path / "run.zarr").committed == 1


def test_refusal_of_a_sample_size_names_the_size_that_the_model_was_built_on(tmp_path, rng):
    model = built(Whole(), 4, 4, 1)
    with pytest.raises(
        ModelError, match=r"was built on samples of \(4, 4, 1\) and cannot run on samples of \(5, 5, 1\): "
    ):
        nnviz3d.capture(model, zoo.numbers(rng, 2, 5, 5, 1), out=tmp_path / "run.zarr")
    with pytest.raises(SampleError, match="takes samples of"):
        nnviz3d.capture(model, zoo.numbers(rng, 5), out=tmp_path / "run.zarr")
    assert nnviz3d.capture(model, zoo.numbers(rng, 2, 4, 4), out=tmp_path / "run.zarr").committed == 2


def test_pictures_are_resized_to_the_size_that_a_model_was_built_on(tmp_path):
    run = nnviz3d.capture(built(Whole(), 14, 14, 1), "digits:7", out=tmp_path / "run.zarr")
    assert run.graph.node("input").shape == (14, 14, 1)
