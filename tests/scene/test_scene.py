"""Scenes: purity of the picture, every view, texts, selection, camera and structure."""

from __future__ import annotations

import itertools
import math
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from nnviz3d.apps.comparison import joined
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities import CAPABILITIES
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import score
from nnviz3d.scene.panel_rows import BarRow, CurveRow, ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import (
    Box,
    Callout,
    DrawList,
    Image,
    Labels,
    Lines,
    Panel,
    Points,
    Ridges,
    Surface,
    Tiles,
    Voxels,
)
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views import BY_KIND
from tests.support import captures
from tests.support.gallery import READY, SPECS
from tests.support.graphs import chain

PRIMITIVES = (Callout, Voxels, Image, Lines, Box, Labels, Panel, Tiles, Points, Ridges, Surface)


def of(kind: type, picture: DrawList) -> dict:
    return {p.name: p for p in picture.primitives if isinstance(p, kind)}


def arrays_of(value: object) -> list[np.ndarray]:
    """All arrays within a value, in order."""
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, tuple | list):
        return [a for item in value for a in arrays_of(item)]
    if is_dataclass(value):
        return [a for field in fields(value) for a in arrays_of(getattr(value, field.name))]
    return []


def texts_of(picture: DrawList) -> str:
    """The text of all panels."""
    words = []
    for panel in of(Panel, picture).values():
        for row in panel.rows:
            if isinstance(row, TextRow | BarRow):
                words.append(row.text)
            if isinstance(row, BarRow):
                words.append(row.value)
            if isinstance(row, SwatchRow):
                words.extend(text for _, text in row.swatches)
            if isinstance(row, ScaleRow):
                words.extend(text for _, text in row.ticks)
    return "\n".join(words)


@pytest.fixture(scope="module")
def scene(small_capture: Capture) -> Scene:
    return Scene.build(default_scene(), small_capture)


@pytest.fixture(scope="module", params=sorted(BY_KIND))
def one_view(request, explained_capture, recorded_capture):
    """A scene with a single view, for each kind of view."""
    spec = parse_scene({"format": 1, "views": [{"kind": request.param}]})
    if request.param == "counterpart":
        capture = joined([explained_capture], [explained_capture], ("a", "b", "b"))
    elif BY_KIND[request.param].spec_class.training != "unused":
        capture = recorded_capture
    elif any(capability.missing(explained_capture, spec.needs()) for capability in CAPABILITIES):
        capture = bundled_capture_for(request.param)
    else:
        capture = explained_capture
    return Scene.build(spec, capture)


def bundled_capture_for(kind: str) -> Capture:
    """The capture of a bundled scene that has this view."""
    sources = (SPECS[name].source for name in READY if any(view.kind == kind for view in SPECS[name].views))
    captures = [bundled(Path(source.capture).name) for source in sources if source is not None]
    assert captures, f"no bundled scene with a capture shows the view {kind!r}"
    return open_capture(captures[0])


