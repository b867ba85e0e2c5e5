"""The main controls of the page on EfficientNet-Lite0, in a browser that draws it: pixels, state, and the model's numbers.

All tests share one page; each leaves it as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d.scene.colors import number, score
from tests.apps.conftest import Served
from tests.apps.test_web_client import back, changed, open_page, pixels, pose_of
from tests.support.browser import text, wait_until
from tests.support.imagenet import Photographs, photographs
from tests.support.number_words import read_number

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.chromium, pytest.mark.tensorflow]
PALACE, DAISY = 698, 985


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    return photographs(tmp_path_factory.mktemp("imagenet"))


@pytest.fixture(scope="module")
def page(webgl: Browser, network: Photographs) -> Iterator[Page]:
    folder = network.folder
    inputs = [text for name in ("china", "flower") for text in ("--input", str(folder / f"{name}.png"))]
    names = ("--classes", str(folder / "efficientnet_lite0.txt"))
    server = Served("--draw", "client", str(folder / "efficientnet_lite0.keras"), *inputs, *names)
    with open_page(webgl, server) as page:
        yield page
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors


def look_at(page: Page, name: str) -> None:
    page.locator(f"[data-perspective={name}]").click()
    wait_until(lambda: page.evaluate("window.trame.state.get('perspective')") == name, f"the page shows {name}")


def fly_to(page: Page, layer: str) -> None:
    """Search a layer by the keyboard, and fly to it."""
    far = pose_of(page)
    page.keyboard.press("/")
    wait_until(lambda: page.evaluate("document.activeElement.id") == "filter", "the search has the focus")
    page.keyboard.type(layer)
    wait_until(lambda: page.locator(f".layer-list [data-layer='{layer}']").count() == 1, "the layer is found")
    page.keyboard.press("Enter")
    wait_until(lambda: page.evaluate("window.trame.state.get('layer')") == layer, "it is highlighted")
    distance = lambda pose: np.linalg.norm(np.subtract(pose.position, pose.target))  # noqa: E731
    wait_until(lambda: distance(pose_of(page)) < 0.5 * distance(far), "the camera is near")
    for key in ("/", "Escape", "Escape"):  # the search is emptied, and left
        page.keyboard.press(key)
    pixels(page)


def pick_in_the_middle(page: Page, layer: str) -> tuple[int, ...]:
    """Fly to a layer, click in the middle of the picture, and return the index of the number that is explained there."""
    fly_to(page, layer)
    box = page.locator("#view").bounding_box()
    assert box is not None
    page.locator("#view").click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    wait_until(lambda: page.locator("#pick").count() == 1, "a number is explained")
    found = re.fullmatch(rf"{layer} \[(\d+), (\d+), (\d+)\]", text(page, "#picked .section-title"))
    assert found is not None, text(page, "#picked .section-title")
    return tuple(map(int, found.groups()))


def leave(page: Page, first: np.ndarray) -> None:
    """Clear the pick and the highlighted layer, and wait for the first picture."""
    page.keyboard.press("Escape")
    chosen = page.locator(".layer.chosen")
    if chosen.count():
        chosen.click()
    page.keyboard.press("r")
    back(page, first)


def test_search_leads_to_a_cell_whose_field_and_arithmetic_are_those_of_the_model(page: Page, network: Photographs):
    first = pixels(page)
    row, column, channel = pick_in_the_middle(page, "stem")
    pairs = page.locator("#pick-field .pick-pairs span").all_inner_texts()
    # A kernel of 3 and a stride of 2; the padding "same" adds one row and one column behind the last ones.
    box = ", ".join(f"{2 * at}–{min(2 * at + 2, 223)}" for at in (row, column))
    assert pairs == ["scale", f"{box}, 0–2", "image", f"{box}, 0–2"]
    stored = network.numbers["stem"][0, row, column, channel]
    assert read_number(text(page, "#pick-steps span:last-child")) == pytest.approx(stored, rel=1e-4, abs=1e-5)
    page.locator("#pick-terms button:enabled").first.click()
    wait_until(lambda: text(page, "#picked .section-title").startswith("scale ["), "the strongest term leads on")
    leave(page, first)


def test_muted_channel_gives_the_scores_of_a_model_without_it(page: Page, network: Photographs):
    first = pixels(page)
    _, _, channel = pick_in_the_middle(page, "head_relu")
    near = pixels(page)
    page.locator(".whatif-place", has_text=f"Channel {channel}").get_by_text("Mute").click()
    wait_until(lambda: page.locator("#whatif-scores").count() == 1, "the scores are compared")
    assert f"mute head_relu[{channel}]" in text(page, ".whatif-change")
    cells = page.locator("#whatif-scores span").all_inner_texts()[4:]
    told = {name: (before, after) for name, before, after in zip(*(cells[k::4] for k in range(3)), strict=True)}
    before, after = network.numbers["scores"][0], network.scores_without(channel)
    assert network.classes[PALACE] in told
    for name, (shown_before, shown_after) in told.items():
        index = network.classes.index(name)
        assert read_number(shown_before) == pytest.approx(before[index], abs=1.5e-3)
        assert read_number(shown_after) == pytest.approx(after[index], abs=1.5e-3)
    muted = changed(page, near)
    assert np.mean(np.abs(muted.astype(int) - near)) > 1, "the blocks show the change"
    page.locator("#whatif-reset").click()
    wait_until(lambda: page.locator("#whatif-scores").count() == 0, "nothing is changed")
    back(page, near)
    leave(page, first)


def test_channels_unfold_and_fold(page: Page):
    first = pixels(page)
    page.locator("[data-layer=stem_relu]").click()
    highlighted = changed(page, first)
    page.locator("#unfold-layer").click()
    unfolded = changed(page, highlighted)
    assert np.mean(np.abs(unfolded.astype(int) - highlighted)) > 10, "32 maps cover the picture"
    assert page.evaluate("window.trame.state.get('unfold')") == "stem_relu"
    page.locator("#unfold-layer").click()
    back(page, highlighted)
    leave(page, first)


def test_next_sample_shows_the_numbers_of_the_other_photograph(page: Page, network: Photographs):
    first = pixels(page)
    assert "predicted palace" in text(page, "#sample")
    page.get_by_title("Next sample").click()
    wait_until(lambda: "predicted daisy" in text(page, "#sample"), "the model has run")
    assert network.numbers["scores"][1].argmax() == DAISY
    daisy = changed(page, first)
    assert np.mean(np.abs(daisy.astype(int) - first)) > 5
    page.get_by_title("Previous sample").click()
    back(page, first)


def test_perspectives_are_computed_and_shown_and_the_gradients_are_those_of_the_model(page: Page, network: Photographs):
    first = last = pixels(page)
    for name in ("network", "neurons", "filters"):
        look_at(page, name)
        last = changed(page, last)
    assert "computable" in str(page.locator("[data-perspective=gradients]").get_attribute("class"))
    look_at(page, "gradients")
    changed(page, last)
    told = dict(page.evaluate("window.trame.state.get('sizes').map(({ name, size }) => [name, size])"))
    for layer in ("image", "stem", "head_relu", "pool"):
        slope = network.numbers[f"gradient of {layer}"].astype(np.float64)
        assert read_number(told[layer]) == pytest.approx(np.sqrt(np.mean(slope**2)), rel=0.02), layer
    look_at(page, "activations")
    back(page, first)


def test_map_is_that_of_the_chosen_class(page: Page, network: Photographs):
    first = pixels(page)
    look_at(page, "decisions")
    palace = changed(page, first)
    second = int(np.argsort(network.numbers["scores"][0])[-2])
    name, share = network.classes[second], network.numbers["scores"][0, second]
    page.locator(".field:has(#explained) .v-field").click()
    listed = page.locator(".v-overlay--active .v-list-item")
    wait_until(lambda: listed.count() > 5, "the classes are listed")
    largest = np.argsort(network.numbers["scores"][0])[::-1][:5]
    expected = [f"{network.classes[k]} · {score(network.numbers['scores'][0, k])}" for k in largest]
    assert listed.all_inner_texts()[:5] == expected, "the largest scores come first"
    page.keyboard.type(name)
    page.locator(".v-overlay--active .v-list-item", has_text=name).first.click()
    wait_until(lambda: score(share) in text(page, ".field:has(#explained)"), "the class is chosen, with its score")
    changed(page, palace)
    look_at(page, "activations")
    back(page, first)


def test_tour_goes_on_by_its_button_and_ends_at_the_decision(page: Page, network: Photographs):
    first, home = pixels(page), pose_of(page)
    page.locator("#tour").click()
    wait_until(lambda: page.locator("#tour-bar").is_visible(), "the tour leads")
    page.locator("#tour-pause").click()
    wait_until(lambda: page.locator("#tour-pause .mdi-play").count() == 1, "it is paused")
    opening = text(page, "#tour-text")
    page.locator("#tour-next").click()
    wait_until(lambda: text(page, "#tour-text") not in ("", opening), "it tells of the next stop")
    wait_until(lambda: pose_of(page) != home, "the camera follows")
    page.locator(".tour-stop").last.click()
    share = network.numbers["scores"][0, PALACE]
    wait_until(lambda: "palace" in text(page, "#tour-text"), "it tells of the decision")
    assert any(words in text(page, "#tour-text") for words in (score(share), number(share), f"{share:.0%}"))
    page.locator("#tour-end").click()
    wait_until(lambda: page.locator("#tour-bar").count() == 0, "the tour has ended")
    back(page, first)
