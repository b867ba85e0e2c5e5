"""Captures of chosen layers and of rounded numbers, compared with those of the whole model."""

import keras
import numpy as np
import pytest

from nnviz3d.apps.inspection import describe
from nnviz3d.apps.target import scene_named
from nnviz3d.capture.capture_model import capture_model
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.live_model import capture as capture_live
from nnviz3d.capture.loading.load import load_model
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import EmbeddingOptions
from nnviz3d.data.capture import open_capture
from nnviz3d.data.labelled_arrays import to_xarray
from nnviz3d.data.records import RANKINGS
from nnviz3d.data.request import Insights
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import default_scene

KEPT = ("conv2d", "conv2d_1", "conv2d_2", "dense")
ENDS = ("input", "dense_1")
LEFT_OUT = ("max_pooling2d", "max_pooling2d_1", "flatten")
EXPLAINED = Insights(gradients=True, attributions=("grad_cam",))


@pytest.fixture(scope="module")
def digits():
    return CachedModel(load_model(str(bundled("digits.keras"))))


@pytest.fixture(scope="module")
def capture(digits, tmp_path_factory):
    """Capture 40 digits, which are two batches, with given settings."""
    samples = digits.samples(["digits:0-39"])

    def run(name, insights=EXPLAINED, **settings):
        out = tmp_path_factory.mktemp("captures") / name
        settings = CaptureSettings(out, insights=insights, **settings)
        capture_model(digits.traced, samples, settings, lambda _: None, digits.samples)
        return open_capture(out)

    return run


@pytest.fixture(scope="module")
def whole(capture):
    return capture("whole.zarr")


@pytest.fixture(scope="module")
def part(capture, whole):
    return capture("part.zarr", keep=("conv*,dense",))


def test_kept_arrays_are_those_of_the_whole_capture_and_others_are_not_stored(whole, part):
    for node in whole.graph:
        kept = node.id in KEPT + ENDS
        assert part.has_activations(node.id) == kept
        slopes = part.explanations(33).gradient(node.id)
        if not kept:
            assert slopes is None
            continue
        mine, its = part.activations(node.id).values, whole.activations(node.id).values
        assert mine.dtype == its.dtype
        assert np.array_equal(mine, its)
        assert slopes is not None
        assert np.array_equal(slopes, whole.explanations(33).gradient(node.id))
    assert np.array_equal(part.input("input", 39), whole.input("input", 39))


def test_connections_lead_from_kept_layers_to_kept_layers(whole, part):
    for edge in whole.graph.edges:
        for ranking in RANKINGS:
            mine, its = (one.connections(edge.source, edge.target, ranking, 35) for one in (part, whole))
            if {edge.source, edge.target} <= {*KEPT, *ENDS}:
                for name in ("index", "weight", "contribution"):
                    assert np.array_equal(getattr(mine, name), getattr(its, name))
            else:
                assert mine is None


def test_whole_capture_after_one_of_chosen_layers_explains_all_connections(capture, part):
    again = capture("again.zarr")
    pair = again.connections("conv2d_2", "flatten") or again.connections("flatten", "dense")
    assert again.explanations(3).connection_gradient(pair, again.explanations(3).targets[0].target) is not None


def test_maps_and_embeddings_do_not_need_the_layers_that_are_left_out(whole, capture):
    wanted = Insights(
        attributions=("grad_cam",),
        embeddings=("flatten",),
        embedding_options=EmbeddingOptions(method="pca"),
    )
    found = capture("maps.zarr", wanted, keep=("dense",))
    for sample in (0, 39):
        target = whole.explanations(sample).targets[0].target
        mine, its = (one.explanations(sample).attribution("grad_cam", target) for one in (found, whole))
        assert np.array_equal(mine.values, its.values)
    placed = found.embedding("flatten")  # its vectors are principal components, of which 40 samples have at most 40
    assert np.allclose(placed.vectors @ placed.basis.T + placed.mean, whole.activations("flatten").values, atol=1e-4)


