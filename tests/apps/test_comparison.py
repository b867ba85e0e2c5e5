"""Targets that are compared with another model or capture: opening, further samples, choices, films, saved scenes."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.comparison import Compared, joined, names_of, with_counterpart_of
from nnviz3d.apps.export.html.order import PageOrder
from nnviz3d.apps.film.frame_range import FilmPlan, FilmScene
from nnviz3d.apps.open_target import opened
from nnviz3d.apps.sample_runner import OtherModel, SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.target import ModelOptions
from nnviz3d.apps.view_state import show_view, view_of
from nnviz3d.apps.web.exports import _StoredSamples
from nnviz3d.apps.window.controls import Controls
from nnviz3d.apps.window.key_commands import KeyCommands
from nnviz3d.data.capture import open_capture
from nnviz3d.data.compared import counterpart_of, has_counterpart
from nnviz3d.data.request import CaptureRequest, Finished, Insights
from nnviz3d.errors import UserError
from nnviz3d.options import Look
from nnviz3d.scene.primitives import Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene
from tests.scene.test_model_difference import other_values
from tests.support import captures
from tests.support.window_status import status_lines

END = 9.0
NAMES = ("a.keras", "b.keras", "b.keras")


def model_values(name: str) -> dict[str, np.ndarray]:
    return captures.small_values() if name == "a.keras" else other_values()


class StandIn:
    """A worker that captures samples ``s0`` to ``s2`` by one of two models, with numbers of its own."""

    def __init__(self) -> None:
        self.requests: list[CaptureRequest] = []

    def run(self, request: CaptureRequest, _on_event=None) -> Finished:
        self.requests.append(request)
        rows = [int(name[1]) for name in request.inputs]
        rows = [rows[request.only]] if request.only is not None else rows
        values = {name: array[rows] for name, array in model_values(request.model).items()}
        captures.write(request.out, captures.small_graph(), values, classes=captures.CLASSES, transient=True)
        return Finished(out=request.out, samples=len(rows), nodes=6, seconds={})

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Return captures of two models, three samples each."""
    folder = tmp_path_factory.mktemp("two")
    shown = captures.small_capture(folder / "a.zarr")
    return shown, captures.write(folder / "b.zarr", captures.small_graph(), other_values())


def settle(session: Session) -> None:
    end = time.monotonic() + 30
    while session.queries.busy and time.monotonic() < end:
        session.poll()
        time.sleep(0.01)
    assert not session.queries.busy


def compared_with(name: str | None, run=None) -> Compared:
    return Compared(name, run or (lambda request: pytest.fail(f"{request.model} need not be run")))


def test_two_captures_are_opened_as_one(two):
    with opened(
        str(two[0].path),
        None,
        ModelOptions(),
        print,
        chosen=Look(against="b").chosen(),
        other=compared_with(str(two[1].path)),
    ) as found:
        other = counterpart_of(found.capture)
        assert (other.own_name, other.name) == ("a.zarr", "b.zarr")
        assert [one.name for one in found.samples] == ["sample 0", "sample 1", "sample 2"]
        assert found.spec.look.quantity == "difference"
        assert found.spec.look.against is None
        assert found.origin.source.against == str(two[1].path)
        assert found.scene(Selection(quantity="difference"), aspect=1.5).context.counterpart is other


