"""The backward pass: timeline, blocks with gradients, connections and light on edges."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.data.capabilities.gradients import write_flow, write_gradient
from nnviz3d.data.graph import Edge, LayerNode, ModelGraph
from nnviz3d.data.targets import PREDICTED, write_targets
from nnviz3d.errors import SceneError
from nnviz3d.scene.panel_rows import TextRow
from nnviz3d.scene.primitives import Image, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.timeline import Timeline
from nnviz3d.scene.views.connections import EdgePick
from tests.support import captures
from tests.support.captures import explained_connection_gradients, explained_gradients
from tests.support.number_words import read_number

SPEC = parse_scene(
    {
        "format": 1,
        "views": [
            {"kind": "structure"},
            {"kind": "activations", "reveal": {"start": 0.0, "duration": 3.0}},
            {"kind": "backward", "start": 5.0, "duration": 6.0},
            {"kind": "connections"},
        ],
    }
)
RANKS = ("input", "conv", "pool", "flatten", "dense", "scores")


@pytest.fixture(scope="module")
def scene(explained_capture):
    return Scene.build(SPEC, explained_capture)


def at(scene, t, kind=Voxels, **selected):
    return {p.name: p for p in scene.at(t, Selection(**selected)).primitives if isinstance(p, kind)}


class TestTimeline:
    def test_backward_pass_starts_after_the_forward_pass_by_default(self):
        spec = parse_scene({"format": 1, "views": [{"kind": "activations"}, {"kind": "backward"}]})
        line = Timeline.of(spec.views, 4)
        assert line.backward is not None
        assert line.backward[0] > sum(line.forward)
        assert line.duration > sum(line.backward)

    def test_stops_are_in_order_if_the_passes_overlap(self):
        line = Timeline(3, forward=(0.0, 3.0), backward=(1.5, 3.0))
        moments = [0.0]
        while (later := line.stop(moments[-1], 1)) is not None and later > moments[-1]:
            moments.append(later)
        assert moments == [0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.5]

    def test_gradient_passes_the_last_layers_first(self):
        line = Timeline.of(SPEC.views, 6)
        arrivals = [line.arrives(rank) for rank in range(6)]
        assert arrivals == sorted(arrivals, reverse=True)
        assert arrivals[5] == 5.0
        assert line.returned(0, arrivals[0] + line.seconds_per_rank) == 1

    def test_afterglow_is_zero_at_the_end(self):
        line = Timeline.of(SPEC.views, 6)
        assert all(line.afterglow(rank, line.duration) == 0 for rank in range(6))
        assert line.afterglow(3, line.arrives(3) + line.seconds_per_rank) == 1

    def test_turned_is_zero_without_a_backward_pass(self):
        line = Timeline.of(parse_scene({"format": 1, "views": [{"kind": "activations"}]}).views, 4)
        assert line.turned(1e9) == 0
        assert line.duration == sum(line.forward)

    def test_stops_are_between_all_layers_of_both_passes(self):
        line = Timeline.of(SPEC.views, 6)
        assert line.stops == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3, 5, 6, 7, 8, 9, 10, 11])
        ahead = [0.0]
        while ahead[-1] < line.stops[-1]:
            ahead.append(line.stop(ahead[-1], 1))
        assert ahead == list(line.stops)
        assert [line.stop(t, -1) for t in ahead[1:]] == ahead[:-1]
        assert line.stop(line.duration, -1) == 11
        assert line.stop(0, -1) == 0

    @pytest.mark.parametrize(
        ("t", "words"),
        [
            (0, "forward: 0 of 6 stages"),
            (1.2, "forward: 2 of 6 stages"),
            (4, "forward: 6 of 6 stages"),
            (5, "backward: 0 of 6 stages"),
            (11, "backward: 6 of 6 stages"),
            (99, "backward: 6 of 6 stages"),
        ],
    )
    def test_phase_names_the_pass_and_the_stage(self, t, words):
        assert Timeline.of(SPEC.views, 6).phase(t) == words

    def test_phase_is_empty_and_there_is_no_stop_if_nothing_moves(self):
        line = Timeline.of(parse_scene({"format": 1, "views": [{"kind": "structure"}]}).views, 6)
        assert line.phase(0) == ""
        assert line.stop(0, 1) is None

    def test_pass_without_duration_ends_immediately(self):
        views = [
            {"kind": "activations", "reveal": {"duration": 0}},
            {"kind": "backward", "start": 1, "duration": 0},
        ]
        line = Timeline.of(parse_scene({"format": 1, "views": views}).views, 4)
        assert [line.returned(2, t) for t in (0.9, 1.0)] == [0, 1]


class TestBlocks:
    def test_only_activations_are_visible_before_the_backward_pass(self, scene):
        found = at(scene, 3.9)
        assert all(not b.visible for name, b in found.items() if name.startswith("gradient:"))
        assert all(b.emphasis == 1 and b.reveal == 1 for name, b in found.items() if not name.startswith("gradient:"))

    def test_half_of_the_layers_show_gradients_in_the_middle_of_the_pass(self, scene):
        found = at(scene, 7.5)  # the middle of the rank of flatten, the fourth of six
        assert [found[f"gradient:{name}"].visible for name in ("scores", "dense", "pool", "conv")] == [
            True,
            True,
            False,
            False,
        ]
        assert not found["dense"].visible
        assert found["pool"].visible

    def test_block_shows_activation_before_the_front_and_gradient_after_it(self, scene):
        t = 5.0 + 1.4  # 0.4 of dense
        found = at(scene, t)
        assert found["dense"].reveal == pytest.approx(0.6)
        assert found["gradient:dense"].since == pytest.approx(0.6)
        assert found["gradient:dense"].front == pytest.approx(0.6)

    @pytest.mark.parametrize("sample", [0, 2])
    def test_every_number_is_the_captured_gradient_at_the_end(self, scene, sample):
        found = at(scene, scene.duration, sample=sample)
        shown = {
            name.removeprefix("gradient:"): b for name, b in found.items() if b.visible and name.startswith("gradient:")
        }
        assert set(shown) == {"input", "conv", "pool", "dense", "scores"}
        for name, block in shown.items():
            arranged = scene.context.placement(name).grid.arrange(explained_gradients()[name][sample])
            assert np.array_equal(block.values, arranged)
            assert block.colormap.diverging
            assert block.limits[0] == -block.limits[1]
            assert block.glow == 0
            assert block.front is None

    def test_layer_without_gradient_keeps_its_activation_dimmed(self, scene):
        left = at(scene, scene.duration)["flatten"]
        assert left.visible
        assert left.reveal == 1
        assert left.emphasis < 0.5

    def test_input_picture_fades_out_when_its_gradient_appears(self, scene):
        assert at(scene, 3.5, Image)["input"].opacity == 1
        assert at(scene, 8.0, Image)["input"].opacity < 0.5
        assert at(scene, scene.duration, Image)["input"].opacity == 0

    def test_arrays_are_the_same_objects_at_all_times(self, scene):
        a, b = at(scene, 6.0), at(scene, 9.0)
        assert a.keys() == b.keys()
        assert all(a[name].values is b[name].values for name in a)

    def test_scale_names_the_gradient_after_the_backward_pass(self, scene):
        def words(t):
            return " ".join(r.text for p in at(scene, t, Panel).values() for r in p.rows if isinstance(r, TextRow))

        assert "gradient of the score" not in words(3.5)
        assert "gradient of the score of" in words(scene.duration)

    def test_selected_quantity_is_shown_at_all_times(self, scene):
        found = at(scene, 8.5, quantity="gradient")
        assert not any(name.startswith("gradient:") for name in found)
        assert all(b.visible for b in found.values())

    def test_sample_without_gradients_is_refused_with_the_option(self, small_capture):
        with pytest.raises(SceneError, match="--gradients"):
            Scene.build(SPEC, small_capture).at(8.0)


class TestConnections:
    def test_line_has_opacity_by_its_gradient_and_colour_by_its_sign(self, scene):
        found = at(scene, scene.duration, Lines)
        slopes = explained_connection_gradients()["flatten", "dense"][0, 0]
        lit = [p for name, p in found.items() if name.startswith("gradient|flatten|dense")]
        assert sum(len(p.points) for p in lit) == np.count_nonzero(slopes)
        stored = scene.context.capture.connections("flatten", "dense", "weight", 0)
        place = {tuple(pair): k for k, pair in enumerate(stored.index.tolist())}
        drawn = []
        for lines in lit:
            for pair, color in zip(lines.ends.index.tolist(), lines.colors, strict=True):
                slope = slopes[place[tuple(pair)]]
                assert (color[0] > color[2]) == (slope > 0), "warm is positive"
                drawn.append((abs(slope), color[3]))
        opacity = [seen for _, seen in sorted(drawn)]
        assert opacity == sorted(opacity)

    def test_description_of_a_connection_has_the_gradient_by_the_weight(self, scene):
        pair = scene.context.capture.connections("flatten", "dense", "weight", 2)
        for k in (0, 7, 29):
            (source, target), weight = pair.index[k], float(pair.weight[k])
            pick = EdgePick("flatten", "dense", (int(source),), (int(target),), weight)
            parts = dict(scene.describe(pick, Selection(sample=2)).parts)
            slopes = explained_connection_gradients()["flatten", "dense"][2, 0]
            assert np.float32(read_number(parts["gradient by the weight"])) == slopes[k]

    def test_lines_of_the_gradient_fade_in_and_lines_of_weights_fade_out(self, scene):
        def opacity(t):
            return next(
                p.opacity for name, p in at(scene, t, Lines).items() if name.startswith("gradient|flatten|dense")
            )

        assert opacity(5.0) == 0
        assert 0 < opacity(7.0) < 1  # between the two ranks
        assert opacity(8.0) == 1
        before = at(scene, 3.5, Lines)["flatten|dense|3"]
        assert at(scene, 8.0, Lines)["flatten|dense|3"].opacity < 0.5 * before.opacity


class TestEdges:
    """Light on a branch with three quarters of the gradient, and on a skip with one quarter."""

    @pytest.fixture(scope="class")
    @classmethod
    def forked(cls, tmp_path_factory):
        nodes = [("input", "InputLayer"), ("branch", "Dense"), ("merge", "Add"), ("scores", "Dense")]
        ends = [("input", "branch"), ("input", "merge"), ("branch", "merge"), ("merge", "scores")]
        graph = ModelGraph(
            "forked",
            tuple(LayerNode(name, 0, kind, ((4,),), 0) for name, kind in nodes),
            tuple(Edge(a, b) for a, b in ends),
            ("input",),
            ("scores",),
        )
        values = {name: np.ones((1, 4), dtype=np.float32) for name, _ in nodes}

        def also(writer):
            one = np.ones(1)
            write_targets(writer, PREDICTED, "scores", np.zeros(1, dtype=np.int64), one, one)
            for name in values:
                write_gradient(writer, PREDICTED, name, 0, 0, values[name])
            write_flow(writer, PREDICTED, np.array([[3.0, 1.0, 2.0, 2.0]], dtype=np.float32))

        path = tmp_path_factory.mktemp("forked") / "forked.zarr"
        return Scene.build(SPEC, captures.write(path, graph, values, also=[also]))

    def test_edge_with_the_larger_share_is_wider_and_brighter(self, forked):
        found = {name: p for name, p in at(forked, forked.duration, Lines).items() if name.startswith("backward/")}
        # Widths by thirds: the skip is in the first, the branch and the edges without alternative are in the last.
        assert set(found) == {"backward/0", "backward/2"}
        pieces = len(found["backward/0"].points)
        assert len(found["backward/2"].points) == 3 * pieces
        assert found["backward/0"].width < found["backward/2"].width
        skip, alone = found["backward/0"].colors[:, 3].max(), found["backward/2"].colors[:, 3].max()
        assert skip == pytest.approx(alone * np.sqrt(0.25), rel=0.02)

    def test_light_runs_from_the_target_to_the_source(self, forked):
        brightest = []
        for t in (8.3, 8.6, 8.9, 9.2):
            skip = at(forked, t, Lines)["backward/0"]
            brightest.append(float(skip.points[np.argmax(skip.colors[:, 3])].mean(axis=0)[0]))
        assert brightest == sorted(set(brightest), reverse=True)

    def test_no_light_is_drawn_before_the_backward_pass(self, forked):
        assert not any(name.startswith("backward/") for name in at(forked, 4.0, Lines))
