"""Tests of the parts of the web app that need neither a server nor a browser."""

from __future__ import annotations

import asyncio
import io
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from aiohttp.test_utils import make_mocked_request
from PIL import Image

from nnviz3d.apps.sample_notes import note_of, notes_of
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.apps.turntable import Turntable, orbit, pan, zoom
from nnviz3d.apps.web import frames as frames_module
from nnviz3d.apps.web import server
from nnviz3d.apps.web.app import WebApp
from nnviz3d.apps.web.frames import FrameRenderer, Quality, encode
from nnviz3d.apps.web.layer_details import layer_details
from nnviz3d.apps.web.layer_rows import grouped_layers
from nnviz3d.apps.web.page import provenance
from nnviz3d.apps.web.panels.appearance import gradient
from nnviz3d.apps.web.panels.samples import SamplesPanel, has_pictures, sample_items
from nnviz3d.apps.web.picture_pages import PicturePages
from nnviz3d.apps.web.picture_view import RemoteView
from nnviz3d.apps.web.ports import PortTaken
from nnviz3d.apps.web.sample_files import safe_name, thumbnail
from nnviz3d.apps.web.security import Gate, address
from nnviz3d.apps.web.server_environment import ServerEnvironment
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.facts import exact
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.apps.test_web_panels import Page
from tests.support import captures
from tests.support.graphs import chain
from tests.support.pinhole import to_frame

POSE = CameraPose((3.0, 4.0, 12.0), (1.0, 2.0, 3.0))
SIZE = (640, 360)


def distance(pose: CameraPose) -> float:
    return float(np.linalg.norm(np.subtract(pose.position, pose.target)))


@pytest.fixture
def session(small_capture):
    renderer = Renderer(offscreen_window((160, 90)))
    yield Session(Scene.build(default_scene(), small_capture), renderer)
    renderer.close()


# The turntable


def test_orbit_keeps_the_distance_and_the_horizon():
    pose = POSE
    random = np.random.default_rng(1)
    for azimuth, elevation in random.uniform(-170, 170, (50, 2)):
        pose = orbit(pose, azimuth, elevation)
        assert distance(pose) == pytest.approx(distance(POSE))
        assert pose.target == POSE.target
        assert pose.up == (0.0, 1.0, 0.0)
        arm = np.subtract(pose.position, pose.target) / distance(pose)
        assert abs(arm[1]) < 0.999, "over the top, left and right would change places"


def test_orbit_and_opposite_orbit_restore_the_camera():
    there = orbit(POSE, 40, 20)
    assert orbit(there, -40, -20).position == pytest.approx(POSE.position)


def test_pan_moves_the_target_by_a_share_of_the_picture():
    shifted = pan(POSE, 0.25, -0.1)
    x, y = to_frame(np.array([POSE.target]), shifted, 1.0)[0]
    assert (x / 2, y / 2) == pytest.approx((0.25, -0.1))


def test_zoom_divides_the_distance():
    assert distance(zoom(POSE, 2.0)) == pytest.approx(distance(POSE) / 2)


def follow(*events: dict[str, object]) -> CameraPose:
    table, pose = Turntable(), POSE
    for event in events:
        pose = table.follow(event, pose, SIZE) or pose
    return pose


def test_drag_to_the_right_turns_the_scene_to_the_right():
    near = np.array([POSE.target]) + np.subtract(POSE.position, POSE.target) * 0.3
    turned = follow(
        {"type": "LeftButtonPress", "x": 100, "y": 100},
        {"type": "MouseMove", "x": 130, "y": 100},
        {"type": "LeftButtonRelease", "x": 130, "y": 100},
    )
    assert to_frame(near, turned, 1.0)[0, 0] > to_frame(near, POSE, 1.0)[0, 0] + 0.01


@pytest.mark.parametrize("press", [{"type": "MiddleButtonPress"}, {"type": "LeftButtonPress", "shiftKey": 1}])
def test_panning_drag_moves_the_target_with_the_pointer(press):
    shifted = follow({**press, "x": 100, "y": 100}, {"type": "MouseMove", "x": 136, "y": 118})
    x, y = to_frame(np.array([POSE.target]), shifted, SIZE[0] / SIZE[1])[0]
    assert (x / 2 * SIZE[0], y / 2 * SIZE[1]) == pytest.approx((36, 18))