class TestEveryView:
    MOMENTS = (0.0, 0.4, 3.3, 1e6)
    SELECTIONS = (
        Selection(),
        Selection(sample=2),
        Selection(layer="dense"),
        Selection(threshold=0.9),
        Selection(step=10),
    )

    def test_duration_of_every_view_is_finite(self, one_view):
        assert 0 <= one_view.duration < math.inf

    def test_every_view_returns_known_primitives_with_unique_names(self, one_view):
        for t, selection in itertools.product(self.MOMENTS, self.SELECTIONS):
            found = one_view.at(t, selection).primitives
            assert found, (t, selection)
            assert all(type(p) in PRIMITIVES for p in found), (t, selection)
            names = [(type(p), p.name) for p in found]
            assert len(set(names)) == len(names), (t, selection)

    def test_every_pickable_primitive_has_its_view_as_source(self, one_view):
        kinds = {view.kind for view in one_view.spec.views}
        for t, selection in itertools.product(self.MOMENTS, self.SELECTIONS):
            for found in one_view.at(t, selection).primitives:
                match found:
                    case Voxels() | Image() | Tiles() | Points() | Ridges() | Surface():
                        pickable = True
                    case Box():
                        pickable = found.fill > 0
                    case Lines():
                        pickable = found.ends is not None
                    case _:
                        pickable = False
                if pickable:
                    assert found.source is not None, (found.name, t, selection)
                    assert found.source.view in kinds, (found.name, t, selection)

    def test_equal_arguments_give_the_same_arrays(self, one_view):
        end = one_view.duration  # before the end, moving parts are computed for each moment
        for selection in self.SELECTIONS:
            first = arrays_of(one_view.at(end, selection).primitives)
            one_view.at(0.1, selection)
            for a, b in zip(first, arrays_of(one_view.at(end, selection).primitives), strict=True):
                assert a is b, selection

    def test_picture_does_not_depend_on_earlier_calls(self, one_view):
        fresh = Scene.build(one_view.spec, one_view.context.capture)
        for t, selection in (
            (5.0, Selection(sample=1)),
            (0.0, Selection(layer="conv")),
            (2.0, Selection(threshold=1.0)),
        ):
            one_view.at(t, selection)
        here, there = one_view.at(1.7).primitives, fresh.at(1.7).primitives
        assert [(type(p), p.name) for p in here] == [(type(p), p.name) for p in there]
        for a, b in zip(arrays_of(here), arrays_of(there), strict=True):
            assert np.array_equal(a, b, equal_nan=True)

    def test_nothing_changes_after_the_end(self, one_view):
        end, later = one_view.at(one_view.duration), one_view.at(one_view.duration * 2 + 5)
        for a, b in zip(end.primitives, later.primitives, strict=True):
            assert type(a) is type(b)
            assert getattr(a, "reveal", None) == getattr(b, "reveal", None)
            assert getattr(a, "opacity", None) == getattr(b, "opacity", None)

    def test_no_primitive_has_an_empty_array(self, one_view):
        # A callout's path is empty unless it marks a connection, and the dots of a chart without a second curve.
        found = [p for p in one_view.at(one_view.duration).primitives if not isinstance(p, Callout)]
        rows = (row for p in found if isinstance(p, Panel) for row in p.rows)
        undotted = [row for row in rows if isinstance(row, CurveRow) and not row.dots.size]
        assert sum(not array.size for array in arrays_of(found)) == 2 * len(undotted)

    def test_lines_are_finite(self, one_view):
        for lines in of(Lines, one_view.at(one_view.duration)).values():
            assert lines.points.dtype == np.float32
            assert lines.points.shape[::2] == (len(lines.colors), 3)
            assert np.isfinite(lines.points).all()
            assert ((lines.colors >= 0) & (lines.colors <= 1)).all()


class TestReveal:
    def test_revealed_share_never_decreases(self, scene):
        before: dict[str, float] = {}
        for t in np.linspace(0, scene.duration, 41):
            now = {p.name: p.reveal for p in of(Voxels, scene.at(t)).values()}
            assert all(0 <= share <= 1 for share in now.values())
            assert all(now[name] >= share for name, share in before.items())
            before = now
        assert set(before.values()) == {1.0}

    def test_nothing_is_revealed_at_the_start(self, scene):
        picture = scene.at(0.0)
        assert {p.reveal for p in of(Voxels, picture).values()} == {0.0}
        assert {p.opacity for p in of(Image, picture).values()} == {0.0}
        lines = {n: p for n, p in of(Lines, picture).items() if "|" in n}
        assert lines
        assert {p.opacity for p in lines.values()} == {0.0}

    def test_everything_is_revealed_at_the_end(self, scene):
        picture = scene.at(scene.duration)
        assert {p.reveal for p in of(Voxels, picture).values()} == {1.0}
        assert {p.opacity for p in of(Image, picture).values()} == {1.0}
        assert {p.opacity for n, p in of(Lines, picture).items() if "|" in n} == {1.0}

    def test_layer_is_revealed_after_the_layer_before_is_complete(self, scene):
        for t in np.linspace(0, scene.duration, 33):
            shares = [p.reveal for p in of(Voxels, scene.at(t)).values()]
            assert shares == sorted(shares, reverse=True)
            assert sum(0 < share < 1 for share in shares) <= 1

    def test_reveal_changes_no_array(self, scene):
        early, late = of(Voxels, scene.at(2.0)), of(Voxels, scene.at(6.0))
        assert any(early[n].reveal != late[n].reveal for n in early)
        for name, block in early.items():
            assert block.values is late[name].values
            assert block.colormap is late[name].colormap

    def test_reveal_without_duration_shows_everything(self, small_capture):
        view = {"kind": "activations", "reveal": {"start": 0.0, "duration": 0.0}}
        scene = Scene.build(parse_scene({"format": 1, "views": [view]}), small_capture)
        assert scene.duration == 0
        assert {p.reveal for p in of(Voxels, scene.at(0.0)).values()} == {1.0}


