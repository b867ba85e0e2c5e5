"""Attribution maps: colours over the picture and at their layer, legend, picks and missing maps."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.apps.open_target import opened
from nnviz3d.apps.target import ModelOptions
from nnviz3d.data.capabilities.attributions import Attribution, write_attribution, write_attribution_layers
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.request import Insights
from nnviz3d.data.targets import PREDICTED, Explained, Target, write_targets
from nnviz3d.data.upsample import upsampled
from nnviz3d.errors import SceneError, UserError
from nnviz3d.render.eye import Eye
from nnviz3d.scene.colors import colormap, limits_for, statistics_of
from nnviz3d.scene.derived.attribution_maps import GREYS, laid_over, painted
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.panel_rows import BarRow, ScaleRow, TextRow
from nnviz3d.scene.primitives import Image, Labels, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.activations import picture_of
from nnviz3d.scene.views.attributions import AttributionsSpec
from tests.support import captures
from tests.support.captures import explained_maps
from tests.support.graphs import chain
from tests.support.number_words import read_number

OTHER = Target("scores", 1)
OPACITY = AttributionsSpec(kind="attributions").opacity


def scene_of(capture, *others, **view):
    views = [*({"kind": kind} for kind in others), {"kind": "attributions", **view}]
    return Scene.build(parse_scene({"format": 1, "views": views}), capture)


@pytest.fixture(scope="module")
def scene(explained_capture):
    return scene_of(explained_capture, "structure", "activations")


def of(kind, scene, t=None, **selected):
    found = scene.at(scene.duration if t is None else t, Selection(**selected)).primitives
    return {p.name: p for p in found if isinstance(p, kind)}


def rows(scene, name, **selected):
    return of(Panel, scene, **selected)[name].rows


def legend_texts(scene, **selected):
    return [row.text for row in rows(scene, "attribution", **selected) if isinstance(row, TextRow)]


class TestOverThePicture:
    def test_map_is_warm_for_positive_and_cold_for_negative_attribution(self, scene):
        pixels = of(Image, scene, method="vanilla")["map:input"].pixels.astype(int)
        assert pixels.shape == (8, 9, 3)
        assert pixels[1, 2, 0] > pixels[1, 2, 2] + 40
        assert pixels[6, 7, 2] > pixels[6, 7, 0] + 40
        against = of(Image, scene, method="vanilla", target=OTHER)["map:input"].pixels.astype(int)
        assert against[1, 2, 2] > against[1, 2, 0] + 40, "the other class's map has the other sign"

    def test_map_shows_the_grey_picture_where_it_is_zero(self):
        picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        values = np.zeros((4, 5), np.float32)
        values[0, 0] = 1
        pixels = laid_over(picture, values, colormap("ember-ice"), (-1, 1), 1.0)
        grey = np.round(GREYS[0] + picture @ np.array([0.2126, 0.7152, 0.0722]) / 255 * (GREYS[1] - GREYS[0]))
        assert (pixels[1:] == grey[1:, :, np.newaxis]).all()
        assert (pixels[0, 0] == colormap("ember-ice").table[-1]).all()

    def test_less_opaque_map_lets_more_of_the_picture_be_seen(self, scene, explained_capture):
        picture = picture_of(explained_capture.activation("input", 0))
        own = of(Image, scene, method="vanilla")["map:input"].pixels
        clear = of(Image, scene, method="vanilla", map_opacity=0.0)["map:input"].pixels
        zero = np.zeros(picture.shape[:2], np.float32)
        assert np.array_equal(clear, laid_over(picture, zero, colormap("ember-ice"), (-1, 1), 1.0)), "the grey picture"
        full = of(Image, scene, method="vanilla", map_opacity=1.0)["map:input"].pixels
        assert np.array_equal(of(Image, scene, method="vanilla", map_opacity=OPACITY)["map:input"].pixels, own)
        assert not np.array_equal(full, own)
        greys = [rows(scene, "attribution", method="vanilla", map_opacity=o)[2].colormap.table[-1] for o in (0.0, 1.0)]
        assert len(set(greys[0].tolist())) == 1, "the legend's colours are those that are seen"
        assert len(set(greys[1].tolist())) == 3

    def test_coarse_map_is_upsampled_in_the_same_way_as_for_faithfulness(self, scene, explained_capture):
        image = of(Image, scene, method="grad_cam")["map:input"]
        fine = upsampled(explained_maps()["conv"][:1], (8, 9))[0]
        top = limits_for(statistics_of(explained_maps()["conv"][0]), "layer")[1]
        picture = picture_of(explained_capture.activation("input", 0))
        assert np.array_equal(image.pixels, laid_over(picture, fine, colormap("inferno"), (0, top), OPACITY))

    def test_scale_has_the_colours_of_the_map_over_a_middle_grey(self, scene):
        (scale,) = (row for row in rows(scene, "attribution", method="vanilla") if isinstance(row, ScaleRow))
        low, high = (read_number(row.strip("≤≥ ")) for row in (scale.ticks[0][1], scale.ticks[2][1]))
        assert low == -high
        grey, values = np.full((1, 3, 3), 128, np.uint8), np.array([[low, low * 25 / 255, high]], np.float32)
        seen = laid_over(grey, values, colormap("ember-ice"), (low, high), OPACITY)[0].astype(int)
        assert np.abs(scale.colormap.table[[0, 115, 255]].astype(int) - seen).max() <= 2

    def test_map_is_in_front_of_the_input_with_its_size(self, scene):
        place = scene.context.placement("input")
        image = of(Image, scene)["map:input"]
        assert image.size == place.size[:2]
        assert image.origin[:2] == place.origin[:2]
        assert image.origin[2] > place.origin[2] + place.size[2]

    def test_map_fades_in_after_the_forward_pass(self, scene):
        assert "map:input" not in of(Image, scene, t=8.0)
        assert "attribution" not in of(Panel, scene, t=8.0)
        assert of(Image, scene, t=8.5)["map:input"].opacity == pytest.approx(0.5)
        assert of(Image, scene, t=8.5)["map:input"].pixels is of(Image, scene)["map:input"].pixels
        assert of(Image, scene)["map:input"].opacity == 1


class TestAtItsLayer:
    def test_map_at_its_layer_has_its_own_resolution(self, scene):
        image = of(Image, scene, method="grad_cam", sample=2)["map:conv"]
        values = explained_maps()["conv"][2]
        assert image.pixels.shape == (*values.shape, 3)
        brightest = image.pixels.astype(int).sum(axis=2)
        assert brightest[4, 1] == brightest.max()
        place = scene.context.placement("conv")
        assert image.origin[2] > place.origin[2] + place.size[2]

    def test_map_of_the_input_is_drawn_only_over_the_input(self, scene):
        assert set(of(Image, scene, method="vanilla")) == {"input", "map:input"}

    def test_nan_is_black(self):
        values = np.array([[np.nan, 1.0]], np.float32)
        assert painted(values, colormap("inferno"), (0.0, 1.0))[0, 0].tolist() == [0, 0, 0]


class TestWords:
    def test_panel_names_method_target_score_and_faithfulness(self, scene, explained_capture):
        found = explained_capture.explanations(1).attribution("grad_cam")
        name = captures.CLASSES[found.explained.target.index]
        assert legend_texts(scene, sample=1) == [
            "Grad-CAM, at conv",
            f"for the score of {name} (score 4.5, p 0.500)",
            "deletion AUC 0.500 (lower is more faithful)",
            "insertion AUC 0.500 (higher is more faithful)",
        ]
        assert legend_texts(scene, sample=1, method="vanilla", target=OTHER) == [
            "Gradient",
            "for the score of bee (score −2.25)",
        ]

    @pytest.mark.parametrize(
        ("insertion", "layers", "words"),
        [
            (0.25, 1, ["so the score rests less on what it marks than on the rest"]),
            (0.75, 1, []),
            (0.5, 1, []),
            (0.25, 2, [f"so the score rests less on what the map of {name} marks than on the rest" for name in "ab"]),
        ],
    )
    def test_map_less_faithful_than_its_reverse_is_called_so(self, tmp_path, insertion, layers, words):
        names, ends = "ab"[:layers], np.array([0.0, 1.0], np.float32)
        explained, halves = Explained(PREDICTED, Target("out", 1), 1.0, None), np.full(2, 0.5, np.float32)

        def also(writer):
            write_targets(writer, PREDICTED, "out", np.array([1]), np.array([1.0]), None)
            write_attribution_layers(writer, "occlusion", PREDICTED, list(names))
            for name in names:
                values, curve = np.ones((3, 4), np.float32), np.full(2, insertion, np.float32)
                found = Attribution("occlusion", name, values, explained, {}, ends, halves, curve)
                write_attribution(writer, PREDICTED, [found])

        nodes = [LayerNode(path=name, call=0, kind="InputLayer", shapes=((3, 4, 1),)) for name in names]
        nodes.append(LayerNode(path="out", call=0, kind="Dense", shapes=((2,),)))
        graph = ModelGraph("small", tuple(nodes), tuple(Edge(name, "out") for name in names), tuple(names), ("out",))
        numbers = {node.id: np.full((1, *node.shape), 0.5, np.float32) for node in nodes}
        scene = scene_of(captures.write(tmp_path / "run.zarr", graph, numbers, also=[also]), "activations")
        assert [text for text in legend_texts(scene) if text.startswith("so ")] == words

    def test_scale_of_signed_numbers_has_zero_in_the_middle(self, scene):
        scales = {}
        for method in ("vanilla", "grad_cam"):
            (scales[method],) = (r for r in rows(scene, "attribution", method=method) if isinstance(r, ScaleRow))
        assert scales["vanilla"].colormap.diverging
        assert scales["vanilla"].ticks[1] == (0.5, "0")
        assert not scales["grad_cam"].colormap.diverging
        assert scales["grad_cam"].ticks[0] == (0.0, "0")

    def test_panel_lists_the_three_best_classes(self, scene, explained_capture):
        scores = explained_capture.activation("scores", 2)
        bars = [row for row in rows(scene, "best", sample=2) if isinstance(row, BarRow)]
        assert [bar.text for bar in bars] == [captures.CLASSES[i] for i in np.argsort(-scores)[:3]]

    def test_description_of_a_cell_has_the_exact_number_of_the_map(self, scene):
        for layer, index, title in (("conv", (4, 1), "Grad-CAM"), ("input", (6, 7, 0), "Gradient")):
            parts = dict(scene.describe(CellPick(layer, index), Selection(1)).parts)
            assert np.float32(read_number(parts[title])) == explained_maps()[layer][1][index[:2]]

    def test_missing_map_is_refused_with_the_command_that_captures_it(self, scene, small_capture, explained_capture):
        with pytest.raises(SceneError, match=r"^views\[0\]\.method: small\.zarr holds no maps; capture it with: .*\.$"):
            scene_of(small_capture)
        with pytest.raises(SceneError, match="no map by occlusion for sample 0; capture it with: nnviz3d capture hand"):
            scene.at(9.0, Selection(method="occlusion"))
        with pytest.raises(SceneError, match="no map of ant by grad_cam for sample 0; capture it with: "):
            scene.at(9.0, Selection(target=Target("scores", 0)))
        assert scene.spec.needs().attributions == ("automatic",)
        assert scene_of(explained_capture, method="vanilla").spec.needs().attributions == ("vanilla",)


def one_input(tmp_path, shape):
    """Return a scene with a map of one input with this shape, and the map."""
    places = shape[:-1] or shape
    values = np.linspace(-1, 2, int(np.prod(places)), dtype=np.float32).reshape(1, *places)
    explained = Explained(PREDICTED, Target("out", 1), 1.0, None)
    empty = np.empty(0, np.float32)

    def also(writer):
        write_targets(writer, PREDICTED, "out", np.array([1]), np.array([1.0]), None)
        write_attribution_layers(writer, "occlusion", PREDICTED, ["in"])
        found = Attribution("occlusion", "in", values[0], explained, {}, empty, empty, empty)
        write_attribution(writer, PREDICTED, [found])

    graph = chain([("in", "InputLayer", shape), ("out", "Dense", (2,))])
    numbers = {"in": np.zeros((1, *shape), np.float32), "out": np.array([[0.2, 0.8]], np.float32)}
    return scene_of(captures.write(tmp_path / "run.zarr", graph, numbers, also=[also]), "activations"), values[0]


@pytest.mark.parametrize("shape", [(12, 3), (4, 5, 6, 2)])
def test_map_of_a_sequence_has_bars_and_map_of_a_volume_has_cells(tmp_path, shape):
    scene, values = one_input(tmp_path, shape)
    if values.ndim == 1:
        bars = of(Lines, scene)["map:in"]
        assert bars.points.shape == (12, 2, 3)
        heights = bars.points[:, 1, 1] - bars.points[:, 0, 1]
        assert (np.sign(heights) == np.sign(values)).all()
        assert bars.colors[-1, 0] > bars.colors[-1, 2]
        assert bars.colors[0, 2] > bars.colors[0, 0]
    else:
        block = of(Voxels, scene)["map:in"]
        assert block.values.shape == (6, 5, 4)
        assert block.values.max() == values.max()
        assert block.limits == pytest.approx((-2, 2), rel=0.01)


@pytest.mark.parametrize("shape", [(4,), (40,)])
def test_map_of_a_vector_is_right_of_its_block_with_the_same_cells(tmp_path, shape):
    scene, values = one_input(tmp_path, shape)
    block, cells = of(Voxels, scene)["in"], of(Voxels, scene)["map:in"]
    assert cells.origin[0] > block.origin[0] + block.size[0], "to its left are the numbers of the input"
    assert (cells.origin[1:], cells.cell, cells.count) == (block.origin[1:], block.cell, block.count)
    grid = scene.context.placement("in").grid
    assert np.array_equal(cells.values, grid.arrange(values))
    assert scene.pick(CellHit(cells, (0, 0, 0)), Selection()) == CellPick("in", grid.index((0, 0, 0)))


@pytest.mark.parametrize("shape", [(4,), (12, 3), (4, 5, 6, 2)])
def test_map_that_is_no_picture_is_inside_the_frame_and_named(tmp_path, shape):
    scene, _ = one_input(tmp_path, shape)
    thing = {**of(Voxels, scene), **of(Lines, scene)}["map:in"]
    if isinstance(thing, Voxels):
        low, high = np.array(thing.origin), np.add(thing.origin, thing.size)
    else:
        low, high = thing.points.min(axis=(0, 1)), thing.points.max(axis=(0, 1))
    corners = np.where(np.array(list(np.ndindex(2, 2, 2))), high, low).astype(np.float64)
    seen, _ = Eye.of(scene.overview(aspect=16 / 9), (1280, 720)).project(corners)
    assert (seen > 0).all()
    assert (seen < (1280, 720)).all()
    assert [label.lines for label in of(Labels, scene)["maps"].labels] == [("Occlusion",)]


def test_legend_names_the_inputs_without_a_map(tmp_path):
    graph = ModelGraph(
        "two",
        tuple(
            LayerNode(path=name, call=0, kind=kind, shapes=(shape,))
            for name, kind, shape in (
                ("photo", "InputLayer", (3, 4, 1)),
                ("table", "InputLayer", (5,)),
                ("out", "Dense", (2,)),
            )
        ),
        (Edge("photo", "out"), Edge("table", "out")),
        ("photo", "table"),
        ("out",),
    )
    explained, empty = Explained(PREDICTED, Target("out", 1), 1.0, None), np.empty(0, np.float32)

    def also(writer):
        write_targets(writer, PREDICTED, "out", np.array([1]), np.array([1.0]), None)
        write_attribution_layers(writer, "occlusion", PREDICTED, ["photo"])
        found = Attribution("occlusion", "photo", np.ones((3, 4), np.float32), explained, {}, empty, empty, empty)
        write_attribution(writer, PREDICTED, [found])

    numbers = {node.id: np.full((1, *node.shape), 0.5, np.float32) for node in graph}
    scene = scene_of(captures.write(tmp_path / "run.zarr", graph, numbers, also=[also]), "activations")
    assert legend_texts(scene)[-1] == "no map of table"


def test_maps_of_two_pictures_have_the_same_colour_scale(tmp_path):
    maps = {"left": np.zeros((3, 4), np.float32), "right": np.zeros((2, 2), np.float32)}
    maps["left"][1, 2], maps["right"][0, 1] = 4.0, 1.0
    explained, empty = Explained(PREDICTED, Target("out", 1), 1.0, None), np.empty(0, np.float32)

    def also(writer):
        write_targets(writer, PREDICTED, "out", np.array([1]), np.array([1.0]), None)
        write_attribution_layers(writer, "occlusion", PREDICTED, list(maps))
        for name, values in maps.items():
            found = Attribution("occlusion", name, values, explained, {}, empty, empty, empty)
            write_attribution(writer, PREDICTED, [found])

    nodes = [LayerNode(path=n, call=0, kind="InputLayer", shapes=((*m.shape, 1),)) for n, m in maps.items()]
    nodes.append(LayerNode(path="out", call=0, kind="Dense", shapes=((2,),)))
    graph = ModelGraph("two", tuple(nodes), (Edge("left", "out"), Edge("right", "out")), tuple(maps), ("out",))
    numbers = {name: np.full((1, *values.shape, 1), 0.5, np.float32) for name, values in maps.items()}
    numbers["out"] = np.array([[0.2, 0.8]], np.float32)
    scene = scene_of(captures.write(tmp_path / "run.zarr", graph, numbers, also=[also]), "activations")
    drawn = of(Image, scene)
    strong, weak = drawn["map:left"].pixels[1, 2].astype(int), drawn["map:right"].pixels[0, 1].astype(int)
    assert drawn["map:right"].pixels.shape[:2] == (2, 2)
    assert strong[0] - strong[2] > weak[0] - weak[2] > 10, "red, as much as it counts"


def test_scene_applied_to_a_capture_shows_a_method_that_the_capture_holds(tmp_path):
    scene, _ = one_input(tmp_path, (4,))
    path = str(scene.context.capture.path)
    with opened(path, "decisions", ModelOptions(), pytest.fail) as found:
        (panel,) = (p for p in Scene.build(found.spec, found.capture).at(99.0).primitives if p.name == "attribution")
    assert panel.rows[0].text == "Occlusion"
    wanted = Insights(attributions=("grad_cam",))
    with (  # a requested method is never replaced
        pytest.raises(UserError, match="holds no map by grad_cam"),
        opened(path, "decisions", ModelOptions(), pytest.fail, wanted=wanted),
    ):
        pass