def test_motion_without_a_button_does_nothing():
    assert follow({"type": "MouseMove", "x": 1, "y": 2}) is POSE
    assert follow({"type": "keyDown", "key": "w"}) is POSE
    released = ({"type": "LeftButtonPress", "x": 0, "y": 0}, {"type": "LeftButtonRelease", "x": 0, "y": 0})
    assert follow(*released, {"type": "MouseMove", "x": 50, "y": 50}) is POSE


def test_wheel_and_pinch_zoom():
    assert distance(follow({"type": "MouseWheel", "spinY": -1})) < distance(POSE)
    assert distance(follow({"type": "MouseWheel", "spinY": 1})) > distance(POSE)
    pinched = follow({"type": "StartPinch"}, {"type": "Pinch", "factor": 1.5}, {"type": "Pinch", "factor": 2.0})
    assert distance(pinched) == pytest.approx(distance(POSE) / 2)
    panned = follow({"type": "StartPan"}, {"type": "Pan", "translation": [0, 36]}, {"type": "EndPan"})
    assert panned.target == pytest.approx(pan(POSE, 0, 0.1).target)


def test_zoom_keeps_the_point_under_the_pointer_in_place():
    at = np.array([POSE.target]) + 0.4 * np.cross(np.subtract(POSE.position, POSE.target), (0.0, 1.0, 0.0)) / 10
    x, y = to_frame(at, POSE, SIZE[0] / SIZE[1])[0]
    event = {"type": "MouseWheel", "spinY": -2, "x": (x + 1) / 2 * SIZE[0], "y": (y + 1) / 2 * SIZE[1]}
    nearer = follow(event)
    assert distance(nearer) < distance(POSE)
    assert to_frame(at, nearer, SIZE[0] / SIZE[1])[0] == pytest.approx((x, y))


def test_press_and_release_in_one_place_is_a_click_and_turns_nothing():
    table = Turntable()
    table.follow({"type": "LeftButtonPress", "x": 100, "y": 100}, POSE, SIZE)
    assert table.follow({"type": "MouseMove", "x": 102, "y": 101}, POSE, SIZE) is None
    table.follow({"type": "LeftButtonRelease", "x": 102, "y": 101}, POSE, SIZE)
    assert table.click == (100, 100)
    table.follow({"type": "MouseMove", "x": 110, "y": 100}, POSE, SIZE)
    assert table.click is None


@pytest.mark.parametrize(
    "events",
    [
        [
            {"type": "LeftButtonPress"},
            {"type": "MouseMove", "x": 150},
            {"type": "MouseMove"},
            {"type": "LeftButtonRelease"},
        ],
        [{"type": "LeftButtonPress", "shiftKey": True}, {"type": "LeftButtonRelease"}],
        [{"type": "MiddleButtonPress"}, {"type": "MiddleButtonRelease"}],
        [{"type": "LeftButtonRelease"}],
    ],
    ids=["a drag there and back", "shift", "the middle button", "a release alone"],
)
def test_drags_and_other_buttons_are_no_click(events):
    table = Turntable()
    for event in events:
        table.follow({"x": 100, "y": 100, **event}, POSE, SIZE)
        assert table.click is None


# Who is let in


@pytest.mark.parametrize(
    ("bound", "host", "allowed"),
    [
        ("127.0.0.1", "localhost:80", True),
        ("127.0.0.1", "LOCALHOST", True),
        ("127.0.0.1", "localhost.", False),
        ("127.0.0.1", "192.168.1.5", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "localhost@evil.example", False),
        ("127.0.0.1", "", False),
        ("127.0.0.1", None, False),
        ("::1", "[::1]", True),
        ("0.0.0.0", "192.168.1.5", True),
        ("0.0.0.0", "[fe80::1]", True),
        ("0.0.0.0", "evil.example", False),
        ("192.168.1.5", "192.168.1.5", True),
        ("192.168.1.5", "192.168.1.6", False),
        ("gpu.lab.example", "gpu.lab.example", True),
    ],
)
def test_gate_accepts_only_its_own_host_names(bound, host, allowed):
    request = make_mocked_request("GET", "/", headers={} if host is None else {"Host": host})
    assert (Gate(bound, 80).refusal(request) is None) is allowed


def test_ticket_works_once():
    gate = Gate("127.0.0.1", 80)
    ticket = gate.ticket
    assert ticket
    assert not gate.redeem("another")
    assert gate.redeem(ticket)
    assert not gate.redeem(ticket)
    assert not gate.redeem("")


