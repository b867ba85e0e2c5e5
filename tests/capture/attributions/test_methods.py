"""Contract of all attribution methods, and properties of the methods that explain an input."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.capture.attributions import METHODS, integrated_gradients
from nnviz3d.capture.attributions.baselines import make_baselines
from nnviz3d.capture.attributions.input_axes import explained_inputs
from nnviz3d.capture.attributions.input_gradients import mean_gradient
from nnviz3d.capture.attributions.method import Settings
from nnviz3d.capture.attributions.occlusion import patches
from nnviz3d.capture.attributions.run import find_methods, layers_for
from nnviz3d.capture.live_model import prepare_live_model
from nnviz3d.capture.programs.differentiable import score_of
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.attributions import attribution_methods
from nnviz3d.data.request import CaptureRequest, Insights, Notice
from nnviz3d.data.targets import Target
from nnviz3d.errors import ModelError
from tests.capture import zoo
from tests.capture.explained import apart, central_differences, score, traced

PIXELS = tuple(name for name, method in METHODS.items() if method.at == "input")


def attribute(name, model, arrays, output, index, *, baseline="zero", seed=0):
    """A method's maps of a Keras model."""
    traced_ = traced(model, arrays)
    method = METHODS[name]
    (layer,) = layers_for(method, traced_, output, ())
    (compared,) = explained_inputs(traced_.described, output)
    baselines = make_baselines(traced_.described, arrays, compared, baseline, seed)
    settings = Settings(layer, baselines, seed, lambda done, total: None)
    return method.attribute(traced_, arrays, np.asarray(index), score_of(output), settings)


def small(bias=True):
    """Convolution, global average pooling and one dense layer: every method can explain it."""
    return keras.Sequential(
        [
            keras.Input((8, 6, 2), name="start"),
            layers.Conv2D(4, 3, padding="same", activation="relu", use_bias=bias, name="conv"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, activation="softmax", name="head"),
        ]
    )


@pytest.mark.parametrize("name", METHODS)
class TestContract:
    def test_maps_have_a_row_for_each_sample_and_no_channels(self, name, rng):
        x = zoo.numbers(rng, 3, 8, 6, 2)
        maps = attribute(name, small(), [x], "head", [0, 2, 1])
        assert maps.shape == (3, 8, 6)
        assert maps.dtype == np.float32
        assert np.all(np.isfinite(maps))
        assert np.any(maps)
        assert METHODS[name].signed or np.all(maps >= 0)

    def test_map_depends_on_the_seed_and_not_on_other_samples(self, name, rng):
        x, model = zoo.numbers(rng, 3, 8, 6, 2), small()
        maps = attribute(name, model, [x], "head", [0, 2, 1], seed=3)
        assert np.array_equal(attribute(name, model, [x], "head", [0, 2, 1], seed=3), maps)
        assert apart(attribute(name, model, [x[1:2]], "head", [2], seed=3), maps[1:2]) < 1e-5

    def test_model_of_zeros_has_maps_of_zeros(self, name, rng):
        model = small()
        model.set_weights([np.zeros_like(w) for w in model.get_weights()])
        assert not np.any(attribute(name, model, [zoo.numbers(rng, 2, 8, 6, 2)], "head", [0, 1]))

    def test_mirrored_model_has_mirrored_maps(self, name, rng):
        if name == "smoothgrad":
            pytest.skip("its noise is not mirrored")
        model, mirrored = small(), small()
        kernel, *others = model.get_weights()
        mirrored.set_weights([kernel[:, ::-1], *others])
        x = zoo.numbers(rng, 2, 8, 6, 2)
        maps = attribute(name, model, [x], "head", [0, 1])
        assert apart(attribute(name, mirrored, [x[:, :, ::-1]], "head", [0, 1])[:, :, ::-1], maps) < 1e-4

    def test_maps_do_not_depend_on_the_order_of_channels(self, name, rng):
        if name == "smoothgrad":
            pytest.skip("its noise is not swapped")
        model, swapped = small(), small()
        kernel, *others = model.get_weights()
        swapped.set_weights([kernel[:, :, ::-1], *others])
        x = zoo.numbers(rng, 2, 8, 6, 2)
        maps = attribute(name, model, [x], "head", [0, 1])
        assert apart(attribute(name, swapped, [x[..., ::-1]], "head", [0, 1]), maps) < 1e-4


def linear():
    return keras.Sequential(
        [keras.Input((4, 4, 2), name="start"), layers.Flatten(name="flat"), layers.Dense(3, name="head")]
    )


