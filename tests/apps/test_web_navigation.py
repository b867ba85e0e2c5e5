"""Browser tests of navigation: search, tree, breadcrumbs, help, bookmarks, hints, keyboard, contrast, lost connections."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import numpy as np
import pytest

from tests.apps.conftest import Served
from tests.apps.test_web_client import open_page, pose_of
from tests.apps.test_web_live import workers_of
from tests.data.test_grouping import residual_blocks
from tests.support import waiting
from tests.support.browser import text
from tests.support.captures import write
from tests.support.color_vision import contrast

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
wait_until = partial(waiting.wait_until, patience=60.0, pause=0.1)

CRUMBS = "() => [...document.querySelectorAll('.crumb')].map((one) => one.textContent)"
TEXTS = """() => {
  const channel = (text) => (text.match(/[\\d.]+/g) ?? ["0", "0", "0", "0"]).map(Number);
  const rgba = (text) => { const [r, g, b, a = 1] = channel(text); return [r / 255, g / 255, b / 255, a]; };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const held = element.matches("input[placeholder], input[value]");
    if ((!own && !held) || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest("script, style, [disabled], .v-btn--disabled, .mdi, #view svg")) continue;
    const style = getComputedStyle(element);
    const path = [];
    for (let at = element; at; at = at.parentElement) path.push(getComputedStyle(at));
    let ground = [0.027, 0.035, 0.051];
    let strength = 1;
    for (const one of path.reverse()) {
      ground = over(rgba(one.backgroundColor), ground);
      strength *= Number(one.opacity);
    }
    const ink = rgba(held && !element.value ? getComputedStyle(element, "::placeholder").color : style.color);
    if (held && !element.value) strength *= Number(getComputedStyle(element, "::placeholder").opacity);
    found.push({
      text: (element.value || element.placeholder || element.textContent).trim().slice(0, 40),
      of: `${element.tagName}.${element.className}`.slice(0, 80),
      ink: over([...ink.slice(0, 3), ink[3] * strength], ground),
      ground,
    });
  }
  return found;
}"""
"""All visible texts with the colours of their letters and of what is behind them, sRGB in [0, 1]."""
FADED = """() => document.getAnimations().every(
  (one) => one.playState !== "running" || one.effect.getComputedTiming().endTime === Infinity,
)"""
"""Whether all transitions have ended; what is repeated without an end, as a spinner, goes on."""
FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const seen = (one, pseudo) => {
    const style = getComputedStyle(one, pseudo);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== "none";
  };
  const field = element.closest(".v-field");
  const labelled = element.getAttribute("aria-labelledby");
  const name = element.getAttribute("aria-label") || (labelled && document.getElementById(labelled)?.textContent)
    || element.title || element.textContent.trim() || element.labels?.[0]?.textContent.trim() || "";
  return {
    of: `${element.tagName}#${element.id}.${element.className}`,
    visible: seen(element) || seen(element, "::after") || (field !== null && field.matches(".v-field--focused"))
      || (element.closest(".v-slider-thumb")?.matches(".v-slider-thumb--focused") ?? false),
    name,
  };
}"""


@pytest.fixture(scope="module")
def server(digits_folder: Path) -> Iterator[Served]:
    server = Served("--draw", "client", "--no-live", str(digits_folder))
    yield server
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors


@pytest.fixture
def page(webgl: Browser, server: Served) -> Iterator[Page]:
    with open_page(webgl, server) as page:
        yield page
        page.evaluate("window.trame.trigger('open_view', ['1'], { chosen: true })")


def view_of(page: Page) -> str:
    """Return the text of the view in the page's address; empty if there is none."""
    return parse_qs(str(page.evaluate("location.search.slice(1)"))).get("view", [""])[0]


def show(page: Page, view: str) -> None:
    """Show the view of an address."""
    page.evaluate("(view) => window.trame.trigger('open_view', [view], { chosen: true })", view)


def path_of(page: Page) -> list[str]:
    return [str(words) for words in page.evaluate(CRUMBS)]


