"""The view of kernels: weights of each filter, layout, legend, picks and mistakes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.picking import pick_at, say
from nnviz3d.data.capture import Capture
from nnviz3d.errors import SceneError
from nnviz3d.render.eye import Eye
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.colors import limits_for, number, statistics_of
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.kernels import KernelPick, kernel_of
from nnviz3d.scene.layout.cells import grid_for
from nnviz3d.scene.panel_rows import ScaleRow, SwatchRow, TextRow
from nnviz3d.scene.primitives import DrawList, Labels, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import parse_scene
from tests.support.captures import write
from tests.support.graphs import chain

SIZE = (1280, 720)
RANDOM = np.random.default_rng(31)
KERNELS = {
    "step": ("Conv1D", (5, 4, 7)),
    "flat": ("Conv2D", (3, 2, 1, 6)),
    "deep": ("Conv2D", (3, 3, 4, 5)),
    "solid": ("Conv3D", (2, 3, 2, 4, 3)),
    "back": ("Conv2DTranspose", (3, 2, 6, 4)),
    "each": ("DepthwiseConv2D", (3, 2, 4, 2)),
    "point": ("Conv2D", (1, 1, 8, 9)),
    "many": ("Conv2D", (2, 2, 2, 70)),
    "dense": ("Dense", (12, 8)),
}


def spec(**view: object):
    return parse_scene({"format": 1, "views": [{"kind": "structure"}, {"kind": "kernels", **view}]})


def weights_of(name: str) -> np.ndarray:
    return np.random.default_rng(len(name) + KERNELS[name][1][-1]).normal(size=KERNELS[name][1]).astype(np.float32)


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Capture:
    layers = [("input", "InputLayer", (6, 6, 3)), *((name, kind, (4, 4, 5)) for name, (kind, _) in KERNELS.items())]
    graph = chain([*layers, ("pool", "MaxPooling2D", (2, 2, 5))])
    values = {node.id: RANDOM.random((1, *node.shape), dtype=np.float32) for node in graph}

    def weights(writer) -> None:
        for name in KERNELS:
            writer.write_weights(name, "depthwise_kernel" if name == "each" else "kernel", weights_of(name))
            writer.write_weights(name, "bias", np.zeros(3, dtype=np.float32))

    return write(tmp_path_factory.mktemp("kernels") / "run.zarr", graph, values, also=[weights])


def filters_of(name: str) -> list[np.ndarray]:
    """The filters of a layer as they are multiplied with its input, for each kind of layer."""
    kernel = weights_of(name)
    if name == "dense":
        return [kernel]
    if name == "point":
        return [kernel[0, 0]]
    if name == "each":
        return [kernel[:, :, c, m][..., np.newaxis] for c in range(4) for m in range(2)]
    if name == "back":
        return [kernel[:, :, k, :] for k in range(6)]
    return [kernel[..., k] for k in range(kernel.shape[-1])]


def drawn(scene: Scene, selection: Selection | None = None) -> dict[str, Voxels]:
    blocks = (p for p in scene.at(0.0, selection).primitives if isinstance(p, Voxels))
    return {block.name: block for block in blocks if block.source.view == "kernels"}


def legend_of(scene: Scene, selection: Selection | None = None) -> Panel:
    return next(p for p in scene.at(0.0, selection).primitives if isinstance(p, Panel) and p.name == "kernels")


def words(panel: Panel) -> list[str]:
    return [row.text for row in panel.rows if isinstance(row, TextRow)]


@pytest.mark.parametrize("name", KERNELS)
def test_every_voxel_has_the_weight_of_its_position(capture, name):
    blocks = drawn(Scene.build(spec(layer=name), capture))
    filters = filters_of(name)
    assert list(blocks) == [f"filter {k} of {name}" for k in range(min(64, len(filters)))]
    for block, weights in zip(blocks.values(), filters, strict=False):
        assert np.array_equal(block.values, grid_for(weights.shape).arrange(weights))
        assert block.limits == limits_for(statistics_of(weights_of(name)), "symmetric")
        assert block.limits[0] == -block.limits[1]


@pytest.mark.parametrize("name", KERNELS)
def test_pick_of_a_cell_is_the_weight_in_it(capture, name):
    scene = Scene.build(spec(layer=name), capture)
    kernel, cells = kernel_of(scene.context, capture.graph.node(name)), drawn(scene)
    for k, weights in enumerate(filters_of(name)[:3]):
        shown = cells[f"filter {k} of {name}"].values
        for cell in itertools.product(*map(range, shown.shape)):
            pick = kernel.pick(k, cell)
            assert weights_of(name)[pick.index] == shown[cell]
            found, place = kernel.cell(pick.index)
            assert (found, *place) == (k, *cell)
        assert weights.size == shown.size


def test_filters_have_the_captured_weights(digits):
    kernel = digits.weights("conv2d_1")["kernel"]
    blocks = drawn(Scene.build(spec(layer="conv2d_1"), digits))
    assert len(blocks) == 64
    for k in range(64):
        shown = blocks[f"filter {k} of conv2d_1"].values
        assert shown[2, 0, 31] == kernel[2, 2, 0, k], "the last row is lowest, the first channel in front"
        assert np.array_equal(shown[0, 2, ::-1], kernel[0, 0, :, k])


def test_first_convolution_is_shown_by_default_or_else_a_matrix(digits, small_capture, tmp_path):
    assert {block.source.layer for block in drawn(Scene.build(spec(), digits)).values()} == {"conv2d"}
    graph = chain([("input", "InputLayer", (3,)), ("dense", "Dense", (2,))])
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    kernel = np.arange(6, dtype=np.float32).reshape(3, 2)
    also = [lambda writer: writer.write_weights("dense", "kernel", kernel)]
    alone = Scene.build(spec(), write(tmp_path / "dense.zarr", graph, values, also=also))
    assert np.array_equal(drawn(alone)["filter 0 of dense"].values[:, :, 0], kernel[:, ::-1])


def test_legend_says_that_fewer_filters_are_shown_than_exist(capture):
    scene = Scene.build(spec(layer="many"), capture)
    assert len(drawn(scene)) == 64
    assert "showing 64 of 70 filters, the first" in words(legend_of(scene))
    strongest = Scene.build(spec(layer="many", order="norm", most=5), capture)
    norms = np.linalg.norm(weights_of("many").reshape(-1, 70), axis=0)
    assert [block.source.number for block in drawn(strongest).values()] == list(np.argsort(-norms)[:5])
    assert "showing 5 of 70 filters, those of largest norm, the largest first" in words(legend_of(strongest))


def test_scale_has_the_exact_range_and_the_hidden_weights(capture):
    scene = Scene.build(spec(layer="deep", threshold=0.5), capture)
    kernel, block = weights_of("deep"), drawn(scene)["filter 0 of deep"]
    panel = legend_of(scene)
    assert words(panel)[0] == f"weights of deep: {number(kernel.min())} to {number(kernel.max())}"
    assert block.threshold == 0.5 * block.limits[1]
    assert words(panel)[1].startswith(f"{np.sum(np.abs(kernel) >= block.threshold)} of {kernel.size} weights reach")
    (scale,) = [row for row in panel.rows if isinstance(row, ScaleRow)]
    assert [at for at, _ in scale.ticks] == [0, 0.5, 1]
    assert scale.hidden == ((0.25, 0.75),)
    assert scale.colormap.diverging
    assert drawn(scene, Selection(threshold=0.0))["filter 0 of deep"].threshold == 0
    assert drawn(Scene.build(spec(layer="flat"), capture))["filter 0 of flat"].threshold == 0, "nothing to hide"


def test_filters_are_above_the_network_without_overlap_numbered_and_inside_the_picture(digits):
    scene = Scene.build(spec(layer="conv2d_2"), digits)
    top = max(p.origin[1] + p.size[1] for p in scene.context.plan.placements.values())
    boxes = [(np.array(b.origin), np.array(b.origin) + b.size) for b in drawn(scene).values()]
    assert all(low[1] > top for low, _ in boxes)
    for (low, high), (other_low, other_high) in itertools.combinations(boxes, 2):
        assert np.any(high[:2] <= other_low[:2]) or np.any(other_high[:2] <= low[:2])
    seen, _ = Eye.of(scene.overview(aspect=16 / 9), SIZE).project(np.array([c for box in boxes for c in box]))
    assert np.all((seen >= 0) & (seen <= SIZE))
    (labels,) = [p for p in scene.at(0).primitives if isinstance(p, Labels) and p.name == "kernels"]
    assert labels.labels[0].lines == ("kernel of conv2d_2", "3 × 3 × 64 × 64 · 64 filters")
    assert [label.lines[0] for label in labels.labels[1:]] == [str(k) for k in range(64)]


def test_kernel_of_the_selected_layer_is_shown_in_the_same_room(digits):
    scene = Scene.build(spec(layer="conv2d"), digits)
    low, high = scene.extent().min(axis=0), scene.extent().max(axis=0)
    for name, count in (("conv2d_2", 64), ("dense", 1), ("flatten", 32)):
        blocks = drawn(scene, Selection(layer=name))
        assert len(blocks) == count
        assert {block.source.layer for block in blocks.values()} == {"conv2d" if name == "flatten" else name}
        for block in blocks.values():
            assert np.all(np.array(block.origin)[:2] >= low[:2] - 1e-6)
            assert np.all((np.array(block.origin) + block.size)[:2] <= high[:2] + 1e-6)
            assert block.emphasis == (0.3 if name == "flatten" else 1)


def test_equal_arguments_give_the_same_primitives(digits):
    scene = Scene.build(spec(), digits)
    assert drawn(scene)["filter 3 of conv2d"] is drawn(scene, Selection(sample=4))["filter 3 of conv2d"]


def test_description_of_a_weight_has_filter_row_column_input_channel_and_number(digits):
    scene = Scene.build(spec(layer="conv2d_1"), digits)
    pose = scene.overview(aspect=16 / 9)
    session = SimpleNamespace(
        scene=scene,
        clock=SimpleNamespace(t=0.0),
        selection=Selection(),
        renderer=SimpleNamespace(pose=lambda: pose, size=SIZE),
    )
    weights = digits.weights("conv2d_1")["kernel"]
    block = drawn(scene)["filter 9 of conv2d_1"]
    row, column = next((r, c) for r in range(3) for c in range(3) if abs(weights[r, c, 0, 9]) >= block.threshold)
    front = np.array(block.origin) + np.array(block.cell) * (column + 0.5, 2 - row + 0.5, 32)
    (at,), _ = Eye.of(pose, SIZE).project(front[np.newaxis])
    pick = pick_at(session, tuple(at))
    assert pick == KernelPick("conv2d_1", (row, column, 0, 9))
    session.selection = Selection(pick=pick)
    assert say(session) == f"conv2d_1: kernel [{row}, {column}, 0, 9] = {weights[row, column, 0, 9]!s}"
    marked = scene.at(0.0, session.selection).primitives
    (callout,) = [p for p in marked if p.name == "pick" and hasattr(p, "marks")]
    assert callout.marks[0].size == block.cell
    assert np.allclose(np.array(callout.marks[0].origin) + np.array(block.cell) * (0.5, 0.5, 1), front)
    assert callout.rows[-1].text == f"row {row}, column {column}, input channel 0, filter 9"
    assert any(isinstance(p, Lines) and p.name == "pick/frames" for p in marked)
    # Another layer's filters are shown, so nothing is marked.
    assert not any(p.name.startswith("pick") for p in scene.at(0.0, Selection(layer="dense", pick=pick)).primitives)


def test_weights_are_coloured_by_sign_and_nan_is_green(tmp_path):
    graph = chain([("input", "InputLayer", (8, 8, 1)), ("conv", "Conv2D", (6, 6, 3))])
    values = {node.id: np.zeros((1, *node.shape), np.float32) for node in graph}
    kernel = np.zeros((3, 3, 1, 3), np.float32)
    kernel[..., 0], kernel[..., 1], kernel[..., 2] = 0.6, -0.6, np.nan
    kernel[0, 0, 0, 0] = 1.0
    also = [lambda writer: writer.write_weights("conv", "kernel", kernel)]
    scene = Scene.build(spec(), write(tmp_path / "signs.zarr", graph, values, also=also))
    pose = scene.overview(aspect=16 / 9)
    studio = Offscreen((640, 360), antialias=False)
    blocks = drawn(scene)
    pixels = studio.picture(DrawList(tuple(blocks.values())), pose).astype(int)
    studio.close()
    hues = []
    for block in blocks.values():
        middle = np.array(block.origin) + np.array(block.size) * (0.5, 0.5, 1)
        (at,), _ = Eye.of(pose, (640, 360)).project(middle[np.newaxis])
        x, y = at.astype(int)
        hues.append(pixels[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).max(axis=0))
    warm, cold, broken = hues
    assert warm[0] > warm[2] + 60
    assert cold[2] > cold[0] + 60
    assert broken[1] > max(broken[0], broken[2]) + 60
    swatches = [text for row in legend_of(scene).rows if isinstance(row, SwatchRow) for _, text in row.swatches]
    assert swatches == ["9 NaN"]


def test_mistakes_are_refused_in_one_sentence(capture, small_capture, digits):
    with pytest.raises(
        SceneError, match=r"views\[1\]\.layer: there is no layer 'conv'; those with a kernel are step, "
    ):
        Scene.build(spec(layer="conv"), capture)
    with pytest.raises(
        SceneError, match=r"views\[1\]\.layer: flatten has no kernel to show; those with one are conv2d, "
    ):
        Scene.build(spec(layer="flatten"), digits)
    with pytest.raises(SceneError, match=r"views\[1\]\.kind: small.zarr holds no kernel .* with --weights all\."):
        Scene.build(spec(), small_capture)
    for wrong in ({"order": "size"}, {"most": 0}, {"most": 65}, {"colormap": "inferno"}, {"layers": ["conv"]}):
        with pytest.raises(SceneError, match=rf"views\[1\]\.{next(iter(wrong))}"):
            spec(**wrong)


def test_kernel_is_read_once_by_all_layouts_of_a_scene(digits):
    context = SceneContext.build(digits, aspect=1.5)
    first, other = (digits.graph.node(name) for name in ("conv2d_1", "conv2d_2"))
    assert kernel_of(context, first) is kernel_of(context, first)
    assert kernel_of(context, other).layer == "conv2d_2"
    assert kernel_of(context, first).layer == "conv2d_1"
    flatter = replace(SceneContext.build(digits, aspect=1.5, flatter=2.0), memo=context.memo)
    assert kernel_of(flatter, first) is kernel_of(context, first)


def test_error_lists_only_the_first_of_many_layers(long_capture):
    kernels = [node.id for node in long_capture.graph if "Conv" in node.kind or "Dense" in node.kind]
    with pytest.raises(SceneError) as refused:
        Scene.build(spec(layer="conv9"), long_capture)
    assert str(refused.value).endswith(f"{', '.join(kernels[:12])} and {len(kernels) - 12} more.")


def test_layer_without_captured_weights_is_refused_with_the_option(tmp_path):
    from dataclasses import replace

    graph = chain([("input", "InputLayer", (8, 8, 1)), ("conv", "Conv2D", (6, 6, 3))])
    graph = replace(graph, nodes=(graph.nodes[0], replace(graph.nodes[1], parameters=30)))
    values = {node.id: np.zeros((1, *node.shape), np.float32) for node in graph}
    capture = write(tmp_path / "bare.zarr", graph, values)
    with pytest.raises(SceneError, match=r"layer: bare.zarr does not hold the weights of conv; .* --weights all\."):
        Scene.build(spec(layer="conv"), capture)


@pytest.mark.parametrize(("name", "matrix"), [("step", False), ("dense", True), ("point", True)])
def test_filters_of_a_convolution_over_time_are_counted_and_numbered_like_those_of_a_picture(capture, name, matrix):
    scene = Scene.build(spec(layer=name), capture)
    (labels,) = [p for p in scene.at(0).primitives if isinstance(p, Labels) and p.name == "kernels"]
    assert (" inputs to the right" in labels.labels[0].lines[1]) is matrix
    count = len(filters_of(name))
    assert len(labels.labels) == (1 if matrix else 1 + count)
    if not matrix:
        assert f"{count} filters" in labels.labels[0].lines[1]
