"""Deletion and insertion curves of maps."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.capture.attributions import METHODS
from nnviz3d.capture.attributions.faithfulness import CHANGES, Faithfulness, order
from nnviz3d.capture.programs.differentiable import probability_of
from nnviz3d.data.bundled import bundled
from nnviz3d.data.bundled import digits as bundled_digits
from nnviz3d.data.request import Insights
from nnviz3d.data.upsample import upsampled
from tests.capture import zoo
from tests.capture.attributions.models import opened, pooled

pytestmark = pytest.mark.slow

MEASURED = tuple(name for name in METHODS if name != "cam")
"""Methods for the digits network, which flattens and does not pool."""


def test_order_is_by_descending_value_and_then_by_position():
    assert order(np.array([[0.0, 2.0], [2.0, -1.0]])).tolist() == [1, 2, 0, 3]


def adder():
    """A model that sums four locations with increasing weights."""
    net = keras.Sequential([keras.Input((2, 2, 1), name="x"), layers.Flatten(), layers.Dense(1, name="sum")])
    net.layers[-1].set_weights([np.array([[1.0], [2.0], [4.0], [8.0]], np.float32), np.zeros(1, np.float32)])
    return opened(net)


def test_curves_equal_those_computed_by_hand():
    model = adder()
    x, base = np.ones((2, 2, 2, 1), np.float32), np.zeros((2, 2, 2, 1), np.float32)
    right, wrong = [[1, 2], [4, 8]], [[8, 4], [2, 1]]
    seen = []
    measure = Faithfulness(model, probability_of("sum"))
    curves = measure([x], [0, 0], "x", np.array([right, wrong]), [base], lambda *step: seen.append(step))
    assert curves.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert curves.deletion.tolist() == [[15, 7, 3, 1, 0], [15, 14, 12, 8, 0]]
    assert curves.insertion.tolist() == [[0, 8, 12, 14, 15], [0, 1, 3, 7, 15]]
    assert seen == [(20, 20)]


def test_deleted_locations_have_the_baseline_of_their_sample():
    x, base = np.ones((2, 2, 2, 1), np.float32), np.zeros((2, 2, 2, 1), np.float32)
    base[1] = 10
    maps = np.array([[[1, 2], [4, 8]]] * 2)
    curves = Faithfulness(adder(), probability_of("sum"))([x], [0, 0], "x", maps, [base])
    assert curves.deletion.tolist() == [[15, 7, 3, 1, 0], [15, 87, 123, 141, 150]]
    assert curves.insertion.tolist() == [[0, 8, 12, 14, 15], [150, 78, 42, 24, 15]]


def test_map_of_a_layer_is_upsampled_to_the_input(rng):
    net = pooled()
    model = opened(net)
    x = zoo.numbers(rng, 3, *net.input_shape[1:])
    maps = zoo.numbers(rng, 3, 8, 6)
    measure = Faithfulness(model, probability_of("head"))
    coarse = measure([x], [0, 1, 2], "last", maps, [np.zeros_like(x)])
    fine = measure([x], [0, 1, 2], "start", upsampled(maps, (12, 10)), [np.zeros_like(x)])
    assert len(coarse.shares) == CHANGES + 1
    assert np.array_equal(coarse.deletion, fine.deletion)
    assert coarse.deletion[:, 0] == pytest.approx(net(x).numpy()[np.arange(3), np.arange(3)], abs=1e-6)
    assert np.allclose(coarse.deletion[:, 0], coarse.insertion[:, -1])
    assert np.allclose(coarse.deletion[:, -1], net(np.zeros_like(x)).numpy()[np.arange(3), np.arange(3)], atol=1e-6)


def test_layer_without_corresponding_input_has_no_curves():
    start = keras.Input((5,), dtype="int32", name="tokens")
    x = layers.Conv1D(3, 2, name="conv")(layers.Embedding(9, 4)(start))
    model = opened(keras.Model(start, layers.Dense(2, name="head")(layers.Flatten()(x))))
    tokens = np.array([[1, 2, 3, 4, 5]], np.int32)
    curves = Faithfulness(model, probability_of("head"))([tokens], [0], "conv", np.ones((1, 4)), [tokens])
    assert (curves.shares.shape, curves.deletion.shape, curves.insertion.shape) == ((0,), (1, 0), (1, 0))


class TestOnDigits:
    """The same hundred test digits in every run."""

    @pytest.fixture(scope="class")
    @staticmethod
    def pictures():
        return bundled_digits()[0][:100, ..., None].astype(np.float32) / 255

    @pytest.fixture(scope="class")
    @staticmethod
    def capture(pictures, tmp_path_factory):
        model = keras.saving.load_model(bundled("digits.keras"))
        wanted = Insights(attributions=MEASURED)
        return nnviz3d.capture(model, pictures, insights=wanted, out=tmp_path_factory.mktemp("digits") / "run.zarr")

    @pytest.fixture(scope="class")
    @staticmethod
    def by_chance(pictures, capture):
        """The area under the deletion curve when pixels are deleted in a random order."""
        model = opened(keras.saving.load_model(bundled("digits.keras")))
        (output,), (start,) = model.described.graph.outputs, model.described.graph.inputs
        asked = [capture.explanations(i).targets[0].target.index for i in range(100)]
        values = np.random.default_rng(0).random((100, 28, 28))
        measure = Faithfulness(model, probability_of(output))
        curves = measure([pictures], asked, start, values, [np.zeros_like(pictures)])
        return np.trapezoid(curves.deletion, curves.shares).mean()

    @pytest.mark.parametrize("method", MEASURED)
    def test_maps_are_more_faithful_than_random_ones(self, capture, by_chance, method):
        maps = [capture.explanations(i).attribution(method) for i in range(100)]
        assert np.mean([found.deletion_auc for found in maps]) < by_chance - 0.05
        assert np.mean([found.insertion_auc for found in maps]) > by_chance - 0.05
        for found in maps[:3]:
            assert found.shares.tolist() == pytest.approx(np.linspace(0, 1, CHANGES + 1), abs=1e-6)
            assert found.deletion[0] == pytest.approx(found.explained.probability, abs=1e-6)
            assert found.insertion[-1] == pytest.approx(found.explained.probability, abs=1e-6)
            assert found.settings["deletion"] == "zero"


def test_token_models_have_maps_without_curves(tmp_path):
    start = keras.Input((5,), dtype="int32", name="tokens")
    x = layers.Conv1D(3, 2, name="conv")(layers.Embedding(9, 4)(start))
    net = keras.Model(start, layers.Dense(2, name="head")(layers.GlobalAveragePooling1D()(x)))
    tokens, wanted = np.array([[1, 2, 3, 4, 5]], np.int32), Insights(attributions=("grad_cam",))
    found = (
        nnviz3d.capture(net, tokens, insights=wanted, out=tmp_path / "run.zarr").explanations(0).attribution("grad_cam")
    )
    assert (found.layer, found.values.shape, found.deletion_auc, found.insertion_auc) == ("conv", (4,), None, None)
    assert "deletion" not in found.settings
