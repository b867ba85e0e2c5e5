"""Tests of switching a session among the perspectives of one capture."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from shlex import quote
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.embedded_samples import embed_layer, embeddable_layers
from nnviz3d.apps.perspectives import PERSPECTIVES, State
from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.target import bundled_scenes
from nnviz3d.apps.web.panels.changes import ChangesPanel
from nnviz3d.apps.web.panels.interventions import InterventionsPanel
from nnviz3d.apps.web.panels.perspectives import PerspectivesPanel
from nnviz3d.apps.window.controls import Controls
from nnviz3d.data.capabilities.embeddings import write_embedding
from nnviz3d.data.capabilities.examples import ChannelExamples, write_examples
from nnviz3d.data.capabilities.features import FeatureVisualization, write_features
from nnviz3d.data.capabilities.interventions import Intervention, write_changed, write_interventions
from nnviz3d.data.capture import Capture
from nnviz3d.data.request import CaptureRequest, Finished, Insights, Progress
from nnviz3d.data.storage.capture_writer import CaptureWriter, zip_folder
from nnviz3d.data.targets import Target
from nnviz3d.errors import UserError
from nnviz3d.scene.primitives import Callout
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.spec import default_scene, parse_scene
from nnviz3d.scene.views.points.embedding import EmbeddingView
from nnviz3d.scene.views.structure import StructureView
from tests.apps.test_web_panels import Page
from tests.support.captures import small_embedding, small_graph, small_values, write
from tests.support.graphs import chain


def session_of(capture: Capture, *kinds: str) -> Session:
    views = [{"kind": kind} for kind in kinds]
    spec = parse_scene({"format": 1, "title": "mine", "views": views}) if kinds else default_scene()
    return Session(Scene.build(spec, capture), SimpleNamespace(size=(160, 90)))


def test_every_perspective_is_a_bundled_scene_and_has_words_of_its_own():
    assert {one.scene for one in PERSPECTIVES} <= set(bundled_scenes())
    for field in ("name", "title", "words", "scene"):
        assert len({getattr(one, field) for one in PERSPECTIVES}) == len(PERSPECTIVES)


def test_default_scene_is_the_perspective_of_activations_and_keeps_its_own_scene(small_capture):
    session = session_of(small_capture)
    scene = session.scene
    assert session.perspectives.current == "activations"
    session.look_at("network")
    assert session.scene is not scene
    session.look_at("activations")
    assert session.scene is scene


def test_scene_of_the_user_is_a_perspective_to_which_the_session_returns(small_capture):
    session = session_of(small_capture, "structure", "statistics")
    assert [one.name for one in session.perspectives.all] == ["scene", *(one.name for one in PERSPECTIVES)]
    assert session.perspectives.current == "scene"
    session.look_at("network")
    session.look_at("scene")
    assert session.scene.title(0) == "mine"


def test_sample_layer_pick_and_colours_go_along_and_what_cells_show_is_as_the_scene_says(explained_capture):
    session = session_of(explained_capture)
    layer = next(node.id for node in explained_capture.graph if len(node.shape) == 1)
    pick = CellPick(layer, (0,))
    session.select(sample=1, layer=layer, pick=pick, colormap="viridis", quantity="gradient", unfolded=0.5)
    session.look_at("network")
    found = session.selection
    assert (found.sample, found.layer, found.pick, found.colormap) == (1, layer, pick, "viridis")
    assert (found.quantity, found.unfolded) == (None, 1.0)
    session.look_at("gradients")
    assert session.choices.quantity == "gradient"


def test_label_of_a_cell_is_shown_in_perspectives_that_draw_it(small_capture):
    session = session_of(small_capture)

    def labelled() -> bool:
        return any(isinstance(one, Callout) for one in session.picture().primitives)

    session.select(pick=CellPick("conv", (2, 2, 1)))
    assert labelled()
    session.look_at("network")
    assert session.selection.pick == CellPick("conv", (2, 2, 1))
    assert not labelled()
    session.look_at("activations")
    assert labelled()


def test_each_perspective_keeps_its_own_threshold_scale_and_ranking(explained_capture):
    session = session_of(explained_capture)

    def own():
        return session.selection.threshold, session.selection.normalize, session.selection.ranking

    session.select(threshold=0.6, normalize="global", ranking="contribution")
    session.look_at("gradients")
    assert own() == (None, None, None)
    session.select(threshold=0.1)
    session.look_at("activations")
    assert own() == (0.6, "global", "contribution")
    session.look_at("gradients")
    assert own() == (0.1, None, None)


def test_target_goes_along(explained_capture):
    session = session_of(explained_capture)
    target = session.choices.explained_targets[-1].target
    session.select(target=target)
    session.look_at("gradients")
    assert session.selection.target == target
    assert isinstance(target, Target)


def test_every_perspective_that_a_capture_holds_is_drawn_and_the_others_say_why_not(
    explained_capture, recorded_capture
):
    for capture in (explained_capture, recorded_capture):
        session = session_of(capture)
        held = []
        for one in session.perspectives.all:
            found = session.perspectives.availability(one.name)
            before = (session.scene, session.selection, session.perspectives.current)
            if found.state is State.HELD:
                session.look_at(one.name)
                assert session.scene.at(session.clock.t, session.selection).primitives
                held.append(one.name)
            else:
                assert found.reason.endswith(".")
                with pytest.raises(UserError, match=re.escape(found.reason)):
                    session.look_at(one.name)
                assert (session.scene, session.selection, session.perspectives.current) == before
        assert {"network", "activations"} <= set(held)
        assert ("training" in held) == (capture.training is not None)
        assert ("decisions" in held) == (capture is explained_capture)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("attention", "has no attention layer"),
        ("training", "TrainingRecorder"),
        ("gradients", "--gradients"),
        ("landscape", "--landscape"),
    ],
)
def test_reason_says_what_the_model_or_the_capture_lacks(small_capture, name, words):
    found = session_of(small_capture).perspectives.availability(name)
    assert found.state is State.IMPOSSIBLE
    assert words in found.reason
    assert "kind:" not in found.reason


def test_perspective_that_turns_out_to_be_impossible_says_why_from_then_on(small_capture, monkeypatch):
    session = session_of(small_capture, "structure", "activations")
    before = session.scene

    def fail(*_: object) -> None:
        raise UserError("views[0].layer: there is no room.")

    monkeypatch.setattr(StructureView, "at", fail)
    with pytest.raises(UserError, match=r"^there is no room\.$"):
        session.look_at("network")
    assert session.scene is before
    assert session.perspectives.availability("network").reason == "there is no room."


def test_groups_that_are_open_stay_open(long_capture):
    session = session_of(long_capture)
    session.groups.open(next(node.id for node in session.context.graph if node.members))
    opened = session.context.opened
    session.look_at("network")
    assert session.context.opened == opened


class Model:
    """A worker that answers every request with a copy of one capture."""

    def __init__(self, capture: Capture) -> None:
        self.asked: list[CaptureRequest] = []
        self.refuses = ""
        self.capture = capture

    def run(self, request: CaptureRequest, on_event) -> Finished:
        self.asked.append(request)
        on_event(Progress(stage="embed", done=1, total=4))
        if self.refuses:
            raise UserError(self.refuses)
        zip_folder(self.capture.path, request.out)
        return Finished(out=request.out, samples=1, nodes=1, seconds={})

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def model(explained_capture):
    return Model(explained_capture)


@pytest.fixture
def asking(small_capture, model, tmp_path):
    """A session of a capture that holds little, and of a model that can compute the rest."""
    runner = SampleRunner(model, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    samples = tuple(Sample(f"sample {i}", i if i < 3 else None, f"source {i}") for i in range(6))
    yield Session(
        Scene.build(default_scene(), small_capture), SimpleNamespace(size=(160, 90)), samples=samples, runner=runner
    )
    runner.close()


def arrive(session: Session) -> None:
    deadline = time.monotonic() + 30
    while not session.poll():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_missing_numbers_of_a_sample_are_computed_kept_and_shown(asking, model):
    asking.choose(1)
    assert asking.perspectives.availability("decisions").state is State.COMPUTABLE
    asking.look_at("decisions")
    assert asking.perspectives.current == "activations"
    assert asking.queries.perspective == "decisions"
    arrive(asking)
    assert asking.perspectives.current == "decisions"
    assert asking.samples.chosen == 1
    assert asking.choices.methods == ("grad_cam", "vanilla")
    (request,) = model.asked
    assert (request.inputs, request.insights.attributions) == (("source 1",), ("automatic",))
    asking.look_at("activations")
    assert asking.perspectives.availability("decisions").state is State.HELD
    asking.look_at("decisions")
    assert len(model.asked) == 1
    asking.choose(0)
    assert asking.queries.position == 0, "another sample has no map yet"
    arrive(asking)
    assert (asking.samples.chosen, len(model.asked)) == (0, 2)


def features_of_conv(writer: CaptureWriter) -> None:
    write_features(writer, features_of("conv", 4))


def test_missing_arrays_of_the_model_are_computed_once_and_the_samples_stay(asking, model, tmp_path):
    model.capture = write(tmp_path / "features.zarr", small_graph(), small_values(), also=[features_of_conv])
    asking.choose(2)
    asking.look_at("features")
    arrive(asking)
    assert asking.perspectives.current == "features"
    assert (asking.samples.chosen, asking.scene.capture.committed) == (2, 3)
    asking.look_at("network")
    asking.choose(1)
    assert asking.perspectives.availability("features").state is State.HELD
    assert len(model.asked) == 1
    assert asking.perspectives.availability("decisions").state is State.COMPUTABLE, "no sample has a map"


def features_of(layer: str, number: int) -> FeatureVisualization:
    images, ones = np.zeros((number, 8, 9, 1), dtype=np.float32), np.ones(number, dtype=np.float32)
    channels, dead = np.arange(number), np.zeros(number, dtype=bool)
    return FeatureVisualization(layer, "channel", channels, images, 0 * ones, ones, dead, {})


def examples_of(layer: str, number: int) -> ChannelExamples:
    samples, means = np.tile([0, 1], (number, 1)), np.ones((number, 2), np.float32)
    return ChannelExamples(layer, samples, means, np.arange(2), ("a", "b"), np.zeros((2, 8, 8, 3), np.uint8), 6)


@pytest.mark.parametrize(
    ("perspective", "store"),
    [
        ("features", lambda writer, layer, number: write_features(writer, features_of(layer, number))),
        ("examples", lambda writer, layer, number: write_examples(writer, examples_of(layer, number))),
    ],
)
def test_pictures_of_a_layer_that_cannot_unfold_do_not_stand_for_those_that_a_perspective_shows(
    asking, model, tmp_path, perspective, store
):
    names = {"flatten": 36, "conv": 4}
    of_vector, of_maps = (
        write(
            tmp_path / f"{layer}.zarr",
            small_graph(),
            small_values(),
            also=[lambda writer, layer=layer, number=number: store(writer, layer, number)],
        )
        for layer, number in names.items()
    )
    alone = session_of(of_vector).perspectives.availability(perspective)
    assert alone.state is State.IMPOSSIBLE
    assert f"holds no {perspective} of conv; capture the model with" in alone.reason
    model.capture = of_vector
    asking.queries.run_for_model(Insights(**{perspective: ("flatten",)}), "")
    arrive(asking)
    assert asking.perspectives.availability(perspective).state is State.COMPUTABLE
    model.capture = of_maps
    asking.look_at(perspective)
    arrive(asking)
    assert asking.perspectives.current == perspective
    assert getattr(model.asked[-1].insights, perspective) == ("last convolution",)


def test_pictures_of_another_layer_that_can_unfold_are_shown_without_a_run(asking, model, tmp_path):
    model.capture = write(
        tmp_path / "pool.zarr",
        small_graph(),
        small_values(),
        also=[lambda writer: write_examples(writer, examples_of("pool", 4))],
    )
    asking.queries.run_for_model(Insights(examples=("pool",)), "")
    arrive(asking)
    asking.look_at("examples")
    assert (asking.perspectives.current, len(model.asked)) == ("examples", 1)


def test_channels_of_a_model_whose_convolutions_have_no_maps_are_impossible_from_the_start(model, tmp_path):
    graph = chain([("input", "InputLayer", (8, 2)), ("conv", "Conv1D", (6, 4)), ("scores", "Dense", (5,))])
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    runner = SampleRunner(model, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    session = Session(
        Scene.build(default_scene(), write(tmp_path / "sounds.zarr", graph, values)),
        SimpleNamespace(size=(160, 90)),
        samples=tuple(Sample(f"sample {i}", i or None, f"source {i}") for i in range(6)),
        runner=runner,
    )
    for name in ("features", "examples"):
        found = session.perspectives.availability(name)
        assert found.state is State.IMPOSSIBLE
        assert found.reason == "conv has no maps (rows, columns, channels) to unfold."
    runner.close()


def muted_neuron(writer: CaptureWriter) -> None:
    write_interventions(writer, (Intervention("dense", unit=1),))
    write_changed(writer, "dense", 0, 0, np.zeros_like(small_values()["dense"]))


def test_interventions_stay_listed_and_can_be_undone_while_the_model_computes_a_perspective(asking, model, tmp_path):
    model.capture = write(tmp_path / "muted.zarr", small_graph(), small_values(), also=[muted_neuron])
    page = Page(asking)
    sign, panel = ChangesPanel(page), InterventionsPanel(page)
    page.panels = [sign, panel]
    asking.interventions.add(Intervention("dense", unit=1))
    arrive(asking)
    asking.look_at("activations")
    sign.synchronize()
    panel.synchronize()
    before = (sign.state, panel.state)
    assert (sign.state.changes_words, panel.state.whatif_listed) == ("1 change", ["mute dense[1]"])
    for perspective in ("features", "landscape"):
        asking.look_at(perspective)
        assert asking.queries.perspective == perspective
        sign.synchronize()
        panel.synchronize()
        assert (sign.state, panel.state) == before
        arrive(asking)


def test_answer_that_lacks_what_was_asked_for_is_not_asked_for_again(asking, model):
    asking.look_at("features")
    arrive(asking)
    assert asking.queries.message
    assert (asking.perspectives.current, len(model.asked)) == ("activations", 1)


def test_refusal_of_the_model_is_one_sentence_and_it_can_be_asked_again(asking, model):
    model.refuses = "There are no labels."
    before = (asking.scene, asking.selection)
    asking.look_at("landscape")
    arrive(asking)
    assert asking.queries.message == "There are no labels."
    assert model.asked[0].insights.dataset == tuple(f"source {i}" for i in range(6))
    assert (asking.scene, asking.selection, asking.perspectives.current) == (*before, "activations")
    found = asking.perspectives.availability("landscape")
    assert (found.state, found.reason) == (State.COMPUTABLE, "There are no labels.")


@pytest.mark.parametrize(("label", "state"), [(True, State.COMPUTABLE), (False, State.IMPOSSIBLE)])
def test_landscape_of_a_data_set_without_labels_is_impossible_from_the_start(model, tmp_path, label, state):
    runner = SampleRunner(model, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    session = Session(
        Scene.build(default_scene(), write(tmp_path / "plain.zarr", small_graph(), small_values())),
        SimpleNamespace(size=(160, 90)),
        samples=[Sample("sample 0", 0, "source 0"), Sample("sample 1", None, "source 1", labelled=label)],
        runner=runner,
    )
    found = session.perspectives.availability("landscape")
    assert found.state is state
    assert found.reason.startswith("The data set of the loss landscape brings no true classes") is not label
    session.samples.add(Sample("mine", None, "mine.csv[0]", upload=Path("mine.csv"), labelled=True))
    assert session.perspectives.availability("landscape").state is state, "the model may refuse it"
    runner.close()


def test_landscape_of_samples_whose_labels_are_not_the_models_classes_is_impossible(model, tmp_path):
    runner = SampleRunner(model, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    session = Session(
        Scene.build(default_scene(), write(tmp_path / "plain.zarr", small_graph(), small_values())),
        SimpleNamespace(size=(160, 90)),
        samples=[Sample(f"sample {i}", None if i else 0, f"source {i}", labelled=True) for i in range(3)],
        runner=runner,
    )
    assert session.perspectives.availability("landscape").state is State.IMPOSSIBLE
    runner.close()


def test_answer_that_is_not_waited_for_is_kept_and_does_not_switch(asking):
    asking.look_at("decisions")
    asking.look_at("network")
    arrive(asking)
    assert asking.perspectives.current == "network"


@pytest.mark.parametrize("other", [2, 4], ids=["captured", "not captured"])
def test_perspective_that_arrives_after_another_sample_was_chosen_is_told(asking, model, tmp_path, other):
    model.capture = embedded(tmp_path / "conv.zarr", "conv")
    begins, goes_on = threading.Event(), threading.Event()
    run = model.run

    def late(request, on_event):
        begins.set()
        assert goes_on.wait(30)
        return run(request, on_event)

    model.run = late
    embed_layer(asking, "conv")
    assert begins.wait(30)
    asking.choose(other)
    goes_on.set()
    arrive(asking)
    assert asking.queries.message == "Embedding is ready; choose it to see it."
    assert asking.perspectives.current == "activations", "the user went on"
    assert asking.perspectives.availability("embedding").state is State.HELD
    asking.queries.message = ""
    asking.look_at("embedding")
    assert asking.perspectives.current == "embedding"


def test_layer_is_embedded_for_all_samples_and_its_points_are_shown(asking, model, tmp_path):
    model.capture = embedded(tmp_path / "conv.zarr", "conv")
    assert embeddable_layers(asking)[:2] == ("input", "conv")
    embed_layer(asking, "conv")
    assert asking.queries.perspective == "embedding"
    assert asking.perspectives.current == "activations"
    arrive(asking)
    (request,) = model.asked
    assert request.insights.embeddings == ("conv",)
    assert request.insights.dataset == tuple(f"source {i}" for i in range(6))
    assert asking.perspectives.current == "embedding"
    cloud = asking.scene.get(EmbeddingView)
    assert (cloud.names, cloud.shown(asking.selection)) == (("conv",), "conv")
    # Another layer joins it, for the samples of its points, and both are kept.
    model.capture = embedded(tmp_path / "dense.zarr", "dense")
    embed_layer(asking, "dense")
    arrive(asking)
    cloud = asking.scene.get(EmbeddingView)
    assert (set(cloud.names), cloud.shown(asking.selection)) == ({"conv", "dense"}, "dense")
    assert model.asked[1].insights.dataset == ("source 5", "source 4", "source 3", "source 2", "source 1")
    assert not {"conv", "dense"} & set(embeddable_layers(asking))
    asking.look_at("network")
    embed_layer(asking, "conv")
    assert asking.perspectives.current == "embedding"
    assert asking.scene.get(EmbeddingView).shown(asking.selection) == "conv"
    assert len(model.asked) == 2


def embedded(path: Path, layer: str) -> Capture:
    """Write a capture with the embedding of a layer for five samples."""
    whole = small_embedding()
    few = {name: getattr(whole, name)[:5] for name in ("points", "first", "labels", "predictions", "probabilities")}
    few |= {"vectors": whole.vectors[:5], "snapshots": whole.snapshots[:, :5]}
    names = tuple(f"sample {i}" for i in range(5, 0, -1))
    found = replace(whole, name=layer, names=names, thumbnails=whole.thumbnails[:5], **few)
    return write(path, small_graph(), small_values(), also=[lambda writer: write_embedding(writer, found)])


def test_embedding_that_is_refused_or_impossible_is_one_sentence(asking, model, small_capture):
    model.refuses = "The outputs are all equal."
    before = (asking.scene, asking.selection)
    embed_layer(asking, "conv")
    arrive(asking)
    assert asking.queries.message == "The outputs are all equal."
    assert (asking.scene, asking.selection, asking.perspectives.current) == (*before, "activations")
    alone = session_of(small_capture)
    assert embeddable_layers(alone) == ()
    with pytest.raises(UserError, match="There is no model to run on the samples"):
        embed_layer(alone, "conv")


def test_ready_capture_says_what_it_lacks_and_which_model_computes_it(digits):
    alone = session_of(digits)
    found = {one.name: alone.perspectives.availability(one.name) for one in alone.perspectives.all}
    for name, lacks, option in (
        ("embedding", "no embedding", "--embed LAYER --dataset DATA"),
        ("gradients", "no gradients", "--gradients"),
        ("decisions", "no map of a decision", "--attribution automatic"),
        ("examples", "no examples of channels", "--examples 'last convolution'"),
    ):
        assert found[name].state is State.IMPOSSIBLE
        assert found[name].reason == (
            f"digits.zarr.zip holds {lacks}; capture the model with {option}. If you name its model, nnviz3d serve "
            f"{quote(str(digits.path))} --model digits.keras, a click computes it."
        )


def test_examples_among_a_single_sample_are_refused_in_bar_and_window(small_capture, model, tmp_path):
    runner = SampleRunner(model, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    samples = (Sample("sample 0", 0, "source 0"),)
    scene, window = Scene.build(default_scene(), small_capture), SimpleNamespace(size=(160, 90))
    session = Session(scene, window, samples=samples, runner=runner)
    found = session.perspectives.availability("examples")
    assert found.state is State.IMPOSSIBLE
    assert found.reason.startswith("Examples of channels need 2 samples or more, and there is 1; ")
    items = {one["name"]: one for one in PerspectivesPanel(Page(session)).state.perspectives}
    assert (items["examples"]["state"], items["examples"]["reason"]) == ("impossible", found.reason)
    controls = Controls(session, save=str, write=str, printed=print)
    for _ in range(2):  # from the activations over the features
        controls.follow({"type": "KeyPress", "key": "Tab", "shiftKey": False, "repeat": False}, 0.0)
    controls.advance(0.0, 0.0)
    (panel,) = controls.panels()
    assert panel.rows[0].text == f"Examples: {found.reason}"
    with pytest.raises(UserError, match=r"^Examples of channels need 2 samples"):
        session.look_at("examples")
    assert not model.asked
    runner.close()


def test_keys_of_the_window_go_through_the_perspectives_and_let_the_model_compute(asking, model):
    session = asking
    controls = Controls(session, save=str, write=str, printed=print)

    def press(key: str, *, shift: bool = False) -> str:
        controls.follow({"type": "KeyPress", "key": key, "shiftKey": shift, "repeat": False}, 0.0)
        controls.advance(0.0, 0.0)
        (panel,) = controls.panels()
        return panel.rows[0].text

    assert press("Tab") == "Features: not captured; press Return to let the model compute it"
    assert session.perspectives.current == "activations"
    assert press("Tab").startswith("Examples: not captured")
    assert press("Tab").startswith("Gradients: not captured")
    press("Return")
    arrive(session)
    controls.by_hand = True
    controls.advance(1.0, 0.0)
    assert session.perspectives.current == "gradients"
    assert not controls.by_hand, "the camera shows the other scene"
    assert press("ISO_Left_Tab", shift=True).startswith("Examples")
    assert press("ISO_Left_Tab", shift=True).startswith("Features")
    assert press("ISO_Left_Tab", shift=True) == "Activations: each layer's numbers for the sample, from input to output"
    assert session.perspectives.current == "activations"