class TestSelection:
    def test_blocks_show_the_numbers_of_the_selected_sample(self, scene, small_capture):
        for sample in (2, 0, 1):
            blocks = of(Voxels, scene.at(9.0, Selection(sample=sample)))
            for name, block in blocks.items():
                grid = scene.context.placement(name).grid
                assert np.array_equal(block.values, grid.arrange(small_capture.activation(name, sample)))

    def test_blocks_of_all_samples_have_the_same_placement(self, scene):
        one, other = (of(Voxels, scene.at(9.0, Selection(sample=s))) for s in (0, 1))
        for name, block in one.items():
            assert (block.origin, block.cell) == (other[name].origin, other[name].cell)

    def test_selected_layer_is_emphasized(self, scene):
        blocks = of(Voxels, scene.at(9.0, Selection(layer="pool")))
        assert blocks.pop("pool").emphasis == 1.0
        assert all(block.emphasis < 1 for block in blocks.values())

    def test_selected_layer_has_its_own_scale(self, scene, small_capture):
        words = texts_of(scene.at(9.0, Selection(layer="conv")))
        assert "activation, conv" in words
        assert "m each layer's own" not in words

    def test_threshold_and_colour_map_change_no_numbers(self, scene):
        plain = of(Voxels, scene.at(9.0))
        other = of(Voxels, scene.at(9.0, Selection(threshold=0.7, colormap="viridis")))
        for name, block in plain.items():
            assert other[name].values is block.values
        assert other["conv"].colormap.name == "viridis"
        assert other["conv"].threshold == pytest.approx(0.7 * other["conv"].limits[1])

    def test_vectors_have_no_threshold(self, scene):
        blocks = of(Voxels, scene.at(9.0, Selection(threshold=1.0)))
        assert {blocks[n].threshold for n in ("flatten", "dense", "scores")} == {0.0}

    def test_signed_numbers_have_a_diverging_colour_map(self, scene):
        for chosen in (None, "viridis", "berlin"):
            block = of(Voxels, scene.at(9.0, Selection(colormap=chosen)))["dense"]
            assert block.colormap.diverging
            assert block.limits[0] == -block.limits[1]

    def test_unsigned_numbers_have_no_diverging_colour_map(self, scene):
        assert not of(Voxels, scene.at(9.0, Selection(colormap="berlin")))["conv"].colormap.diverging

    def test_global_limits_are_the_same_in_all_layers(self, scene):
        blocks = of(Voxels, scene.at(9.0, Selection(normalize="global"))).values()
        assert len({block.limits[1] for block in blocks}) == 1

    def test_symmetric_limits_are_symmetric_in_all_layers(self, scene):
        blocks = of(Voxels, scene.at(9.0, Selection(normalize="symmetric"))).values()
        assert all(low == -high for low, high in (block.limits for block in blocks))


