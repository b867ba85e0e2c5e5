"""The panel of the pick: the arithmetic leads to the stored number, and what does not lead there is not shown."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nnviz3d.analysis.kernel_slices import kernel_slice
from nnviz3d.analysis.sum_terms import CellSum
from nnviz3d.apps.pick_explanation import explanation_of, explanation_rows
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.pick import PickPanel
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capabilities.attention import read_attention
from nnviz3d.data.capabilities.examples import ChannelExamples, write_examples
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.colors import INF_COLOR, NAN_COLOR, number
from nnviz3d.scene.derived.cell_explanation import CellExplanation
from nnviz3d.scene.derived.explanation_words import connection_pairs
from nnviz3d.scene.derived.kernels import KernelPick
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.views.connections import EdgePick
from nnviz3d.scene.views.node_link.picks import LinkPick
from tests.apps.conftest import Served
from tests.apps.test_web_panels import Page
from tests.support import captures
from tests.support.browser import looking, serving, still, text, wait_until
from tests.support.graphs import chain
from tests.support.number_words import read_number

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


class TestCells:
    @pytest.mark.parametrize(
        ("layer", "index"),
        [("conv2d", (4, 9, 3)), ("conv2d_1", (5, 4, 7)), ("dense", (11,)), ("dense_1", (7,)), ("flatten", (30,))],
    )
    def test_last_line_of_the_arithmetic_is_the_stored_number(self, panel, digits, layer, index):
        state = explained(panel, CellPick(layer, index))
        stored = float(digits.activation(layer, SAMPLE)[index])
        assert read_number(state.pick_steps[-1][1]) == pytest.approx(stored, rel=1e-5, abs=1e-6)
        assert not state.pick_reason

    def test_strongest_products_are_those_of_the_weights_and_the_earlier_layer(self, panel, digits):
        state = explained(panel, CellPick("dense_1", (7,)))
        products = digits.activation("dense", SAMPLE) * digits.weights("dense_1")["kernel"][:, 7]
        best, worst = int(products.argmax()), int(products.argmin())
        assert state.pick_terms[0]["place"] == f"dense [{best}]"
        against = [term for term in state.pick_terms if term["against"]]
        assert against[0]["place"] == f"dense [{worst}]"
        assert state.pick_steps[0][0] == "64 products"
        assert state.pick_steps[-1][0] == "softmax of the sum"

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

    def test_arithmetic_of_a_location_with_all_channels_is_a_request_to_pick_one_channel(self, panel):
        state = explained(panel, CellPick("conv2d", (4, 9)))
        assert "one channel" in state.pick_reason
        assert state.pick_field[0] == ["input", "4–6, 9–11, 0"]

    def test_terms_are_those_of_the_selected_sample(self, panel):
        first, second = (explained(panel, CellPick("dense", (11,)), sample).pick_terms for sample in (7, 2))
        assert first != second

    def test_panel_is_empty_for_a_picked_layer_and_without_a_pick(self, panel):
        assert not explained(panel, LayerPick("conv2d")).pick_title
        assert not explained(panel, None).pick_title


def test_arithmetic_is_a_reason_without_terms_if_the_weights_do_not_give_the_stored_number(digits, monkeypatch):
    panel = panel_of(digits)
    kernels = dict(digits.weights("dense_1"))
    kernels["kernel"] = kernels["kernel"] * np.float32(1.001)
    monkeypatch.setattr(type(digits), "weights", lambda self, layer: kernels)
    state = explained(panel, CellPick("dense_1", (3,)))
    assert "another precision" in state.pick_reason
    assert not state.pick_terms
    assert not state.pick_steps


class TestOutputs:
    def test_products_for_and_against_a_class_are_two_lists_with_its_name(self, panel):
        state = explained(panel, CellPick("dense_1", (7,)))
        assert state.pick_heads == ["For 7", "Against 7"]
        products = [read_number(term["product"]) for term in state.pick_terms]
        sides = [term["against"] for term in state.pick_terms]
        assert sides == sorted(sides)
        assert [product < 0 for product in products] == sides
        for side in (False, True):
            sizes = [abs(p) for p, against in zip(products, sides, strict=True) if against == side]
            assert len(sizes) == 5
            assert sizes == sorted(sizes, reverse=True)

    @pytest.mark.parametrize("unit", [7, 3])
    def test_difference_to_the_rival_class_is_the_logarithm_of_the_ratio_of_both_probabilities(
        self, panel, digits, unit
    ):
        state = explained(panel, CellPick("dense_1", (unit,)))
        shares = digits.activation("dense_1", SAMPLE).astype(np.float64)
        others = np.where(np.arange(10) == unit, -1, shares)
        rival = int(others.argmax())
        assert state.pick_rival["names"][1] == f"{unit} rather than {rival}"
        assert read_number(state.pick_rival["steps"][-1][1]) == pytest.approx(
            np.log(shares[unit] / shares[rival]), rel=1e-3, abs=1e-3
        )
        kernel = digits.weights("dense_1")["kernel"]
        products = digits.activation("dense", SAMPLE) * (kernel[:, unit] - kernel[:, rival])
        assert state.pick_rival["terms"][0]["place"] == f"dense [{int(products.argmax())}]"

    def test_term_of_a_flattened_map_is_named_by_its_place_in_the_map(self, panel, digits):
        state = explained(panel, CellPick("dense", (22,)))
        products = digits.activation("flatten", SAMPLE) * digits.weights("dense")["kernel"][:, 22]
        at = [int(i) for i in np.unravel_index(products.argmax(), (3, 3, 64))]
        assert state.pick_terms[0]["place"] == f"conv2d_2 {at}"
        assert (state.pick_terms[0]["layer"], state.pick_terms[0]["index"]) == ("conv2d_2", at)

    def test_click_on_a_term_picks_the_number_that_it_takes(self, panel):
        page = panel.page
        page.panels = [panel]
        page.select = lambda **changes: (page.session.select(**changes), page.synchronize())
        term = explained(panel, CellPick("dense_1", (7,))).pick_terms[0]
        page.triggers["pick_cell"](term["layer"], term["index"])
        assert panel.state.pick_title == term["place"]
        assert panel.state.pick_heads == ["Raises it", "Lowers it"]
        assert not panel.state.pick_rival["names"]
        for layer, index in (("dense", [64]), ("nothing", [0]), ("dense", [0, 0])):
            with pytest.raises(UserError, match="shows no number"):
                page.triggers["pick_cell"](layer, index)


class TestConnections:
    def test_picked_edge_has_its_rank_among_all_products_of_its_target(self, panel, digits):
        kernel = digits.weights("dense")["kernel"]
        products = np.abs(digits.activation("flatten", SAMPLE) * kernel[:, 5])
        source = int(np.argsort(-products)[2])
        state = explained(panel, EdgePick("flatten", "dense", (source,), (5,), float(kernel[source, 5])))
        assert state.pick_title == f"flatten [{source}] → dense [5]"
        assert ["rank by size", "3 of 576"] in state.pick_steps

    def test_edge_into_a_convolution_shows_the_kernel_between_its_channels(self, panel, digits):
        kernel = digits.weights("conv2d_1")["kernel"]
        edge = EdgePick("max_pooling2d", "conv2d_1", (6, 4, 3), (5, 4, 7), float(kernel[1, 0, 3, 7]))
        shown = explained(panel, edge).pick_kernel
        assert pixels(shown["picture"]).shape == (3, 3, 3)
        assert shown["here"] == {"left": "0.00%", "top": "33.33%", "width": "33.33%", "height": "33.33%"}
        assert "channel 3 of max_pooling2d → channel 7 of conv2d_1" in shown["words"]
        values = kernel[:, :, 3, 7]
        assert read_number(shown["words"].rpartition("sum ")[2]) == pytest.approx(values.sum(), rel=0.01)
        # Warm colours are positive weights: the red of a pixel rises with the weight among those above zero.
        reds = pixels(shown["picture"])[..., 0].astype(int) - pixels(shown["picture"])[..., 2]
        assert ((reds > 0) == (values > 0)).all()

    def test_edge_from_a_flattened_map_shows_the_weights_by_location(self, panel, digits):
        kernel = digits.weights("dense")["kernel"]
        shown = explained(panel, EdgePick("flatten", "dense", (4 * 64 + 9,), (5,), float(kernel[265, 5]))).pick_kernel
        assert pixels(shown["picture"]).shape == (3, 3, 3)
        assert shown["here"]["left"] == shown["here"]["top"] == "33.33%"
        assert "channel 9 of conv2d_2" in shown["words"]

    def test_edge_between_vectors_shows_its_weight_among_those_of_the_unit(self, panel, digits):
        kernel = digits.weights("dense_1")["kernel"]
        shown = explained(panel, EdgePick("dense", "dense_1", (12,), (4,), float(kernel[12, 4]))).pick_kernel
        assert not shown["picture"]
        edges = np.histogram_bin_edges(kernel[:, 4], bins=24)
        here = [bar["here"] for bar in shown["bars"]].index(True)
        assert edges[here] <= kernel[12, 4] <= edges[here + 1]

    def test_edge_into_a_convolution_of_size_1_shows_its_weight_among_those_of_the_channel(self):
        graph = chain([("input", "InputLayer", (4, 4, 3)), ("conv", "Conv2D", (4, 4, 2))])
        node = replace(graph.node("conv"), details={"kernel_size": [1, 1]})
        weights = {"kernel": np.arange(6, dtype=np.float32).reshape(1, 1, 3, 2)}
        found = kernel_slice(node, (1, 2, 1), (1, 2, 0), ((4, 4, 3), (4, 4, 2)), weights)
        assert (found.at, found.position) == ((0, 0), 1)
        assert found.taken.reshape(-1).tolist() == [0, 2, 4]
        assert kernel_slice(node, (1, 1, 1), (1, 2, 0), ((4, 4, 3), (4, 4, 2)), weights).at is None

    def test_picked_weight_shows_its_kernel(self, panel, digits):
        state = explained(panel, KernelPick("conv2d_1", (2, 1, 5, 6)))
        assert state.pick_title == "weight of conv2d_1 [2, 1, 5, 6]"
        assert "input channel 5 → filter 6" in state.pick_kernel["words"]
        assert state.pick_kernel["here"]["top"] == "66.67%"

    def test_link_between_two_units_shows_their_kernel(self, panel):
        shown = explained(panel, LinkPick("conv2d", "conv2d_1", "max_pooling2d", 3, 7)).pick_kernel
        assert "channel 3 of max_pooling2d → channel 7 of conv2d_1" in shown["words"]
        assert shown["here"] == {"display": "none"}
        shown = explained(panel, LinkPick("conv2d_2", "dense", "flatten", 9, 5)).pick_kernel
        assert "channel 9 of conv2d_2, by location → unit 5 of dense" in shown["words"]

    def test_rank_of_an_edge_is_that_of_its_own_layer_if_several_layers_have_a_number_of_its_index(self):
        merged = CellSum(np.array([0, 1]), np.array([[2, 1], [2, 1]]), np.ones(2), np.array([5.0, 3.0]))
        found = CellExplanation(("left", "right"), merged)
        assert connection_pairs(found, ("right", (2, 1)), 1.0)[1:] == [
            ["weight × activation", "3"],
            ["rank by size", "2 of 2"],
        ]
        assert connection_pairs(found, ("other", (2, 1)), 1.0) == [["weight", "1"]]
        assert connection_pairs(found, ("right", (1,)), 1.0) == [["weight", "1"]]


def pixels(address: str) -> np.ndarray:
    data = base64.b64decode(address.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def shades(address: str) -> list[list[tuple[int, ...]]]:
    return [[tuple(color) for color in row] for row in pixels(address).tolist()]


NAN, INF = (tuple(np.round(np.array(color) * 255).astype(int).tolist()) for color in (NAN_COLOR, INF_COLOR))


def test_kernel_picture_and_its_words_mark_nan_and_infinite_weights(digits, monkeypatch):
    panel = panel_of(digits)
    pick = KernelPick("conv2d_1", (2, 1, 5, 6))
    whole = shades(explained(panel, pick).pick_kernel["picture"])
    kernels = {name: np.array(values) for name, values in digits.weights("conv2d_1").items()}
    values = kernels["kernel"][:, :, 5, 6]
    least = np.unravel_index(np.abs(values).argmin(), values.shape)  # the scale of the others stays
    for broken, shade, words in ((np.nan, NAN, "; 1 is NaN or infinite"), (-np.inf, INF, "; 1 is NaN or infinite")):
        kernels["kernel"][:, :, 5, 6][least] = broken
        monkeypatch.setattr(type(digits), "weights", lambda self, layer: kernels)
        panel = panel_of(digits)
        shown = explained(panel, pick).pick_kernel
        whole[least[0]][least[1]] = shade
        assert shades(shown["picture"]) == whole
        assert shown["words"].endswith(words)
        assert f"sum of the finite ones {number(float(values[np.isfinite(values)].sum()))};" in shown["words"]
        (*_, told) = explanation_rows(explanation_of(panel.page.session.context, panel.page.session.selection))
        assert told.text == "input channel 5 → filter 6" + words


def test_channel_picture_and_its_words_mark_nan_and_infinite_activations(tmp_path):
    graph = chain([("input", "InputLayer", (2, 3, 1)), ("conv", "Conv2D", (2, 3, 2))])
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 2, 3, 2)
    values[0, 0, 1, 1], values[0, 1, 2, 1], values[0, 1, 0, 1] = np.nan, np.inf, -np.inf
    capture = captures.write(tmp_path / "run.zarr", graph, {"input": np.ones((1, 2, 3, 1), np.float32), "conv": values})
    shown = explained(panel_of(capture), CellPick("conv", (0, 0, 1)), 0).pick_channel
    found = shades(shown["picture"])
    assert (found[0][1], found[1][2], found[1][0]) == (NAN, INF, INF)
    assert not {NAN, INF} & {found[0][0], found[0][2], found[1][1]}
    assert shown["words"].startswith("3 finite numbers, mean ")
    assert shown["words"].endswith("; 3 are NaN or infinite")


def test_arithmetic_gives_the_stored_number_in_every_layer_of_a_transformer():
    capture = open_capture(bundled("attention.zarr.zip"))
    panel = panel_of(capture)
    for node in capture.graph:
        values = capture.activation(node.id, 3)
        index = tuple(n // 2 for n in values.shape)
        state = explained(panel, CellPick(node.id, index), 3)
        assert not state.pick_reason, (node.id, state.pick_reason)
        if node.kind != "InputLayer":
            assert read_number(state.pick_steps[-1][1]) == pytest.approx(float(values[index]), rel=1e-4, abs=1e-5)
    state = explained(panel, CellPick("attention", (4, 16)), 3)
    scores = read_attention(capture.stored, "attention", 3)
    term = next(one for one in state.pick_terms if "head 2" in one["place"])
    position = term["index"][0]
    assert term["words"].endswith(f"score {number(float(scores[2, 4, position]))}")
    assert term["place"] == f"embed [{position}], head 2"


def test_samples_that_activate_a_channel_most_are_shown_with_their_pictures(tmp_path):
    pictures = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)
    kept = ChannelExamples(
        "conv",
        np.array([[7, 3], [3, 7], [7, 3], [3, 7]]),
        np.array([[0.5, 0.25], [0.5, 0.25], [0.5, 0], [0, 0]], np.float32),
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
    assert [one["position"] for one in state.pick_examples] == [-1, -1]
    assert "not among the samples" in state.pick_examples[0]["hint"]
    state = explained(panel, CellPick("conv", (2, 2, 2)), 0)
    assert [one["name"] for one in state.pick_examples] == ["seven.png"]
    assert state.pick_examples_words == "Only 1 of 10 samples activates channel 2"
    state = explained(panel, CellPick("conv", (2, 2, 3)), 0)
    assert (state.pick_examples, state.pick_examples_words) == (
        [],
        "Never active: channel 3 is 0 or less in the mean for all 10 samples",
    )
    assert not explained(panel, CellPick("conv", (2, 2)), 0).pick_examples
    assert not explained(panel, CellPick("dense", (2,)), 0).pick_examples


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    yield from serving("digits")


@pytest.mark.chromium
def test_click_on_a_cell_fills_the_panel_and_escape_empties_it(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        first = still(page)
        height, width = first.shape[:2]
        page.locator("#view").click(position={"x": 0.575 * width, "y": 0.33 * height})
        wait_until(lambda: page.locator("#pick-field").count() == 1, "the cell is explained")
        assert "products" in text(page, "#pick-steps")
        title = text(page, "#picked .section-title")
        assert title.startswith("conv2d [")
        index = tuple(map(int, title.partition("[")[2].rstrip("]").split(",")))
        stored = open_capture(bundled("digits.zarr.zip")).activation("conv2d", SAMPLE)[index]
        assert read_number(text(page, "#pick-value")) == pytest.approx(float(stored), rel=1e-6)
        head, changes, why = (page.locator(one).bounding_box() for one in ("#picked", "#whatif", "#pick"))
        assert head["y"] + head["height"] <= changes["y"], "what can be changed stands below the head"
        assert changes["y"] + changes["height"] <= why["y"], "and above the explanation"
        assert changes["y"] + changes["height"] <= page.viewport_size["height"] * 0.85, "it is seen without scrolling"
        picture = page.locator("#pick-channel img")
        wait_until(lambda: picture.evaluate("image => image.naturalWidth") == 26, "the channel has 26 columns")
        page.locator("#ask-gradient").click()
        wait_until(lambda: page.locator("#pick-slopes").count() == 1, "the model has found the gradient")
        assert text(page, "#pick-slopes").startswith("gradient of")
        assert page.locator("#ask-examples").count() == 1
        page.keyboard.press("Escape")
        wait_until(lambda: page.locator("#pick").count() == 0, "nothing is picked")


@pytest.fixture(scope="module")
def served_examples() -> Iterator[Served]:
    yield from serving("examples")


@pytest.mark.chromium
def test_click_on_an_example_shows_its_sample_and_click_on_a_term_picks_its_number(
    chromium: Browser, served_examples: Served
):
    with looking(chromium, served_examples) as page:
        height, width = still(page).shape[:2]
        page.locator("#view").click(position={"x": 0.5 * width, "y": 0.5 * height})
        wait_until(lambda: page.locator("#pick-examples button").count() == 8, "the channel's examples are listed")
        title = text(page, "#picked .section-title")
        assert title.startswith("conv2d_2 [")
        name, _, mean = (page.locator("#pick-examples button").nth(1).get_attribute("aria-label") or "").partition(": ")
        assert name.startswith("digits:")
        assert mean.endswith("; show this sample")
        page.locator("#pick-examples button").nth(1).click()
        wait_until(lambda: name in text(page, "#sample"), "the example is the sample")
        wait_until(lambda: page.locator("#pick-examples button.chosen").count() == 1, "it is marked")
        assert text(page, "#picked .section-title") == title
        page.locator("#pick-terms button").first.click()
        wait_until(lambda: text(page, "#picked .section-title").startswith("max_pooling2d_1 ["), "the term is picked")