class TestLinear:
    def weights(self, model, index):
        return model.layers[-1].kernel.numpy().T[index].reshape(-1, 4, 4, 2)

    @pytest.mark.parametrize("name", ["vanilla", "smoothgrad"])
    def test_gradient_maps_of_a_linear_model_are_its_weights(self, name, rng):
        model, x = linear(), zoo.numbers(rng, 2, 4, 4, 2)
        assert apart(attribute(name, model, [x], "head", [2, 0]), np.abs(self.weights(model, [2, 0])).max(-1)) < 1e-6

    @pytest.mark.parametrize("name", ["gradient_x_input", "integrated_gradients", "occlusion"])
    def test_maps_of_a_linear_model_are_the_contributions_of_locations(self, name, rng):
        model, x = linear(), zoo.numbers(rng, 2, 4, 4, 2)
        given = (self.weights(model, [2, 0]) * x).sum(-1)
        assert apart(attribute(name, model, [x], "head", [2, 0]), given) < 1e-5  # a patch is one location here

    def test_pictures_without_a_channel_axis_have_maps(self, rng):
        model = keras.Sequential([keras.Input((4, 5), name="start"), layers.Flatten(), layers.Dense(3, name="head")])
        x = zoo.numbers(rng, 2, 4, 5)
        weights = model.layers[-1].kernel.numpy().T[[2, 0]].reshape(-1, 4, 5)
        assert apart(attribute("integrated_gradients", model, [x], "head", [2, 0]), weights * x) < 1e-5


def test_vanilla_equals_central_differences(rng):
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        start = keras.Input((7, 6, 2), name="start")
        hidden = layers.Conv2D(3, 3, activation="gelu", name="conv")(start)
        model = keras.Model(start, layers.Dense(3, activation="softmax", name="head")(layers.Flatten()(hidden)))
    finally:
        keras.config.set_floatx(before)
    x = rng.normal(size=(1, 7, 6, 2))
    slopes = central_differences(lambda v: score(traced(model, [x]), [v], "head", 2), x)
    assert apart(attribute("vanilla", model, [x], "head", [2]), np.abs(slopes).max(-1)) < 1e-6


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    model = keras.saving.load_model(bundled("digits.keras"))
    insights = Insights(attributions=PIXELS)
    return model, nnviz3d.capture(model, "digits:0-19", out=tmp_path_factory.mktemp("d") / "d.zarr", insights=insights)


def logits(model, x):
    for layer in model.layers[:-1]:
        x = layer(x)
    return np.asarray(x @ model.layers[-1].kernel + model.layers[-1].bias)


def test_integrated_gradients_sum_to_the_score_difference_on_digits(digits):
    model, capture = digits
    nothing = logits(model, np.zeros((1, 28, 28, 1), dtype=np.float32))[0]
    for sample in range(20):
        found = capture.explanations(sample).attribution("integrated_gradients")
        expected = found.explained.score - nothing[found.explained.target.index]
        assert abs(found.values.sum() - expected) < 0.01 * abs(expected)


def test_occlusion_equals_a_computation_by_hand(digits):
    model, capture = digits
    x, found = capture.input("input", 3), capture.explanations(3).attribution("occlusion")
    index = found.explained.target.index
    total, counts = np.zeros((28, 28)), np.zeros((28, 28))
    whole = logits(model, x[None])[0, index]
    for top in range(0, 25, 2):
        for left in range(0, 25, 2):
            covered = x.copy()
            covered[top : top + 4, left : left + 4] = 0
            total[top : top + 4, left : left + 4] += whole - logits(model, covered[None])[0, index]
            counts[top : top + 4, left : left + 4] += 1
    assert apart(found.values, total / counts) < 1e-4


def test_maps_are_read_as_written(digits):
    _, capture = digits
    explanations = capture.explanations(7)
    (target,) = explanations.targets
    assert target.slot == "predicted"
    assert target.target.index == capture.activation("dense_1", 7).argmax()
    assert np.isclose(target.probability, capture.activation("dense_1", 7).max(), rtol=1e-5)
    for name in PIXELS:
        found = explanations.attribution(name)
        assert (found.method, found.layer, found.values.shape) == (name, "input", (28, 28))
    assert explanations.attribution("integrated_gradients").settings["baseline"] == "zero"


def test_patches_cover_all_of_sequences_pictures_and_volumes():
    for places in ((5,), (30,), (28, 28), (8, 9, 10)):
        counts = np.zeros(places)
        for cover in patches(places):
            counts[cover] += 1
        assert counts.min() >= 1