class TestWords:
    def test_title_names_input_label_and_prediction(self, scene, small_capture):
        for sample in range(3):
            scores = small_capture.activation("scores", sample)
            best = int(scores.argmax())
            label = captures.CLASSES[int(small_capture.labels[sample])]
            words = texts_of(scene.at(9.0, Selection(sample=sample)))
            assert f"input sample {sample}" in words
            assert f"labelled {label}" in words
            assert f"predicted {captures.CLASSES[best]} ({score(float(scores[best]))})" in words

    def test_every_cell_of_a_small_output_has_its_name_and_score(self, scene, small_capture):
        scores = small_capture.activation("scores", 1)
        labels = of(Labels, scene.at(9.0, Selection(sample=1)))["scores"].labels
        assert [label.lines[0].split() for label in labels] == [
            [name, score(float(s))] for name, s in zip(captures.CLASSES, scores, strict=True)
        ]
        strongest = max(labels, key=lambda label: label.priority)
        assert strongest.lines[0].startswith(captures.CLASSES[int(scores.argmax())])

    @pytest.mark.parametrize("threshold", [0.0, 0.25, 0.6, 1.0])
    @pytest.mark.parametrize("sample", [0, 2])
    def test_legend_counts_the_cells_that_reach_the_threshold(self, scene, small_capture, threshold, sample):
        selection = Selection(sample=sample, threshold=threshold)
        blocks = of(Voxels, scene.at(9.0, selection))
        shown = total = 0
        for name, block in blocks.items():
            values = small_capture.activation(name, sample)
            if values.ndim == 1:  # vectors are drawn whole
                continue
            total += values.size
            shown += int((np.abs(values) >= np.float32(threshold * block.limits[1])).sum())
        words = texts_of(scene.at(9.0, selection))
        if threshold:
            assert f"{shown:,} of {total:,} cells of maps reach {threshold:.0%} of" in words
        else:
            assert "reach" not in words

    def test_legend_counts_shown_and_all_connections(self, scene, small_capture):
        words = texts_of(scene.at(9.0))
        pair = small_capture.connections("flatten", "dense")
        strongest = np.abs(pair.weight).max()
        assert f"flatten → dense: 30 of 720, up to {strongest:.3g}" in words
        assert "6 of 9 weights into the strongest activation of one convolution" in words

    def test_label_of_a_layer_has_kind_and_shape(self, scene):
        labels = of(Labels, scene.at(0.0))["names"].labels
        assert ("conv", "Conv2D · 6 × 7 × 4") in [label.lines for label in labels]
        assert len(labels) == 6

    def test_nan_and_infinite_numbers_are_counted(self, tmp_path: Path):
        graph = chain([("input", "InputLayer", (5, 5, 1)), ("conv", "Conv2D", (4, 4, 2))])
        values = np.ones((1, 4, 4, 2), dtype=np.float32)
        values[0, 0, 0] = np.nan
        values[0, 1, :2, 0] = (np.inf, -np.inf)
        values[0, 2, 2, 1] = np.inf
        capture = captures.write(tmp_path / "odd.zarr", graph, {"conv": values})
        scene = Scene.build(default_scene(), capture)
        words = texts_of(scene.at(scene.duration))
        assert "2 NaN" in words
        assert "3 infinite" in words
        # NaN reaches no threshold; infinite numbers reach every threshold.
        assert "30 of 32 cells reach 25% of" in words


class TestConnections:
    def test_each_connection_has_one_line(self, scene):
        found = of(Lines, scene.at(9.0))
        assert sum(len(p.points) for n, p in found.items() if n.startswith("flatten|dense|")) == 30
        assert sum(len(p.points) for n, p in found.items() if n.startswith("input|conv|")) == 6

    def test_scene_limits_the_number_of_lines(self, small_capture):
        spec = parse_scene({"format": 1, "views": [{"kind": "connections", "strongest": 4, "fans": False}]})
        scene = Scene.build(spec, small_capture)
        found = of(Lines, scene.at(9.0))
        assert sum(len(p.points) for p in found.values()) == 4
        assert "4 of 720" in texts_of(scene.at(9.0))
        weights = np.sort(np.abs(small_capture.connections("flatten", "dense").weight))[-4:]
        shares = np.sort(np.concatenate([p.colors[:, 3] for p in found.values()]))
        assert np.allclose(shares, 0.05 + 0.6 * (weights / weights.max()) ** 2, atol=1e-5)

    def test_line_runs_from_cell_to_cell(self, scene, small_capture):
        pair = small_capture.connections("flatten", "dense")
        context = scene.context
        ends = {
            (tuple(np.round(a, 4)), tuple(np.round(b, 4)))
            for a, b in zip(
                context.centers("flatten", pair.index[:, 0]), context.centers("dense", pair.index[:, 1]), strict=True
            )
        }
        for name, lines in of(Lines, scene.at(9.0)).items():
            if name.startswith("flatten|dense|"):
                for points in lines.points.astype(np.float64):
                    ends.discard((tuple(np.round(points[0], 4)), tuple(np.round(points[-1], 4))))
        # float32 changes the last digit of a few.
        assert len(ends) < 8

    def test_colour_of_a_line_shows_the_sign(self, scene, small_capture):
        pair = small_capture.connections("flatten", "dense")
        warm = sum(
            int((p.colors[:, 0] > p.colors[:, 2]).sum())
            for n, p in of(Lines, scene.at(9.0)).items()
            if n.startswith("flatten|dense|")
        )
        assert warm == int((pair.weight >= 0).sum())

    def test_legend_names_the_ranking(self, scene):
        assert "by |weight|" in texts_of(scene.at(9.0))
        assert "by |weight × activation|" in texts_of(scene.at(9.0, Selection(ranking="contribution")))


