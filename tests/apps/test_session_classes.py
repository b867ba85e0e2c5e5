"""Tests of a session that asks the model for classes that were not captured, with a stand-in for the worker."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.window.key_commands import KeyCommands
from nnviz3d.data.capabilities.gradients import write_gradient
from nnviz3d.data.capture import Capture
from nnviz3d.data.request import CaptureRequest, Finished, Insights
from nnviz3d.data.target_words import find_target, map_targets
from nnviz3d.data.targets import PREDICTED, Target, write_targets
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.support import captures
from tests.support.graphs import chain, graph_of

END = 8.0


def gradient_of(index: int) -> np.ndarray:
    """Return the stand-in's gradient of a class's score by ``dense``."""
    return np.full((1, 20), index + 1, dtype=np.float32)


class StandIn:
    """A worker that captures one sample by a request, with gradients that differ for each class."""

    def __init__(self) -> None:
        self.requests: list[CaptureRequest] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def run(self, request: CaptureRequest, _on_event) -> Finished:
        assert self.may_go_on.wait(30)
        self.requests.append(request)
        if "scores[3]" in request.insights.targets:
            raise UserError("Nobody explains dogs.")
        row = {"s0": 0, "s1": 1, "s2": 2, "new": 0}[request.inputs[0]]
        values = {name: array[row : row + 1] for name, array in captures.small_values().items()}

        def explain(writer) -> None:
            for text in request.insights.targets or (PREDICTED,):
                index = int(values["scores"].argmax()) if text == PREDICTED else int(text[7:-1])
                slot = PREDICTED if text == PREDICTED else Target("scores", index).slot
                write_targets(writer, slot, "scores", np.array([index]), np.ones(1), None)
                write_gradient(writer, slot, "dense", 0, 0, gradient_of(index))

        also = [explain] if request.insights.explains else []
        captures.write(request.out, captures.small_graph(), values, classes=captures.CLASSES, also=also, transient=True)
        return Finished(out=request.out, samples=1, nodes=1, seconds={})

    def close(self) -> None:
        self.may_go_on.set()


def session_of(capture: Capture, worker: StandIn, folder: Path, **wanted) -> Session:
    template = CaptureRequest(model="m.keras", out=folder / "run.zarr", insights=Insights(**wanted))
    samples = (*(Sample(f"sample {i}", i, f"s{i}") for i in range(3)), Sample("new", None, "new"))
    runner = SampleRunner(worker, template, folder)
    return Session(Scene.build(default_scene(), capture), SimpleNamespace(), samples=samples, runner=runner)


@pytest.fixture
def worker() -> StandIn:
    return StandIn()


@pytest.fixture
def session(explained_capture, worker, tmp_path):
    session = session_of(explained_capture, worker, tmp_path, gradients=True)
    yield session
    session.queries.runner.close()


def settle(session: Session) -> None:
    deadline = time.monotonic() + 30
    while session.queries.busy:
        session.poll()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def shown_gradient(session: Session) -> np.ndarray:
    return session.scene.context.shown("dense", "gradient", session.selection).values


def test_class_that_was_not_captured_is_requested_and_shown(session, worker):
    cat, ant = Target("scores", 2), Target("scores", 0)
    assert {found.target.index for found in session.choices.explained_targets} == {1, 4}
    worker.may_go_on.clear()
    session.choices.explain(cat)
    assert (session.queries.busy, session.queries.target) == ("Explaining class 'cat' for sample 0", cat)
    assert session.selection.target is None, "the selection stays until the answer arrives"
    worker.may_go_on.set()
    settle(session)
    assert session.selection.target == cat
    assert (shown_gradient(session) == 3).all()
    assert len(session.samples) == 4, "the new run replaces the sample's entry"
    assert session.samples.chosen == 0
    session.choices.explain(ant)
    settle(session)
    assert (shown_gradient(session) == 1).all()
    assert {found.target.index for found in session.choices.explained_targets} == {0, 1, 2, 4}, "no target is lost"
    assert worker.requests[-1].inputs == ("s0",)
    session.choices.explain(cat)
    assert session.queries.busy == "", "an explained target is shown at once"
    assert (shown_gradient(session) == 3).all()


def test_earlier_runs_of_a_sample_are_removed_from_the_disk(session, tmp_path):
    for index in (2, 0):
        session.choices.explain(Target("scores", index))
        settle(session)
    assert len(list(tmp_path.glob("live-*"))) == 1
    assert session.revert(), "nothing was drawn yet, but the selection to restore can be drawn"
    assert session.scene.at(END, session.selection).primitives


def test_two_classes_in_quick_succession_are_both_explained(session, worker):
    worker.may_go_on.clear()
    session.choices.explain(Target("scores", 2))
    session.choices.explain(Target("scores", 0))
    worker.may_go_on.set()
    settle(session)
    assert session.selection.target == Target("scores", 0)
    assert Target("scores", 2) in [found.target for found in session.choices.explained_targets]


def test_request_includes_targets_that_are_still_under_way(session, worker):
    worker.may_go_on.clear()
    session.choices.explain(Target("scores", 2))
    session.choices.explain(Target("scores", 1))
    assert session.queries.busy == "", "this target is explained already"
    session.choices.explain(Target("scores", 0))
    worker.may_go_on.set()
    settle(session)
    assert {found.target.index for found in session.choices.explained_targets} == {0, 1, 2, 4}
    assert len(worker.requests) <= 2


def test_refused_class_is_one_sentence_and_the_selection_stays(session):
    before = session.selection
    session.choices.explain(Target("scores", 3))
    settle(session)
    assert session.queries.message == "Nobody explains dogs."
    assert session.selection == before
    session.choices.explain(Target("scores", 2))
    settle(session)
    assert session.selection.target == Target("scores", 2), "the next class is explained"


def test_answer_that_is_not_waited_for_does_not_change_the_selection(session, worker):
    worker.may_go_on.clear()
    session.choices.explain(Target("scores", 2))
    session.choose(1)
    assert session.queries.busy == ""
    worker.may_go_on.set()
    while len(session.scene.context.capture.provenance.samples) < 4:
        session.poll()
        time.sleep(0.005)
    assert (session.samples.chosen, session.selection.target) == (1, None)
    session.choose(0)
    session.choices.explain(Target("scores", 2))
    assert session.queries.busy == "", "the answer was stored"


def test_selected_class_is_requested_for_a_new_sample_too(session, worker):
    session.choices.explain(Target("scores", 2))
    settle(session)
    session.choose(3)
    settle(session)
    assert worker.requests[-1].insights.targets == (PREDICTED, "scores[2]")
    assert (session.samples.chosen, session.selection.target) == (3, Target("scores", 2))


def test_subtracted_sample_follows_new_runs_and_is_never_the_shown_sample(session):
    choices = session.choices
    session.choose(1)
    choices.show("difference")
    assert choices.against == 0
    session.choose(0)
    assert choices.against == 1, "a sample is not compared with itself"
    session.choose(1)
    choices.compare(0)
    session.choose(0)
    session.choose(1)
    session.choices.explain(Target("scores", 2))
    settle(session)
    assert choices.against == 0
    session.choose(0)
    assert (session.samples.chosen, choices.against) == (0, 1)
    assert session.scene.at(END, session.selection).primitives


def test_gradients_are_requested_when_they_are_shown(small_capture, worker, tmp_path):
    session = session_of(small_capture, worker, tmp_path)
    choices = session.choices
    assert choices.quantities == ("activation", "gradient", "gradient_x_activation", "difference")
    assert not choices.explains
    choices.show("gradient")
    assert session.queries.busy == "Finding the gradients for sample 0"
    settle(session)
    assert choices.quantity == "gradient"
    assert choices.explains
    session.choose(3)
    settle(session)
    assert choices.explains, "the next sample is run with gradients from the start"
    session.choose(1)
    assert (session.queries.busy, session.samples.chosen) == ("Finding the gradients for sample 1", 3)
    settle(session)
    assert (session.samples.chosen, choices.explains) == (1, True)
    assert session.scene.at(END, session.selection).primitives
    session.queries.runner.close()


def test_choices_without_a_model_are_those_of_the_capture(explained_capture, small_capture):
    session = Session(Scene.build(default_scene(), explained_capture), SimpleNamespace())
    assert session.choices.best == tuple(found.target for found in session.choices.explained_targets)
    plain = Session(Scene.build(default_scene(), small_capture), SimpleNamespace())
    assert plain.choices.quantities == ("activation", "difference")


def test_keys_go_through_classes_quantities_and_subtracted_samples(session):
    said: list[str] = []
    commands, choices = KeyCommands(session, said.append), session.choices
    scores = session.scene.context.values("scores", 0).values
    order = np.argsort(-scores, kind="stable")
    assert [target.index for target in choices.best] == order.tolist()
    commands.next_class()
    settle(session)
    assert session.selection.target == Target("scores", int(order[1]))
    commands.previous_class()
    assert choices.explained.target.index == order[0]
    assert said[-1] == f"explained: {captures.CLASSES[order[0]]} · score 1.000"
    for name, words in (("gradient", "cells: gradient"), ("gradient_x_activation", "cells: gradient × activation")):
        commands.next_quantity()
        assert choices.quantity == name
        assert said[-1].startswith(words)
    commands.next_quantity()
    assert said[-1] == "cells: sample 0 − sample 2"
    commands.next_against()
    assert said[-1] == "cells: sample 0 − sample 1"
    commands.next_quantity()
    assert said[-1] == "cells: activation"
    commands.next_against()
    assert "press x" in said[-1]
    commands.next_method()
    assert "no attribution map" in said[-1]


def test_every_number_of_every_output_has_a_unique_name(tmp_path):
    nodes = [("x", "InputLayer", (4,)), ("price", "Dense", (1,)), ("box", "Dense", (3,)), ("kind", "Dense", (4,))]
    graph = graph_of(nodes, [("x", "price"), ("x", "box"), ("x", "kind")])
    values = {node.id: np.ones((1, *node.shape), np.float32) for node in graph}
    capture = captures.write(tmp_path / "several.zarr", graph, values, classes=("crane", "ant", "crane", "bee"))
    choices = Session(Scene.build(default_scene(), capture), SimpleNamespace()).choices
    names = ["crane (0)", "ant", "crane (2)", "bee", "price", "box[0]", "box[1]", "box[2]"]
    assert list(choices.names(choices.targets).values()) == names


class MapWorker:
    """A worker that captures a sample of a model whose output is a map of three classes."""

    GRAPH = chain([("in", "InputLayer", (4, 4, 1)), ("map", "Conv2D", (4, 4, 3))])

    def __init__(self) -> None:
        self.targets: list[tuple[str, ...]] = []

    @classmethod
    def values(cls) -> dict[str, np.ndarray]:
        scores = np.random.default_rng(5).random((1, 4, 4, 3), dtype=np.float32)
        return {"in": np.ones((1, 4, 4, 1), np.float32), "map": scores + np.float32([0, 0, 2])}

    def run(self, request: CaptureRequest, _on_event) -> Finished:
        self.targets.append(request.insights.targets)

        def explain(writer) -> None:
            for text in request.insights.targets:
                target = find_target(text, self.GRAPH, None)
                assert target is not None
                write_targets(writer, target.slot, "map", np.zeros(1, np.int64), np.ones(1), None, region=target.region)
                write_gradient(writer, target.slot, "in", 0, 0, np.ones((1, 4, 4, 1), np.float32))

        captures.write(request.out, self.GRAPH, self.values(), also=[explain], transient=True)
        return Finished(out=request.out, samples=1, nodes=1, seconds={})

    def close(self) -> None:
        pass


def test_gradients_of_a_map_are_those_of_its_largest_class_and_the_keys_go_to_the_other_classes(tmp_path):
    worker = MapWorker()
    capture = captures.write(tmp_path / "first.zarr", worker.GRAPH, worker.values())
    request = CaptureRequest(model="m.keras", out=tmp_path / "run.zarr")
    runner = SampleRunner(worker, request, tmp_path, answers=False)
    samples = (Sample("a", 0, "a"),)
    session = Session(Scene.build(default_scene(), capture), SimpleNamespace(), samples=samples, runner=runner)
    first, second, largest = map_targets(worker.GRAPH)
    assert "gradient" in session.choices.quantities
    session.choices.show("gradient")
    settle(session)
    assert worker.targets == [(largest.text,)]
    assert (session.choices.quantity, session.selection.target) == ("gradient", largest)
    assert session.choices.best == (largest, first, second)
    KeyCommands(session, print).next_class()
    settle(session)
    assert session.selection.target == first
    runner.close()


@pytest.mark.parametrize(
    ("model", "step"),
    [
        ("m.keras", "x shows gradients"),
        ("m.onnx", "a .onnx file has no gradients, so capture the Keras model that it was made from"),
        ("m.TFLITE", "a .tflite file has no gradients, so capture the Keras model that it was made from"),
    ],
)
def test_key_for_classes_names_a_step_that_works_for_the_kind_of_model(small_capture, worker, tmp_path, model, step):
    session = session_of(small_capture, worker, tmp_path)
    provenance = session.scene.context.capture.provenance
    session.scene.context.capture.provenance = replace(provenance, model=model)
    told: list[str] = []
    KeyCommands(session, told.append).next_class()
    session.scene.context.capture.provenance = provenance
    session.queries.runner.close()
    assert told == [f"Nothing in this scene depends on a class; {step}"]
