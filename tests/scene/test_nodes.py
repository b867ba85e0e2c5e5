"""The node-link graph: balls by activation, lines by weight, picks, and graphs with branches."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.picking import layer_at, pick_at
from nnviz3d.data.capture import Capture
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.errors import SceneError
from nnviz3d.render.eye import Eye
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.colors import colormap, number
from nnviz3d.scene.derived.neurons import neurons_at
from nnviz3d.scene.derived.unit_weights import joined_by, links_of
from nnviz3d.scene.facts import exact
from nnviz3d.scene.panel_rows import KeyRow, TextRow
from nnviz3d.scene.primitives import Callout, DrawList, Labels, Lines, Panel, Points, Tiles
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.node_link.picks import ChannelPick, LinkPick
from tests.support import captures
from tests.support.graphs import chain, graph_of
from tests.support.number_words import read_number

SIZE = (640, 360)
ASPECT = SIZE[0] / SIZE[1]


def build(capture: Capture, **view: object) -> Scene:
    return Scene.build(parse_scene({"format": 1, "views": [{"kind": "nodes", **view}]}), capture)


def session_of(scene: Scene) -> SimpleNamespace:
    """The part of a session that picking needs."""
    pose = scene.overview(aspect=ASPECT)
    renderer = SimpleNamespace(pose=lambda: pose, size=SIZE)
    return SimpleNamespace(
        scene=scene, selection=Selection(), clock=SimpleNamespace(t=scene.duration), renderer=renderer
    )


def balls_of(what: DrawList) -> Points:
    return next(p for p in what.primitives if isinstance(p, Points))


def lines_of(what: DrawList, source: str, target: str) -> list[Lines]:
    lines = [p for p in what.primitives if isinstance(p, Lines) and p.ends is not None]
    return [p for p in lines if p.ends is not None and (p.ends.source, p.ends.target) == (source, target)]


def names_of(what: DrawList) -> dict[str, tuple[str, ...]]:
    labels = next(p for p in what.primitives if isinstance(p, Labels) and p.name == "names")
    return {label.lines[0]: label.lines[1:] for label in labels.labels}


@pytest.fixture(scope="module")
def scene(digits: Capture) -> Scene:
    return build(digits)


@pytest.fixture(scope="module")
def what(scene: Scene) -> DrawList:
    return scene.at(scene.duration)


@pytest.fixture(scope="module")
def branched(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    """Two branches that are added and concatenated with the input: a skip over all layers."""
    graph = graph_of(
        [
            ("start", "InputLayer", (6,)),
            ("one", "Dense", (4,)),
            ("two", "Dense", (4,)),
            ("sum", "Add", (4,)),
            ("relu", "ReLU", (4,)),
            ("both", "Concatenate", (10,)),
            ("out", "Dense", (3,)),
        ],
        [
            ("start", "one"),
            ("start", "two"),
            ("one", "sum"),
            ("two", "sum"),
            ("sum", "relu"),
            ("relu", "both"),
            ("start", "both"),
            ("both", "out"),
        ],
    )
    random = np.random.default_rng(3)
    kernels = {name: random.normal(size=shape).astype(np.float32) for name, shape in
               (("one", (6, 4)), ("two", (6, 4)), ("out", (10, 3)))}  # fmt: skip
    values = {n.id: random.normal(size=(2, *n.shape)).astype(np.float32) for n in graph}
    path = tmp_path_factory.mktemp("nodes") / "branched.zarr"
    return captures.write(
        path, graph, values, also=[lambda w: [w.write_weights(n, "kernel", k) for n, k in kernels.items()]]
    )


class TestLines:
    def test_widest_lines_are_the_strongest_and_legend_counts_lines(self, what):
        drawn = 0
        for source, target in (("conv2d", "conv2d_1"), ("conv2d_2", "dense"), ("dense", "dense_1")):
            lines = sorted(lines_of(what, source, target), key=lambda p: p.width)
            assert len(lines) >= 3
            strengths = [np.abs(p.ends.weight) for p in lines]
            assert all(a.max() <= b.min() for a, b in pairwise(strengths))
            count = sum(map(len, strengths))
            assert count == 240
            total = {"conv2d_1": 2048, "dense": 4096, "dense_1": 640}[target]
            assert f"240 of {total:,} edges" in names_of(what)[target]
            drawn += count
        drawn += 240 + 32
        panel = next(p for p in what.primitives if isinstance(p, Panel) and p.name == "links")
        assert any(isinstance(r, TextRow) and f"{drawn:,} of 10,912" in r.text for r in panel.rows)

    def test_lines_have_the_weights_of_the_kernel(self, digits, what):
        kernel = digits.weights("dense_1")["kernel"]
        for lines in lines_of(what, "dense", "dense_1"):
            assert np.array_equal(kernel[tuple(lines.ends.index.T)], lines.ends.weight)
        left = np.sort(np.abs(kernel).ravel())[-240:]
        drawn = np.concatenate([np.abs(p.ends.weight) for p in lines_of(what, "dense", "dense_1")])
        np.testing.assert_array_equal(np.sort(drawn), left)

    def test_line_of_several_weights_has_their_norm_with_the_sign_of_their_sum(self, digits, what):
        kernel = digits.weights("conv2d_1")["kernel"].astype(np.float64)
        # A number of the flattened maps belongs to the channel of its map.
        flat = digits.weights("dense")["kernel"].astype(np.float64).reshape(3 * 3, 64, 64)
        for source, target, taps in (("conv2d", "conv2d_1", kernel.reshape(9, 32, 64)), ("conv2d_2", "dense", flat)):
            expected = np.linalg.norm(taps, axis=0) * np.sign(taps.sum(axis=0))
            for lines in lines_of(what, source, target):
                np.testing.assert_allclose(lines.ends.weight, expected[tuple(lines.ends.index.T)], rtol=1e-6)

    def test_colours_of_lines_follow_the_sign(self, what):
        for lines in lines_of(what, "dense", "dense_1"):
            warm = lines.colors[:, 0] > lines.colors[:, 2]
            assert np.array_equal(warm, lines.ends.weight > 0)
            order = np.argsort(np.abs(lines.ends.weight))
            assert (np.diff(lines.colors[order, 3]) >= 0).all()

    def test_lines_end_at_their_balls(self, what):
        balls = balls_of(what)
        place = {unit: balls.points[k] for k, unit in enumerate(balls.units)}
        for source, target in (("input", "conv2d"), ("conv2d_1", "conv2d_2"), ("dense", "dense_1")):
            for lines in lines_of(what, source, target):
                for points, (a, b) in zip(lines.points, lines.ends.index, strict=True):
                    np.testing.assert_allclose(points[0], place[source, a], atol=1e-5)
                    np.testing.assert_allclose(points[-1], place[target, b], atol=1e-5)


class TestBalls:
    def test_ball_has_the_colour_of_its_activation(self, digits, scene):
        for sample in (0, 3):
            what = scene.at(scene.duration, Selection(sample=sample))
            balls = balls_of(what)
            value = digits.activation("dense", sample)
            own = {unit: balls.colors[k, :3].sum() for k, (layer, unit) in enumerate(balls.units) if layer == "dense"}
            assert sorted(own) == list(range(64))
            bright = np.array([own[unit] for unit in range(64)])
            # The colour map becomes steadily lighter.
            assert (np.diff(bright[np.argsort(value)]) >= -1e-6).all()
            best = int(digits.activation("dense_1", sample).argmax())
            ringed = [unit for k, unit in enumerate(balls.units) if balls.rings[k, 3] > 0]
            assert ringed == [("dense_1", best)]

    def test_input_picture_scores_and_names_are_shown(self, digits, what):
        tiles = next(p for p in what.primitives if isinstance(p, Tiles))
        assert np.array_equal(tiles.pixels[0], digits.picture("input", 0))
        scores = next(p for p in what.primitives if isinstance(p, Labels) and p.name == "scores")
        assert [label.lines[0].split()[0] for label in scores.labels] == list(digits.classes)
        assert names_of(what)["conv2d"][0] == "32 channels"
        assert "→ max_pooling2d" in names_of(what)["conv2d"]

    def test_large_layer_shows_its_most_active_units(self, digits):
        what = build(digits, most=20).at(30.0)
        shown = {unit for layer, unit in balls_of(what).units if layer == "dense"}
        order = np.argsort(-np.abs(digits.activation("dense", 0)), kind="stable")
        assert shown == set(order[:20].tolist())
        assert names_of(what)["dense"][0] == "20 of 64 neurons"
        assert all(a in shown for lines in lines_of(what, "dense", "dense_1") for a, _ in lines.ends.index)

    def test_forward_pass_lights_balls_layer_by_layer(self, scene):
        def lit(t: float) -> set[str]:
            now, end = balls_of(scene.at(t)), balls_of(scene.at(scene.duration))
            same = (now.colors == end.colors).all(axis=1)
            layers = {layer for layer, _ in end.units}
            return {n for n in layers if all(same[k] for k, (layer, _) in enumerate(end.units) if layer == n)}

        assert lit(0.0) == set()
        # Nine ranks, three of which are pooling and flattening.
        assert lit(8 * 4.02 / 9) == {"input", "conv2d", "conv2d_1"}
        assert len(lit(8.0)) == 6
        assert [any(isinstance(p, Labels) and p.name == "scores" for p in scene.at(t).primitives) for t in (7, 8)] == [
            False,
            True,
        ]
        opacity = [lines_of(scene.at(t), "dense", "dense_1")[0].opacity for t in (0.0, 4.0, 8.0)]
        assert opacity == [0.0, 0.0, 1.0]
        assert scene.at(9.0).primitives[0] is scene.at(20.0).primitives[0]


class TestPicks:
    def test_description_of_a_ball_has_its_exact_activation(self, digits, scene, what):
        session = session_of(scene)
        balls = balls_of(what)
        places, depth = Eye.of(session.renderer.pose(), SIZE).project(balls.points.astype(np.float64))
        for layer, expected in (("conv2d_1", ChannelPick), ("dense", CellPick), ("dense_1", CellPick)):
            mine = [k for k, (name, _) in enumerate(balls.units) if name == layer]
            k = min(mine, key=lambda k: depth[k])
            pick = pick_at(session, tuple(map(float, places[k])))
            assert isinstance(pick, expected)
            assert pick.layer == layer
            found = scene.describe(pick, Selection())
            if isinstance(pick, ChannelPick):
                mean = digits.activation(layer, 0)[..., pick.channel].mean(dtype=np.float64)
                assert found.parts[0] == ("mean activation", exact(np.float32(mean)))
            else:
                assert found.value == exact(digits.activation(layer, 0)[pick.index])
            marked = scene.at(scene.duration, Selection(pick=pick)).primitives
            callout = next(p for p in marked if isinstance(p, Callout))
            np.testing.assert_allclose(callout.marks[0].origin, balls.points[k], atol=1e-5)

    def test_around_returns_the_balls_of_a_layer(self, scene, what):
        balls = balls_of(what)
        mine = balls.points[[k for k, (name, _) in enumerate(balls.units) if name == "conv2d_1"]]
        np.testing.assert_allclose(scene.around("conv2d_1"), mine, atol=1e-5)
        assert np.array_equal(scene.around("max_pooling2d_1"), scene.around("conv2d_1"))  # pooling passes its units on

    def test_line_can_be_picked(self, scene, what):
        session = session_of(scene)
        lines = lines_of(what, "input", "conv2d")[-1]
        ways = lines.points[:, 0] + (lines.points[:, 1] - lines.points[:, 0]) * np.float32(0.5)
        places, _ = Eye.of(session.renderer.pose(), SIZE).project(ways.astype(np.float64))
        picks = [pick_at(session, tuple(map(float, place))) for place in places]
        drawn = [LinkPick("input", "conv2d", "input", int(a), int(b)) for a, b in lines.ends.index]
        assert all(isinstance(pick, LinkPick) and pick.source == "input" for pick in picks)
        # Where two lines cross, the pick is the one on top.
        assert sum(a == b for a, b in zip(picks, drawn, strict=True)) > len(picks) / 2

    def test_pick_of_a_pixel_is_its_number(self, digits, scene, what):
        session = session_of(scene)
        tiles = next(p for p in what.primitives if isinstance(p, Tiles))
        right, up = np.array(tiles.right) * tiles.size[0], np.array(tiles.up) * tiles.size[1]
        place = tiles.origins[0] + right * 14.5 / 28 + up * (1 - 9.5 / 28)
        at, _ = Eye.of(session.renderer.pose(), SIZE).project(place)
        pick = pick_at(session, tuple(map(float, at)))
        assert pick == CellPick("input", (9, 14, 0))
        callout = next(p for p in scene.at(scene.duration, Selection(pick=pick)).primitives if isinstance(p, Callout))
        np.testing.assert_allclose(callout.marks[0].origin, place, atol=1e-5)
        assert callout.rows[1].text == exact(digits.activation("input", 0)[9, 14, 0])

    def test_description_of_a_line_has_both_ends_weight_and_contribution(self, digits, scene, what):
        lines = lines_of(what, "dense", "dense_1")[-1]
        a, b = (int(i) for i in lines.ends.index[-1])
        pick = LinkPick("dense", "dense_1", "dense", a, b)
        weight, value = digits.weights("dense_1")["kernel"][a, b], digits.activation("dense", 0)[a]
        found = scene.describe(pick, Selection())
        assert found.title == f"dense[{a}] → dense_1[{b}]"
        assert found.parts == (
            ("weight", exact(weight)),
            ("activation", exact(value)),
            ("contribution", exact(weight * value + np.float32(0))),
        )
        marked = scene.at(scene.duration, Selection(pick=pick)).primitives
        callout = next(p for p in marked if isinstance(p, Callout))
        assert len(callout.marks) == 2
        assert [row.text for row in callout.rows if isinstance(row, KeyRow)] == [v for _, v in found.parts]
        slice_ = scene.describe(LinkPick("conv2d_2", "dense", "flatten", 5, 7), Selection())
        kernel = digits.weights("dense")["kernel"].reshape(9, 64, 64)[:, 5, 7]
        inputs = digits.activation("flatten", 0).reshape(9, 64)[:, 5]
        assert slice_.parts[0] == ("norm of 9 weights", exact(np.float32(np.linalg.norm(kernel.astype(np.float64)))))
        assert read_number(slice_.parts[-1][1]) == pytest.approx(float((kernel * inputs).sum()), rel=1e-5)
        assert slice_.more == ("by way of flatten",)


class TestGraphs:
    def test_branches_are_above_each_other_and_a_skip_is_an_arc(self, branched):
        scene = build(branched, reveal={"duration": 0})
        what = scene.at(0.0)
        balls = balls_of(what)

        def middle(layer: str) -> np.ndarray:
            return balls.points[[k for k, (name, _) in enumerate(balls.units) if name == layer]].mean(axis=0)

        assert "relu" not in {layer for layer, _ in balls.units}  # it only passes units on
        assert middle("one")[0] == pytest.approx(middle("two")[0])
        assert abs(middle("one")[1] - middle("two")[1]) > 3
        assert middle("start")[0] < middle("one")[0] < middle("sum")[0] < middle("both")[0] < middle("out")[0]
        drawn = {(p.ends.source, p.ends.target) for p in what.primitives if isinstance(p, Lines) and p.ends is not None}
        assert drawn == {("start", "one"), ("start", "two"), ("both", "out")}
        passed = [p for p in what.primitives if isinstance(p, Lines) and p.ends is None]
        assert sorted(len(p.points) for p in passed) == [4, 4, 4, 6]
        skip = next(p for p in passed if len(p.points) == 6)
        top = balls.points[[k for k, (name, _) in enumerate(balls.units) if name in ("one", "two", "sum")], 1]
        assert skip.points[..., 1].max() > top.max() or skip.points[..., 1].min() < top.min()
        # The six inputs come after the four sums.
        links = {(k.feed.source, k.feed.target): k for k in self._links(scene)}
        assert links["start", "both"].index.tolist() == [[k, 4 + k] for k in range(6)]
        assert links["sum", "both"].index.tolist() == [[k, k] for k in range(4)]

    @staticmethod
    def _links(scene: Scene) -> list:
        neurons = neurons_at(scene.context)
        return [links_of(scene.context.capture, neurons, feed) for feed in neurons.feeds]

    def test_pixels_of_a_flattened_input_are_neurons(self, tmp_path):
        graph = chain([("image", "InputLayer", (5, 4, 1)), ("flat", "Flatten", (20,)), ("out", "Dense", (3,))])
        random = np.random.default_rng(5)
        values = {n.id: random.random((1, *n.shape), dtype=np.float32) for n in graph}
        kernel = random.normal(size=(20, 3)).astype(np.float32)
        capture = captures.write(
            tmp_path / "flat.zarr", graph, values, also=[lambda w: w.write_weights("out", "kernel", kernel)]
        )
        what = build(capture).at(30.0)
        balls = balls_of(what)
        places = np.array([balls.points[k] for k, (layer, _) in enumerate(balls.units) if layer == "image"])
        assert len(places) == 20
        # Rows run down, columns to the right.
        assert (np.diff(places.reshape(5, 4, 3)[..., 1], axis=0) < 0).all()
        assert (np.diff(places.reshape(5, 4, 3)[..., 2], axis=1) > 0).all()
        drawn = {(int(a), int(b)): w for p in lines_of(what, "image", "out") for (a, b), w in zip(p.ends.index, p.ends.weight)}  # fmt: skip  # noqa: B905, E501
        assert drawn == {(a, b): kernel[a, b] for a in range(20) for b in range(3)}

    @pytest.mark.parametrize(
        ("kind", "given", "kernel", "joined"),
        [
            ("Conv2D", 6, (3, 3, 4, 6), 24),
            ("Conv2D", 6, (3, 3, 2, 6), 12),
            ("Conv2DTranspose", 6, (3, 3, 6, 4), 24),
            ("DepthwiseConv2D", 8, (3, 3, 4, 2), 8),
        ],
    )
    def test_links_of_a_convolution_connect_the_right_channels(self, tmp_path, kind, given, kernel, joined):
        graph = chain([("image", "InputLayer", (5, 5, 4)), ("conv", kind, (5, 5, given))])
        weights = np.random.default_rng(6).normal(size=kernel).astype(np.float32)
        values = {n.id: np.ones((1, *n.shape), np.float32) for n in graph}
        capture = captures.write(
            tmp_path / "conv.zarr", graph, values, also=[lambda w: w.write_weights("conv", "kernel", weights)]
        )
        links = self._links(build(capture))[0]
        assert links.total == joined
        pairs = [tuple(pair) for pair in links.index.tolist()]
        taps = weights.reshape(9, *kernel[2:])
        for (a, b), norm in zip(pairs, links.norm, strict=True):
            if kind == "DepthwiseConv2D":
                assert b // 2 == a
                expected = taps[:, a, b % 2]
            elif kind == "Conv2DTranspose":
                expected = taps[:, b, a]
            else:
                per = given // (4 // kernel[2])
                assert a // kernel[2] == b // per
                expected = taps[:, a % kernel[2], b]
            assert norm == pytest.approx(np.linalg.norm(expected), rel=1e-6)

    def test_nan_has_its_own_colour(self, branched, tmp_path):
        values = {n.id: branched.activations(n.id).values.copy() for n in branched.graph}
        values["one"][0, 2] = np.nan
        capture = captures.write(tmp_path / "nan.zarr", branched.graph, values)
        balls = balls_of(build(capture).at(30.0))
        red, green, blue = balls.colors[balls.units.index(("one", 2)), :3]
        assert green > 0.9 > 0.5 > max(red, blue)

    def test_nodes_view_is_refused_beside_another_view(self):
        with pytest.raises(SceneError, match="'nodes' fills the picture by itself"):
            parse_scene({"format": 1, "views": [{"kind": "nodes"}, {"kind": "structure"}]})


class TestContributions:
    def test_contribution_of_neurons_is_weight_times_activation_of_the_sample(self, digits, scene):
        kernel = digits.weights("dense_1")["kernel"].astype(np.float64)
        for sample in (0, 5):
            selection = Selection(sample=sample, ranking="contribution")
            what = scene.at(scene.duration, selection)
            expected = kernel * digits.activation("dense", sample)[:, np.newaxis]
            drawn = [p.ends for p in lines_of(what, "dense", "dense_1")]
            for ends in drawn:
                np.testing.assert_allclose(ends.weight, expected[tuple(ends.index.T)], rtol=1e-5, atol=1e-7)
            left = np.sort(np.abs(expected).ravel())[-240:]
            np.testing.assert_allclose(
                np.sort(np.concatenate([np.abs(e.weight) for e in drawn])), left, rtol=1e-5, atol=1e-7
            )
        panel = next(p for p in what.primitives if isinstance(p, Panel) and p.name == "links")
        assert "weight × activation" in panel.rows[0].text

    @pytest.mark.parametrize(("stride", "dilation", "padding"), [(1, 1, "valid"), (2, 1, "same"), (1, 2, "same")])
    def test_contribution_to_a_channel_is_that_to_its_mean(self, tmp_path, stride, dilation, padding):
        size, reach = 7, 2 * dilation
        out = -(-size // stride) if padding == "same" else size - reach
        details = {"kernel_size": [3, 3], "strides": [stride] * 2, "dilation_rate": [dilation] * 2, "padding": padding}
        graph = ModelGraph(
            "hand",
            (
                LayerNode("image", 0, "InputLayer", ((size, size, 2),)),
                LayerNode("conv", 0, "Conv2D", ((out, out, 3),), details=details),
            ),
            (Edge("image", "conv"),),
            ("image",),
            ("conv",),
        )
        random = np.random.default_rng(8)
        values = {n.id: random.normal(size=(1, *n.shape)).astype(np.float32) for n in graph}
        kernel = random.normal(size=(3, 3, 2, 3)).astype(np.float32)
        capture = captures.write(
            tmp_path / "conv.zarr", graph, values, also=[lambda w: w.write_weights("conv", "kernel", kernel)]
        )
        before = max((out - 1) * stride + reach + 1 - size, 0) // 2 if padding == "same" else 0
        expected = np.zeros((2, 3))
        for row, column, i, j in np.ndindex(out, out, 3, 3):
            y, x = row * stride + i * dilation - before, column * stride + j * dilation - before
            if 0 <= y < size and 0 <= x < size:
                expected += values["image"][0, y, x][:, np.newaxis] * kernel[i, j] / out**2
        drawn = lines_of(build(capture, ranking="contribution").at(99.0), "image", "conv")
        assert sum(len(p.ends.index) for p in drawn) == 6
        for lines in drawn:
            np.testing.assert_allclose(lines.ends.weight, expected[tuple(lines.ends.index.T)], rtol=1e-5)


class TestLong:
    def test_long_network_has_one_ball_per_layer_and_a_legend(self, long_capture):
        scene = build(long_capture)
        what = scene.at(scene.duration)
        balls = balls_of(what)
        graph = long_capture.graph
        assert balls.units == tuple((node.id, None) for node in graph)
        centers = np.array([scene.context.placement(node.id).center for node in graph])
        np.testing.assert_allclose(balls.points, centers, atol=1e-5)
        lines = [p for p in what.primitives if isinstance(p, Lines)]
        drawn = {tuple(np.round(way[[0, -1]].ravel(), 3)) for p in lines for way in p.points}
        place = dict(zip((node.id for node in graph), centers.astype(np.float32), strict=True))
        assert drawn == {tuple(np.round(np.concatenate([place[e.source], place[e.target]]), 3)) for e in graph.edges}
        said = [r.text for p in what.primitives if isinstance(p, Panel) for r in p.rows if isinstance(r, TextRow)]
        assert any("177 layers: one ball for each layer, not for each neuron" in text for text in said)
        assert any("(1 captured)" in text for text in said)

    def test_ball_of_a_layer_can_be_picked(self, long_capture):
        scene = build(long_capture)
        session = session_of(scene)
        balls = balls_of(scene.at(scene.duration))
        places, _ = Eye.of(session.renderer.pose(), SIZE).project(balls.points.astype(np.float64))
        at = (float(places[0, 0]), float(places[0, 1]))
        assert pick_at(session, at) == LayerPick("input")
        assert layer_at(session, at) == "input"
        marked = scene.at(99.0, Selection(pick=LayerPick("input"))).primitives
        assert next(p for p in marked if isinstance(p, Callout)).rows[0].text == "input"

    def test_width_of_an_edge_follows_the_kernel(self, tmp_path):
        names = ["image", *(f"conv{k}" for k in range(26))]
        graph = chain([(name, "Conv2D" if k else "InputLayer", (3, 3, 2)) for k, name in enumerate(names)])
        values = {n.id: np.full((1, *n.shape), k + 1, np.float32) for k, n in enumerate(graph)}
        kernels = {name: np.full((3, 3, 2, 2), k / 26, np.float32) for k, name in enumerate(names) if k}
        capture = captures.write(
            tmp_path / "deep.zarr",
            graph,
            values,
            also=[lambda w: [w.write_weights(name, "kernel", kernel) for name, kernel in kernels.items()]],
        )
        scene = build(capture)
        lines = [p for p in scene.at(99.0).primitives if isinstance(p, Lines)]
        widths = {tuple(np.round(way[-1], 3)): p.width for p in lines for way in p.points}
        order = [widths[tuple(np.round(np.float32(scene.context.placement(name).center), 3))] for name in names[1:]]
        assert order == sorted(order)
        assert order[0] < order[-1]


def test_picture_shows_balls_and_lines_of_both_signs(scene, what):
    studio = Offscreen(SIZE, antialias=False)
    pose = scene.overview(aspect=ASPECT)
    picture = studio.picture(what, pose).astype(int)
    studio.close()
    balls = balls_of(what)
    places, depth = Eye.of(pose, SIZE).project(balls.points.astype(np.float64))
    assert (places > 0).all()
    assert (places < SIZE).all()
    apart = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
    free = ~((apart < 10) & (depth < depth[:, np.newaxis])).any(axis=1)
    strong = free & (balls.colors[:, :3].max(axis=1) > 0.6) & np.array([layer != "input" for layer, _ in balls.units])
    assert strong.sum() > 10
    columns, rows = places[strong].astype(int).T
    seen, own = picture[rows, columns], balls.colors[strong, :3]
    alike = (seen * own).sum(axis=1) / np.linalg.norm(seen, axis=1) / np.linalg.norm(own, axis=1)
    assert (alike > 0.93).mean() > 0.8  # lines cover some
    warm = (picture[..., 0] > picture[..., 2] + 40).mean()
    cold = (picture[..., 2] > picture[..., 0] + 40).mean()
    assert warm > 0.03
    assert cold > 0.02
    assert not colormap("ember-ice").table[128].max() > 40  # zero is as dark as the background


def test_gates_of_a_recurrent_layer_are_not_its_units(tmp_path):
    graph = chain([("start", "InputLayer", (5, 8, 8, 2)), ("gated", "ConvLSTM2D", (6, 6, 4))])
    kernel = np.ones((3, 3, 2, 16), np.float32)
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    capture = captures.write(
        tmp_path / "gated.zarr", graph, values, also=[lambda w: w.write_weights("gated", "kernel", kernel)]
    )
    assert joined_by(capture, graph.node("gated"), 2) is None


def test_numbers_of_a_short_input_are_written_left_of_its_balls(branched):
    scene = build(branched)
    what = scene.at(scene.duration)
    (found,) = (p for p in what.primitives if isinstance(p, Labels) and p.name == "scores")
    written = [label for label in found.labels if label.align == "left"]
    values = branched.activation("start", 0)
    assert [label.lines[0] for label in written] == [number(float(value)) for value in values]
    layer = [i for i, (name, _) in enumerate(balls_of(what).units) if name == "start"]
    assert all(label.anchor[0] < balls_of(what).points[i, 0] for label, i in zip(written, layer, strict=True))
    assert names_of(what)["start"][0] == "6 numbers"
