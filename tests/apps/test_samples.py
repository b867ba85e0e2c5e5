"""Tests of the samples of a session, and of the data set that they make."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnviz3d.apps.embedded_samples import embed_layer
from nnviz3d.apps.pick_requests import find_examples
from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.panels.samples import SamplesPanel
from nnviz3d.data.capture import Capture
from nnviz3d.data.request import CaptureRequest, Finished
from nnviz3d.data.storage.capture_writer import zip_folder
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.apps.test_web_panels import Page

OWN = tuple(f"source {i}" for i in range(6))


class Model:
    """A worker that answers each request with a copy of one capture, or refuses the samples of some sources."""

    def __init__(self, capture: Capture) -> None:
        self.capture = capture
        self.refuses: set[str] = set()
        self.asked: list[CaptureRequest] = []

    def run(self, request: CaptureRequest, on_event) -> Finished:
        self.asked.append(request)
        for source in (*request.inputs, *request.insights.dataset):
            if source in self.refuses:
                raise UserError(f"{source} is no sample.")
        zip_folder(self.capture.path, request.out)
        return Finished(out=request.out, samples=1, nodes=1, seconds={})

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def model(small_capture):
    return Model(small_capture)


@pytest.fixture
def session(small_capture, model, tmp_path):
    runner = SampleRunner(model, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    samples = tuple(Sample(f"sample {i}", i if i < 3 else None, source) for i, source in enumerate(OWN))
    yield Session(
        Scene.build(default_scene(), small_capture), SimpleNamespace(size=(160, 90)), samples=samples, runner=runner
    )
    runner.close()


def add(session: Session, name: str, rows: int = 1) -> int:
    """Add the samples of an uploaded file; returns the position of the first one."""
    sources = [name if rows == 1 else f"{name}[{row}]" for row in range(rows)]
    positions = [session.samples.add(Sample(source, None, source, upload=Path(name))) for source in sources]
    return positions[0]


def arrive(session: Session) -> None:
    deadline = time.monotonic() + 30
    while not session.poll():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def choose(session: Session, position: int) -> None:
    session.choose(position)
    arrive(session)


@pytest.mark.parametrize("rows", [1, 3])
def test_file_that_is_no_sample_of_the_model_is_in_no_data_set(session, model, rows):
    at = add(session, "n.txt", rows)
    model.refuses = {"n.txt", "n.txt[0]"}
    choose(session, at)
    assert session.queries.message.endswith("is no sample.")
    page = Page(session)
    panel = SamplesPanel(page)
    assert panel.state.sample_notes[at] == f"refused: {session.samples[at].source} is no sample."
    assert not session.samples[0].refused
    session.look_at("examples")
    session.queries.stop()
    embed_layer(session, "dense")
    session.queries.stop()
    find_examples(session, "conv")
    arrive(session)
    assert {one.insights.dataset for one in model.asked if one.insights.dataset} == {OWN}
    assert session.samples.dataset == OWN


def test_files_that_were_added_together_are_in_data_sets_once_the_model_has_taken_one_of_their_kind(session, model):
    first, text, second = add(session, "a.png"), add(session, "n.txt"), add(session, "b.JPG")
    assert session.samples.dataset == OWN
    choose(session, first)
    assert session.samples.dataset == (*OWN, "a.png", "b.JPG")
    model.refuses = {"b.JPG"}
    choose(session, second)
    assert session.samples.dataset == (*OWN, "a.png")
    model.refuses = set()
    choose(session, second)
    choose(session, text)
    assert session.samples.dataset == (*OWN, "a.png", "n.txt", "b.JPG"), "each was taken in the end"
    assert session.samples.refused == ()


def test_own_sample_that_is_refused_is_left_out_and_a_stopped_one_is_not(session, model):
    model.refuses = {"source 4"}
    choose(session, 4)
    assert session.samples.refused == (4,)
    assert session.samples.dataset == (*OWN[:4], OWN[5])
    session.samples.refuse("source 0", "Its gradients cannot be computed.")
    assert session.samples.refused == (4,), "the model was run on it"
