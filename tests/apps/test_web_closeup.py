"""Browser tests of the panel for unfolded channels and embedded points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.filters import FiltersPanel
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import parse_scene
from nnviz3d.scene.views.kernels import KernelsView
from tests.apps.conftest import Served
from tests.apps.test_web_panels import Page
from tests.support.browser import changed, choose, looking, pixels, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def features() -> Iterator[Served]:
    yield from serving("features")


@pytest.fixture(scope="module")
def filters() -> Iterator[Served]:
    yield from serving("kernels")


@pytest.fixture(scope="module")
def embedding() -> Iterator[Served]:
    yield from serving("embedding")


def test_layers_unfold_and_fold_and_change_between_maps_and_features(chromium: Browser, features: Served):
    with looking(chromium, features) as page:
        pictures = still(page)
        assert "conv2d_2" in text(page, "#views")
        assert text(page, ".field:has(#unfold) .field-name") == "Layer"
        # The pictures that drive channels are grey, their maps are in colours.
        page.locator("#channel_order button", has_text="index").click()
        ordered = changed(page, pictures)
        page.locator("#channel_pictures button", has_text="maps").click()
        maps = changed(page, ordered)
        colored = [np.mean(np.ptp(picture.astype(int), axis=2) > 60) for picture in (pictures, maps)]
        assert colored[1] > 2 * colored[0]
        choose(page, "unfold", "no layer")
        wait_until(lambda: page.locator("#channel_order").count() == 0, "what is folded up has no order")
        page.locator("[data-layer=conv2d_1]").click()
        page.locator("#unfold-layer", has_text="Unfold its channels").click()
        wait_until(lambda: "conv2d_1" in text(page, "#views"), "the panel says so too")
        wait_until(lambda: "Fold its channels up" in text(page, "#unfold-layer"), "it can be folded up")
        # It has no features, so that there is nothing to choose.
        assert page.locator("#channel_pictures").count() == 0
        assert page.locator("#channel_order .v-btn--active").inner_text() == "index"


def test_layer_of_the_filters_is_chosen_by_name(chromium: Browser, filters: Served):
    with looking(chromium, filters) as page:
        first = still(page)
        assert text(page, ".field:has(#filter-layer)").split() == ["Layer", "conv2d_1"]
        choose(page, "filter-layer", "conv2d_2")
        changed(page, first)
        assert text(page, ".field:has(#filter-layer)").split() == ["Layer", "conv2d_2"]
        wait_until(lambda: page.evaluate("window.trame.state.get('layer')") == "conv2d_2", "the layer is highlighted")


def test_choice_of_a_layer_whose_weights_were_not_captured_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    capture = open_capture(bundled("digits.zarr.zip"))
    spec = parse_scene({"format": 1, "views": [{"kind": "structure"}, {"kind": "activations"}, {"kind": "kernels"}]})
    page = Page(Session(Scene.build(spec, capture), SimpleNamespace()))
    panel = FiltersPanel(page)
    page.panels = [panel]
    panel.synchronize()
    assert panel.state.filter_layers == ["conv2d", "conv2d_1", "conv2d_2", "dense", "dense_1"]
    assert panel.state.filter_layer == "conv2d"
    page.changed["filter_layer"]("dense_1")
    assert (panel.state.filter_layer, page.session.selection.layer) == ("dense_1", "dense_1")
    monkeypatch.setattr(KernelsView, "holds", lambda self, layer: False)
    with pytest.raises(UserError, match="does not hold the weights of conv2d_2"):
        page.changed["filter_layer"]("conv2d_2")
    with pytest.raises(UserError, match="layer"):
        page.changed["filter_layer"]("flatten")
    assert panel.state.filter_layer == "dense_1"


def test_points_are_coloured_by_prediction_and_an_uploaded_sample_joins_them(
    chromium: Browser, embedding: Served, tmp_path: Path
):
    with looking(chromium, embedding) as page:
        by_label = still(page)
        assert page.locator("#unfold").count() == 0
        page.locator("#colored_by button", has_text="prediction").click()
        by_prediction = changed(page, by_label)
        # Twelve of a thousand digits are taken for others.
        differs = np.abs(by_prediction.astype(int) - by_label).max(axis=2) > 40
        assert 0 < differs.mean() < 0.02

        # A picture that is handed in gets a place among them: the network takes a ring for a zero.
        y, x = np.mgrid[:28, :28] - 13.5
        ring = np.abs(np.hypot(1.3 * x, y) - 8) < 1.6
        Image.fromarray((ring * 255).astype(np.uint8)).save(tmp_path / "ring.png")
        page.set_input_files("#file", tmp_path / "ring.png")
        wait_until(lambda: text(page, "#sample").split() == ["ring.png", "predicted", "0"], "the model was run on it")
        wait_until(lambda: white(pixels(page)) > white(by_prediction) + 300, "a white ring and the picture are seen")


def white(picture: NDArray[np.uint8]) -> int:
    return int((picture.min(axis=2) > 240).sum())
