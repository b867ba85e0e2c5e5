"""The receptive field of a picked cell is drawn around exactly the cells that the pick depends on."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.scene.derived.cell_fields import field_of, span_of_field
from nnviz3d.scene.primitives import Lines
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick, Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.views.blocks import span_of


@pytest.fixture(scope="module")
def scene(digits):
    return Scene.build(default_scene(), digits)


def drawn(scene, pick):
    found = scene.at(scene.duration, Selection(7, pick=pick)).primitives
    return {p.name: p for p in found if isinstance(p, Lines) and p.name.startswith("pick/")}


def test_boxes_of_a_cell_are_those_of_the_definition(scene):
    """Rows 5 to 7 of the pooled map are rows 10 to 15 of the convolution, which reads rows 10 to 17 of the picture."""
    field = field_of(scene.context, CellPick("conv2d_1", (5, 4, 3)))
    boxes = {name: part.box for name, part in field.layers.items()}
    assert boxes == {
        "input": ((10, 18), (8, 16), (0, 1)),
        "conv2d": ((10, 16), (8, 14), (0, 32)),
        "max_pooling2d": ((5, 8), (4, 7), (0, 32)),
    }
    assert field.unclear is None


def test_box_in_the_world_holds_the_cells_of_the_field_and_no_others(scene):
    context = scene.context
    for pick in (CellPick("conv2d_1", (5, 4, 3)), CellPick("flatten", (100,)), CellPick("max_pooling2d_1", (2, 2))):
        field = field_of(context, pick)
        for name, part in field.layers.items():
            span = span_of_field(context, name, part)
            cells = np.argwhere(np.logical_and.reduce(np.meshgrid(*part.positions, indexing="ij")))
            spans = [span_of(context, name, tuple(int(i) for i in cell)) for cell in (cells[0], cells[-1])]
            low = np.min([s.origin for s in spans], axis=0)
            high = np.max([np.add(s.origin, s.size) for s in spans], axis=0)
            assert np.allclose(span.origin, low)
            assert np.allclose(np.add(span.origin, span.size), high)


def test_every_layer_of_the_field_has_a_frame_and_a_cone_leads_to_it(scene):
    found = drawn(scene, CellPick("conv2d_1", (5, 4, 3)))
    assert found["pick/field"].points.shape == (3 * 12, 2, 3)
    assert len(found["pick/cone/edges"].points) == 3 * 4
    assert found["pick/frames"].colors[0, 3] >= found["pick/field"].colors[:, 3].max()


def test_the_more_of_a_layer_a_cell_reads_the_fainter_is_its_frame(scene):
    early, late = (drawn(scene, CellPick(*cell))["pick/field"] for cell in (("conv2d", (4, 4, 0)), ("dense", (12,))))
    assert early.colors[:, 3].min() > 0.9
    assert late.colors[:, 3].max() < 0.5


def test_an_input_and_a_layer_have_no_field(scene):
    for pick in (CellPick("input", (3, 3)), LayerPick("conv2d")):
        assert set(drawn(scene, pick)) <= {"pick/frames"}


def test_a_closed_group_has_the_field_of_the_layer_that_it_shows(long_capture):
    scene = Scene.build(default_scene(), long_capture, opened=frozenset())
    graph = scene.context.graph
    assert any(node.members for node in graph)
    last = graph.node(graph.outputs[0])
    field = field_of(scene.context, CellPick(last.id, (0,) * len(last.shape)))
    assert field is not None
    assert {node.id for node in graph if node.members} <= set(field.layers)
