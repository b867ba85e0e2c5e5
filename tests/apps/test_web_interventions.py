"""The panel of interventions: what is changed, the scores before and after, and in a browser a mute and its undoing."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nnviz3d import Intervention
from nnviz3d.apps.sample_runner import Answer
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.interventions import InterventionsPanel
from nnviz3d.data.capabilities.interventions import write_changed, write_interventions
from nnviz3d.scene.colors import score
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick
from nnviz3d.scene.spec import default_scene
from nnviz3d.scene.views.connections import EdgePick
from tests.apps.conftest import Served
from tests.apps.test_web_panels import Page
from tests.support import captures
from tests.support.browser import changed, looking, serving, still, text, wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser


class Model:
    """A runner that keeps the requests, and answers when it is told to."""

    stage, share = "", None

    def __init__(self, folder):
        self.folder, self.asked, self.ready = folder, [], []

    def ask(self, request):
        self.asked.append(request)

    def answers(self):
        found, self.ready = self.ready, []
        return found

    def answer(self):
        """Answer the newest request, with a changed run in which the scores are turned around."""
        request = self.asked[-1]
        values = {name: numbers[:1] for name, numbers in captures.small_values().items()}

        def also(writer):
            if request.insights.interventions:
                write_interventions(writer, request.insights.interventions)
                write_changed(writer, "scores", 0, 0, values["scores"][:, ::-1])

        path = self.folder / f"{len(self.asked)}.zarr.zip"
        self.ready.append(
            Answer(
                request, captures.write(path, captures.small_graph(), values, also=(also,), classes=captures.CLASSES)
            )
        )

    def keep(self, sample, path):
        pass

    def keeps(self, sample):
        return False

    def oldest(self, *, besides):
        return None


@pytest.fixture
def model(tmp_path):
    return Model(tmp_path)


@pytest.fixture
def panel(small_capture, model):
    samples = tuple(Sample(f"sample {i}", i, f"digits:{i}") for i in range(3))
    page = Page(Session(Scene.build(default_scene(), small_capture), SimpleNamespace(), samples=samples, runner=model))
    panel = InterventionsPanel(page)
    page.panels = [panel]
    return panel


def answered(panel, model):
    model.answer()
    assert panel.page.session.poll()
    panel.synchronize()
    return panel.state


def places(panel, pick):
    panel.page.session.select(pick=pick)
    panel.synchronize()
    return panel.state.whatif_places


def test_pick_offers_its_unit_its_number_its_layer_or_its_edge(panel):
    assert places(panel, CellPick("conv", (2, 2, 1))) == ["Channel 1", "This number", "Whole layer"]
    assert places(panel, CellPick("dense", (4,))) == ["Neuron 4", "Whole layer"]
    edge = EdgePick("flatten", "dense", (7,), (5,), 0.5)
    assert places(panel, edge) == ["Neuron 7 for dense", "Whole layer for dense"]
    assert places(panel, LayerPick("conv")) == places(panel, None) == []


def test_mute_shows_the_change_and_the_scores_and_undoing_it_the_activations(panel, model, small_capture):
    session = panel.page.session
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "Mute")
    assert model.asked[-1].insights.interventions == (Intervention("conv", unit=1),)
    assert session.selection.quantity is None, "the change is shown when it is known"
    state = answered(panel, model)
    assert state.whatif_listed == ["mute conv[1]"]
    assert session.selection.quantity == "change"
    scores = small_capture.activation("scores", 0)
    shown = {one["name"]: (one["before"], one["after"]) for one in state.whatif_scores}
    turned = zip(captures.CLASSES, scores, scores[::-1], strict=True)
    assert shown == {name: (score(float(a)), score(float(b))) for name, a, b in turned}
    panel._intervene("Channel 1", "× 2")
    panel._intervene("Whole layer", "Freeze")
    asked = model.asked[-1].insights.interventions
    assert [one.text for one in asked] == ["scale conv[1] by 2", "freeze conv"], "one change for each place"
    answered(panel, model)
    panel._remove(0)
    assert answered(panel, model).whatif_listed == ["freeze conv"]
    panel._reset()
    state = answered(panel, model)
    assert (state.whatif_listed, state.whatif_scores) == ([], [])
    assert session.selection.quantity is None


def test_interventions_go_along_to_another_sample_and_to_other_requests(panel, model):
    session = panel.page.session
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "Mute")
    answered(panel, model)
    session.choose(2)
    assert model.asked[-1].source == "digits:2"
    assert model.asked[-1].insights.interventions == (Intervention("conv", unit=1),)
    answered(panel, model)
    assert session.selection.quantity == "change"
    session.choices.find_gradients({})
    assert model.asked[-1].insights.gradients
    assert model.asked[-1].insights.interventions == (Intervention("conv", unit=1),)


def test_refused_request_leaves_the_list_as_it_was(panel, model):
    places(panel, CellPick("conv", (2, 2, 1)))
    panel._intervene("Channel 1", "Mute")
    assert panel.state.whatif_listed == ["mute conv[1]"]
    model.ready.append(Answer(model.asked[-1], problem="The model failed."))
    panel.page.session.poll()
    panel.synchronize()
    assert panel.state.whatif_listed == []
    assert panel.page.session.queries.message == "The model failed."


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    yield from serving("digits")


@pytest.mark.chromium
@pytest.mark.tensorflow
def test_click_mutes_the_picked_channel_and_reset_undoes_it(chromium: Browser, served: Served):
    with looking(chromium, served) as page:
        first = still(page)
        height, width = first.shape[:2]
        page.locator("#view").click(position={"x": 0.575 * width, "y": 0.33 * height})
        wait_until(lambda: page.locator("#whatif").count() == 1, "the cell can be changed")
        page.locator("#whatif .whatif-place", has_text="Channel").get_by_text("Mute").click()
        wait_until(lambda: page.locator("#whatif-scores").count() == 1, "the scores are compared")
        assert "mute conv2d[" in text(page, "#whatif")
        muted = changed(page, first)
        assert np.mean(np.abs(muted.astype(int) - first)) > 1, "the blocks show the change"
        page.locator("#whatif-reset").click()
        wait_until(lambda: page.locator("#whatif-scores").count() == 0, "nothing is changed")