def test_each_run_has_its_own_token():
    assert len({Gate("127.0.0.1", 80).token for _ in range(8)}) == 8
    assert not Gate("127.0.0.1", 80).knows(None)


@pytest.mark.parametrize("order", [1, -1])
def test_cookies_of_other_servers_of_the_host_do_not_lock_the_user_out(order):
    gate = Gate("127.0.0.1", 80)
    cookies = [f"nnviz3d={gate.token}", "nnviz3d=of another", "other=[bad", "nnviz3d-81=x"][::order]

    def asked(cookie: str, path: str = "/") -> bool:
        return gate.lets_in(make_mocked_request("GET", path, headers={"Host": "localhost", "Cookie": cookie}))

    assert asked("; ".join(cookies))
    assert not asked("; ".join(cookies), "/?secret=wrong")
    assert not asked("; ".join(one for one in cookies if gate.token not in one))
    assert not asked(f"x-nnviz3d={gate.token}; nnviz3d-81={gate.token}")


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:81"), ("::1", "http://[::1]:81"), ("0.0.0.0", "http://127.0.0.1:81")],
)
def test_address_is_one_that_a_browser_can_open(host, url):
    assert address(host, 81) == url


# What the panels say


def test_nested_models_are_listed_where_they_begin():
    graph = chain(
        [("in", "InputLayer", (4,)), ("b/one", "Dense", (3,)), ("b/two", "Dense", (2,)), ("out", "Dense", (2,))]
    )
    listed = grouped_layers(graph)
    assert [(g["path"], [n["id"] for n in g["nodes"]]) for g in listed] == [
        ("", ["in"]),
        ("b", ["b/one", "b/two"]),
        ("", ["out"]),
    ]
    assert listed[1]["nodes"][0] | {"color": ""} == {
        "id": "b/one",
        "name": "one",
        "kind": "Dense",
        "shape": "3",
        "parameters": listed[1]["nodes"][0]["parameters"],
        "color": "",
        "inside": "",
    }


def test_interleaved_branches_stay_together_under_their_headings():
    names = ["in", "b/c/one", "d/two", "b/three", "b/c/four", "d/five", "out"]
    listed = grouped_layers(chain([(name, "Dense", (2,)) for name in names]))
    assert [(g["path"], g["depth"], [n["id"] for n in g["nodes"]]) for g in listed] == [
        ("", 0, ["in"]),
        ("b", 1, []),
        ("b/c", 2, ["b/c/one", "b/c/four"]),
        ("", 1, ["b/three"]),
        ("d", 1, ["d/two", "d/five"]),
        ("", 0, ["out"]),
    ]
    assert listed[1]["below"].splitlines() == [f"{name} Dense " for name in ("b/c/one", "b/three", "b/c/four")]


@pytest.mark.parametrize("node", ["conv", "pool", "dense"])
def test_details_of_a_layer_are_exact(session, small_capture, node):
    said = dict(layer_details(session.scene.context, node, 1))
    values = small_capture.activation(node, 1)
    assert said["activation minimum"] == exact(values.min())
    assert said["activation maximum"] == exact(values.max())
    zeros = int((values == 0).sum())
    assert said["activation zeros"] == f"{100 * zeros / values.size:.1f} % ({zeros:,} of {values.size:,})"
    assert said["activation mean"] == number(values.astype(np.float64).mean())
    assert said["activation std"] == number(values.astype(np.float64).std())
    assert said["id"] == node


def test_details_of_a_layer_end_with_its_variables(digits):
    said = layer_details(SceneContext.build(digits, aspect=1.5), "conv2d", 0)
    kernel = digits.weights("conv2d")["kernel"].astype(np.float64)
    texts = [number(v) for v in (kernel.mean(), kernel.std(), kernel.min(), kernel.max())]
    assert said[-1] == ["weight kernel", "3 × 3 × 1 × 32: mean {}, std {}, {} to {}".format(*texts)]
    assert len({name for name, _ in said}) == len(said)


