"""The panel of the pick: the arithmetic leads to the stored number, and what does not lead there is not shown."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.pick import PickPanel
from nnviz3d.data.capabilities.examples import ChannelExamples, write_examples
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.views.connections import EdgePick
from tests.apps.conftest import Served
from tests.apps.test_web_panels import Page
from tests.support import captures
from tests.support.browser import looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SAMPLE = 7


def panel_of(capture) -> PickPanel:
    return PickPanel(Page(Session(Scene.build(default_scene(), capture), SimpleNamespace())))


@pytest.fixture(scope="module")
def panel(digits) -> PickPanel:
    return panel_of(digits)


def explained(panel: PickPanel, pick, sample: int = SAMPLE):
    panel.page.session.select(pick=pick, sample=sample)
    panel.synchronize()
    return panel.state


def exact(text: str) -> float:
    return float(text.replace("−", "-"))


class TestCells:
    @pytest.mark.parametrize(
        ("layer", "index"),
        [("conv2d", (4, 9, 3)), ("conv2d_1", (5, 4, 7)), ("dense", (11,)), ("dense_1", (7,)), ("flatten", (30,))],
    )
    def test_last_line_of_the_arithmetic_is_the_stored_number(self, panel, digits, layer, index):
        state = explained(panel, CellPick(layer, index))
        stored = float(digits.activation(layer, SAMPLE)[index])
        if layer == "flatten":
            assert "Flatten" in state.pick_reason
            assert not state.pick_steps
        else:
            assert exact(state.pick_steps[-1][1]) == pytest.approx(stored, rel=1e-5, abs=1e-6)
            assert not state.pick_reason

    def test_strongest_products_are_those_of_the_weights_and_the_earlier_layer(self, panel, digits):
        state = explained(panel, CellPick("dense_1", (7,)))
        products = digits.activation("dense", SAMPLE) * digits.weights("dense_1")["kernel"][:, 7]
        best, worst = int(products.argmax()), int(products.argmin())
        assert state.pick_terms[0]["place"] == f"dense [{best}]"
        against = [term for term in state.pick_terms if term["against"]]
        assert against[0]["place"] == f"dense [{worst}]"
        assert state.pick_steps[0][0] == "64 products"
        assert state.pick_steps[-1][0] == "softmax of it"

    def test_receptive_field_is_listed_from_the_nearest_layer(self, panel):
        state = explained(panel, CellPick("conv2d_1", (5, 4, 3)))
        assert state.pick_field == [
            ["max_pooling2d", "5–7, 4–6, 0–31"],
            ["conv2d", "10–15, 8–13, 0–31"],
            ["input", "10–17, 8–15, 0"],
        ]
        assert explained(panel, CellPick("dense", (1,))).pick_field[0] == ["flatten", "everything"]

    def test_histogram_counts_the_channel_and_marks_the_cell(self, panel, digits):
        state = explained(panel, CellPick("conv2d", (4, 9, 3)))
        channel = digits.activation("conv2d", SAMPLE)[:, :, 3]
        counts = np.histogram(channel, bins=24)[0]
        bars = state.pick_channel["bars"]
        assert np.allclose([bar["share"] for bar in bars], 100 * np.sqrt(counts / counts.max()), atol=0.1)
        here = [k for k, bar in enumerate(bars) if bar["here"]]
        edges = np.histogram_bin_edges(channel, bins=24)
        assert edges[here[0]] <= channel[4, 9] <= edges[here[0] + 1]
        assert state.pick_channel["picture"].startswith("data:image/png;base64,")
        assert "676 numbers" in state.pick_channel["words"]

    def test_location_with_all_channels_asks_for_one_channel(self, panel):
        state = explained(panel, CellPick("conv2d", (4, 9)))
        assert "one channel" in state.pick_reason
        assert state.pick_field[0] == ["input", "4–6, 9–11, 0"]

    def test_another_sample_has_other_numbers(self, panel):
        first, second = (explained(panel, CellPick("dense", (11,)), sample).pick_terms for sample in (7, 2))
        assert first != second

    def test_nothing_is_shown_for_a_layer_or_without_a_pick(self, panel):
        assert not explained(panel, LayerPick("conv2d")).pick_title
        assert not explained(panel, None).pick_title


def test_weights_that_do_not_lead_to_the_number_are_not_shown_as_its_arithmetic(digits, monkeypatch):
    panel = panel_of(digits)
    kernels = dict(digits.weights("dense_1"))
    kernels["kernel"] = kernels["kernel"] * np.float32(1.001)
    monkeypatch.setattr(type(digits), "weights", lambda self, layer: kernels)
    state = explained(panel, CellPick("dense_1", (3,)))
    assert "another precision" in state.pick_reason
    assert not state.pick_terms
    assert not state.pick_steps


def test_edge_has_its_place_among_all_products_of_its_target(panel, digits):
    kernel = digits.weights("dense")["kernel"]
    products = np.abs(digits.activation("flatten", SAMPLE) * kernel[:, 5])
    source = int(np.argsort(-products)[2])
    state = explained(panel, EdgePick("flatten", "dense", (source,), (5,), float(kernel[source, 5])))
    assert state.pick_title == f"flatten [{source}] → dense [5]"
    assert ["rank by size", "3 of 576"] in state.pick_steps


def test_samples_that_activate_a_channel_most_are_shown_with_their_pictures(tmp_path):
    pictures = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)
    kept = ChannelExamples(
        "conv",
        np.array([[7, 3], [3, 7], [7, 3], [3, 7]]),
        np.array([[0.5, 0.25]] * 4, np.float32),
        np.array([3, 7]),
        ("three.png", "seven.png"),
        pictures,
        10,
    )
    values = captures.small_values()
    capture = captures.write(
        tmp_path / "c.zarr", captures.small_graph(), values, also=[lambda writer: write_examples(writer, kept)]
    )
    panel = panel_of(capture)
    state = explained(panel, CellPick("conv", (2, 2, 1)), 0)
    assert [one["name"] for one in state.pick_examples] == ["three.png", "seven.png"]
    assert [one["words"] for one in state.pick_examples] == ["three.png: 0.5", "seven.png: 0.25"]
    first = base64.b64decode(state.pick_examples[0]["picture"].partition(",")[2])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(first)).convert("RGB")), pictures[0])
    assert state.pick_examples_words == "Activate channel 1 most, of 10 samples"
    assert not explained(panel, CellPick("conv", (2, 2)), 0).pick_examples
    assert not explained(panel, CellPick("dense", (2,)), 0).pick_examples


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    yield from serving("digits")


@pytest.mark.chromium
def test_click_on_a_cell_explains_it_and_escape_ends_that(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        first = still(page)
        height, width = first.shape[:2]
        page.locator("#view").click(position={"x": 0.575 * width, "y": 0.33 * height})
        wait_until(lambda: page.locator("#pick-field").count() == 1, "the cell is explained")
        assert "products" in text(page, "#pick-steps")
        assert text(page, "#pick .section-title").startswith("conv2d")
        assert page.locator("#pick-channel img").evaluate("image => image.naturalWidth") == 26
        page.keyboard.press("Escape")
        wait_until(lambda: page.locator("#pick").count() == 0, "nothing is picked")
