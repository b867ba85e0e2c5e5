"""The loss landscape: heights and colours, contours, picks, and the path of the training."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.landscape import read_landscape, write_landscape
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import SceneError
from nnviz3d.render.eye import Eye
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.render.picking import pick
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.hits import PointHit, SurfaceHit
from nnviz3d.scene.layout.landscape import HEIGHT
from nnviz3d.scene.panel_rows import KeyRow, TextRow
from nnviz3d.scene.primitives import Callout, Labels, Lines, Panel, Points, Surface
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.landscape import KeptWeightsPick, LandscapeView, LossPick
from tests.data.test_landscape import found as random_landscape
from tests.support import captures
from tests.support.number_words import read_number

SIZE = (640, 360)


@pytest.fixture(scope="module")
def recorded() -> Scene:
    return build(open_capture(bundled("landscape.zarr.zip")))


def build(capture, **view) -> Scene:
    return Scene.build(parse_scene({"format": 1, "views": [{"kind": "landscape", **view}]}), capture)


def random(folder, values=None, dataset="x.npy", **view) -> Scene:
    given = {"dataset": dataset} if values is None else {"dataset": dataset, "values": values}
    landscape = random_landscape(**given)
    capture = captures.write(
        folder / "run.zarr",
        captures.small_graph(),
        captures.small_values(),
        also=[lambda writer: write_landscape(writer, landscape)],
    )
    return build(capture, **view)


def of(kind, scene: Scene, t: float = 0.0, name: str = "", **selected):
    return next(
        p for p in scene.at(t, Selection(**selected)).primitives if isinstance(p, kind) and name in ("", p.name)
    )


def legend(scene: Scene) -> str:
    panel = of(Panel, scene, name="landscape")
    return " ".join(row.text for row in panel.rows if isinstance(row, TextRow))


def test_heights_and_colours_follow_the_loss(tmp_path):
    surface = of(Surface, random(tmp_path))
    values = random_landscape().values
    assert surface.heights == pytest.approx((values - values.min()) / np.ptp(values) * HEIGHT, abs=1e-5)
    table = colormap("viridis").table / 255
    assert surface.colors[1, 2] == pytest.approx(table[0], abs=1e-6)
    assert surface.colors[0, 0] == pytest.approx(table[255], abs=1e-6)


def test_heights_follow_the_logarithm_of_losses_that_span_more_than_two_decades_and_the_legend_says_so(tmp_path):
    values = np.logspace(-2, 1, 15).reshape(3, 5).astype(np.float32)
    scene = random(tmp_path, values)
    assert of(Surface, scene).heights.reshape(-1) == pytest.approx(np.linspace(0, HEIGHT, 15), abs=1e-4)
    assert "logarithm of the loss" in legend(scene)
    linear = build(scene.context.capture, scale="linear")
    assert of(Surface, linear).heights[0, 1] < 0.01
    assert "logarithm" not in legend(linear)


def test_infinite_and_nan_losses_are_holes_and_counted(tmp_path, tmp_path_factory):
    values = random_landscape().values.copy()
    values[0, 0], values[2, 4] = np.inf, np.nan
    scene = random(tmp_path, values)
    assert np.isnan(of(Surface, scene).heights).sum() == 2
    assert "2 of 15 grid points are not finite" in legend(scene)
    constant = build(random(tmp_path_factory.mktemp("flat"), np.full((3, 5), np.nan, np.float32)).context.capture)
    assert not len(of(Surface, constant).triangles)


def test_contours_lie_on_the_surface_at_even_heights(tmp_path):
    lines = of(Lines, random(tmp_path), name="contours")
    heights = np.unique(np.round(lines.points[..., 1], 3))
    assert len(heights) == 14
    assert np.ptp(np.diff(heights)) < 0.01


def test_click_on_the_surface_tells_both_coordinates_and_the_exact_loss(recorded):
    view, landscape = recorded.get(LandscapeView), read_landscape(recorded.context.capture.stored)
    surface, pose = of(Surface, recorded), recorded.camera(recorded.duration, aspect=SIZE[0] / SIZE[1])
    row, column = 30, 14
    (x, y), _ = Eye.of(pose, SIZE).project(surface.points[row, column].astype(np.float64))
    hit = pick(recorded.at(recorded.duration), pose, SIZE, (float(x), float(y)))
    assert isinstance(hit, SurfaceHit)
    chosen = recorded.pick(hit, Selection())
    assert chosen == LossPick(row, column)
    facts = view.describe(chosen, Selection())
    assert np.float32(read_number(facts.value)) == landscape.values[row, column]
    told = {name: float(number) for name, number in facts.parts}
    assert told == {"first direction": landscape.along[column], "second direction": landscape.across[row]}
    marked = of(Callout, recorded, pick=chosen)
    assert KeyRow("first direction", str(landscape.along[column])) in marked.rows


def test_path_goes_through_the_kept_weights_on_the_surface(recorded):
    landscape = read_landscape(recorded.context.capture.stored)
    balls = of(Points, recorded, name="kept weights")
    assert len(balls.points) == len(landscape.steps) == 18
    surface = of(Surface, recorded)
    for ball in balls.points:
        row, column = np.abs(surface.across - ball[2]).argmin(), np.abs(surface.along - ball[0]).argmin()
        near = surface.heights[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        assert near.min() <= ball[1] <= near.max() + 0.2
    trained = of(Points, recorded, name="trained weights")
    assert trained.points[0] == pytest.approx(balls.points[-1])


def test_clock_walks_the_path_and_a_selected_step_overrides_it(recorded):
    landscape = read_landscape(recorded.context.capture.stored)

    def shown(t, **selected):
        label = of(Labels, recorded, t, name="shown step", **selected).labels[0]
        return label.lines[0]

    assert shown(0) == f"step {landscape.steps[0]:,}"
    assert shown(recorded.duration) == f"step {landscape.steps[-1]:,}"
    assert shown(recorded.duration, step=130) == "step 125"
    moments = [recorded.get(LandscapeView).moment(t, None) for t in np.linspace(0, recorded.duration, 200)]
    assert sorted(set(moments)) == list(range(18))
    assert moments == sorted(moments)


def test_click_on_kept_weights_tells_their_step_their_own_loss_and_their_distance(recorded):
    landscape = read_landscape(recorded.context.capture.stored)
    balls, view = of(Points, recorded, name="kept weights"), recorded.get(LandscapeView)
    chosen = recorded.pick(PointHit(balls, 3), Selection())
    assert chosen == KeptWeightsPick(int(landscape.steps[3]))
    facts = view.describe(chosen, Selection())
    assert np.float32(read_number(facts.value)) == landscape.path_losses[3]
    assert dict(facts.parts)["distance from the plane"] == str(landscape.distances[3])
    assert of(Callout, recorded, pick=chosen).rows[0] == TextRow(f"loss at step {landscape.steps[3]:,}")


def test_equal_arguments_give_the_same_arrays(recorded):
    first, second = (recorded.at(1.0, Selection(step=50)) for _ in range(2))
    same = [a is b for a, b in zip(first.primitives, second.primitives, strict=True)]
    assert sum(same) >= len(same) - 1, "but for the heading"
    other = recorded.at(1.0, Selection(step=50, colormap="magma"))
    assert of(Surface, recorded).colors is not next(p for p in other.primitives if isinstance(p, Surface)).colors


def test_picture_shows_a_bright_rim_a_dark_valley_and_white_balls(recorded):
    pose = recorded.camera(recorded.duration, aspect=SIZE[0] / SIZE[1])
    with closing(Offscreen(SIZE)) as offscreen:
        pixels = offscreen.picture(recorded.at(recorded.duration), pose).astype(int)
    surface, eye = of(Surface, recorded), Eye.of(pose, SIZE)

    def seen(row, column):
        (x, y), _ = eye.project(surface.points[row, column].astype(np.float64))
        return pixels[int(y), int(x)]

    rim, valley = seen(25, 38), seen(33, 6)
    assert rim[0] > 150, "yellow"
    assert rim[1] > 150
    assert valley.sum() < 0.5 * rim.sum()
    (x, y), _ = eye.project(of(Points, recorded, name="kept weights").points[0].astype(np.float64))
    assert pixels[int(y), int(x)].min() > 120, "a white ball"


def test_capture_without_a_landscape_is_refused_in_one_sentence(small_capture):
    with pytest.raises(SceneError, match="holds no loss landscape; capture the model with --landscape"):
        build(small_capture)


def test_random_directions_show_the_trained_weights_and_have_no_time(tmp_path):
    scene = random(tmp_path)
    assert scene.duration == 0
    label = of(Labels, scene, name="trained weights").labels[0]
    assert label.lines == ("trained weights", "loss 1")
    ball = of(Points, scene, name="trained weights")
    assert scene.pick(PointHit(ball, 0), Selection()) == LossPick(1, 2)
    assert scene.get(LandscapeView).moment(3.0, 5) == 0


@pytest.mark.parametrize(("count", "named"), [(1, True), (3, True), (1000, False)])
def test_legend_names_a_data_set_but_no_long_list_of_samples(tmp_path, count, named):
    words = legend(random(tmp_path, dataset=", ".join(f"digits:{k}" for k in range(count))))
    assert words.startswith("mse on 70 samples")
    assert ("digits:0" in words) == named