def test_samples_of_a_binary_model_have_the_predicted_class_of_two(session, tmp_path):
    graph = chain([("in", "InputLayer", (2,)), ("out", "Dense", (1,))])
    graph = replace(graph, nodes=(graph.node("in"), replace(graph.node("out"), activation="sigmoid")))
    values = {"in": np.zeros((3, 2), np.float32), "out": np.float32([[0.2], [0.9], [np.nan]])}
    capture = captures.write(tmp_path / "run.zarr", graph, values, classes=("cat", "dog"), labels=np.array([0, 0, 1]))
    binary = Session(Scene.build(default_scene(), capture), session.renderer)
    notes = ["predicted cat · label cat", "predicted dog · label cat", "label dog"]
    assert [note.text for note in notes_of(binary).values()] == notes == [note_of(binary, i).text for i in range(3)]
    assert [note.wrong for note in notes_of(binary).values()] == [False, True, None]


def test_predictions_of_samples_that_were_not_run_are_those_of_their_embedding(session):
    capture = open_capture(bundled("embedding.zarr.zip"))
    found = capture.embedding("dense")
    samples = [Sample(found.names[0], 0), *(Sample(name) for name in found.names[1:]), Sample("mine.png")]
    listed = Session(Scene.build(default_scene(), capture), session.renderer, samples=samples)
    panel = SamplesPanel(Page(listed))
    panel.synchronize()
    wrong = np.flatnonzero(found.labels != found.predictions)
    assert panel.state.samples_wrong == wrong.tolist()
    first = int(wrong[0])
    assert panel.state.sample_notes[first] == f"predicted {found.predictions[first]} · label {found.labels[first]}"
    assert len(panel.state.sample_notes) == len(found.names)
    assert panel.state.predictions_words == "Predictions of 1,000 of 1,001 samples are known."
    twice = Session(Scene.build(default_scene(), capture), session.renderer, samples=[*samples, Sample(found.names[1])])
    assert 1 in notes_of(listed)
    assert 1 not in notes_of(twice), "which of the two is the point is not known"


def test_predictions_stay_known_after_a_later_run_of_a_sample_has_replaced_an_earlier_one(session, tmp_path):
    first, values = session.scene.context.capture, captures.small_values()
    series = CaptureSeries.of(first)
    for run in range(2):
        again = {name: numbers[run : run + 1] for name, numbers in values.items()}
        series = series.plus(captures.write(tmp_path / f"{run}.zarr", first.graph, again, classes=captures.CLASSES))
    series = series.without(first.committed)
    indices = [*range(first.committed), first.committed + 1]
    samples = [Sample(f"sample {index}", index) for index in indices]
    again = Session(Scene.build(default_scene(), series), session.renderer, samples=samples)
    found = notes_of(again)
    assert [found[position] for position in range(len(indices))] == [note_of(again, i) for i in range(len(indices))]
    assert all(note.text.startswith("predicted") for note in found.values())


def test_list_says_that_captured_samples_come_first(session):
    captured = [Sample(f"sample {index}", index) for index in range(3)]
    others = [Sample("a.png"), Sample("b.png")]
    panels = [
        SamplesPanel(Page(Session(session.scene, session.renderer, samples=samples)))
        for samples in ([*captured, *others], captured, [captured[0], *others])
    ]
    words = "First the 3 samples of the capture, then the others in the order of the data set."
    assert [panel.state.samples_order for panel in panels] == [words, "", ""]


def test_samples_have_names_pictures_and_classes(session, digits):
    assert sample_items(session)[0] == {"index": 0, "name": "sample 0", "version": 0}
    capture = session.scene.context.capture
    assert "label ant" in notes_of(session)[0].text
    assert f"predicted {capture.classes[int(capture.activation('scores', 0).argmax())]}" in notes_of(session)[0].text
    assert [note_of(session, i) for i in range(3)] == list(notes_of(session).values())
    assert not has_pictures(session), "nobody stored a picture"
    assert has_pictures(Session(Scene.build(default_scene(), digits), session.renderer))
    picture = digits.picture(digits.graph.inputs[0], 0)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(thumbnail(picture)))), picture)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("cat.jpg", "cat.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a b.PNG", "a b.png"),
        ("<img src=x>.png", "img src_x.png"),
        (".png", "picture.png"),
        ("", "picture"),
        ("Grüße 東京.jpeg", "Grüße 東京.jpeg"),
        ("x" * 300 + ".npy", "x" * 60 + ".npy"),
    ],
)
def test_safe_name_removes_paths_and_special_characters(name, kept):
    assert safe_name(name) == kept


