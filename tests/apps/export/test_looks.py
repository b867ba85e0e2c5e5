"""Other looks of an exported page equal those of the scene, though the file holds no frames of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from nnviz3d.apps.export.html.frames import TableKey, moments, selection_for
from nnviz3d.scene.colors import DIVERGING, SEQUENTIAL
from nnviz3d.scene.panel_rows import ScaleRow, TextRow
from nnviz3d.scene.primitives import Box, Image, Lines, Panel, Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from tests.apps.export.test_page import shown
from tests.support.exported import ExportedPage

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


def compare(page, found, key, moment, **chosen):
    view = next(view for view in found.spec.views if view.kind == "activations")
    look = {"colormap": view.colormap, "normalize": view.normalize, "threshold": view.threshold, "layer": None} | chosen
    scene = Scene.build(found.spec, found.capture, trajectory=found.trajectory)
    times = moments(scene.duration)
    plain = selection_for(TableKey(*key), Selection(found.sample))
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
            compare(page, found, key, moment, **chosen)


@pytest.mark.parametrize("name", ["digits", "gradients"])
def test_highlighted_layer_looks_as_in_the_scene(webgl, bundled_target, bundled_page, name):
    found, path = bundled_target(name), bundled_page(name)
    key = next(iter(ExportedPage(path).tables))
    with shown(webgl, path) as page:
        for layer in ("conv2d", "dense", "input"):
            compare(page, found, key, page.evaluate("nnviz3d.words.moments - 1"), layer=layer)
            compare(page, found, key, 60, layer=layer)