class TestCamera:
    def test_camera_rests_without_keyframes(self, scene):
        assert scene.camera(0.0, aspect=1.5) == scene.camera(7.0, aspect=1.5)

    def test_camera_moves_from_keyframe_to_keyframe(self, small_capture):
        frames = [{"at": 1.0, "azimuth": -40.0}, {"at": 3.0, "target": "layer:conv", "distance": 2.0}]
        scene = Scene.build(parse_scene({"format": 1, "camera": {"keyframes": frames}}), small_capture)
        poses = [scene.camera(t, aspect=1.6) for t in (0.0, 1.0, 2.0, 3.0, 9.0)]
        assert poses[0].position == pytest.approx(poses[1].position)
        assert poses[3].position == pytest.approx(poses[4].position)
        assert poses[3].target == pytest.approx(scene.context.placement("conv").center)
        lengths = [math.dist(p.position, p.target) for p in poses[1:4]]
        assert lengths[0] > lengths[1] > lengths[2]
        diagonal = math.hypot(*scene.context.placement("conv").size)
        assert lengths[2] == pytest.approx(2.0 * diagonal)

    def test_camera_moves_without_a_jump(self, small_capture):
        frames = [{"at": 0.0, "azimuth": -60.0}, {"at": 2.0, "azimuth": 60.0, "target": "layer:dense"}]
        scene = Scene.build(parse_scene({"format": 1, "camera": {"keyframes": frames}}), small_capture)
        eyes = np.array([scene.camera(t, aspect=1.6).position for t in np.linspace(0, 2, 401)])
        steps = np.linalg.norm(np.diff(eyes, axis=0), axis=1)
        assert steps.max() < 5 * steps.mean()

    def test_scene_lasts_until_the_last_keyframe(self, small_capture):
        spec = parse_scene({"format": 1, "camera": {"keyframes": [{"at": 30.0}]}})
        assert Scene.build(spec, small_capture).duration == 30.0


class TestStructure:
    def test_blocks_are_solid_without_numbers(self, long_capture):
        scene = Scene.build(
            parse_scene({"format": 1, "groups": "open", "views": [{"kind": "structure"}]}), long_capture
        )
        picture = scene.at(0.0)
        boxes = of(Box, picture)
        assert len(boxes) == 177
        assert all(box.fill > 0 for box in boxes.values())
        assert "177 nodes" in texts_of(picture)

    def test_blocks_with_numbers_have_frames(self, scene):
        assert {box.fill for box in of(Box, scene.at(0.0)).values()} == {0.0}

    def test_each_edge_is_drawn_once(self, long_capture):
        scene = Scene.build(
            parse_scene({"format": 1, "groups": "open", "views": [{"kind": "structure"}]}), long_capture
        )
        assert sum(len(p.points) for p in of(Lines, scene.at(0.0)).values()) == len(long_capture.graph.edges)

    def test_labels_and_edges_can_be_switched_off(self, small_capture):
        view = {"kind": "structure", "labels": False, "edges": False}
        picture = Scene.build(parse_scene({"format": 1, "views": [view]}), small_capture).at(0.0)
        assert not of(Labels, picture)
        assert not of(Lines, picture)

    def test_picture_without_panels_has_a_title(self, small_capture):
        scene = Scene.build(
            parse_scene({"format": 1, "title": "Mine", "views": [{"kind": "structure"}]}), small_capture
        )
        assert scene.at(0.0).primitives[-1].rows[0] == TextRow("Mine", "title")


def test_input_picture_is_shown_without_preprocessing(tmp_path: Path):
    random = np.random.default_rng(4)
    graph = chain([("input", "InputLayer", (6, 5, 3)), ("out", "Dense", (4,))])
    pixels = random.integers(0, 256, (2, 6, 5, 3), dtype=np.uint8)
    values = {"input": random.random((2, 6, 5, 3), dtype=np.float32), "out": random.random((2, 4), dtype=np.float32)}
    capture = captures.write(tmp_path / "p.zarr", graph, values, pictures={"input": pixels})
    scene = Scene.build(default_scene(), capture)
    for sample in (0, 1):
        picture = scene.at(9.0, Selection(sample=sample))
        assert np.array_equal(of(Image, picture)["input"].pixels, pixels[sample])
        assert "input" not in of(Voxels, picture)