def test_models_are_both_run_on_the_shown_sample(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    worker, other = StandIn(), StandIn()
    options = ModelOptions(inputs=("random",))
    monkeypatch.setattr("nnviz3d.apps.open_target.uncaptured", lambda *_: (Sample("s1", None, "s1"),))

    def request(one: CaptureRequest) -> CaptureRequest:
        return one.model_copy(update={"inputs": ("s1",)})

    with opened(
        "a.keras",
        None,
        options,
        lambda one: worker.run(request(one)),
        wanted=Insights(),
        other=Compared("b.keras", lambda one: other.run(request(one))),
    ) as found:
        assert [one.only for one in (*worker.requests, *other.requests)] == [0, 0]
        assert other.requests[0].model == "b.keras"
        scene = found.scene(Selection(quantity="difference"), aspect=1.5)
        wanted = captures.small_values()["dense"][1] - other_values()["dense"][1]
        assert np.array_equal(scene.context.difference("dense", Selection()), wanted)


def test_a_model_is_not_compared_with_a_capture_whose_model_is_not_there(two):
    with (
        pytest.raises(UserError, match=r"--against x\.keras is a model, and .*a\.zarr holds no model.*nnviz3d capture"),
        opened(str(two[0].path), None, ModelOptions(), print, other=compared_with("x.keras")),
    ):
        pass


def test_options_tell_a_sample_from_a_model():
    look = Look(against="b.keras")
    assert (look.chosen(), look.whole, look.other) == ({}, False, "b.keras")
    assert not look.wanted().explains
    assert Look(against="b.keras", quantity="activation").chosen()["quantity"] == "activation"
    assert Look(against=1, quantity="difference").chosen() == {"against": 1, "quantity": "difference"}


def test_both_networks_are_drawn_on_request(two):
    with pytest.raises(UserError, match="--side-by-side draws two models"):
        Look(side_by_side=True).wanted()
    other = compared_with(str(two[1].path))
    with opened(str(two[0].path), None, ModelOptions(), print, other=other, side_by_side=True) as found:
        assert [view.kind for view in found.spec.views] == ["structure", "activations", "connections", "counterpart"]
        assert found.spec.look.quantity is None
        session = Session(found.scene(Selection(), aspect=1.5), SimpleNamespace(), samples=found.samples)
    assert session.perspectives.current == "side_by_side"


@pytest.fixture
def session(two, tmp_path):
    """Return a session with three captured samples; a fourth one, ``new``, runs in both models."""
    capture = joined(two[:1], two[1:], NAMES)
    template = CaptureRequest(model="a.keras", out=tmp_path / "run.zarr")
    other = OtherModel(StandIn(), template.model_copy(update={"model": "b.keras"}))
    runner = SampleRunner(StandIn(), template, tmp_path, other=other)
    samples = (*(Sample(f"sample {i}", i, f"s{i}") for i in range(3)), Sample("new", None, "s2 again"))
    found = Session(Scene.build(default_scene(), capture), SimpleNamespace(), samples=samples, runner=runner)
    yield found
    runner.close()


def test_further_samples_run_in_both_models(session):
    session.select(quantity="difference")
    session.choose(3)
    settle(session)
    assert session.samples.chosen == 3
    assert session.choices.quantity == "difference"
    shown = session.scene.context.difference("conv", session.selection)
    assert np.array_equal(shown, captures.small_values()["conv"][2] - other_values()["conv"][2])
    runner, index = session.queries.runner, session.selection.sample
    (paths, size) = runner._kept[index]
    assert len(paths) == 2
    assert size == sum(path.stat().st_size for path in paths)
    session.choose(0)
    session.queries._samples.forget_index(index)
    session.queries._remove(index, runner)
    assert not any(path.exists() for path in paths)
    assert not has_counterpart(session.scene.capture, index)


def test_model_and_samples_can_be_subtracted_by_turns(session):
    said: list[str] = []
    commands, choices = KeyCommands(session, said.append), session.choices
    assert "difference" in choices.quantities
    assert (choices.other_model, choices.against) == ("b.keras", None)
    choices.show("difference")
    assert session.selection.against is None, "the other model comes first"
    commands.next_against()
    assert said[-1] == "cells: sample 0 − sample 1"
    view = view_of(session)
    commands.next_against()
    commands.next_against()
    assert said[-1] == "cells: a.keras − b.keras"
    models = view_of(session)
    show_view(session, view)
    assert (choices.quantity, choices.against) == ("difference", 1)
    show_view(session, models)
    assert (choices.quantity, choices.against) == ("difference", None)


def test_perspective_shows_both_networks_with_the_same_pick(session):
    names = [one.name for one in session.perspectives.all]
    assert names[names.index("activations") + 1] == "side_by_side"
    session.select(pick=CellPick("conv", (1, 2, 3)), quantity="difference")
    session.look_at("side_by_side")
    assert (session.selection.pick, session.choices.quantity) == (CellPick("conv", (1, 2, 3)), "activation")
    blocks = {p.name for p in session.scene.at(END, session.selection).primitives if isinstance(p, Voxels)}
    assert {"conv", "counterpart/conv"} <= blocks
    session.choose(3)
    settle(session)
    assert session.samples.chosen == 3, "the other network runs on further samples, too"
    assert session.scene.at(END, session.selection).primitives


def test_key_of_the_window_flies_to_what_differs_most(session):
    pose = session.own_pose(16 / 9)
    session.renderer = SimpleNamespace(pose=lambda: pose, size=(1600, 900), look=lambda pose: None)
    controls = Controls(session, save=str, write=str, printed=print)
    controls.next_difference()
    layer = session.selection.layer
    assert layer in session.scene.context.graph
    assert session.choices.quantity == "difference"
    assert controls.moving
    assert layer in status_lines(controls)[0]
    controls.next_difference()
    assert session.selection.layer != layer


def test_film_of_a_difference_is_drawn_alike_by_another_process(two):
    series = joined(two[:1], two[1:], NAMES).plus(open_capture(two[0].path), open_capture(two[1].path))
    film = FilmScene(
        default_scene(),
        series,
        Selection(4, quantity="difference"),
        tour="orbit",
        size=(320, 180),
        fps=4,
        seconds=1.0,
        trajectory=None,
    )
    plan = FilmPlan.from_json(film.plan().to_json())
    assert names_of(plan.open()) == NAMES
    again = FilmScene.of(plan)
    layers = [scene.context.difference("dense", again.selection) for scene in (film.scene, again.scene)]
    assert np.array_equal(*layers)


def test_page_that_a_session_exports_has_the_numbers_of_both_models(two, tmp_path):
    stored = _StoredSamples(joined(two[:1], two[1:], NAMES).plus(open_capture(two[0].path), open_capture(two[1].path)))
    order = PageOrder(
        stored.files(tmp_path),
        default_scene(),
        Selection(4, quantity="difference"),
        (stored.of(4),),
        tmp_path / "x.html",
        others=stored.others(tmp_path),
        names=names_of(stored.series),
    )
    job = PageOrder.from_json(order.to_json()).job()
    assert job.selection.sample == 4
    scene = job.found.scene(job.selection, aspect=1.5)
    wanted = captures.small_values()["dense"][1] - other_values()["dense"][1]
    assert np.array_equal(scene.context.difference("dense", job.selection), wanted)


def test_newer_reader_of_a_training_keeps_what_it_is_compared_with(two):
    series = joined(two[:1], two[1:], NAMES)
    assert counterpart_of(with_counterpart_of(two[0], series)) is series.counterpart
    assert with_counterpart_of(two[0], two[0]) is two[0]
    assert joined(two[:1], (), None) is two[0]
