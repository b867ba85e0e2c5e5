"""Other looks of an exported page equal those of the scene, though the file holds no frames of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from nnviz3d.apps.export.html.frames import TableKey, moments, selection_for
from nnviz3d.scene.colors import DIVERGING, SEQUENTIAL
from nnviz3d.scene.panel_rows import ScaleRow, TextRow
from nnviz3d.scene.primitives import Box, Image, Labels, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from tests.support.exported import ExportedPage
from tests.support.player import shown

FRAME = """({key, moment, look}) => {
  const { file } = nnviz3d;
  const row = (one) => one.kind === "ScaleRow" ? [one.colormap.name, one.ticks, one.hidden] : one.text ?? one.kind;
  const facts = {
    Voxels: (one) => [one.limits, one.threshold, one.colormap.name, one.emphasis],
    Image: (one) => [one.opacity],
    Box: (one) => [one.edge, one.fill],
    Lines: (one) => [one.opacity],
    Panel: (one) => one.rows.map(row),
  };
  const [layout, sample, quantity] = key;
  const found = file.table({ layout, sample, quantity }).frame(moment, look).primitives;
  return found.filter(({ kind }) => kind in facts).map((one) => [one.kind, one.name, facts[one.kind](one)]);
}"""


def row(one) -> object:
    if isinstance(one, ScaleRow):
        return [one.colormap.name, [list(tick) for tick in one.ticks], [list(part) for part in one.hidden]]
    return one.text if isinstance(one, TextRow) or hasattr(one, "text") else type(one).__name__


def facts(primitive) -> list[object] | None:
    match primitive:
        case Voxels():
            block = primitive
            return [list(block.limits), block.threshold, block.colormap.name, block.emphasis]
        case Image() | Lines():
            return [primitive.opacity]
        case Box():
            return [primitive.edge, primitive.fill]
        case Panel():
            return [row(one) for one in primitive.rows]
    return None


def close(a: object, b: object) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    return abs(a - b) < 1e-9 if isinstance(a, float) and isinstance(b, float | int) else a == b


def compare(page, scene, sample, key, moment, **chosen):
    view = next(view for view in scene.spec.views if view.kind == "activations")
    look = {"colormap": view.colormap, "normalize": view.normalize, "threshold": view.threshold, "layer": None} | chosen
    times = moments(scene.duration)
    plain = selection_for(TableKey(*key), Selection(sample))
    expected = [
        [type(one).__name__, one.name, facts(one)]
        for one in scene.at(times[moment], replace(plain, **chosen)).primitives
        if facts(one) is not None
    ]
    drawn = page.evaluate(FRAME, {"key": list(key), "moment": moment, "look": look})
    assert [one[:2] for one in drawn] == [one[:2] for one in expected]
    assert [one for one, other in zip(expected, drawn, strict=True) if not close(one[2], other[2])] == []


@pytest.mark.parametrize(
    "name", ["digits", "gradients", "kernels", "gradient_flow", "training", "history", "attention"]
)
def test_looks_of_a_page_are_those_of_the_scene(webgl, bundled_target, bundled_page, name):
    found, path = bundled_target(name), bundled_page(name)
    scene = Scene.build(found.spec, found.capture, trajectory=found.trajectory)
    keys = [key for key in ExportedPage(path).tables if key[0] == "wide"]
    chance = random.Random(3)
    with shown(webgl, path) as page:
        last = page.evaluate("nnviz3d.words.moments - 1")
        for number in range(12):
            key = chance.choice(keys)
            chosen = {
                "colormap": chance.choice(SEQUENTIAL[1:] + DIVERGING),  # the first one is the default
                "normalize": chance.choice(["layer", "global", "symmetric"]),
                "threshold": chance.choice([0.0, 0.07, 0.5, 0.81, 1.0]),
            }
            if number % 3 or name in ("kernels", "history"):
                chosen = dict([chance.choice(list(chosen.items()))])
            # Legends of views other than the blocks, such as a history's, follow at the end of the scene.
            moment = chance.randrange(last) if name in ("digits", "gradients", "gradient_flow", "training") else last
            compare(page, scene, found.sample, key, moment, **chosen)


@pytest.mark.parametrize("name", ["digits", "gradients"])
def test_highlighted_layer_looks_as_in_the_scene(webgl, bundled_target, bundled_page, name):
    found, path = bundled_target(name), bundled_page(name)
    scene = Scene.build(found.spec, found.capture, trajectory=found.trajectory)
    key = next(iter(ExportedPage(path).tables))
    with shown(webgl, path) as page:
        for layer in ("conv2d", "dense", "input"):
            for moment in (page.evaluate("nnviz3d.words.moments - 1"), 60):
                compare(page, scene, found.sample, key, moment, layer=layer)


LIT = """([key, layer]) => {
  const [layout, sample, quantity] = key;
  const { file, words, state } = nnviz3d;
  const look = { ...state, colormap: words.looks.colormap, normalize: words.looks.normalize, layer };
  const table = file.table({ layout, sample, quantity });
  const brightness = (one) => one.labels?.map(({ lines, emphasis }) => [lines, emphasis]) ?? one.edge ?? one.emphasis ?? 0;
  return table.frame(words.moments - 1, look).primitives.map((one) => [one.kind, one.name, brightness(one)]);
}"""


def brightness(one) -> object:
    if isinstance(one, Labels):
        return [[list(label.lines), label.emphasis] for label in one.labels]
    return getattr(one, "edge", None) or getattr(one, "emphasis", None) or 0


def lit_alike(page, found, key) -> int:
    """Compare what is shown of each highlighted layer; returns the number of layers that change which things are shown."""
    scene = Scene.build(found.spec, found.capture, trajectory=found.trajectory)
    plain = selection_for(TableKey(*key), Selection(found.sample))
    usual, other = {one.name for one in scene.at(scene.duration, plain).primitives}, 0
    for node in scene.context.graph:
        expected = scene.at(scene.duration, replace(plain, layer=node.id)).primitives
        other += {one.name for one in expected} != usual
        wanted = sorted(([type(one).__name__, one.name, brightness(one)] for one in expected), key=lambda row: row[:2])
        drawn = sorted(page.evaluate(LIT, [list(key), node.id]), key=lambda row: row[:2])
        assert [one[:2] for one in drawn] == [one[:2] for one in wanted], node.id
        assert [one for one, shown in zip(wanted, drawn, strict=True) if not close(one[2], shown[2])] == [], node.id
    return other


@pytest.mark.parametrize(("name", "other"), [("kernels", 2), ("attention", 1), ("statistics", 0)])
def test_highlighted_layer_changes_what_its_views_show(webgl, bundled_target, bundled_page, name, other):
    found, path = bundled_target(name), bundled_page(name)
    with shown(webgl, path) as page:
        assert lit_alike(page, found, next(iter(ExportedPage(path).tables))) >= other
