"""The dead channels of a session: found on request, listed on the page and by the tree, told by the window."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.layer_rows import dead_items
from nnviz3d.apps.web.panels.dead_channels import DeadChannelsPanel
from nnviz3d.apps.window.controls import Controls
from nnviz3d.data.capabilities.examples import ChannelExamples, write_examples
from nnviz3d.data.request import CaptureRequest, Finished
from nnviz3d.data.storage.capture_writer import zip_folder
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick
from nnviz3d.scene.spec import default_scene
from tests.apps.test_web_panels import Page
from tests.scene.test_channel_search import dead_values, rectified
from tests.support import captures
from tests.support.window_status import status_lines

COUNT = 12


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    path = tmp_path_factory.mktemp("dead") / "dead.zarr"
    return captures.write(path, rectified("conv", "dense"), dead_values())


def session_of(capture, **more) -> Session:
    session = Session(Scene.build(default_scene(), capture), SimpleNamespace(size=(1600, 900)), **more)
    pose = session.own_pose(16 / 9)
    session.renderer = SimpleNamespace(pose=lambda: pose, size=(1600, 900), look=lambda pose: None)
    return session


def searched(session: Session) -> Session:
    session.dead.look()
    while session.dead.searching:
        session.dead.work()
        session.dead.take()
    return session


def panel_of(session: Session) -> DeadChannelsPanel:
    page = Page(session)
    page.panels = [DeadChannelsPanel(page)]
    page.panels[0].synchronize()
    return page.panels[0]


def test_capture_is_read_only_after_a_request(capture):
    session = session_of(capture)
    state = panel_of(session).state
    assert (state.dead_offer, state.dead_layers, state.dead_extent, state.dead_busy) == (
        "Find in all layers",
        [],
        "",
        "",
    )
    assert state.dead_offer_told.startswith("Reads 3 samples")
    assert session.dead.layers == ()
    assert dead_items(session) == {}


def test_page_lists_the_dead_channels_of_all_layers_in_their_order(capture):
    state = panel_of(searched(session_of(capture))).state
    assert (state.dead_title, state.dead_extent, state.dead_offer) == ("Dead channels", "0 for all 3 samples", "")
    assert [(one["layer"], one["short"], one["channels"]) for one in state.dead_layers] == [
        ("conv", "1 of 4", [2]),
        ("dense", f"{len(zeros('dense'))} of 20", zeros("dense")),
    ]
    assert state.dead_remarks.startswith("3 samples hardly tell which channels are dead")


def test_long_list_says_how_many_channels_it_leaves_out(tmp_path):
    values = captures.small_values(12)
    values["conv"] = np.zeros((12, 1, 1, 450), np.float32)
    graph = rectified("conv")
    nodes = (replace(node, shapes=((1, 1, 450),)) if node.id == "conv" else node for node in graph)
    session = session_of(captures.write(tmp_path / "wide.zarr", replace(graph, nodes=tuple(nodes)), values))
    (listed,) = panel_of(searched(session)).state.dead_layers
    assert (listed["short"], len(listed["channels"]), listed["rest"], listed["more"]) == (
        "450 of 450",
        400,
        "443",
        "50",
    )


def zeros(name: str) -> list[int]:
    values = dead_values()[name]
    return np.flatnonzero((values == 0).reshape(-1, values.shape[-1]).all(axis=0)).tolist()


def test_rows_of_the_tree_are_marked(capture):
    items = dead_items(searched(session_of(capture)))
    assert list(items) == ["conv", "dense"]
    assert items["conv"] == {"text": "1 dead", "words": "1 of 4 are 0 for all 3 samples: 2"}


def test_click_selects_the_channel_or_the_layer(capture):
    panel = panel_of(searched(session_of(capture)))
    show, session = panel.page.triggers["show_dead"], panel.page.session
    show("conv", 2)
    assert (session.selection.layer, session.selection.pick) == ("conv", CellPick("conv", (0, 0, 2)))
    show("dense")
    assert (session.selection.layer, session.selection.pick) == ("dense", None)
    for wrong in (("pool", 0), ("conv", 1), ("conv", 99), ("conv", "x"), (None, None)):
        with pytest.raises(UserError):
            show(*wrong)


def test_page_reads_in_another_thread_and_shows_the_result(capture):
    async def look() -> DeadChannelsPanel:
        session, may_read = session_of(capture), threading.Event()
        work = session.dead.work
        session.dead.work = lambda: work() if may_read.wait(30) else None
        panel = panel_of(session)
        panel.page.triggers["find_dead"]()
        assert panel.state.dead_busy.startswith("Looking for dead channels")
        assert not panel.state.dead_offer
        may_read.set()
        for _ in range(500):
            if panel.state.dead_extent:
                break
            await asyncio.sleep(0.02)
        return panel

    panel = asyncio.run(look())
    assert len(panel.state.dead_layers) == 2
    assert not panel.state.dead_busy


def test_search_can_be_stopped_and_begun_again(capture):
    session = session_of(capture)
    session.dead.look()
    panel = panel_of(session)
    assert panel.state.dead_busy
    panel.page.triggers["stop_dead"]()
    assert (panel.state.dead_busy, panel.state.dead_offer) == ("", "Find in all layers")
    assert not session.dead.searching
    assert searched(session).dead.dead


def test_single_sample_is_too_few_to_call_channels_dead(tmp_path):
    values = {name: array[:1] for name, array in dead_values().items()}
    session = searched(session_of(captures.write(tmp_path / "one.zarr", rectified("conv"), values)))
    state = panel_of(session).state
    assert (state.dead_title, state.dead_extent) == ("Channels that are 0", "0 everywhere for sample 0")
    assert state.dead_remarks.startswith("One sample does not tell which channels are dead")
    assert dead_items(session)["conv"]["text"] == "3 zero"


def test_network_without_dead_channels_or_without_all_numbers_says_so(tmp_path, small_capture):
    values = captures.small_values()
    values["conv"] += 0.1
    del values["dense"]
    session = searched(session_of(captures.write(tmp_path / "few.zarr", rectified("conv", "dense"), values)))
    state = panel_of(session).state
    assert state.dead_layers == []
    assert state.dead_remarks == (
        "None in 1 layer with an activation, such as ReLU, that can be 0. "
        "1 layer not looked at: its numbers were not kept. "
        "3 samples hardly tell which channels are dead: open more with --input."
    )
    state = panel_of(session_of(small_capture)).state
    assert (state.dead_offer, state.dead_remarks) == ("", ""), "no layer can have dead channels"


def test_more_samples_are_offered_and_the_earlier_result_stays_as_it_was(capture):
    session = searched(session_of(capture, samples=[Sample("a", 0), Sample("b", 1), Sample("c", None)]))
    assert panel_of(session).state.dead_extent == "0 for all 2 samples"
    session.samples.set_index(2, 2)
    state = panel_of(session).state
    assert (state.dead_extent, state.dead_offer) == ("0 for all 2 samples", "Look at 3 samples")
    assert panel_of(searched(session)).state.dead_extent == "0 for all 3 samples"


class StandIn:
    """A worker that answers a request for examples as if channel 2 were dead in all layers."""

    def __init__(self, folder) -> None:
        self.requests: list[CaptureRequest] = []
        self._folder = folder

    def run(self, request: CaptureRequest, _on_event=None) -> Finished:
        self.requests.append(request)
        graph, values = rectified("conv", "dense"), captures.small_values(1)
        also = [
            lambda writer, name=name: write_examples(writer, examples(name, values[name].shape[-1]))
            for name in request.insights.examples
        ]
        made = captures.write(self._folder / "made.zarr", graph, values, also=also)
        zip_folder(made.path, request.out)
        return Finished(out=request.out, samples=1, nodes=6, seconds={})

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


def examples(name: str, channels: int) -> ChannelExamples:
    means = np.ones((channels, 2), np.float32)
    means[2] = 0
    samples = np.tile(np.array([0, 1]), (channels, 1))
    return ChannelExamples(name, samples, means, np.array([0, 1]), ("a", "b"), np.empty((0, 1, 1, 3), np.uint8), COUNT)


@pytest.fixture
def live(capture, tmp_path):
    worker = StandIn(tmp_path)
    runner = SampleRunner(worker, CaptureRequest(model="m.keras", out=tmp_path / "run.zarr"), tmp_path)
    names = [f"s{i}" for i in range(COUNT)]
    samples = [Sample(name, 0 if not i else None, name) for i, name in enumerate(names)]
    session = session_of(capture, samples=samples, runner=runner)
    session.worker = worker  # what was asked of it
    yield session
    runner.close()


def settle(session: Session) -> None:
    deadline = time.monotonic() + 30
    while not session.poll():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_model_is_run_on_the_samples_that_were_not_captured(live):
    panel = panel_of(live)
    assert panel.state.dead_offer_told.startswith(f"Runs the model on {COUNT} samples")
    panel.page.triggers["find_dead"]()
    assert panel.state.dead_busy.startswith(f"Running the model on {COUNT} samples")
    settle(live)
    (asked,) = live.worker.requests
    assert (asked.insights.examples, len(asked.insights.dataset)) == (("conv", "dense"), COUNT)
    panel.synchronize()
    assert (panel.state.dead_extent, panel.state.dead_busy) == (f"0 for all {COUNT} samples", "")
    assert [(one["layer"], one["channels"]) for one in panel.state.dead_layers] == [("conv", [2]), ("dense", [2])]
    assert panel.state.dead_offer == "", "the examples stay"
    assert panel.state.dead_remarks == ""
    assert dead_items(live)["dense"]["text"] == "1 dead"


def test_run_of_the_model_can_be_stopped(live):
    live.dead.look()
    live.dead.cancel()
    assert (live.dead.busy, live.queries.busy) == ("", "")


def test_key_of_the_window_finds_dead_channels_and_flies_to_each(capture):
    session = session_of(capture)
    controls = Controls(session, save=str, write=str, printed=print)
    controls.follow({"type": "KeyPress", "key": "0", "shiftKey": False, "repeat": False}, 0.0)
    lines: tuple[str, ...] = ()
    while session.dead.searching:
        lines = status_lines(controls)
    neurons = zeros("dense")
    assert lines[0] == f"Channels that are 0 for all 3 samples: conv 1, dense {len(neurons)} · 0: next"
    told = []
    for _ in range(2 + len(neurons)):
        controls.follow({"type": "KeyPress", "key": "0", "shiftKey": False, "repeat": False}, 0.0)
        told.append((session.selection.pick, status_lines(controls)[0]))
    whole = 1 + len(neurons)
    assert told[0] == (CellPick("conv", (0, 0, 2)), f"conv channel 2: 0 for all 3 samples · 1 of {whole}")
    assert [pick for pick, _ in told[1:-1]] == [CellPick("dense", (k,)) for k in neurons]
    assert told[-1] == told[0]
    assert controls.moving


def test_escape_stops_the_search_of_the_window(capture):
    session = session_of(capture)
    controls = Controls(session, save=str, write=str, printed=print)
    session.dead.look()
    controls.clear()
    assert not session.dead.searching
    assert status_lines(controls)[0] == "stopped"
    controls.clear()
    assert status_lines(controls)[0] == "stopped", "there is nothing more to stop"


def test_capture_that_cannot_be_read_any_more_ends_the_search_with_a_sentence(tmp_path):
    made = captures.write(tmp_path / "gone.zarr", rectified("conv"), dead_values())
    session = session_of(made)
    controls = Controls(session, save=str, write=str, printed=print)
    session.dead.look()
    numbers = [path for path in made.path.rglob("*") if path.is_file() and path.suffix != ".json"]
    assert numbers
    for path in numbers:
        path.write_bytes(b"damaged")
    assert "gone.zarr" in status_lines(controls)[0]
    assert not session.dead.searching

    async def look() -> str:
        said: list[Exception] = []
        panel = panel_of(session)
        panel.page.report = said.append
        panel.page.triggers["find_dead"]()
        for _ in range(500):
            if said:
                break
            await asyncio.sleep(0.02)
        assert not session.dead.searching
        return str(said[0])

    assert "gone.zarr" in asyncio.run(look())


def test_window_says_that_no_layer_can_have_dead_channels(small_capture):
    controls = Controls(session_of(small_capture), save=str, write=str, printed=print)
    controls._dead.next_dead()
    assert status_lines(controls)[0].startswith("No layer has captured numbers and an activation")
