"""Requests of the panel of a pick to the model: the gradient at a cell, and examples of its channel."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.pick_requests import find_examples, find_gradient
from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.closeup import CloseUpPanel
from nnviz3d.apps.web.panels.pick import PickPanel
from nnviz3d.apps.web.panels.sizes import SizesPanel, SizesState
from nnviz3d.data.capabilities.examples import ChannelExamples, write_examples
from nnviz3d.data.request import CaptureRequest
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick
from nnviz3d.scene.spec import default_scene
from tests.apps.test_perspectives import Model, arrive
from tests.apps.test_web_panels import Page
from tests.support.captures import small_graph, small_values, write
from tests.support.number_words import read_number

PICK = CellPick("conv", (2, 3, 1))


@pytest.fixture
def asked(small_capture, explained_capture, tmp_path) -> Iterator[tuple[PickPanel, Model]]:
    """A panel of a session whose capture holds neither gradients nor examples, and its model."""
    model = Model(explained_capture)
    runner = SampleRunner(model, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    samples = tuple(Sample(f"sample {i}", i if i < 3 else None, f"source {i}") for i in range(6))
    scene = Scene.build(default_scene(), small_capture)
    session = Session(scene, SimpleNamespace(size=(160, 90)), samples=samples, runner=runner)
    page = Page(session)
    panel = PickPanel(page)
    page.panels = [panel]
    session.select(pick=PICK)
    panel.synchronize()
    yield panel, model
    runner.close()


def test_model_is_asked_for_the_gradient_at_a_cell_which_is_then_listed(asked, explained_capture):
    panel, model = asked
    assert panel.state.pick_asks == ["gradient", "examples"]
    assert not panel.state.pick_slopes
    panel.page.triggers["ask_for_pick"]("gradient")
    arrive(panel.page.session)
    panel.synchronize()
    assert model.asked[-1].insights.gradients
    gradient = explained_capture.explanations(0).gradient("conv")[PICK.index]
    (name, slope), (product, text) = panel.state.pick_slopes
    assert name.startswith("gradient of ")
    assert read_number(slope) == pytest.approx(gradient, rel=1e-5)
    value = explained_capture.activation("conv", 0)[PICK.index]
    assert (product, read_number(text)) == (
        "gradient × activation",
        pytest.approx(gradient * value, rel=0.01),
    )
    assert panel.state.pick_asks == ["examples"]


def test_model_finds_the_samples_of_the_session_that_activate_a_channel_most(asked, tmp_path):
    panel, model = asked
    shown = np.zeros((2, 3, 3, 3), np.uint8)
    samples, means = np.array([[4, 1]] * 4), np.array([[0.5, 0.25]] * 4, np.float32)
    kept = ChannelExamples("conv", samples, means, np.array([1, 4]), ("sample 1", "sample 4"), shown, 6)
    also = [lambda writer: write_examples(writer, kept)]
    model.capture = write(tmp_path / "e.zarr", small_graph(), small_values(1), also=also)
    panel.page.triggers["ask_for_pick"]("examples")
    assert panel.page.session.queries.busy
    arrive(panel.page.session)
    panel.synchronize()
    assert model.asked[-1].insights.examples == ("conv",)
    assert model.asked[-1].insights.dataset == tuple(f"source {i}" for i in range(6))
    assert [one["position"] for one in panel.state.pick_examples] == [4, 1]
    assert panel.state.pick_asks == ["gradient"]
    assert panel.page.session.selection.pick == PICK


def test_unfolded_layer_without_examples_offers_to_find_them(asked, tmp_path):
    pick, model = asked
    page = pick.page
    panel = CloseUpPanel(page)
    page.panels = [panel]
    panel.synchronize()
    with pytest.raises(UserError, match="Choose a layer"):
        page.triggers["find_examples"]()
    page.session.unfolding.start("conv")
    panel.synchronize()
    assert panel.state.examples_findable
    kept = ChannelExamples(
        "conv",
        np.array([[4]] * 4),
        np.ones((4, 1), np.float32),
        np.array([4]),
        ("sample 4",),
        np.zeros((1, 3, 3, 3)),
        6,
    )
    also = [lambda writer: write_examples(writer, kept)]
    model.capture = write(tmp_path / "e.zarr", small_graph(), small_values(1), also=also)
    page.triggers["find_examples"]()
    arrive(page.session)
    panel.synchronize()
    assert model.asked[-1].insights.examples == ("conv",)
    assert not panel.state.examples_findable
    assert (panel.state.picture_kinds, panel.state.channel_pictures) == (["maps", "examples"], "examples")


def test_list_of_sizes_follows_the_quantity_of_the_cells(explained_capture):
    session = Session(Scene.build(default_scene(), explained_capture), SimpleNamespace(size=(160, 90)))
    page = Page(session)
    panel = SizesPanel(page)
    panel.synchronize()
    assert panel.state == SizesState()
    session.select(quantity="gradient")
    panel.synchronize()
    assert {one["share"] for one in panel.state.sizes} >= {100.0}
    target = session.context.explained(session.selection).target
    assert panel.state.sizes_words.endswith(f"is that of the score of {session.context.name_of(target)}.")
    before = panel.state
    session.select(quantity="gradient_x_activation")
    panel.synchronize()
    assert panel.state.sizes_title.startswith("Gradient × activation")
    assert panel.state.sizes != before.sizes
    with pytest.raises(UserError, match="layer"):
        page.triggers["highlight_size"]("nothing")
    session.select(quantity="activation")
    panel.synchronize()
    assert panel.state == SizesState()


def test_request_that_the_model_cannot_answer_is_refused(asked, small_capture):
    panel, _ = asked
    with pytest.raises(UserError, match="request"):
        panel.page.triggers["ask_for_pick"]("anything")
    panel.page.session.select(pick=LayerPick("conv"))
    panel.synchronize()
    with pytest.raises(UserError, match="Click a cell first"):
        panel.page.triggers["ask_for_pick"]("gradient")
    alone = Session(Scene.build(default_scene(), small_capture), SimpleNamespace())
    alone.select(pick=PICK)
    panel = PickPanel(Page(alone))
    panel.synchronize()
    assert not panel.state.pick_asks
    with pytest.raises(UserError, match="no model"):
        find_gradient(alone)
    with pytest.raises(UserError, match="no model"):
        find_examples(alone, "conv")
