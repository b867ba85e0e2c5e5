"""A cached model gives the same numbers as a newly loaded one, and changes of its file are noticed."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from nnviz3d.capture.live_model import prepare_live_model
from nnviz3d.capture.model_cache import ModelCache
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.records import RANKINGS
from nnviz3d.data.request import CaptureRequest, Notice, Progress
from nnviz3d.data.sample_sources import expand
from nnviz3d.errors import ModelError, SampleError
from tests.capture import zoo

pytestmark = pytest.mark.slow


class Asker:
    """Requests captures of models, each into a new file."""

    def __init__(self, folder, answer):
        self._folder, self._answer, self._count = folder, answer, 0
        self.stages = []

    def __call__(self, model, *inputs, **options):
        self._count += 1
        self.stages.clear()
        out = self._folder / f"{self._count}.zarr.zip"
        request = CaptureRequest(model=str(model), inputs=tuple(map(str, inputs)), out=out, **options)
        self._answer(request, lambda event: isinstance(event, Progress) and self.stages.append(event.stage))
        return open_capture(out)


@pytest.fixture
def kept(tmp_path):
    return Asker(tmp_path, ModelCache().capture)


@pytest.fixture
def fresh(tmp_path):
    (tmp_path / "fresh").mkdir()
    return Asker(tmp_path / "fresh", lambda request, report: ModelCache().capture(request, report))


def assert_same(one, other):
    assert one.graph == other.graph
    assert one.classes == other.classes
    for node in one.graph:
        for k in range(len(node.shapes)):
            if one.has_activations(node.id, k):
                assert one.activations(node.id, k).values.tobytes() == other.activations(node.id, k).values.tobytes()
        for source in one.graph.sources(node.id):
            for ranking in RANKINGS:
                a, b = (c.connections(source, node.id, ranking) for c in (one, other))
                assert (a is None) == (b is None)
                if a is not None and b is not None:
                    assert np.array_equal(a.index, b.index)
                    assert np.array_equal(a.contribution, b.contribution)


@pytest.mark.parametrize("transient", [False, True])
@pytest.mark.parametrize(
    "make",
    [zoo.digits_like, zoo.nested_and_shared, zoo.residual, zoo.two_in_two_out, zoo.sequence],
    ids=lambda f: f.__name__,
)
def test_numbers_are_bit_equal_to_those_of_a_fresh_model(tmp_path, rng, kept, fresh, make, transient):
    model = make()
    model.save(tmp_path / "m.keras")
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    for path in (first, second):
        np.savez(path, **{t.name: zoo.numbers(rng, 1, *t.shape[1:]) for t in model.inputs})
    kept(tmp_path / "m.keras", first, transient=transient)
    assert "load" in kept.stages
    again = kept(tmp_path / "m.keras", second, transient=transient)
    assert "load" not in kept.stages
    assert_same(again, fresh(tmp_path / "m.keras", second, transient=transient))


def test_random_weights_and_names_are_the_same_every_time(kept):
    first = kept("keras:MobileNetV2", "sklearn:china.jpg", weights="none", transient=True)
    kept(bundled("digits.keras"), "digits:3")
    again = kept("keras:MobileNetV2", "sklearn:china.jpg", weights="none", transient=True)
    assert "load" in kept.stages
    assert_same(first, again)
    assert again.classes[698] == "palace"


@pytest.mark.parametrize(
    ("draw", "anew"),
    [
        (lambda x: x + __import__("keras").random.normal((4,)), False),  # its generator stays unchanged
        (lambda x: x + __import__("tensorflow").random.normal((4,)), True),
    ],
)
def test_random_models_start_from_the_same_state_each_time(tmp_path, kept, fresh, draw, anew):
    start = keras.Input((4,), name="start")
    noise = layers.Lambda(draw, output_shape=(4,), name="noise")
    keras.Model(start, noise(start)).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", np.zeros((1, 4), np.float32))
    one, two = (kept(tmp_path / "m.keras", tmp_path / "x.npy", trust=True) for _ in range(2))
    assert ("load" in kept.stages) == anew
    assert one.activation("noise").any()
    assert_same(one, two)
    assert_same(one, fresh(tmp_path / "m.keras", tmp_path / "x.npy", trust=True))


def test_changed_file_is_loaded_again(tmp_path, kept):
    path = tmp_path / "m.keras"
    values = []
    for units in (3, 5):
        model = keras.Sequential([keras.Input((2,), name="start"), layers.Dense(units, name="dense")])
        model.save(path)
        capture = kept(path, "random")
        assert np.array_equal(capture.weights("dense")["kernel"], model.layers[0].kernel)
        values.append(capture.activation("dense"))
    assert [v.shape for v in values] == [(3,), (5,)]


def test_refused_request_leaves_the_cached_model_unchanged(tmp_path, kept):
    one = kept(bundled("digits.keras"), "digits:7")
    np.save(tmp_path / "x.npy", np.zeros((1, 5)))
    with pytest.raises(SampleError, match=r"x\.npy has the shape"):
        kept(bundled("digits.keras"), tmp_path / "x.npy")
    with pytest.raises(ModelError, match="There is no model"):
        kept("nowhere.keras")
    assert_same(one, kept(bundled("digits.keras"), "digits:7"))


def test_further_samples_are_fitted_to_the_shapes_of_the_first(tmp_path, kept):
    start = keras.Input((None, None, 3), name="start")
    keras.Model(start, layers.Conv2D(2, 3, name="conv")(start)).save(tmp_path / "m.keras")
    for name, size in (("wide", (64, 32)), ("tall", (32, 64))):
        Image.new("RGB", size, "orange").save(tmp_path / f"{name}.png")
    np.save(tmp_path / "small.npy", np.zeros((2, 8, 8, 3), np.float32))
    first = kept(tmp_path / "m.keras", tmp_path / "wide.png")
    shapes = tuple(first.activation_shape(name) for name in first.graph.inputs)
    assert shapes == ((32, 64, 3),)
    for other in (tmp_path / "tall.png", "digits:7", "random", "sklearn:china.jpg"):
        assert kept(tmp_path / "m.keras", other, shapes=shapes).graph == first.graph
    with pytest.raises(
        SampleError, match=r"small\.npy\[1\] has the shape \(8, 8, 3\); the samples beside it have \(32, 64, 3\)"
    ):
        kept(tmp_path / "m.keras", f"{tmp_path}/small.npy[1]", shapes=shapes)


def test_samples_captured_one_by_one_equal_those_captured_together(tmp_path, kept):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.random((3, 28, 28), np.float32))
    np.save(tmp_path / "single.npy", rng.random((28, 28), np.float32))
    np.savez(tmp_path / "y.npz", images=rng.random((2, 28, 28, 1), np.float32), y=np.array([[5], [6]]))
    for inputs in (
        [f"{tmp_path}/x.npy", f"{tmp_path}/single.npy", f"{tmp_path}/y.npz"],
        [f"{tmp_path}/y.npz[1]", f"{tmp_path}/x.npy[1:3]"],
        ["digits:4-6", "digits:0"],
        ["sklearn:flower.jpg", "digits:1", "sklearn:china.jpg"],
        [],
    ):
        together = kept(bundled("digits.keras"), *inputs)
        shapes = {name: together.activation_shape(name) for name in together.graph.inputs}
        found = expand(inputs, shapes=shapes)
        assert tuple(one.name for one in found) == together.provenance.samples
        if together.labels is not None:
            assert [NO_LABEL if one.label is None else one.label for one in found] == together.labels.tolist()
        for i, one in enumerate(found):
            alone = kept(bundled("digits.keras"), one.source, transient=True)
            assert alone.provenance.samples == (one.name,)
            assert np.array_equal(alone.input("input"), together.input("input", i))
            assert alone.provenance.sample_notes[0] == together.provenance.sample_notes[i]


def test_live_model_is_cached_with_its_samples(tmp_path, rng):
    model = zoo.Stack(name="stack")
    x = zoo.numbers(rng, 3, 5)
    kept = prepare_live_model(model, x, classes="abcdefgh", labels=[1, 0, 2])
    assert kept.sources == ("x[0]", "x[1]", "x[2]")
    ask = Asker(tmp_path, kept.answer)
    one = ask("whatever it is called", "x[2]", transient=True)
    assert (one.provenance.model, one.provenance.samples) == ("Stack 'stack'", ("x[2]",))
    assert one.labels.tolist() == [2]
    assert one.classes == tuple("abcdefgh")
    assert np.array_equal(one.activations("block2/add").values, model(x[2:]))
    assert len(ask("", *kept.sources).provenance.samples) == 3
    with pytest.raises(SampleError, match=r"There is no input x\[3\]"):
        ask("", "x[3]")


def test_live_model_in_training_is_captured_with_its_current_weights(tmp_path, rng):
    model = zoo.nested_and_shared()
    x = zoo.numbers(rng, 1, 8)
    ask = Asker(tmp_path, prepare_live_model(model, x).answer)
    before = ask("", "x", transient=True)
    for variable in model.weights:
        variable.assign(variable + 1.0)
    after = ask("", "x", transient=True)
    assert np.array_equal(after.activation(after.graph.outputs[-1]), model(x)[0])
    pair = ("shared", "shared@1")
    assert np.allclose(after.connections(*pair).weight.max(), before.connections(*pair).weight.max() + 1, atol=1)
    kernel = np.asarray(model.get_layer("shared").kernel)
    index = after.connections(*pair).index
    assert np.array_equal(after.connections(*pair).weight, kernel[index[:, 0], index[:, 1]])
    assert ask("", "x").weights("shared")["kernel"].tobytes() == kernel.tobytes()


def test_notices_name_unread_sub_folders_and_only_a_few_of_many_crops(tmp_path):
    model, folder = tmp_path / "m.keras", tmp_path / "photos"
    keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)]).save(model)
    for name in (*(f"{i}.png" for i in range(5)), "more/a.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(folder / name)
    heard = []
    request = CaptureRequest(model=str(model), inputs=(str(folder),), out=tmp_path / "run.zarr")
    ModelCache().capture(request, lambda event: isinstance(event, Notice) and heard.append(event.text))
    assert any(text.startswith("The sub-folder more of photos is not read") for text in heard)
    about = [text for text in heard if "cropped" in text or "more samples" in text]
    assert [text[:6] for text in about] == ["0.png ", "1.png ", "3 more"]
    assert all("cropped" in notes[0] for notes in open_capture(request.out).provenance.sample_notes)
