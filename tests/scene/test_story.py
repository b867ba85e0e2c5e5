"""The story of a sample: the numbers in its captions against NumPy on the capture, and its stops for any graph."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.data.capture import Capture
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.storage.axis_names import write_unit_names
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.colors import number, score
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.story.captions import story_of
from nnviz3d.scene.story.decision import decision_of
from nnviz3d.scene.story.responses import strongest_channel
from nnviz3d.scene.story.stop import StoryStop
from nnviz3d.scene.tours.make_tour import make_tour
from nnviz3d.scene.tours.motion import MOST_ZOOM
from nnviz3d.scene.tours.story import Walk
from tests.support.captures import write
from tests.support.graphs import GRAPHS, resnet50_like
from tests.support.pinhole import to_frame
from tests.support.scenes import bundled_scene

ASPECT = 16 / 9
STRUCTURE = parse_scene({"format": 1, "views": [{"kind": "structure"}]})


@pytest.fixture(scope="module")
def scene(digits: Capture) -> Scene:
    return Scene.build(default_scene(), digits, aspect=ASPECT)


def stop_of(stops: tuple[StoryStop, ...], title: str) -> StoryStop:
    return next(stop for stop in stops if stop.title.startswith(title))


def test_story_of_digits_goes_from_the_whole_over_input_and_stages_to_the_answer(scene):
    stops = story_of(scene, Selection(sample=7))
    assert [stop.title for stop in stops] == [
        "digits",
        "The input",
        "conv2d … max_pooling2d",
        "conv2d_1 … max_pooling2d_1",
        "conv2d_2 … flatten",
        "dense",
        "dense_1",
        "What 7 rests on",
        "The answer",
        "From input to decision",
    ]
    assert [stop.ranks for stop in stops] == sorted(stop.ranks for stop in stops)


def test_tour_counts_the_layers_like_the_list_of_layers_with_the_input(scene, digits):
    stops = story_of(scene, Selection(sample=7))
    assert len(digits.graph) == 9
    assert digits.graph.inputs == ("input",)
    assert stops[0].text.startswith("A network of 9 layers with ")
    assert "has passed 9 layers;" in stops[-1].text


@pytest.mark.parametrize("sample", [0, 4, 8])
def test_captions_name_the_strongest_channel_its_mean_its_peak_and_the_silent_ones(scene, digits, sample):
    stops = story_of(scene, Selection(sample=sample))
    for stop, layer in ((stops[2], "max_pooling2d"), (stops[3], "max_pooling2d_1"), (stops[4], "conv2d_2")):
        values = digits.activation(layer, sample).astype(np.float64)
        means = values.mean(axis=(0, 1))
        best = int(means.argmax())
        row, column = np.unravel_index(values[..., best].argmax(), values.shape[:2])
        text = re.search(
            r"hannel (\d+) of (\d+) answers strongest: mean (\S+), peak (\S+) at row (\d+), column (\d+)", stop.text
        )
        assert text is not None
        told = (
            str(best),
            str(len(means)),
            number(means[best]),
            number(values[row, column, best]),
            str(row),
            str(column),
        )
        assert text.groups() == told
        assert stop.pick == CellPick(layer, (int(row), int(column), best))
        silent = int((values == 0).all(axis=(0, 1)).sum())
        assert re.findall(r"(\d+) channels? (?:is|are) 0 everywhere", stop.text) == [str(silent)] * (silent > 0)
    dense = digits.activation("dense", sample)
    assert f"Unit {dense.argmax()} of 64 answers strongest: {number(float(dense.max()))}." in stops[5].text
    assert f"{(dense == 0).sum()} units are 0." in stops[5].text


@pytest.mark.parametrize("sample", [0, 4, 8])
def test_caption_on_the_decision_gives_the_products_of_the_weights_and_the_runner_up(scene, digits, sample):
    stops = story_of(scene, Selection(sample=sample))
    scores, given = digits.activation("dense_1", sample), digits.activation("dense", sample).astype(np.float64)
    weights = {name: np.asarray(array, dtype=np.float64) for name, array in digits.weights("dense_1").items()}
    best, second = np.argsort(-scores)[:2]
    products = given * weights["kernel"][:, best]
    total = products.sum() + weights["bias"][best]
    assert math.isclose(
        math.log(scores[best] / scores[second]),
        total - (given @ weights["kernel"][:, second] + weights["bias"][second]),
        abs_tol=1e-3,
    )
    text = stop_of(stops, f"What {best} rests on").text
    assert f"dense_1 adds up 64 products and the bias {number(weights['bias'][best])}: {number(total)}." in text
    first, other = np.argsort(-products)[:2]
    assert (
        f"Most for it: unit {first} (+{number(products[first])}) and unit {other} (+{number(products[other])}) of dense."
        in text
    )
    least = int(products.argmin())
    assert f"Most against it: unit {least} ({number(products[least])})" in text
    margin = given * (weights["kernel"][:, best] - weights["kernel"][:, second])
    lead = total - (given @ weights["kernel"][:, second] + weights["bias"][second])
    ahead = int(margin.argmax())
    assert (
        f"Its lead of {number(lead)} over {second} owes most to unit {ahead} of dense (+{number(margin[ahead])})."
        in text
    )
    answer = stop_of(stops, "The answer").text
    assert f"The model says {best} ({score(float(scores[best]))})." in answer
    assert f"The runner-up is {second} ({score(float(scores[second]))})." in answer
    assert (
        f"Its label is {digits.label(sample)}: the model is {'right' if best == digits.label(sample) else 'wrong'}."
        in answer
    )


@pytest.mark.parametrize(
    "axes", [("row", "column", "channel"), ("channel", "row", "column"), ("time step", "channel"), ("channel",)]
)
def test_strongest_channel_is_that_of_a_full_search_whatever_the_axes_signs_and_gaps(axes):
    random = np.random.default_rng(3)
    for _ in range(40):
        values = random.normal(size=tuple(random.integers(1, 5, len(axes)))).astype(np.float32)
        values[random.random(values.shape) < 0.3] = 0
        values[random.random(values.shape) < 0.1] = np.nan
        found = strongest_channel(values, axes)
        at = axes.index("channel")
        channels = [np.take(values, i, axis=at) for i in range(values.shape[at])]
        if not np.isfinite(values).any():
            assert found is None
            continue
        means = [
            np.abs(one[np.isfinite(one)], dtype=np.float64).mean() if np.isfinite(one).any() else 0 for one in channels
        ]
        assert found is not None
        assert found.channel == int(np.argmax(means))
        assert math.isclose(found.mean, max(means), rel_tol=1e-12)
        assert abs(found.peak) == np.nanmax(np.abs(channels[found.channel])) if max(means) else found.peak == 0
        assert values[found.index] == found.peak
        assert found.silent == sum(bool((one == 0).all()) for one in channels)
        assert found.odd == int((~np.isfinite(values)).sum())
        assert found.signed == bool((values[np.isfinite(values)] < 0).any())


@pytest.mark.parametrize("name", GRAPHS)
def test_story_has_six_to_twelve_stops_for_any_graph_even_without_numbers(name, tmp_path: Path):
    graph = GRAPHS[name]()
    first = graph.inputs[0]
    values = {first: np.zeros((1, *(n or 3 for n in graph.node(first).shape)), np.float32)}
    built = Scene.build(STRUCTURE, write(tmp_path / "run.zarr", graph, values), aspect=ASPECT)
    stops = story_of(built, Selection())
    assert 6 <= len(stops) <= 12
    assert [stop.ranks for stop in stops] == sorted(stop.ranks for stop in stops)
    told = [layer for stop in stops[2:-3] for layer in stop.layers]
    assert sorted(told) == sorted(node.id for node in graph if node.id not in graph.inputs), "each layer once"
    assert not any("strongest" in stop.text for stop in stops), "no numbers were captured, so none are told"
    assert all(stop.text and stop.text.isprintable() and len(stop.text) < 420 for stop in stops)


def linear(
    tmp_path: Path, outputs: int, activation: str, classes: tuple[str, ...] | None, bias: float = 0.0
) -> Capture:
    """A model of one dense layer on three columns, whose stored numbers are those of its stored weights."""
    graph = ModelGraph(
        "table",
        (
            LayerNode("columns", 0, "InputLayer", ((3,),)),
            LayerNode("out", 0, "Dense", ((outputs,),), 3 * outputs + outputs, activation, {"units": outputs}),
        ),
        (Edge("columns", "out"),),
        ("columns",),
        ("out",),
    )
    given = np.array([[2.0, -1.0, 0.5]], np.float32)
    kernel = np.array([[1.0, -2.0], [3.0, 0.5], [-1.0, 4.0]], np.float32)[:, :outputs]
    sums = given @ kernel + bias
    by_name = {
        "linear": lambda v: v,
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "softmax": lambda v: np.exp(v) / np.exp(v).sum(),
    }
    weights = {"kernel": kernel, "bias": np.full(outputs, bias, np.float32)}
    scores = by_name[activation](sums.astype(np.float64)).astype(np.float32)
    return write(
        tmp_path / "run.zarr",
        graph,
        {"columns": given, "out": scores},
        classes=classes,
        also=(
            lambda writer: [writer.write_weights("out", name, array) for name, array in weights.items()],
            lambda writer: write_unit_names(writer, "columns", ("age", "mass", "speed")),
        ),
    )


def test_probability_of_two_classes_is_explained_for_the_class_that_it_predicts(tmp_path):
    capture = linear(tmp_path, 1, "sigmoid", ("cat", "dog"))
    stops = story_of(Scene.build(default_scene(), capture), Selection())
    assert len(stops) == 6
    # 2·1 − 1·3 − 0.5·1 = −1.5: the first class, for which negative products speak.
    text = stop_of(stops, "What cat rests on").text
    assert text.startswith("out adds up 3 products: −1.5. Most for it: “mass” (−3) and “speed” (−0.5).")
    assert "Most against it: “age” (+2)." in text
    value = 1 / (1 + math.exp(-1.5))
    assert (
        stop_of(stops, "The answer").text
        == f"The model says cat ({score(value)}). The runner-up is dog ({score(1 - value)})."
    )


def test_single_number_is_told_as_a_sum_that_goes_up_and_down(tmp_path):
    stops = story_of(Scene.build(default_scene(), linear(tmp_path, 1, "linear", None, 0.25)), Selection())
    text = stop_of(stops, "What the answer rests on").text
    assert text.startswith("out adds up 3 products and the bias 0.25: −1.25. Most up: “age” (+2).")
    assert text.endswith("Most down: “mass” (−3) and “speed” (−0.5).")
    assert "right" not in stop_of(stops, "The answer").text
    assert "−1.25" in stop_of(stops, "The answer").text


def test_weights_that_do_not_give_the_stored_score_explain_nothing(tmp_path):
    capture = linear(tmp_path, 2, "softmax", ("cat", "dog"))
    spoilt = write(
        tmp_path / "spoilt.zarr",
        capture.graph,
        {"columns": capture.activation("columns")[np.newaxis], "out": np.array([[0.4, 0.6]], np.float32)},
        classes=("cat", "dog"),
        also=(
            lambda writer: [
                writer.write_weights("out", name, np.asarray(w)) for name, w in capture.weights("out").items()
            ],
        ),
    )
    text = stop_of(story_of(Scene.build(default_scene(), spoilt), Selection()), "What dog rests on").text
    assert "Most for it" not in text
    assert text.startswith("The weights and numbers that are stored give")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answer_that_is_not_finite_is_never_explained(small_capture, tmp_path, value):
    values = {node.id: small_capture.activations(node.id).values.copy() for node in small_capture.graph}
    values["scores"][:, 1] = value
    values["dense"][:] = value
    broken = write(tmp_path / "broken.zarr", small_capture.graph, values, classes=small_capture.classes)
    built = Scene.build(default_scene(), broken)
    assert decision_of(built.context, 0) is None
    stops = story_of(built, Selection())
    assert "no sum explains it" in stop_of(stops, "What the answer rests on").text
    assert not any("The model says" in stop.text for stop in stops)


def test_scene_without_layers_has_no_story():
    with pytest.raises(UserError, match="shows no layers"):
        story_of(bundled_scene("embedding"), Selection())


def test_stage_with_closed_groups_tells_of_the_numbers_that_the_picture_shows(tmp_path):
    graph, random = resnet50_like(), np.random.default_rng(2)
    names = ("s3b2_1_relu", "s3b2_out", "s4b5_2_bn", "s4b5_out")
    values = {name: random.random((1, *graph.node(name).shape), dtype=np.float32) for name in names}
    built = Scene.build(default_scene(), write(tmp_path / "run.zarr", graph, values), aspect=ASPECT)
    assert "s3b2_out" not in built.context.graph, "a closed group hides it"
    stops = story_of(built, Selection())
    told = [stop for stop in stops if stop.pick is not None]
    assert ["(s3b2_out), channel" in told[0].text, "(s4b5_out), channel" in told[1].text] == [True, True]
    for stop in told:
        assert stop.pick.layer in built.context.graph
        assert built.mark(stop.pick, built.duration, Selection(pick=stop.pick)), "the number is marked"
        assert (
            f"peak {number(float(built.context.capture.activation(stop.pick.layer)[stop.pick.index]))} at" in stop.text
        )
    assert len(told) == 2


# The walk.


def poses_of(scene: Scene, aspect: float = ASPECT) -> tuple[Walk, tuple[StoryStop, ...]]:
    stops = story_of(scene, Selection(sample=7))
    return Walk.of(scene, aspect, Selection(sample=7), stops), stops


@pytest.mark.parametrize("aspect", [ASPECT, 0.6])
def test_layers_of_each_stop_are_in_the_frame_above_the_caption(scene, aspect):
    walk, stops = poses_of(scene, aspect)
    for stop, pose in zip(stops, walk.poses, strict=True):
        points = (
            np.concatenate([scene.around(name) for name in stop.near or stop.layers]) if stop.layers else scene.extent()
        )
        frame = to_frame(points, pose, aspect)
        assert np.abs(frame[:, 0]).max() <= 1
        assert frame[:, 1].max() <= 1
        assert frame[:, 1].min() >= -1 + 2 * 0.17, "the caption is below"


def test_film_is_as_slow_as_one_reads_and_its_light_only_goes_forward(scene):
    film = make_tour(scene, ASPECT, "story", selection=Selection(sample=7))
    moments = np.linspace(0, film.seconds, 2400)
    captions = [film.told(tau, Selection(sample=7))[0] for tau in moments]
    step = moments[1]
    for stop in story_of(scene, Selection(sample=7)):
        shown = [caption for caption in captions if caption is not None and caption.rows[0].text == stop.title]
        assert len({id(caption) for caption in shown}) == 1
        assert len(shown) * step >= (len(stop.text) + len(stop.title)) / 17
    times = [film.at(tau)[0] for tau in moments]
    assert times == sorted(times)
    assert times[-1] == scene.duration
    half = make_tour(scene, ASPECT, "story", film.seconds / 2, Selection(sample=7))
    assert math.isclose(half.seconds, film.seconds / 2)
    assert half.at(10.0) == film.at(20.0)


def test_camera_of_the_film_is_smooth_and_keeps_to_the_speed_limits(scene):
    film = make_tour(scene, ASPECT, "story", selection=Selection(sample=7))
    moments = np.arange(0, film.seconds, 1 / 60)
    poses = [film.at(tau)[1] for tau in moments]
    distances = np.array([distance(pose) for pose in poses])
    assert np.exp(np.abs(np.diff(np.log(distances))).max() * 60) <= MOST_ZOOM * 1.01
    moved = np.array([np.linalg.norm(np.subtract(b.target, a.target)) for a, b in pairwise(poses)])
    heights = 2 * math.tan(math.radians(poses[0].field_of_view / 2)) * distances[1:]
    speed = moved / heights * 60
    assert speed.max() <= 1.3
    assert np.abs(np.diff(speed)).max() < 0.15, "it does not jerk"


def distance(pose: CameraPose) -> float:
    return float(np.linalg.norm(np.subtract(pose.position, pose.target)))


def test_stops_highlight_their_layer_and_mark_the_number_of_the_caption(scene):
    film = make_tour(scene, ASPECT, "story", selection=Selection(sample=7))
    seen = [film.told(tau, Selection(sample=7))[1] for tau in np.linspace(0, film.seconds, 400)]
    layers = list(dict.fromkeys(selection.layer for selection in seen))
    assert layers == [None, "input", "max_pooling2d", "max_pooling2d_1", "conv2d_2", "dense", "dense_1"]
    assert all(selection.sample == 7 for selection in seen)
    assert seen[-1].pick is None