def test_gray_input_is_shown_from_its_numbers(scene, small_capture):
    pixels = of(Image, scene.at(9.0))["input"].pixels
    values = small_capture.activation("input", 0)[..., 0]
    assert pixels.shape == (8, 9, 3)
    expected = (values - values.min()) / (values.max() - values.min()) * 255
    assert np.abs(pixels[..., 0] - expected).max() <= 0.51


def test_capture_without_numbers_shows_its_architecture(long_capture):
    scene = Scene.build(parse_scene({"format": 1, "groups": "open"}), long_capture)
    picture = scene.at(scene.duration)
    assert len(of(Box, picture)) == 177
    assert set(of(Voxels, picture)) == {"predictions"}
    assert "predictions: highest 3 of 1,000" in texts_of(picture)


def test_equal_selections_give_the_same_arrays(scene):
    a, b = Selection(sample=1, layer="conv"), replace(Selection(sample=1), layer="conv")
    assert arrays_of(scene.at(9.0, a).primitives)[0] is arrays_of(scene.at(9.0, b).primitives)[0]


class TestAnswers:
    """Titles for outputs that are not class scores, and for NaN."""

    @staticmethod
    def words(tmp_path: Path, values: list[float], *, activation: str | None = None, classes=None) -> str:
        graph = chain([("input", "InputLayer", (5,)), ("out", "Dense", (len(values),))])
        if activation:
            last = replace(graph.nodes[-1], activation=activation)
            graph = replace(graph, nodes=(*graph.nodes[:-1], last))
        capture = captures.write(
            tmp_path / "out.zarr", graph, {"out": np.array([values], dtype=np.float32)}, classes=classes
        )
        scene = Scene.build(default_scene(), capture)
        return texts_of(scene.at(scene.duration))

    def test_scores_of_classes_are_a_prediction(self, tmp_path: Path):
        assert "predicted class 1 (0.700)" in self.words(tmp_path, [0.3, 0.7], activation="softmax")

    def test_title_of_another_vector_names_its_largest_output(self, tmp_path: Path):
        words = self.words(tmp_path, [10.5, -3.0])
        assert "largest output 0 (10.500)" in words
        assert "predicted" not in words

    def test_title_of_a_single_output_has_its_number(self, tmp_path: Path):
        assert "output 0.420" in self.words(tmp_path, [0.42])

    def test_nan_is_no_prediction(self, tmp_path: Path):
        words = self.words(tmp_path, [float("nan"), float("nan")], activation="softmax")
        assert "the output is NaN" in words
        assert "predicted" not in words


def test_integer_activations_are_drawn(tmp_path: Path):
    graph = chain([("tokens", "InputLayer", (6,)), ("dense", "Dense", (3,))])
    capture = captures.write(tmp_path / "int.zarr", graph, {"tokens": np.arange(6)[None], "dense": np.ones((1, 3))})
    blocks = of(Voxels, Scene.build(default_scene(), capture).at(9.0))
    assert blocks["tokens"].values.dtype == np.float32
    assert sorted(blocks["tokens"].values.ravel()) == [0, 1, 2, 3, 4, 5]


def test_layers_without_numbers_are_bodies_that_say_so_and_have_no_balls(tmp_path: Path):
    shapes = {"input": (6,), "embedding": (6, 4), "none": (6, 0), "map": (5, 0, 3), "start": (0, 4), "out": (3,)}
    graph = chain([(name, "InputLayer" if name == "input" else "Lambda", shape) for name, shape in shapes.items()])
    values = {name: np.ones((1, *shape), dtype=np.float32) for name, shape in shapes.items()}
    capture = captures.write(tmp_path / "run.zarr", graph, values)
    scene = Scene.build(default_scene(), capture)
    for selection in (Selection(), Selection(layer="none"), Selection(normalize="global", threshold=0.5)):
        shown = scene.at(scene.duration, selection)
        assert set(of(Voxels, shown)) == {"input", "embedding", "out"}
        assert {"none", "map", "start"} <= {name.removeprefix("body:") for name in of(Box, shown)}
    lines = [line for one in shown.primitives if isinstance(one, Labels) for each in one.labels for line in each.lines]
    assert lines.count("no numbers: an axis has length 0") == 3
    with pytest.raises(SceneError, match="'none' has no numbers, so it has no balls to show; --scene digits"):
        Scene.build(parse_scene({"format": 1, "views": [{"kind": "nodes"}]}), capture)