@pytest.mark.parametrize("shape", [(20, 3), (6, 7, 8, 2), (9,)])
@pytest.mark.parametrize("name", PIXELS)
def test_sequences_volumes_and_vectors_have_maps(name, shape, rng):
    kind = {2: layers.Conv1D, 4: layers.Conv3D}.get(len(shape))
    middle = [kind(2, 3, activation="relu")] if kind else []
    model = keras.Sequential(
        [keras.Input(shape, name="start"), *middle, layers.Flatten(), layers.Dense(3, name="head")]
    )
    maps = attribute(name, model, [zoo.numbers(rng, 2, *shape)], "head", [0, 1])
    assert maps.shape == (2, *(shape[:-1] or shape))
    assert np.all(np.isfinite(maps))


def test_baselines_equal_their_definitions(rng):
    model = traced(small(), [zoo.numbers(rng, 1, 8, 6, 2)])
    x = zoo.numbers(rng, 2, 8, 6, 2)
    made = {
        kind: make_baselines(model.described, [x], "start", kind, 5)[0] for kind in ("zero", "mean", "blur", "noise")
    }
    assert all(b.shape == x.shape and b.dtype == x.dtype for b in made.values())
    assert not np.any(made["zero"])
    assert np.allclose(made["mean"], x.mean(axis=(1, 2), keepdims=True))
    assert np.allclose(made["blur"].mean(), x.mean(), atol=0.05)
    assert made["blur"].std() < x.std()
    assert np.all(made["noise"] >= x.min(axis=(1, 2, 3), keepdims=True))
    assert np.array_equal(made["noise"][1:], make_baselines(model.described, [x[1:]], "start", "noise", 5)[0])


def test_several_outputs_and_regressions_have_maps(tmp_path, rng):
    x = {"left": zoo.numbers(rng, 3, 4), "right": zoo.numbers(rng, 3, 3)}
    model = zoo.two_in_two_out()
    insights = Insights(targets=("first[1]", "second[2]"), gradients=True, attributions=("gradient_x_input",))
    capture = nnviz3d.capture(model, x, out=tmp_path / "two.zarr", insights=insights)
    for sample in range(3):
        found = capture.explanations(sample)
        assert {e.slot for e in found.targets} == {"first[1]", "second[2]"}  # in the order of their scores
        for explained in found.targets:
            output, index = explained.target.output, explained.target.index
            assert explained.probability is None
            assert np.isclose(explained.score, capture.activation(output, sample)[index], rtol=1e-5)
        first, second = Target("first", 1), Target("second", 2)
        assert found.attribution_layers("gradient_x_input", first) == ("left", "right")
        assert found.attribution_layers("gradient_x_input", second) == ("right",), "it does not read the left"
        kernel = model.get_layer("second").kernel.numpy()
        assert np.allclose(found.gradient("right", second), kernel[:, 2])


def test_each_picture_input_has_a_map(tmp_path, rng):
    left, right = keras.Input((6, 5, 1), name="left"), keras.Input((4, 4, 2), name="right")
    age = keras.Input((2,), name="age")
    parts = [layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(part)) for part in (left, right)]
    model = keras.Model([left, right, age], layers.Dense(3, name="head")(layers.Concatenate()([*parts, age])))
    x = {
        name: zoo.numbers(rng, 2, *shape) for name, shape in (("left", (6, 5, 1)), ("right", (4, 4, 2)), ("age", (2,)))
    }
    insights = Insights(attributions=PIXELS, targets=("1",))
    capture = nnviz3d.capture(model, x, out=tmp_path / "pair.zarr", insights=insights)
    for sample in range(2):
        found, rows = capture.explanations(sample), {name: values[sample : sample + 1] for name, values in x.items()}
        for name in PIXELS:
            assert found.attribution_layers(name) == ("left", "right")
            shapes = [found.attribution(name, layer=layer).values.shape for layer in ("left", "right")]
            assert shapes == [(6, 5), (4, 4)]
        for layer in ("left", "right"):
            without = model.predict({**rows, layer: np.zeros_like(rows[layer])}, verbose=0)[0, 1]
            gap = found.targets[0].score - without
            total = found.attribution("integrated_gradients", layer=layer).values.sum()
            assert abs(total - gap) < 0.01 * abs(gap), "complete, the other input staying as it is"


@pytest.mark.parametrize(("shape", "suited"), [((6,), "integrated_gradients"), ((9, 2), "grad_cam")])
def test_automatic_method_suits_the_model(tmp_path, rng, shape, suited):
    x = keras.Input(shape, name="x")
    hidden = layers.Dense(4, activation="tanh")(x) if len(shape) == 1 else layers.Conv1D(4, 3, activation="relu")(x)
    model = keras.Model(x, layers.Dense(3, name="head")(layers.Flatten()(hidden)))
    capture = nnviz3d.capture(
        model, zoo.numbers(rng, 2, *shape), out=tmp_path / "x.zarr", insights=Insights(attributions=("automatic",))
    )
    assert attribution_methods(capture.stored) == (suited,)
    assert capture.explanations(0).attribution(suited) is not None


