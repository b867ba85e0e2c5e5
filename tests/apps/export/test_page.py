"""An exported page in a real browser without a network."""

from __future__ import annotations

import numpy as np
import pytest

from nnviz3d.apps.export import ExportJob, ExportSettings, export
from nnviz3d.apps.export.html.frames import LAYOUTS
from nnviz3d.apps.open_target import Opened
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.facts import exact
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.support.captures import write
from tests.support.client_page import without_text
from tests.support.exported import ExportedPage
from tests.support.gallery import READY
from tests.support.graphs import chain
from tests.support.player import pixels, settled, shown, until
from tests.support.vtk_picture import drawn_by_vtk


@pytest.mark.parametrize("name", READY)
def test_every_bundled_scene_opens_without_a_network_and_looks_as_drawn_by_vtk(
    webgl, bundled_target, bundled_page, name
):
    with shown(webgl, bundled_page(name)) as page:
        picture = settled(page)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 200
        assert page.locator("#message").is_hidden()
        page.evaluate("nnviz3d.viewer.words.style.visibility = 'hidden'")
        world = pixels(page)
        pose, size, scale = page.evaluate("[nnviz3d.viewer.pose, nnviz3d.viewer.size, nnviz3d.viewer.scale]")
        t, sample, quantity = page.evaluate("[nnviz3d.time.t, nnviz3d.state.sample, nnviz3d.state.quantity]")
    found = bundled_target(name)
    scene = Scene.build(found.spec, found.capture, aspect=LAYOUTS["wide"], trajectory=found.trajectory)
    what = without_text(scene.at(t, Selection(sample, quantity=quantity)))
    # A picture of this size has text and lines of the smallest scale.
    drawn = drawn_by_vtk(what, CameraPose(**pose), tuple(size), scale=scale / 0.6)
    apart = np.abs(world - drawn.astype(int))
    assert apart.mean() < 0.6
    assert (apart.max(axis=2) > 40).mean() < 0.005


def test_digits_turn_and_play_and_show_other_samples(webgl, bundled_page):
    with shown(webgl, bundled_page("digits")) as page:
        still = settled(page)
        page.mouse.move(700, 300)
        page.mouse.down()
        page.mouse.move(760, 310, steps=4)
        page.mouse.up()
        turned = settled(page)
        assert np.abs(turned - still).mean() > 1
        page.locator("#home").click()
        assert np.abs(settled(page) - still).mean() < 0.4  # edges may not be smooth yet
        page.locator("#speed").select_option("0.25")  # half a minute, so that a slow machine pauses before its end
        page.locator("#play").click()
        until(page, "nnviz3d.time.t > 0.1")
        page.locator("#play").click()
        middle = settled(page)
        assert np.abs(middle - still).mean() > 0.5
        assert 0 < float(page.locator("#time").input_value()) < 8
        page.locator("#time").fill("8")
        page.locator(".sample").nth(1).click()
        assert np.abs(settled(page) - still).mean() > 0.5
        page.keyboard.press("ArrowLeft")
        assert np.abs(settled(page) - still).mean() < 0.4  # edges may not be smooth yet


def test_telephone_gets_the_tall_layout(webgl, bundled_page):
    with shown(webgl, bundled_page("digits"), (390, 844)) as page:
        assert page.evaluate("nnviz3d.state.layout") == "tall"
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.set_viewport_size({"width": 844, "height": 390})
        until(page, "nnviz3d.state.layout === 'wide'")


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.999])
def test_truncated_file_says_so(webgl, bundled_page, tmp_path, kept):
    whole = bundled_page("structure").read_bytes()
    (tmp_path / "cut.html").write_bytes(whole[: int(len(whole) * kept)])
    with shown(webgl, tmp_path / "cut.html", ready=False) as page:
        if kept > 0.9:  # Only the last part is missing: the first part is shown, and the page says what is wrong.
            until(page, "document.body.innerText.includes('incomplete or damaged')")
            assert page.evaluate("globalThis.nnviz3d !== undefined")
        else:
            until(page, "document.readyState === 'complete' && /is incomplete/.test(document.body.innerText)")
            assert page.evaluate("globalThis.nnviz3d === undefined")


def test_damaged_file_says_so(webgl, bundled_page, tmp_path):
    text = bundled_page("digits").read_text()
    at = text.index('id="pack-2">') + 500
    (tmp_path / "bad.html").write_text(text[:at] + "AAAA" + text[at + 4 :])
    with shown(webgl, tmp_path / "bad.html", ready=False) as page:
        until(page, "document.body.innerText.includes('incomplete or damaged')")


