"""An exported page says why a picked number is what it is: its receptive field, and its sum."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnviz3d.analysis.sum_terms import CellSum
from nnviz3d.apps.export.html.frames import LAYOUTS
from nnviz3d.apps.export.html.pick_sums import sum_words
from nnviz3d.apps.pick_explanation import explanation_of
from nnviz3d.scene.colors import number
from nnviz3d.scene.derived.cell_fields import field_of
from nnviz3d.scene.derived.explanation_words import field_boxes, term_lines
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.views.field_marks import field_marks
from tests.support.captures import write
from tests.support.graphs import chain
from tests.support.player import shown
from tests.support.scenes import bundled_scene

_MARKS = """([layer, index, layout]) => nnviz3d.file.fields.marks({ layer, index }, layout).map(
  ({ name, points, colors, width }) => [name, [...points.data], [...colors.data], width])"""
_PICK = "([layer, index]) => nnviz3d.choosePick(nnviz3d.pickCell({ layer, index }))"


def rows(points, colors) -> np.ndarray:
    """Return the lines as rows of coordinates and colour, each in one order of its ends, all in one order."""
    ends = np.asarray(points, dtype=np.float64).round(3)
    whole = [
        [*(value for point in sorted(map(tuple, line)) for value in point), *color]
        for line, color in zip(ends, np.asarray(colors, dtype=np.float64).round(4), strict=True)
    ]
    return np.array(sorted(whole))


@pytest.mark.parametrize("name", ["digits", "attention"])
def test_cone_of_a_cell_is_that_of_the_scene(webgl, bundled_page, name):
    rng = np.random.default_rng(0)
    with shown(webgl, bundled_page(name)) as page:
        for layout, aspect in LAYOUTS.items():
            context = bundled_scene(name, aspect).context
            picks = [
                CellPick(node.id, tuple(int(rng.integers(n)) for n in shape))
                for node in context.graph
                for shape in (context.placement(node.id).grid.shape, context.placement(node.id).grid.location_shape)
            ]
            for pick in picks:
                expected = field_marks(context, pick)
                found = page.evaluate(_MARKS, [pick.layer, list(pick.index), layout])
                assert [one.name for one in expected] == [one[0] for one in found], pick
                for lines, (_, points, colors, width) in zip(expected, found, strict=True):
                    here = rows(np.reshape(points, lines.points.shape), np.reshape(colors, lines.colors.shape))
                    np.testing.assert_allclose(here, rows(lines.points, lines.colors), atol=2e-3)
                    assert width == lines.width


def test_pick_is_explained_beside_the_picture(webgl, bundled_page):
    scene = bundled_scene("digits")
    with shown(webgl, bundled_page("digits")) as page:
        page.evaluate("nnviz3d.openDrawer(true)")
        page.evaluate("nnviz3d.time.seek(nnviz3d.words.duration)")
        section = page.locator("#pick")
        assert section.is_hidden()
        for sample in (0, 2):
            page.evaluate("(sample) => nnviz3d.choose({ sample })", sample)
            pick = CellPick("dense_1", (4,))
            page.evaluate(_PICK, [pick.layer, list(pick.index)])
            told = explanation_of(scene.context, Selection(sample, pick=pick))
            assert told is not None
            assert section.locator(".section-title").text_content() == told.title
            lines = [line for one in told.sums for line in one.lines]
            assert section.locator(".pick-number").all_text_contents() == [number(line.product) for line in lines]
            assert section.locator(".pick-term .line").all_text_contents() == [line.place for line in lines]
            pairs = [text for one in told.sums for pair in one.pairs for text in pair]
            texts = section.locator(".pairs span").all_text_contents()
            assert texts[: len(pairs)] == pairs
            field = field_of(scene.context, pick)
            assert field is not None
            assert texts[len(pairs) :] == [text for pair in field_boxes(field) for text in pair]
        page.evaluate(_PICK, ["conv2d_1", [5, 4, 3]])
        assert "nnviz3d serve" in section.locator(".pick-words").text_content()
        assert section.locator(".pairs span").all_text_contents()[-2:] == ["input", "10–17, 8–15, 0"]
        names = page.evaluate("nnviz3d.viewer.drawList.primitives.map(({ name }) => name)")
        assert {"pick/field", "pick/cone/edges", "pick/cone/rays"} <= set(names)
        page.evaluate(_PICK, ["input", [5, 4, 0]])
        assert section.locator(".pick-words").count() == 0
        page.keyboard.press("Escape")
        assert section.is_hidden()


def test_numbers_of_a_training_have_no_sum_of_another_step():
    scene = bundled_scene("training")
    assert sum_words(scene, Selection()) == []
    [*_, last] = scene.capture.training.steps
    assert sum_words(scene, Selection(step=int(last)))
    assert sum_words(bundled_scene("embedding"), Selection()) == []


def test_odd_numbers_are_told_without_a_sum_and_can_be_written_as_json(tmp_path):
    x = np.array([[1, np.inf, -2, np.nan]], dtype=np.float32)
    graph = chain([("input", "InputLayer", (4,)), ("relu", "ReLU", (4,))])
    capture = write(tmp_path / "odd.zarr", graph, {"input": x, "relu": np.maximum(x, 0)})
    found = sum_words(Scene.build(default_scene(), capture), Selection())
    json.dumps(found, allow_nan=False)
    odd = "The number is NaN or infinite, which no sum explains."
    assert [one["reason"] for one in found] == ["", odd, "", odd]


def test_share_of_an_infinite_product_is_a_number():
    largest = CellSum(np.zeros(2, np.int64), np.array([[0], [1]]), np.ones(2), np.array([3.0, -np.inf]), largest=True)
    assert [line.share for line in term_lines(largest, ["a"], 5, lambda place: place)] == [0.0, 1.0]