def distance(page: Page) -> float:
    pose = pose_of(page)
    return float(np.linalg.norm(np.subtract(pose.position, pose.target)))


def rested(page: Page) -> float:
    """Wait until the camera rests, and return its distance."""
    last = [0.0]

    def rests() -> bool:
        page.wait_for_timeout(500)
        last.append(distance(page))
        return last[-1] == last[-2] and stands(page)

    wait_until(rests, "the camera rests")
    return last[-1]


def stands(page: Page) -> bool:
    """Whether the picture is finished: a slow browser draws the same pose for long while the camera flies."""
    return page.evaluate("window.nnviz3d.still()") is not None


def flown(page: Page, far: float) -> None:
    """Wait until the camera rests nearer than before."""
    last = [far]

    def rests() -> bool:
        last.append(distance(page))
        return last[-1] < 0.8 * far and last[-1] == last[-2] and stands(page)

    wait_until(rests, "the camera has flown nearer")


class TestSearchAndPath:
    def test_search_by_the_keyboard_highlights_and_flies_and_the_path_leads_back(self, page: Page):
        far = distance(page)
        page.keyboard.press("/")
        wait_until(lambda: page.evaluate("document.activeElement.id") == "filter", "the search has the focus")
        page.keyboard.type("conv2d_2")
        wait_until(lambda: page.locator("[data-layer]").count() == 1, "one layer is found")
        page.keyboard.press("Enter")
        flown(page, far)
        wait_until(lambda: path_of(page) == ["digits", "conv2d_2"], "the path leads to the layer")
        page.keyboard.press("/")
        wait_until(lambda: page.evaluate("document.activeElement.id") == "filter", "the search has the focus again")
        page.keyboard.press("Escape")
        wait_until(lambda: page.locator("[data-layer]").count() == 9, "Escape ends the search")
        near = distance(page)
        page.locator("[data-crumb=model]").click()
        wait_until(lambda: path_of(page) == [], "nothing is chosen")
        wait_until(lambda: abs(distance(page) - far) < 1e-6 < far - near, "the camera is at home")

    def test_path_of_a_cell_leads_to_its_channels_and_its_layer(self, page: Page):
        far = distance(page)
        show(page, "1~xconv2d,11,16,3")
        wait_until(lambda: path_of(page) == ["digits", "conv2d", "channel 3", "row 11, column 16"], "the path")
        page.locator("[data-crumb=pick]").click()
        flown(page, far)
        close = distance(page)
        assert page.locator("#pick").is_visible(), "the cell stays picked"
        page.locator("[data-crumb=channel]").click()
        wait_until(lambda: text(page, "#unfold-layer").startswith("Fold"), "its channels are unfolded")
        show(page, "1~xconv2d,11,16,3")
        wait_until(lambda: len(path_of(page)) == 4, "the cell is picked again")
        page.locator("[data-crumb=layer]").click()
        wait_until(lambda: path_of(page) == ["digits", "conv2d"], "the pick is cleared")
        wait_until(lambda: distance(page) > 1.5 * close, "the layer is farther away than its cell")
        assert not page.locator("#pick").is_visible()

    def test_number_behind_a_layer_picks_its_channel_and_flies_there(self, page: Page):
        far = distance(page)
        page.locator("#filter").fill("conv2d_2 12")
        page.locator("#filter").press("Enter")
        wait_until(lambda: path_of(page)[:3] == ["digits", "conv2d_2", "channel 12"], "the channel is picked")
        flown(page, far)
        page.locator("#filter").fill("conv2d_2 99")
        page.locator("#filter").press("Enter")
        wait_until(lambda: "No layer has that name and channel" in text(page, "#message"), "it has no such channel")
        page.locator("#filter").fill("")

    def test_key_f_needs_a_choice(self, page: Page):
        page.keyboard.press("f")
        wait_until(lambda: "Choose a layer" in text(page, "#message"), "the page says what to do")

    def test_search_that_finds_nothing_says_so(self, page: Page):
        page.locator("#filter").fill("nothing like this")
        wait_until(lambda: "No layer matches “nothing like this”" in text(page, ".layer-list"), "it says so")
        page.locator("#filter").fill("")


