"""Browser tests of the page. All tests share one server, so each test restores what it changes."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.web import frames
from nnviz3d.apps.web.server import ASPECT
from nnviz3d.data.capture import open_capture
from nnviz3d.render.picking import pick
from nnviz3d.render.text import board_sprite
from nnviz3d.scene.facts import exact
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.primitives import Callout
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene
from tests.apps.conftest import Served
from tests.support.browser import SHOWS_WHOLE_PICTURE, back, changed, looking, pixels, same, still, text, wait_until
from tests.support.pinhole import to_pixels
from tests.support.screen import shows

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.chromium


@pytest.fixture
def page(chromium: Browser, served: Served) -> Iterator[Page]:
    with looking(chromium, served) as page:
        yield page


def drag(page: Page, right: int, down: int, *, button: str = "left") -> None:
    box = page.locator("#view").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down(button=button)  # type: ignore[arg-type]
    page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up(button=button)  # type: ignore[arg-type]


def test_page_shows_the_network(page):
    picture = still(page).astype(int)
    warm = (picture[..., 0] > 180) & (picture[..., 0] - picture[..., 2] > 90)
    assert warm.sum() > 500
    box = page.locator("#view").bounding_box()
    assert box["width"] > 0.6 * 1280
    assert box["height"] > 0.8 * 720
    assert "nnviz3d" in page.title()


def test_drag_turns_the_view_and_key_r_resets_it(page):
    first = still(page)
    drag(page, 160, 60)
    turned = changed(page, first)
    time.sleep(2)
    assert same(pixels(page), turned)
    page.keyboard.press("r")
    back(page, first)


@pytest.mark.parametrize("how", ["wheel", "middle", "shift"])
def test_wheel_zooms_and_middle_or_shift_drag_pans(page, how):
    first = still(page)
    if how == "wheel":
        page.locator("#view").hover()
        page.mouse.wheel(0, -300)
    elif how == "middle":
        drag(page, 80, 0, button="middle")
    else:
        page.keyboard.down("Shift")
        drag(page, 80, 0)
        page.keyboard.up("Shift")
    changed(page, first)
    page.locator("#home").click()
    back(page, first)


def test_picture_follows_the_size_of_the_page(page):
    first = still(page)
    page.set_viewport_size({"width": 1000, "height": 650})
    assert still(page).shape != first.shape
    page.locator("#toggle").click()
    wait_until(lambda: page.locator("#view").bounding_box()["width"] == 1000, "the drawer is closed")
    assert still(page).shape[1] == 1000
    page.locator("#toggle").click()
    page.set_viewport_size({"width": 1280, "height": 720})
    back(page, first)


def test_picture_on_a_dense_screen_uses_all_its_pixels(chromium, served):
    context = chromium.new_context(viewport={"width": 390, "height": 700}, device_scale_factor=2, is_mobile=True)
    phone = context.new_page()
    phone.goto(served.url)
    wait_until(lambda: phone.evaluate(SHOWS_WHOLE_PICTURE), "the picture is there")
    assert phone.evaluate("window.nnviz3dPicture().width") == 780
    layers = phone.locator("#layers")
    wait_until(lambda: not layers.is_visible() or layers.bounding_box()["x"] < 0, "the drawer is closed")
    context.close()


def test_choosing_another_sample_changes_the_picture(page, digits_folder):
    first = still(page)
    names = open_capture(digits_folder).provenance.samples
    assert names[0] in text(page, "#sample")
    page.locator("#sample").click()
    page.locator(".sample-list .sample").nth(1).click()
    changed(page, first)
    wait_until(lambda: names[1] in text(page, "#sample"), "the picker names it")
    page.keyboard.press("Escape")
    page.locator("#view").click(position={"x": 5, "y": 5})
    page.keyboard.press("ArrowLeft")
    wait_until(lambda: names[0] in text(page, "#sample"), "the arrow goes back")
    page.keyboard.press("r")
    back(page, first)
    whole = "image => image.complete && image.naturalWidth > 0"
    wait_until(lambda: page.locator("#sample img").evaluate(whole), "its thumbnail is shown")


def test_chosen_layer_is_highlighted_and_shows_its_exact_numbers(page, digits_folder):
    first = still(page)
    capture = open_capture(digits_folder)
    name = next(n.id for n in capture.graph if n.kind == "Conv2D")
    page.locator(f'[data-layer="{name}"]').click()
    changed(page, first)
    details = text(page, "#details")
    values = capture.activation(name, 0)
    for number in (exact(values.min()), exact(values.max()), f"{np.mean(values == 0):.1%}".replace("%", " %")):
        assert number in details
    assert f"{capture.graph.node(name).parameters:,}" in details
    page.locator(f'[data-layer="{name}"]').click()
    back(page, first)


def test_layer_filter_lists_matching_layers_only(page, digits_folder):
    capture = open_capture(digits_folder)
    assert page.locator("[data-layer]").count() == len(capture.graph)
    page.locator("#filter").fill("pool")
    pools = sum("pool" in f"{n.id} {n.kind}".lower() for n in capture.graph)
    wait_until(lambda: page.locator("[data-layer]").count() == pools, "only those that match are listed")
    page.locator("#filter").fill("")


def test_threshold_slider_hides_cells(page):
    first = still(page)
    slider = page.locator(".v-slider:has(#threshold)")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2)
    wait_until(lambda: int(re.findall(r"\d+", text(page, ".field-value"))[0]) > 80, "the slider says so")
    fewer = changed(page, first)
    assert (fewer.max(axis=2) > 120).sum() < (first.max(axis=2) > 120).sum()
    thumb = slider.locator("[role=slider]")
    for _ in range(100):
        value = int(thumb.get_attribute("aria-valuenow"))
        if value == 25:
            break
        thumb.press("ArrowLeft" if value > 25 else "ArrowRight")
    back(page, first)


@pytest.mark.parametrize(("control", "other", "before"), [("normalize", "global", "layer")])
def test_scale_buttons_change_the_picture(page, control, other, before):
    first = still(page)
    page.locator(f'#{control} button[value="{other}"]').click()
    changed(page, first)
    page.locator(f'#{control} button[value="{before}"]').click()
    back(page, first)


def test_choosing_a_colour_map_changes_the_picture(page):
    first = still(page)
    for name, done in (("viridis", lambda: changed(page, first)), ("inferno", lambda: back(page, first))):
        page.locator(".v-field:has(#colormap)").click()
        page.locator(".colormap-item", has_text=name).click()
        done()


def test_clock_restarts_plays_pauses_and_stops_at_the_end(page):
    first = still(page)
    page.locator("#restart").click()
    wait_until(lambda: text(page, ".clock-now") == "0.0", "the clock is at the start")
    start = changed(page, first)
    page.locator("#play").click()
    wait_until(lambda: float(text(page, ".clock-now")) > 0.5, "the clock runs")
    page.keyboard.press(" ")
    paused = wait_until(lambda: page.locator("#play .mdi-play").count(), "it is paused")
    stands = changed(page, start)
    moment = text(page, ".clock-now")
    time.sleep(1)
    assert paused
    assert text(page, ".clock-now") == moment
    assert same(pixels(page), stands)
    page.locator("#speed").click()
    page.locator("#speeds .v-list-item", has_text="4×").click()
    page.locator("#speeds").wait_for(state="hidden")
    page.keyboard.press(" ")
    wait_until(lambda: text(page, ".clock-now") == "8.0", "it comes to its end")
    page.locator("#speed").click()
    page.locator("#speeds .v-list-item", has_text=re.compile("^1×")).click()
    back(page, first)


def test_time_slider_seeks(page):
    first = still(page)
    box = page.locator("#transport .v-slider").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_until(lambda: 3 < float(text(page, ".clock-now")) < 5, "the clock follows")
    changed(page, first)
    page.locator("#transport [role=slider]").press("End")
    back(page, first)


def test_click_on_a_cell_shows_its_captured_number(page, digits_folder):
    first = still(page)
    height, width = first.shape[:2]
    # The same scene from the same place says where a cell is to be seen, and what is stored there.
    capture = open_capture(digits_folder)
    scene = Scene.build(default_scene(), capture, aspect=ASPECT)
    what, pose = scene.at(scene.duration), scene.camera(scene.duration, aspect=width / height)
    place = scene.context.placement("conv2d_2")
    x, y = (float(v) for v in to_pixels(np.array([place.center]), pose, (width, height))[0])
    hit = pick(what, pose, (width, height), (x, y))
    assert isinstance(hit, CellHit)
    assert hit.primitive.name == "conv2d_2"
    index = place.grid.index(hit.cell)

    page.locator("#view").click(position={"x": x, "y": y})
    picked = changed(page, first)
    marked = scene.at(scene.duration, Selection(pick=CellPick("conv2d_2", index)))
    callout = next(p for p in marked.primitives if isinstance(p, Callout))
    assert exact(capture.activation("conv2d_2", 0)[index]) in [r.text for r in callout.rows]
    words = board_sprite(callout.rows, max(0.6 * frames._READABLE, min(width / 1280, height / 720)), 2000.0)
    assert shows(picked, words)
    assert not shows(first, words)

    page.keyboard.press("Escape")
    back(page, first)
    page.locator("#view").click(position={"x": x, "y": y})
    changed(page, first)
    page.locator("#view").click(position={"x": 5, "y": height - 200})
    back(page, first)


def test_keys_do_nothing_in_a_text_field(page):
    first = still(page)
    page.locator("#filter").click()
    page.keyboard.type("r ")
    page.keyboard.press("ArrowRight")
    time.sleep(1)
    assert page.locator("#filter").input_value() == "r "
    page.locator("#filter").fill("")
    assert same(still(page), first)


def test_saved_picture_equals_the_shown_one(page):
    shown = still(page)
    with page.expect_download() as download:
        page.locator("#save").click()
    assert download.value.suggested_filename.endswith(".png")
    saved = np.asarray(Image.open(download.value.path()).convert("RGB"))
    assert saved.shape == shown.shape
    assert np.abs(saved.astype(int) - shown).max() <= 1


def test_two_pages_share_one_view(page, chromium, served, digits_folder):
    first = still(page)
    assert not page.locator("#shared").is_visible()
    other = chromium.new_page(viewport={"width": 1280, "height": 720})
    other.goto(served.url)
    page.locator("#shared").wait_for(state="visible")
    name = open_capture(digits_folder).graph.nodes[1].id
    other.locator(f'[data-layer="{name}"]').click()
    changed(page, first)
    assert page.locator("#details").is_visible()
    page.locator(f'[data-layer="{name}"]').click()
    other.close()
    page.locator("#shared").wait_for(state="hidden")
    back(page, first)


def test_reloaded_page_shows_the_same_picture(page):
    first = still(page)
    page.reload()
    wait_until(lambda: page.evaluate(SHOWS_WHOLE_PICTURE), "the picture is there")
    back(page, first)


def test_tooltip_of_the_title_names_the_model(page, digits_folder):
    page.locator("#title").hover()
    tip = page.locator(".provenance")
    tip.wait_for(state="visible")
    assert open_capture(digits_folder).provenance.model in tip.inner_text()


def test_damaged_capture_is_reported_on_the_page(chromium, digits_folder, tmp_path):
    folder = tmp_path / "damaged.zarr"
    shutil.copytree(digits_folder, folder)
    server = Served(str(folder))
    page = chromium.new_page(viewport={"width": 1280, "height": 720})
    page.goto(server.url)
    first = still(page)
    name = next(n.id for n in open_capture(folder).graph if n.kind == "Conv2D")
    for chunk in (p for p in (folder / "activations" / name).rglob("*") if p.is_file() and "/c/" in p.as_posix()):
        chunk.write_bytes(b"no longer what it was")
    page.locator('[title^="Next sample"]').click()
    page.locator("#message .v-snackbar__content", has_text="damaged").wait_for(state="visible")
    names = open_capture(folder).provenance.samples
    wait_until(lambda: names[0] in text(page, "#sample"), "the sample that can be drawn is chosen again")
    page.locator("#message").wait_for(state="hidden")
    back(page, first)
    page.close()
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors
