"""Messages between the server and pages that draw the scene themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnviz3d.apps.layouts import shape_of
from nnviz3d.apps.picking import pick_at
from nnviz3d.apps.session import Session
from nnviz3d.apps.web import client_view
from nnviz3d.apps.web.client_messages import hit_of, message_of
from nnviz3d.apps.web.client_view import ClientViews, content
from nnviz3d.render import picking
from nnviz3d.scene.colors import colormap
from nnviz3d.scene.hits import CellHit
from nnviz3d.scene.primitives import Voxels
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Pick
from nnviz3d.scene.spec import default_scene
from tests.support.decoder import Decoder
from tests.support.pinhole import to_pixels

SIZE = (320, 180)
START = {"type": "start", "width": 1280, "height": 720}


@pytest.fixture(scope="module")
def scene(small_capture) -> Scene:
    return Scene.build(default_scene(), small_capture)


@pytest.fixture
def session(scene: Scene) -> Session:
    return Session(scene, SimpleNamespace())  # type: ignore[arg-type]


class Pages:
    """Pages that decode what they are sent, as `static/live.js` does, and acknowledge it when they are told to."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.sent: dict[str, list[dict[str, Any]]] = {}
        self.decoders: dict[str, Decoder] = {}
        self.picked: list[Pick | None] = []
        self.failed: list[Exception] = []
        self.views = ClientViews(
            session, advance=lambda: None, failed=self.failed.append, picked=lambda pick: self.picked.append(pick)
        )
        self.views.connect(self._receive)

    def _receive(self, _topic: str, message: dict[str, Any], *, client_id: str) -> None:
        self.sent.setdefault(client_id, []).append(message)
        if "frame" not in message:
            return
        data = message["content"]
        if message["parcel"]:
            data = b"".join(content(self.views.parcel(message["parcel"]) or []))
        assert len(data) == message["size"]
        arrays, start = {}, 0
        for index, dtype, shape in message["arrays"]:
            size = np.dtype(dtype).itemsize * int(np.prod(shape))
            arrays[index] = np.frombuffer(data[start : start + size], dtype).reshape(shape)
            start += size
        decoder = self.decoders.setdefault(client_id, Decoder())
        assert not set(decoder.arrays) & set(arrays), "no array is sent twice"
        decoder.put(dict(message["records"]), arrays)
        for index in message["gone"]["records"]:
            del decoder.records[index]
        for index in message["gone"]["arrays"]:
            del decoder.arrays[index]

    def say(self, page: str, **message: Any) -> None:
        self.views.receive(page, message_of(message))

    def open(self, page: str, **size: Any) -> None:
        self.say(page, **{**START, **size})
        self.step()

    def step(self) -> None:
        """Run the loop once."""

        async def run() -> None:
            task = asyncio.ensure_future(self.views.run())
            for _ in range(3):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(run())
        if self.failed:
            raise self.failed[0]

    def acknowledge(self, page: str) -> None:
        self.say(page, type="shown", frame=self.sent[page][-1]["frame"]["number"])
        self.step()

    def check(self, page: str, aspect: float = 16 / 9) -> None:
        """Compare what a page shows with the scene."""
        layout = self.session.layouts.scene_for(aspect)
        frame = self.sent[page][-1]["frame"]
        self.decoders[page].frame(frame, layout.at(self.session.clock.t, self.session.selection))


@pytest.fixture
def pages(session: Session) -> Pages:
    return Pages(session)


def test_page_gets_the_picture_and_then_only_what_changes(pages: Pages, session: Session) -> None:
    pages.open("a")
    pages.check("a")
    for change in (lambda: session.clock.seek(0.4), lambda: session.select(threshold=0.5), lambda: session.choose(1)):
        pages.acknowledge("a")
        change()
        pages.views.changed()
        pages.step()
        pages.check("a")
    assert len(pages.sent["a"]) == 4
    assert len(pages.sent["a"][2]["records"]) < len(pages.sent["a"][0]["records"]) / 2
    assert not pages.sent["a"][2]["arrays"], "a threshold needs no numbers"
    assert pages.sent["a"][3]["arrays"], "another sample has other numbers"


def test_page_that_displays_slowly_gets_the_newest_state_only(pages: Pages, session: Session) -> None:
    pages.open("slow")
    pages.open("quick")
    for t in (0.1, 0.2, 0.3):
        session.clock.seek(t)
        pages.views.changed()
        pages.step()
        pages.acknowledge("quick")
    assert (len(pages.sent["slow"]), len(pages.sent["quick"])) == (1, 4)
    pages.acknowledge("slow")
    assert len(pages.sent["slow"]) == 2
    pages.check("slow")


def test_page_is_not_sent_the_picture_that_it_shows(pages: Pages, session: Session) -> None:
    pages.open("a")
    pages.acknowledge("a")
    pages.views.changed()
    pages.step()
    assert len(pages.sent["a"]) == 1, "drawing it again would take time"
    pages.views.enter()
    pages.views.changed()
    pages.step()
    assert pages.sent["a"][1]["enters"], "the camera moves"
    pages.acknowledge("a")
    session.clock.seek(0.4)
    pages.views.changed()
    pages.step()
    pages.check("a")
    assert len(pages.sent["a"]) == 3


def test_late_page_gets_only_what_is_shown(pages: Pages, session: Session) -> None:
    pages.open("a")
    for i in range(30):
        pages.acknowledge("a")
        session.clock.seek(i / 40)
        pages.views.changed()
        pages.step()
    pages.open("late")
    pages.check("late")
    assert len(pages.sent["late"][0]["records"]) <= len(pages.sent["a"][0]["records"])


def test_long_session_does_not_grow_without_end(pages: Pages, session: Session, monkeypatch) -> None:
    monkeypatch.setattr(client_view, "_MOST_RECORDS", 150)
    monkeypatch.setattr(client_view, "_SPARE", 0)
    views = pages.views = ClientViews(
        session, advance=lambda: None, failed=pages.failed.append, picked=pages.picked.append
    )
    views.connect(pages._receive)
    pages.open("a")
    held = []
    for i in range(30):
        pages.acknowledge("a")
        session.clock.seek(i / 40)
        session.choose(i % 3)
        views.changed()
        pages.step()
        pages.check("a")
        held.append((views._encoder.count, views._encoder.nbytes))
    assert max(held[15:]) <= (2 * max(held[:12])[0], 2 * max(held[:20])[1])
    assert len(pages.decoders["a"].records) <= views._encoder.count
    pages.open("late")
    pages.check("late")


def test_page_of_another_shape_gets_a_layout_of_its_own_with_the_same_numbers(pages: Pages, session: Session) -> None:
    pages.open("wide")
    pages.open("tall", width=390, height=744)
    pages.check("tall", 390 / 744)
    assert shape_of(390 / 744) is not None
    wide, tall = (pages.decoders[page].arrays for page in ("wide", "tall"))
    values = {i for i in tall if tall[i].ndim == 3 and tall[i].dtype == np.float32}
    assert values & set(wide), "blocks of the same numbers have the same arrays"
    before = session.layouts.scene_for(390 / 744)
    session.clock.seek(0.5)
    pages.views.changed()
    assert session.layouts.scene_for(0.5) is before
    pages.say("tall", type="size", width=1280, height=720)
    pages.acknowledge("tall")
    pages.check("tall")


def test_click_means_what_it_means_to_the_server(pages: Pages, session: Session, scene: Scene) -> None:
    pages.open("a")
    frame = pages.sent["a"][0]["frame"]
    drawn, pose = scene.at(scene.duration), scene.camera(scene.duration, aspect=SIZE[0] / SIZE[1])
    session.renderer = SimpleNamespace(pose=lambda: pose, size=SIZE)  # type: ignore[assignment]
    blocks = {p.name: i for i, p in enumerate(drawn.primitives) if isinstance(p, Voxels)}
    for node in ("conv", "pool"):
        x, y = (float(v) for v in to_pixels(np.array([scene.context.placement(node).center]), pose, SIZE)[0])
        hit = picking.pick(drawn, pose, SIZE, (x, y))
        assert isinstance(hit, CellHit)
        record = frame["primitives"][blocks[hit.primitive.name]]
        pages.say("a", type="click", frame=frame["number"], kind="CellHit", record=record, part=list(hit.cell))
        assert pages.picked[-1] == pick_at(session, (x, y))
        assert pages.picked[-1] is not None
    pages.say("a", type="click", frame=frame["number"], kind=None, record=0, part=[])
    assert pages.picked[-1] is None


def steps_of(session: Session) -> Iterator[None]:
    """Go through some steps of a training, and let it go on."""
    for index in (0, 3, 5):
        session.clock.show_recorded(index)
        yield
    session._continue_training(session.scene.revised(session.scene.capture))
    yield


def groups_of(session: Session) -> Iterator[None]:
    """Open some groups of layers."""
    for name in sorted(session.groups.all)[:2]:
        session.groups.open(name)
        yield


@pytest.mark.parametrize(("name", "changes"), [("recorded_capture", steps_of), ("long_capture", groups_of)])
def test_training_and_groups_change_every_layout(request, name: str, changes) -> None:
    session = Session(
        Scene.build(default_scene(), request.getfixturevalue(name)),
        SimpleNamespace(),  # type: ignore[arg-type]
    )
    pages = Pages(session)
    sizes = {"wide": (1280, 720), "tall": (390, 744)}
    for page, (width, height) in sizes.items():
        pages.open(page, width=width, height=height)
    for _ in changes(session):
        pages.views.changed()
        for page, (width, height) in sizes.items():
            pages.acknowledge(page)
            pages.check(page, width / height)


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "start",
        {"type": "start"},
        {**START, "width": 1e30},
        {**START, "width": float("nan")},
        {**START, "height": "720"},
        {**START, "more": 1},
        {"type": "shown", "frame": -1},
        {"type": "shown", "frame": 2**70},
        {"type": "click", "frame": 1, "kind": "OtherHit", "record": 0, "part": []},
        {"type": "click", "frame": 1, "kind": "CellHit", "record": 0, "part": [0] * 1000},
        {"type": "click", "frame": 1, "kind": "CellHit", "record": 0, "part": [True, 0, 0]},
    ],
)
def test_message_of_an_unknown_form_is_refused(sent: object) -> None:
    with pytest.raises(ValueError, match="invalid message"):
        message_of(sent)


def test_message_that_does_not_fit_the_picture_is_refused(pages: Pages, scene: Scene) -> None:
    with pytest.raises(ValueError, match="not begun"):
        pages.say("stranger", type="shown", frame=1)
    pages.open("a")
    frame = pages.sent["a"][0]["frame"]
    kinds = {
        type(p).__name__: (i, p) for i, p in zip(frame["primitives"], scene.at(scene.duration).primitives, strict=True)
    }
    record, block = kinds["Voxels"]
    good: dict[str, Any] = {
        "type": "click", "frame": frame["number"], "kind": "CellHit", "record": record, "part": [0, 0, 0]
    }  # fmt: skip
    shape = list(block.values.shape)
    for bad, reason in (
        ({"part": shape}, "no such part"),
        ({"part": [0, 0]}, "no such part"),
        ({"kind": "TileHit"}, "no such part"),
        ({"record": kinds["Panel"][0]}, "no such part"),
        ({"record": max(frame["primitives"]) + 1}, "does not show"),
    ):
        with pytest.raises(ValueError, match=reason):
            pages.say("a", **{**good, **bad})
    assert not pages.picked
    with pytest.raises(ValueError, match="not sent"):
        pages.say("a", type="shown", frame=frame["number"] + 1)
    pages.say("a", **{**good, "frame": 9999})
    assert not pages.picked, "a click on an old picture does nothing"


def test_cell_without_a_number_is_refused(pages: Pages) -> None:
    values = np.zeros((4, 3, 1), np.float32)
    block = Voxels("v", values, (0, 0, 0), (1, 1, 1), colormap("gray"), (0, 1), count=10)
    assert hit_of("CellHit", block, [1, 0, 0]) == CellHit(block, (1, 0, 0))
    with pytest.raises(ValueError, match="without a number"):
        hit_of("CellHit", block, [2, 0, 0])
    assert hit_of("CellHit", replace(block, count=None), [3, 0, 0])


def test_large_arrays_are_fetched_and_let_go_once_they_are_shown(pages: Pages, monkeypatch) -> None:
    monkeypatch.setattr(client_view, "_INLINE", 100)
    pages.open("a")
    pages.check("a")
    key = pages.sent["a"][0]["parcel"]
    assert key
    assert not pages.sent["a"][0]["content"]
    pages.acknowledge("a")
    assert pages.views.parcel(key) is None


def test_error_is_reported_once_and_the_next_state_is_sent(pages: Pages, session: Session, monkeypatch) -> None:
    pages.open("a")
    pages.acknowledge("a")
    monkeypatch.setattr(Scene, "at", lambda *_: 1 / 0)
    pages.views.changed()
    with pytest.raises(ZeroDivisionError):
        pages.step()
    assert len(pages.failed) == 1
    monkeypatch.undo()
    pages.failed.clear()
    pages.step()
    pages.views.changed()
    pages.step()
    pages.check("a")


def test_page_that_leaves_is_forgotten(pages: Pages) -> None:
    pages.open("a")
    assert pages.views.has("a")
    pages.say("a", type="stop")
    assert not pages.views.has("a")
    pages.views.leave("a")
    pages.views.changed()
    pages.step()
    assert len(pages.sent["a"]) == 1