def test_tree_is_walked_by_the_arrow_keys_and_tab_leaves_it(page: Page):
    page.locator("#filter").click()
    page.keyboard.press("Tab")
    focused = "document.activeElement.dataset.layer ?? document.activeElement.className"
    wait_until(lambda: page.evaluate(focused) == "input", "the first row")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == "max_pooling2d"
    page.keyboard.press("End")
    assert page.evaluate(focused) == "dense_1"
    sample = text(page, "#sample")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait_until(lambda: path_of(page) == ["digits", "dense_1"], "Enter highlights")
    assert text(page, "#sample") == sample, "arrow keys choose no sample here"
    page.keyboard.press("Shift+Tab")
    wait_until(lambda: page.evaluate("document.activeElement.id") == "filter", "the search before the tree")
    page.keyboard.press("Tab")
    wait_until(lambda: page.evaluate(focused) == "dense_1", "the tree remembers where it was")


def test_groups_are_opened_by_the_keyboard_and_layers_inside_are_found(webgl: Browser, tmp_path: Path):
    graph = residual_blocks(12, "block_{block}_part{layer}")
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    write(tmp_path / "run.zarr", graph, values)
    server = Served("--draw", "client", "--no-live", str(tmp_path / "run.zarr"))
    with open_page(webgl, server) as page:
        far = distance(page)
        page.keyboard.press("/")
        wait_until(lambda: page.evaluate("document.activeElement.id") == "filter", "the search has the focus")
        page.keyboard.type("block_7_part3")
        page.locator(".inner[data-layer=block_7_part3]").wait_for()
        assert page.locator(".layer").all_inner_texts()[0].startswith("+ block_7")
        page.keyboard.press("Enter")
        wait_until(lambda: path_of(page)[1:] == ["block_7", "block_7_part3"], "its group is open")
        flown(page, far)
        near = distance(page)
        page.locator("[data-crumb=group]").click()
        wait_until(lambda: path_of(page)[1:] == ["block_7"], "the path ends at the group")
        wait_until(lambda: distance(page) > 1.2 * near, "all of the group is seen")
        page.locator("#filter").fill("")
        page.locator("[data-group=block_7]").focus()
        page.keyboard.press("ArrowLeft")
        page.locator("[data-layer=block_7]").wait_for()
        page.locator("[data-layer=block_7]").focus()
        page.keyboard.press("ArrowRight")
        page.locator("[data-group=block_7]").wait_for()
    server.end()


def test_help_lists_keys_and_perspectives_and_escape_closes_it_alone(page: Page):
    show(page, "1~xdense,5")
    wait_until(lambda: len(path_of(page)) == 3, "a neuron is picked")
    page.keyboard.press("?")
    page.locator("#help").wait_for()
    said = text(page, "#help")
    assert all(words in said for words in ("previous, next sample", "Embedding", "fly to the layer"))
    page.keyboard.press("Escape")
    page.locator("#help").wait_for(state="hidden")
    assert len(path_of(page)) == 3, "the pick stays"
    page.locator("#help-button").click()
    page.locator("#help-close").click()
    page.locator("#help").wait_for(state="hidden")