CALLOUT = """(pick) => {
  const { table, time, state } = nnviz3d;
  const { primitives } = table.marked(time.moment, { ...state }, pick);
  return primitives.filter(({ kind }) => kind === "Callout").flatMap(({ rows }) => rows.map(({ text }) => text));
}"""


def test_picked_cells_are_described_by_their_stored_numbers(webgl, bundled_target, bundled_page):
    capture = bundled_target("digits").capture
    random = np.random.default_rng(5)
    with shown(webgl, bundled_page("digits")) as page:
        for layer in ("conv2d", "max_pooling2d", "dense"):
            stored = capture.activation(layer, 0)
            index = tuple(int(random.integers(n)) for n in stored.shape)
            words = page.evaluate(CALLOUT, {"kind": "cell", "layer": layer, "index": list(index)})
            assert exact(stored[index]) in words
        # A click on a cell picks it, in any look, and Escape drops it.
        page.evaluate("nnviz3d.choose({ colormap: 'viridis', layer: 'conv2d' })")
        page.locator("#view").click(position={"x": 371, "y": 150})
        until(page, "nnviz3d.pick !== null")
        assert page.evaluate("nnviz3d.pick.layer") == "conv2d"
        page.keyboard.press("Escape")
        assert page.evaluate("nnviz3d.pick === null && nnviz3d.state.layer === 'conv2d'")


def test_address_holds_the_view_and_opens_it_again(webgl, bundled_page):
    path = bundled_page("digits")
    with shown(webgl, path) as page:
        page.locator(".sample").nth(1).click()
        page.locator("#threshold").fill("60")
        page.locator("[data-layer=dense]").click()
        until(page, "location.hash.startsWith('#view=') && location.hash.includes('ldense')")
        address = page.evaluate("location.href")
    with shown(webgl, path, address=address) as page:
        assert page.evaluate("[nnviz3d.state.sample, nnviz3d.state.threshold, nnviz3d.state.layer]") == [
            1,
            0.6,
            "dense",
        ]


@pytest.mark.parametrize("view", ["<img src=x onerror=alert(1)>", "1~lgone", "1~s99", "1~cnone", "2", "1~t1e999"])
def test_hostile_or_unknown_view_in_the_address_is_one_sentence(webgl, bundled_page, view):
    path = bundled_page("digits")
    with shown(webgl, path, address=f"{path.as_uri()}#view={view}") as page:
        until(page, "!document.getElementById('message').hidden")
        assert page.locator("#message").inner_text().endswith((".", "shown."))
        assert page.evaluate("nnviz3d.state.layer") is None


HOSTILE = "</script><img src=x onerror=alert(1)><!--"


def test_html_in_any_name_is_inert(webgl, tmp_path):
    layers = [(f"in{HOSTILE}", "InputLayer", (5, 6, 1)), (f"a{HOSTILE}", f"Conv2D{HOSTILE}", (4, 4, 3))]
    graph = chain([*layers, (f"out{HOSTILE}", "Dense", (3,))])
    random = np.random.default_rng(1)
    values = {node.id: random.random((2, *node.shape), dtype=np.float32) for node in graph}
    capture = write(
        tmp_path / "x.zarr", graph, values, classes=tuple(f"{k}{HOSTILE}" for k in range(3)), notes=(HOSTILE,)
    )
    spec = default_scene().model_copy(update={"title": f"T{HOSTILE}"})
    found = Opened(spec, capture, 0)
    export(ExportJob(found, Selection(), tmp_path / "x.html", ExportSettings(samples="all")))
    assert "onerror" not in (tmp_path / "x.html").read_text().replace("onerror=alert(1)&gt;", "")
    with shown(webgl, tmp_path / "x.html") as page:
        settled(page)
        assert page.locator("img").count() == 0
        assert page.title().startswith(f"T{HOSTILE}"[:20])
        assert HOSTILE in page.locator(".layer").nth(1).inner_text()
        page.locator("#help-button").click()
        assert HOSTILE in page.locator("dialog").inner_text()


BITS = """(index) => {
  const { data } = nnviz3d.file.store.array(index);
  return Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}"""


@pytest.mark.parametrize("name", ["classes_part", "history"])
def test_browser_restores_moving_points_and_differences_bit_for_bit(webgl, bundled_page, name):
    held = ExportedPage(bundled_page(name))
    random = np.random.default_rng(2)
    stored = {i: entry for part in held.words["parts"] for i, entry in enumerate(part["arrays"], part["first_array"])}
    made = [i for i, entry in stored.items() if len(entry) > 3 or entry[2] >= 0]
    assert len(made) > 100
    with shown(webgl, bundled_page(name)) as page:
        for index in random.choice(made, 12, replace=False):
            assert bytes(page.evaluate(BITS, int(index))) == held.arrays[index].tobytes()