def test_provenance_names_the_model(session):
    assert ["model", "hand.keras"] in provenance(session)


def test_gradient_contains_both_ends_of_the_colour_map():
    assert gradient("gray").startswith("linear-gradient(90deg, rgb(0, 0, 0), ")
    assert gradient("gray").endswith("rgb(255, 255, 255))")


# Frames


def test_full_picture_has_as_many_pixels_as_the_screen(session):
    made = FrameRenderer(session)
    made.resize(200, 120, 2.0)
    assert made.draw(Quality.FULL).shape == (240, 400, 3)
    assert made.still().shape == (240, 400, 3)


def test_moving_pictures_have_the_size_that_the_pages_can_follow(session):
    made = FrameRenderer(session)
    made.resize(400, 200, 1.0)

    def settled(seconds: Callable[[float], float]) -> int:
        made.moving.begin(1 / 25)
        for _ in range(100):
            made.moving.learn(seconds(made.moving.share))
        return int(made.draw(Quality.ROUGH).shape[1])

    assert settled(lambda _: 10.0) == 200, "at least half the width"
    assert settled(lambda _: 1e-3) == 400
    assert settled(lambda share: 0.02 + 0.03 * share**2) == 300, "0.037 s; the full size would take 0.05 s"
    assert settled(lambda share: 0.02 + 0.015 * share**2) == 400


def test_size_of_moving_pictures_does_not_swing(session):
    moving = FrameRenderer(session).moving
    moving.begin(1 / 25)
    shares = []
    for _ in range(400):
        moving.learn(0.02 + 0.03 * moving.share**2)
        shares.append(moving.share)
    assert sum(a != b for a, b in pairwise(shares[60:])) == 0


def test_any_size_of_a_page_is_limited(session):
    made = FrameRenderer(session)
    for size in ((0, 0, 1.0), (-5, 10, 0.0), (1e9, 1e9, 100.0)):
        made.resize(*size)
        assert made.size[0] >= 16
        pixels = made.size[0] * made.size[1] * made._density**2
        assert pixels <= frames_module._MOST * 1.01 or made._density == 0.5


def test_smooth_picture_differs_at_edges_only_and_can_be_interrupted(session):
    session.renderer.look(session.home())
    made = FrameRenderer(session)
    made.resize(320, 180, 1.0)
    plain = made.draw(Quality.FULL).astype(int)
    smooth = asyncio.run(made.smooth(lambda: True))
    assert smooth is not None
    assert np.array_equal(smooth, made.still())
    differs = (np.abs(smooth - plain).max(axis=2) > 8).mean()
    assert 0.001 < differs < 0.25
    assert asyncio.run(made.smooth(lambda: False)) is None


def test_smooth_picture_is_encoded_without_loss():
    pixels = np.random.default_rng(2).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    content, media = encode(pixels, Quality.SMOOTH)
    assert media == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), pixels)
    for quality in (Quality.ROUGH, Quality.FULL):
        content, media = encode(pixels, quality)
        assert media == "image/jpeg"
        assert Image.open(io.BytesIO(content)).size == (60, 40)


# The server's end


@pytest.mark.parametrize("when", [None, signal.SIGTERM, signal.SIGINT])
def test_signal_while_another_program_takes_the_port_ends_the_server(session, monkeypatch, when):
    taken = socket.create_server(("127.0.0.1", 0))
    explain = server.bind_error

    def signalled(*arguments):
        if when is not None:
            signal.raise_signal(when)
        return explain(*arguments)

    monkeypatch.setattr(server, "bind_error", signalled)
    port = taken.getsockname()[1]
    serving = server._serve(
        session, Gate("127.0.0.1", port), ServerEnvironment({}, port), "127.0.0.1", open_browser=False, drawer="server"
    )
    if when is None:
        with pytest.raises(PortTaken):
            asyncio.run(serving)
    else:
        asyncio.run(serving)
    taken.close()


@pytest.mark.parametrize("iterations", range(4))
def test_wait_that_is_cancelled_while_a_change_is_on_its_way_is_cancelled(session, iterations):
    def ignore(*_):
        return None

    async def run() -> bool:
        view = RemoteView(session, failed=ignore, advance=ignore, clicked=ignore, last_sender=ignore)

        async def drawing() -> None:
            while True:
                view._wake.clear()
                await view._wait_for_change(5.0)

        task = asyncio.ensure_future(drawing())
        await asyncio.sleep(0.01)
        view.changed()
        for _ in range(iterations):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        ended = task.done()
        task.cancel()
        return ended

    assert asyncio.run(run())