def test_inspect_picture_and_pick_say_which_layers_were_not_kept(part):
    assert part.provenance.kept == ("conv*,dense",)
    assert part.provenance.notes[0] == "Numbers of 6 of 9 layers were kept: inputs, outputs, conv*, dense."
    told = {node["id"]: node for node in describe(part)["nodes"]}
    assert [name for name, node in told.items() if not node.get("kept", True)] == list(LEFT_OUT)
    assert not any("statistics" in told[name] for name in LEFT_OUT)
    scene = Scene.build(default_scene(), part, aspect=1.6)
    for name in LEFT_OUT:
        assert "numbers not kept" in scene.describe(LayerPick(name), Selection()).more
    with pytest.raises(
        SceneError, match=r"'max_pooling2d'.* not captured, because only other layers were kept; capture again"
    ):
        Scene.build(scene_named("nodes"), part, aspect=1.6)
    assert "numbers not kept" not in scene.describe(LayerPick("dense"), Selection()).more


def test_pattern_without_layers_is_refused_with_similar_names(digits, tmp_path):
    with pytest.raises(UserError, match=r"--keep 'cnov2d\*' fits no layer of digits; similar names are conv2d, "):
        capture_live(digits.traced.loaded.model, "digits:0", out=tmp_path / "run.zarr", keep=["dense", "cnov2d*"])
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def rounded(capture):
    return capture("rounded.zarr", float16=True)


def test_rounded_numbers_are_those_of_numpy_in_half_the_size(whole, rounded):
    for node in whole.graph:
        mine, its = rounded.activations(node.id).values, whole.activations(node.id).values
        assert mine.dtype == np.float32
        assert np.array_equal(mine, its.astype(np.float16))
        assert np.array_equal(rounded.activation(node.id, 33), its[33].astype(np.float16))
        slopes, exact = (one.explanations(33).gradient(node.id) for one in (rounded, whole))
        assert slopes.dtype == np.float32
        assert np.array_equal(slopes, exact.astype(np.float16))
    assert np.array_equal(rounded.input("input", 39), whole.input("input", 39))
    sizes = [sum(file.stat().st_size for file in one.path.glob("activations/conv2d/**/*")) for one in (rounded, whole)]
    assert sizes[0] < 0.7 * sizes[1]


def test_rounding_is_told_with_each_number(whole, rounded):
    assert rounded.provenance.notes[0] == "The numbers of layers are rounded to float16, to about three digits."
    assert {node["stored"] for node in describe(rounded, 3)["nodes"]} == {"float16"}
    assert not any("stored" in node for node in describe(whole, 3)["nodes"])
    for capture_, told in ((rounded, True), (whole, False)):
        scene = Scene.build(default_scene(), capture_, aspect=1.6)
        facts = scene.describe(CellPick("conv2d_1", (2, 3, 4)), Selection(sample=3))
        assert facts.more[0].endswith("channel 4, rounded to float16") == told
        array = to_xarray(capture_, "conv2d_1")["conv2d_1"].activation
        assert array.attrs == ({"stored": "rounded to float16"} if told else {})


def test_number_beyond_float16_is_refused_by_name_and_nothing_is_written(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Rescaling(1e5, name="large"), keras.layers.Dense(2)])
    x = np.ones((40, 3), np.float32) * np.float32(0.5)
    kept = capture_live(model, x, out=tmp_path / "small.zarr", float16=True)
    assert np.array_equal(kept.activations("large").values, np.full((40, 3), np.float16(50000)))
    x[37] = 0.7  # in the second batch
    with pytest.raises(
        UserError, match=r"large has a number of size 70,000, and float16 ends at 65,504; capture without"
    ):
        capture_live(model, x, out=tmp_path / "run.zarr", float16=True)
    x[37] = np.inf
    assert np.isposinf(capture_live(model, x, out=tmp_path / "small.zarr", float16=True).activation("large", 37)).all()
    assert [path.name for path in tmp_path.iterdir()] == ["small.zarr"]