def test_bookmark_shows_perspective_choice_and_camera_again_after_a_reload(page: Page):
    page.locator("[data-perspective=neurons]").click()
    wait_until(lambda: "~jneurons" in view_of(page), "the address names the perspective")
    page.evaluate("window.nnviz3dWay.fly('conv2d_1')")
    wait_until(lambda: path_of(page) == ["digits", "conv2d_1"], "a layer is chosen")
    wait_until(lambda: "~p" in view_of(page), "the address holds the camera")
    far = rested(page)
    page.keyboard.press("b")
    wait_until(lambda: "Bookmarked: Neurons · conv2d_1" in text(page, "#message"), "the page says its name")
    page.evaluate("localStorage.setItem('other', '1')")
    show(page, "1~s1")
    wait_until(lambda: path_of(page) == [], "another view")
    page.locator("#bookmarks").click()
    page.locator("#bookmark-name").fill("<b>mine</b>")
    page.locator("#bookmark-add").click()
    page.locator("[data-bookmark='<b>mine</b>']").wait_for()
    page.locator("[data-bookmark='Neurons · conv2d_1']").click()
    wait_until(lambda: path_of(page) == ["digits", "conv2d_1"], "the layer is chosen again")
    wait_until(lambda: abs(distance(page) / far - 1) < 1e-3, "from the same distance")
    assert page.locator(".perspective[aria-selected=true]").get_attribute("data-perspective") == "neurons"
    page.locator("#bookmarks").click()
    page.locator(".bookmark-remove").first.click()
    wait_until(lambda: page.locator("[data-bookmark]").count() == 1, "one is left")
    page.keyboard.press("Escape")
    # Whatever else is in the browser's storage is no bookmark.
    page.evaluate("""() => {
      const of = window.trame.state.get("bookmarks_of");
      const odd = [null, 3, { name: 1 }, { name: "bad", view: "9~zz", of }, { name: "x", view: "1", of: "another" }];
      localStorage.setItem("nnviz3d-bookmarks", JSON.stringify(odd));
    }""")
    page.reload()
    wait_until(lambda: page.evaluate("window.trame?.state?.get('bookmarks')?.length") == 1, "one has a possible form")
    page.locator("#bookmarks").click()
    page.locator("[data-bookmark=bad]").click()
    wait_until(lambda: "is not understood" in text(page, "#message"), "the server refuses its view in a sentence")


def test_bookmarks_of_other_models_stay_and_a_full_list_changes_nothing(page: Page):
    fill = """(mine) => {
      const entries = (of, count) => Array.from({ length: count }, (_, k) => ({ name: `${of} ${k}`, view: "1", of }));
      const kept = [...entries("another", 60), ...entries(window.trame.state.get("bookmarks_of"), mine)];
      localStorage.setItem("nnviz3d-bookmarks", JSON.stringify(kept));
    }"""
    kept = "localStorage.getItem('nnviz3d-bookmarks')"
    owners = f"JSON.parse({kept}).map((one) => one.of)"
    page.evaluate(fill, 49)
    page.evaluate("window.nnviz3dWay.bookmark('the last one')")
    wait_until(lambda: "Bookmarked: the last one" in text(page, "#message"), "there is room for one")
    assert Counter(page.evaluate(owners).count(of) for of in set(page.evaluate(owners))) == {60: 1, 50: 1}
    before = page.evaluate(kept)
    page.evaluate("window.nnviz3dWay.bookmark('one too many')")
    wait_until(
        lambda: "There are 50 bookmarks of this model" in text(page, "#message"), "the page says that it is full"
    )
    assert page.evaluate(kept) == before
    page.evaluate("window.nnviz3dWay.removeBookmark('the last one')")
    assert page.evaluate(owners).count("another") == 60
    assert len(page.evaluate(owners)) == 109


def test_first_visit_shows_three_hints_and_the_next_one_none(webgl: Browser, server: Served):
    context = webgl.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.goto(server.url)
    page.locator("#hints li").nth(2).wait_for()
    assert page.locator("#hints li").count() == 3
    page.locator("#hints-close").click()
    page.locator("#hints").wait_for(state="hidden")
    second = context.new_page()
    second.goto(server.url)
    second.locator("#layers").wait_for()
    wait_until(lambda: second.evaluate("window.nnviz3dWay !== undefined"), "the script has run")
    assert not second.locator("#hints").is_visible()
    context.close()