def test_methods_are_found_by_usual_spellings():
    assert [m.name for m in find_methods(["Integrated-Gradients", "vanilla", "VANILLA"])] == [
        "integrated_gradients",
        "vanilla",
    ]
    with pytest.raises(ModelError, match=r"no attribution method 'smothgrad'; .* Did you mean smoothgrad\?"):
        find_methods(["smothgrad"])
    with pytest.raises(
        ModelError, match="no attribution method 'xyz'; expected one of automatic, vanilla, gradient_x_input"
    ):
        find_methods(["xyz"])


def test_token_model_without_real_inputs_is_refused():
    start = keras.Input((5,), dtype="int32", name="start")
    model = keras.Model(start, layers.Dense(2)(layers.Flatten()(layers.Embedding(10, 4)(start))))
    described = traced(model, [np.zeros((1, 5), dtype=np.int32)]).described
    with pytest.raises(ModelError, match="takes no real numbers"):
        explained_inputs(described, described.graph.outputs[0])


def test_model_of_one_batch_size_has_the_same_maps(rng):
    start = keras.Input(batch_shape=(4, 5), name="start")
    model = keras.Model(start, layers.Dense(3, activation="sigmoid", name="head")(start))
    x = zoo.numbers(rng, 6, 5)
    kernel = model.layers[-1].kernel.numpy()
    index = [0, 1, 2, 2, 1, 0]
    for name in PIXELS:
        maps = attribute(name, model, [x], "head", index)
        given = kernel.T[index] if name in ("vanilla", "smoothgrad") else kernel.T[index] * x
        assert apart(maps, np.abs(given) if not METHODS[name].signed else given) < 1e-4


def cliff(slope):
    """A score that rises from -1 to 1 at 1/7 of the path from 0 to 1; few intervals meet a steep rise."""
    start = keras.Input((1,), name="start")
    rise = layers.Dense(1, "tanh", name="end")
    rise.build((None, 1))
    rise.set_weights([np.full((1, 1), slope), np.full(1, -slope / 7)])
    return keras.Model(start, rise(start))


class TestIntegratedGradients:
    def test_intervals_divide_earlier_ones_and_no_gradient_is_computed_twice(self, monkeypatch):
        passes = []

        def spied(model, x, y, g, layer, variations, report):
            passes.append([vary(np.ones((1, 1))).item() for _, vary in variations])
            return mean_gradient(model, x, y, g, layer, variations, report)

        monkeypatch.setattr(integrated_gradients, "mean_gradient", spied)
        found = attribute("integrated_gradients", cliff(400.0), [np.ones((1, 1), dtype=np.float32)], "end", [0])
        assert [len(shares) for shares in passes] == [32, 64, 192, 576][: len(passes)]
        shares = np.sort(np.concatenate(passes))
        assert len(passes) > 1
        assert np.allclose(np.sqrt(shares), (np.arange(len(shares)) + 0.5) / len(shares))
        assert abs(found[0, 0] - 2) < 0.01

    def test_incomplete_map_is_reported_and_noted(self, tmp_path):
        samples = np.array([[1.0], [0.1]], dtype=np.float32)  # the second ends before the rise
        wanted, events = Insights(attributions=("integrated_gradients",)), []
        request = CaptureRequest(model="cliff", out=tmp_path / "c.zarr", insights=wanted)
        kept = prepare_live_model(cliff(1e5), samples)
        kept.answer(request.model_copy(update={"inputs": kept.sources}), events.append)
        capture = nnviz3d.open_capture(tmp_path / "c.zarr")
        (note,) = (text for text in capture.provenance.notes_of(0) if "Integrated" in text)
        missing = abs(capture.explanations(0).attribution("integrated_gradients").values.sum() - 2) / 2
        assert missing > 0.9
        assert (
            note
            == f"Integrated gradients of end[0] by start: {missing:.1%} of the score's difference is not accounted for."
        )
        assert not any("Integrated" in text for text in capture.provenance.notes_of(1))
        (line,) = (e.text for e in events if isinstance(e, Notice) and "Integrated" in e.text)
        assert line.startswith(
            "Integrated gradients: 1 of 2 maps of start for predicted is not complete; most is missing for "
        )
        assert f"{missing:.1%}" in line
