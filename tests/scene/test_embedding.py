"""The view of embeddings: positions, colours, animation, picks and projected samples."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from nnviz3d.analysis.embedding import embed
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.embeddings import NO_CLASS, EmbeddingOptions, predicted_classes, write_embedding
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.errors import SceneError
from nnviz3d.render.eye import Eye
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.render.picking import pick
from nnviz3d.render.point_pictures import SIZES
from nnviz3d.scene.colors import NAN_COLOR, categorical
from nnviz3d.scene.hits import PointHit
from nnviz3d.scene.panel_rows import PictureRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import Callout, DrawList, Labels, Panel, Points
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import PointFilter, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.points.samples import PointPick
from tests.support import captures
from tests.support.captures import CLASSES, small_embedding, small_graph, small_values, write

SIZE = (640, 360)


@pytest.fixture(scope="module")
def capture() -> Capture:
    return open_capture(bundled("embedding.zarr.zip"))


@pytest.fixture(scope="module")
def scene(capture) -> Scene:
    return build(capture)


def build(capture: Capture, **view: object) -> Scene:
    spec = parse_scene({"format": 1, "views": [{"kind": "embedding", **view}]})
    return Scene.build(spec, capture)


def cloud_of(scene: Scene, t: float) -> Points:
    return next(p for p in scene.at(t).primitives if isinstance(p, Points))


def texts(scene: Scene, name: str) -> str:
    panel = next(p for p in scene.at(scene.duration).primitives if isinstance(p, Panel) and p.name == name)
    return "\n".join(row.text for row in panel.rows if isinstance(row, TextRow))


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (2, "PCA in 3 dimensions, of which 1 has variance · "),
        (3, "PCA in 3 dimensions, of which 2 have variance · "),
        (4, "PCA in 3 dimensions · "),
    ],
)
def test_points_of_few_samples_are_drawn_and_say_how_many_dimensions_have_variance(tmp_path, count, words):
    options = EmbeddingOptions(method="pca")
    whole = small_embedding()
    found = embed(whole.vectors[:count], options)
    few = {name: getattr(whole, name)[:count] for name in ("names", "labels", "predictions", "probabilities")}
    kept = {name: getattr(found, name) for name in ("points", "first", "snapshots", "vectors", "quality", "settings")}
    one = replace(whole, method="pca", thumbnails=np.full((count, 6, 6, 3), 200, np.uint8), **few, **kept)
    made = build(
        write(tmp_path / "few.zarr", small_graph(), small_values(), also=[partial(write_embedding, found=one)])
    )
    assert texts(made, "title").splitlines()[-1].startswith(words)
    points = cloud_of(made, made.duration).points
    assert np.isfinite(points).all()
    assert len(np.unique(points, axis=0)) == count
    pose = made.camera(made.duration, aspect=SIZE[0] / SIZE[1])
    places, _ = Eye.of(pose, SIZE).project(points.astype(np.float64))
    half = 0.6 * SIZES[-1] / 2  # text and pictures of this small frame have the scale 0.6
    assert (places >= half).all()
    assert (places < np.subtract(SIZE, half)).all(), "the whole pictures are in the frame"
    apart = np.linalg.norm(places[:, np.newaxis] - places, axis=2)[~np.eye(count, dtype=bool)]
    assert apart.min() > 20, "in pixels"


def test_ten_classes_have_ten_distinct_colours_on_a_dark_background():
    colors = np.array(categorical(10))
    apart = np.linalg.norm(colors[:, np.newaxis] - colors, axis=2)[~np.eye(10, dtype=bool)]
    assert apart.min() > 0.2
    assert (colors @ [0.2126, 0.7152, 0.0722]).min() > 0.4


def test_balls_are_drawn_at_their_points_in_their_colours(scene):
    studio = Offscreen(SIZE, antialias=False)
    pose = scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])
    what = scene.at(scene.duration)
    picture = studio.picture(what, pose) / 255
    studio.close()
    cloud = cloud_of(scene, scene.duration)
    places, depth = Eye.of(pose, SIZE).project(cloud.points.astype(np.float64))
    assert (places >= 0).all()
    assert (places < SIZE).all()
    # Balls that no nearer ball covers.
    apart = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
    free = ~((apart < 7) & (depth < depth[:, np.newaxis])).any(axis=1)
    labels = [label.anchor for p in what.primitives if isinstance(p, Labels) for label in p.labels]
    named, _ = Eye.of(pose, SIZE).project(np.array(labels))
    free &= np.linalg.norm(places[:, np.newaxis] - named, axis=2).min(axis=1) > 14
    assert free.sum() > 20
    for i in np.flatnonzero(free):
        x, y = places[i].astype(int)
        seen, own = picture[y, x], cloud.colors[i, :3]
        # Light changes the brightness of a ball, not its hue.
        assert seen @ own / np.linalg.norm(seen) / np.linalg.norm(own) > 0.93, (i, seen, own)


def test_points_that_are_not_searched_for_are_small_and_stay_where_they_are(scene, capture):
    found, before = capture.embedding("dense"), cloud_of(scene, 8.0)
    selection = Selection(points=PointFilter(of_class=4, wrong=True))
    primitives = scene.at(8.0, selection).primitives
    after = next(p for p in primitives if isinstance(p, Points))
    matched = (found.labels == 4) & (found.predictions != 4)
    assert matched.sum() == 1
    assert after.points is before.points
    assert (after.colors[matched] == before.colors[matched]).all()
    assert (after.sizes[matched] == before.sizes[matched]).all()
    assert (after.sizes[~matched] < before.sizes.min() / 2).all()
    assert after.rings is not None
    assert before.rings is not None
    assert (after.rings[matched] == before.rings[matched]).all()
    assert not after.rings[~matched].any()
    legend = next(p for p in primitives if isinstance(p, Panel) and p.name == "embedding")
    assert "1 of 1,000 samples searched for; the others are small" in [getattr(row, "text", "") for row in legend.rows]
    again = next(p for p in scene.at(8.0, selection).primitives if isinstance(p, Points))
    assert again is after


def test_cloud_fills_the_frame_and_rests_after_its_animation(scene):
    assert scene.duration == 8.0
    start, middle, end = (cloud_of(scene, t).points for t in (0.0, 4.0, 8.0))
    assert not np.array_equal(start, middle)
    assert cloud_of(scene, 30.0).points is end
    assert cloud_of(scene, 3.0).colors is cloud_of(scene, 4.0).colors
    places, _ = Eye.of(scene.overview(aspect=16 / 9), (1280, 720)).project(end.astype(np.float64))
    assert np.ptp(places[:, 1]) > 0.6 * 720


def test_classes_separate_over_time(scene, capture):
    labels = capture.embedding("dense").labels

    def mixed(t: float) -> float:
        points = cloud_of(scene, t).points
        own = np.array([points[labels == k].var(axis=0).sum() for k in range(10)]).mean()
        return float(own / points.var(axis=0).sum())

    assert mixed(0.0) > 2 * mixed(8.0)


def test_wrong_predictions_are_larger_with_a_ring_in_the_predicted_colour(scene, capture):
    found, cloud = capture.embedding("dense"), cloud_of(scene, 8.0)
    wrong = found.labels != found.predictions
    assert cloud.rings is not None
    assert 0 < wrong.sum() < 50
    assert cloud.sizes[wrong].min() > cloud.sizes[~wrong].max()
    assert (cloud.rings[~wrong] == 0).all()
    i = int(np.flatnonzero(wrong)[0])
    np.testing.assert_allclose(cloud.rings[i, :3], categorical(10)[found.predictions[i]], atol=1e-6)
    np.testing.assert_allclose(cloud.colors[i, :3], categorical(10)[found.labels[i]], atol=1e-6)
    by_answer = cloud_of(build(capture, color="prediction"), 8.0)
    np.testing.assert_allclose(by_answer.colors[i, :3], categorical(10)[found.predictions[i]], atol=1e-6)


def test_legend_shows_the_quality_of_the_embedding(scene, capture):
    said = texts(scene, "embedding")
    quality = capture.embedding("dense").quality
    assert f"trustworthiness {quality['trustworthiness']:.3f}" in said
    assert f"KL divergence {quality['kl']:.2f}" in said
    assert "12 wrong" in said
    assert "1,000 samples" in texts(scene, "title")
    assert "perplexity 30" in texts(scene, "title")
    names = next(p for p in scene.at(8.0).primitives if isinstance(p, Labels))
    assert sorted(label.lines[0] for label in names.labels) == list("0123456789")


def test_point_can_be_picked_and_described(scene, capture):
    pose = scene.camera(8.0, aspect=16 / 9)
    found, cloud = capture.embedding("dense"), cloud_of(scene, 8.0)
    places, depth = Eye.of(pose, (1280, 720)).project(cloud.points.astype(np.float64))
    first = int(np.argmin(depth))
    hit = pick(scene.at(8.0), pose, (1280, 720), tuple(map(float, places[first])))
    assert scene.pick(hit, Selection()) == PointPick("dense", first)
    assert hit == PointHit(cloud, first)
    assert pick(scene.at(8.0), pose, (1280, 720), (1270.0, 300.0)) is None
    wrong = int(np.flatnonzero(found.labels != found.predictions)[0])
    shown = scene.at(8.0, Selection(pick=PointPick("dense", wrong))).primitives
    callout = next(p for p in shown if isinstance(p, Callout))
    words = [row.text for row in callout.rows if isinstance(row, TextRow)]
    assert words[0] == f"digits:{wrong}"
    assert words[1] == f"labelled {found.labels[wrong]}"
    assert words[2].startswith(f"predicted {found.predictions[wrong]} (0.")
    assert words[2].endswith("which is wrong")
    picture = next(row for row in callout.rows if isinstance(row, PictureRow))
    assert np.array_equal(picture.pixels, found.thumbnails[wrong])
    np.testing.assert_allclose(callout.marks[0].origin, cloud.points[wrong], atol=1e-6)


def test_missing_embedding_or_another_view_beside_the_cloud_is_refused(capture, small_capture):
    with pytest.raises(
        SceneError, match=r"views\[0\]\.layer: there is no embedding of 'flatten'; the capture has dense"
    ):
        build(capture, layer="flatten")
    with pytest.raises(SceneError, match="holds no embedding; capture the model with --embed LAYER"):
        build(small_capture)
    with pytest.raises(SceneError, match="fills the picture by itself"):
        parse_scene({"format": 1, "views": [{"kind": "embedding"}, {"kind": "structure"}]})


def test_colour_and_embedding_can_be_selected(tmp_path):
    found = captures.small_embedding()
    flat = replace(found, name="flatten", points=found.first, snapshots=found.first[np.newaxis], method="pca")
    also = [partial(write_embedding, found=one) for one in (found, flat)]
    both = captures.write(tmp_path / "two.zarr", captures.small_graph(), captures.small_values(), also=also)
    scene = build(both, layer="dense")
    wrong = 3

    def cloud(**chosen: object) -> Points:
        return next(p for p in scene.at(8.0, Selection(**chosen)).primitives if isinstance(p, Points))  # type: ignore[arg-type]

    told = cloud(colored_by="prediction")
    assert told.points is cloud().points
    np.testing.assert_allclose(told.colors[wrong, :3], categorical(5)[found.predictions[wrong]], atol=1e-6)
    np.testing.assert_allclose(cloud().colors[wrong, :3], categorical(5)[found.labels[wrong]], atol=1e-6)
    other = cloud(embedding="flatten")
    assert other.name == "flatten"
    # The same cloud with another rotation and size.
    here, there = (np.linalg.norm(points - points[0], axis=1) for points in (other.points, flat.points))
    np.testing.assert_allclose(here / here.max(), there / there.max(), atol=1e-5)
    marked = scene.at(8.0, Selection(embedding="flatten", pick=PointPick("flatten", wrong))).primitives
    callout = next(p for p in marked if isinstance(p, Callout) and p.name == "pick")
    np.testing.assert_allclose(callout.marks[0].origin, other.points[wrong], atol=1e-6)
    # A pick of one cloud is not marked in the other.
    shown = scene.at(8.0, Selection(pick=PointPick("flatten", 3))).primitives
    assert not any(p.name == "pick" for p in shown if isinstance(p, Callout))


def beside(tmp_path, capture: Capture, answer: np.ndarray) -> CaptureSeries:
    """Return the capture and a sample without label, with this output of the layer, predicted as a 4."""
    values = {node.id: capture.activations(node.id).values for node in capture.graph}
    scores = np.eye(10, dtype=np.float32)[[4]]
    mine = captures.write(tmp_path / "mine.zarr", capture.graph, values | {"dense": answer, "dense_1": scores})
    return CaptureSeries.of(capture).plus(mine)


def test_new_sample_is_projected_near_points_with_similar_outputs(tmp_path, capture):
    found = capture.embedding("dense")
    threes = np.flatnonzero((found.labels == 3) & (found.predictions == 3))
    between = found.mean + found.basis @ found.vectors[threes[:2]].mean(axis=0)
    scene = build(beside(tmp_path, capture, between[np.newaxis].astype(np.float32)))
    shown = scene.at(8.0, Selection(sample=1)).primitives
    cloud, ball = (p for p in shown if isinstance(p, Points))
    near = np.linalg.norm(cloud.points - ball.points[0], axis=1).argsort()[:10]
    assert (found.labels[near] == 3).mean() > 0.8
    assert np.array_equal(ball.rings, np.ones((1, 4)))
    np.testing.assert_allclose(ball.colors[0, :3], categorical(10)[4], atol=1e-6)
    callout = next(p for p in shown if isinstance(p, Callout))
    np.testing.assert_allclose(callout.marks[0].origin, ball.points[0], atol=1e-6)
    assert [row.text for row in callout.rows if isinstance(row, TextRow)] == ["sample 0", "predicted 4 (1.000)"]
    # It can be picked, and described in one line.
    pose = scene.camera(8.0, aspect=16 / 9)
    place = Eye.of(pose, (1280, 720)).project(ball.points.astype(np.float64))[0][0]
    hit = pick(DrawList((ball,)), pose, (1280, 720), (float(place[0]), float(place[1])))
    assert isinstance(hit, PointHit)
    assert scene.pick(hit, Selection()) == PointPick("dense", 1, placed=True)
    said = scene.describe(PointPick("dense", 1, placed=True), Selection())
    assert said.sentence == "sample 0: predicted 4 (1.000)"
    # It stays without its picture if another sample is selected; it is not shown before the end of the animation.
    other = scene.at(8.0, Selection(sample=0)).primitives
    assert len([p for p in other if isinstance(p, Points)]) == 2
    assert not any(isinstance(p, Callout) for p in other)
    assert len([p for p in scene.at(4.0, Selection(sample=1)).primitives if isinstance(p, Points)]) == 1


def test_embedded_sample_is_shown_at_its_point(capture):
    scene = build(CaptureSeries.of(capture).plus(capture))
    shown = scene.at(8.0, Selection(sample=1)).primitives
    cloud, ball = (p for p in shown if isinstance(p, Points))
    assert capture.sample_name(0) == "digits:0"
    np.testing.assert_allclose(ball.points[0], cloud.points[0], atol=1e-5)


def test_picked_sample_that_is_also_selected_has_one_callout(tmp_path, capture):
    def callouts(scene, pick: PointPick) -> list[str]:
        shown = scene.at(8.0, Selection(sample=1, pick=pick)).primitives
        return [p.rows[0].text for p in shown if isinstance(p, Callout)]

    scene = build(CaptureSeries.of(capture).plus(capture))  # sample 1 is the point 0
    assert callouts(scene, PointPick("dense", 0)) == ["digits:0"]
    assert callouts(scene, PointPick("dense", 1, placed=True)) == ["digits:0"]
    assert sorted(callouts(scene, PointPick("dense", 5))) == ["digits:0", "digits:5"]
    mean = capture.embedding("dense").mean[np.newaxis].astype(np.float32)
    scene = build(beside(tmp_path, capture, mean))  # sample 1 is none of the points
    assert callouts(scene, PointPick("dense", 1, placed=True)) == ["sample 0"]
    assert len(callouts(scene, PointPick("dense", 0))) == 2


def test_sample_that_cannot_be_projected_has_a_sentence_with_the_reason(tmp_path, capture):
    scene = build(beside(tmp_path, capture, np.full((1, 64), np.nan, np.float32)))
    what = scene.at(8.0, Selection(sample=1)).primitives
    (panel,) = (p for p in what if isinstance(p, Panel) and p.name == "placed")
    assert panel.rows[0].text.startswith("sample 0 cannot be projected: dense: there are NaN or infinite numbers")
    assert len([p for p in what if isinstance(p, Points)]) == 1


def test_sample_with_a_nan_output_has_no_predicted_class(tmp_path):
    scores = np.eye(len(CLASSES), dtype=np.float32)[[0, 1, 2, 3, 4, 0, 1, 2]]
    scores[3, 1] = np.nan
    told = predicted_classes(scores)
    assert told.tolist() == [0, 1, 2, NO_CLASS, 4, 0, 1, 2]
    found = replace(small_embedding(), predictions=told)
    also = [lambda writer: write_embedding(writer, found)]
    capture = write(tmp_path / "nan.zarr", small_graph(), small_values(), also=also, classes=CLASSES)
    scene = Scene.build(parse_scene({"format": 1, "views": [{"kind": "embedding", "color": "prediction"}]}), capture)
    drawn = scene.at(scene.duration)
    balls = next(p for p in drawn.primitives if isinstance(p, Points))
    assert balls.colors[3, :3] == pytest.approx(NAN_COLOR)
    assert not (np.abs(np.delete(balls.colors, 3, axis=0)[:, :3] - NAN_COLOR).max(axis=1) < 0.01).any()
    rows = [row for p in drawn.primitives if isinstance(p, Panel) for row in p.rows if isinstance(row, SwatchRow)]
    said = [words for row in rows for _, words in row.swatches]
    assert "1 answered with NaN" in said
    assert f"{CLASSES[4]}  1" in said
    assert not any(words.startswith("others") for words in said)
    assert "the output is NaN" in scene.describe(PointPick("dense", 3), Selection()).more


def test_name_of_a_class_in_two_clusters_stands_in_the_larger_one(tmp_path):
    random = np.random.default_rng(3)
    middles = np.repeat(np.array([[-9.0, 0, 0], [9.0, 0, 0], [0, 5.0, 0]]), (20, 30, 10), axis=0)
    points = (middles + random.normal(size=middles.shape) * 0.3).astype(np.float32)
    classes = np.repeat([0, 1], (50, 10))
    found = replace(
        small_embedding(),
        points=points,
        first=points,
        snapshots=points[np.newaxis],
        names=tuple(f"point {i}" for i in range(60)),
        labels=classes,
        predictions=classes,
        probabilities=np.ones(60, dtype=np.float32),
        vectors=random.normal(size=(60, 20)).astype(np.float32),
    )
    capture = write(
        tmp_path / "two.zarr",
        small_graph(),
        small_values(),
        classes=CLASSES,
        also=[partial(write_embedding, found=found)],
    )
    scene = build(capture)
    what = scene.at(scene.duration)
    cloud = next(p for p in what.primitives if isinstance(p, Points))
    labels = next(p for p in what.primitives if isinstance(p, Labels)).labels
    named = {label.lines[0]: np.array(label.anchor) for label in labels}
    for k, members in ((0, slice(20, 50)), (1, slice(50, 60))):
        np.testing.assert_allclose(named[CLASSES[k]], np.median(cloud.points[members], axis=0), atol=0.1)