@pytest.mark.parametrize("state", ["first", "layer", "pick", "neurons", "help", "search", "bookmarks"])
def test_every_text_has_a_contrast_of_at_least_4_5(page: Page, state: str):
    doing = {
        "layer": lambda: page.locator("[data-layer=conv2d_1]").click(),
        "pick": lambda: show(page, "1~xconv2d_1,5,5,3"),
        "neurons": lambda: page.locator("[data-perspective=neurons]").click(),
        "help": lambda: page.keyboard.press("?"),
        "search": lambda: page.locator("#filter").fill("nothing"),
        "bookmarks": lambda: page.locator("#bookmarks").click(),
    }
    waits = {
        "layer": "#details",
        "pick": "#pick",
        "neurons": "[data-perspective=neurons].chosen",
        "help": "#help",
        "search": ".layer-list .empty",
        "bookmarks": "#bookmark-menu",
    }
    doing.get(state, lambda: None)()
    if state in waits:
        page.locator(waits[state]).wait_for()
    wait_until(lambda: page.evaluate(FADED), "nothing fades or moves any more")
    found = page.evaluate(TEXTS)
    assert len(found) > 30
    weak = {f"{one['of']}: {one['text']}": round(contrast(one["ink"], one["ground"]), 2) for one in found}
    assert {words: ratio for words, ratio in weak.items() if ratio < 4.5} == {}
    page.keyboard.press("Escape")
    page.locator("#filter").fill("")


def test_tab_reaches_every_area_with_a_visible_focus_and_a_name(page: Page):
    reached: list[dict[str, object]] = []
    page.evaluate("document.activeElement?.blur()")
    for _ in range(70):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUS)
        if found is None or (reached and found["of"] == reached[0]["of"]):
            break
        reached.append(found)
    names = " ".join(str(one["of"]) for one in reached)
    for part in ("#toggle", "perspective", "#help-button", "#sample", "#filter", "layer", "#play", "client-picture"):
        assert part in names, part
    assert [one for one in reached if not one["visible"]] == []
    assert [one for one in reached if not one["name"]] == []


def test_perspectives_are_walked_by_the_arrow_keys(page: Page):
    page.locator("[data-perspective=network]").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.perspective") == "neurons"
    page.keyboard.press("Enter")
    wait_until(lambda: "~jneurons" in view_of(page), "Enter chooses it")


def test_lost_connection_says_what_goes_on_until_the_server_is_back(webgl: Browser, digits_folder: Path):
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    first = Served("--draw", "client", "--no-live", "--port", str(port), str(digits_folder))
    with open_page(webgl, first, logs=True) as page:
        assert page.locator("#waiting").count() == 0, "nothing is waited for"
        first.process.kill()
        first.process.wait()
        wait_until(lambda: "connection to nnviz3d was lost" in text(page, ".gone"), "the page says that it is lost")
        wait_until(lambda: "does not answer yet" in text(page, "#gone-state"), "and that it tries again")
        again = Served("--draw", "client", "--no-live", "--port", str(port), str(digits_folder))
        page.locator("#gone-again").click()
        wait_until(lambda: "started anew" in text(page, "#gone-state"), "and that the address is another one")
    again.end()


@pytest.mark.tensorflow
def test_worker_that_is_killed_while_it_computes_a_perspective_is_one_sentence_and_the_next_click_works(
    webgl: Browser,
):
    server = Served("--draw", "client", "--no-live", "digits")
    with open_page(webgl, server) as page:
        page.locator("[data-perspective=gradients]").click()
        wait_until(lambda: page.locator(".perspective.computing").count() == 1, "the model computes it")
        (worker,) = wait_until(lambda: workers_of(server), "its process has started")
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "died (signal 9)" in text(page, "#message"), "the page says so in a sentence")
        assert text(page, "#message").count(".") <= 3
        assert page.locator(".perspective.computing").count() == 0
        assert "ask again" in str(page.locator("[data-perspective=gradients]").get_attribute("title"))
        page.locator("[data-perspective=neurons]").click()
        wait_until(lambda: "~jneurons" in view_of(page), "the page stays usable")
        page.locator("[data-perspective=gradients]").click()
        wait_until(lambda: "~jgradients" in view_of(page), "a new worker computes it", patience=240)
        assert workers_of(server) != [worker]
    assert server.end()[0] == 0