def test_page_that_comes_after_all_have_left_gets_a_new_picture(session):
    def ignore(*_):
        return None

    sent = []
    clients = iter(["first", "second", "third"])
    view = RemoteView(session, failed=ignore, advance=ignore, clicked=ignore, last_sender=lambda: next(clients))
    view.pages.connect(lambda _topic, _data, *, client_id: sent.append(client_id))
    size = {"w": session.renderer.size[0], "h": session.renderer.size[1]}
    view.update_size("", size)
    assert not sent
    view.pages.send(b"", "image/jpeg", (1, 1), 0.0)
    view.update_size("", size)
    assert sent == ["first", "second"], "the second page gets the current picture"
    view.leave("first")
    view.leave("second")
    view._wake.clear()
    view.update_size("", size)
    assert len(sent) == 2
    assert view._wake.is_set(), "pictures that nobody watched are not drawn, so the last one may be old"


class Watched:
    """Pages at a clock of the test."""

    def __init__(self, *clients: str) -> None:
        self.now = 0.0
        self.sent: list[tuple[str, int]] = []
        self.pages = PicturePages(clock=lambda: self.now, room=lambda: None)
        self.pages.connect(lambda _topic, data, *, client_id: self.sent.append((client_id, data["number"])))
        for client in clients:
            self.pages.add(client, last=False)

    def send(self) -> None:
        self.pages.send(b"", "image/jpeg", (1, 1), self.now)

    def displayed(self, client: str, number: object, now: float) -> float | None:
        self.now = now
        return self.pages.displayed(client, number)


def test_pictures_are_drawn_only_while_a_page_has_room():
    one = Watched("a")
    one.send()
    one.send()
    assert not one.pages.has_room
    one.displayed("a", 1, 1.0)
    assert one.pages.has_room
    one.send()
    one.displayed("a", 3, 2.0)  # it never displayed 2, which was decoded in the same moment
    one.send()
    one.send()
    assert not one.pages.has_room
    one.pages.leave("a")
    assert not one.pages.has_room
    assert one.sent == [("a", sent) for sent in range(1, 6)]


def test_slow_page_gets_the_newest_picture_and_does_not_delay_another():
    two = Watched("quick", "slow")
    for drawn in range(1, 7):
        assert two.pages.has_room
        two.send()
        two.displayed("quick", drawn, float(drawn))
    assert [sent for client, sent in two.sent if client == "quick"] == [1, 2, 3, 4, 5, 6]
    assert [sent for client, sent in two.sent if client == "slow"] == [1, 2]
    two.displayed("slow", 1, 9.0)
    assert two.sent[-1] == ("slow", 6)


def test_time_of_a_picture_counts_from_the_one_before_if_it_was_begun_by_then():
    one = Watched("a")
    one.send()  # at 0
    one.send()
    assert one.displayed("a", 1, 1.0) is None, "nothing was displayed before"
    assert one.displayed("a", 2, 1.5) == 0.5
    one.now = 7.0
    one.send()
    assert one.displayed("a", 3, 7.25) is None, "the page was idle before"


@pytest.mark.parametrize("number", [2, 0, -1, True, "1", None, [1], {"number": 1}, 1.0, float("nan")])
def test_report_of_a_picture_that_was_not_sent_is_refused(number):
    one = Watched("a", "b")
    one.send()
    with pytest.raises(ValueError, match="not sent"):
        one.displayed("a", number, 1.0)
    with pytest.raises(ValueError, match="not sent"):
        one.displayed("c", 1, 1.0)
    one.displayed("a", 1, 1.0)
    with pytest.raises(ValueError, match="not sent"):
        one.displayed("a", 1, 1.0)


def test_no_attribute_of_a_widget_is_left_out_of_the_page(session):
    layout = WebApp(session, Gate("127.0.0.1", 1)).ui
    assert "aria-label=" in layout.html
    waiting, left_out = [layout.root], []
    while waiting:
        element = waiting.pop()
        waiting += [child for child in getattr(element, "_children", ()) if not isinstance(child, str)]
        if hasattr(element, "_impl"):
            left_out += [(element._elem_name, name) for name in element._impl.skipped_attributes]
    assert left_out == []
