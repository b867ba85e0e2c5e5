"""The picture that the server draws: each state is drawn once, in each quality."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields, replace

import numpy as np
import pytest

from nnviz3d.apps.session import Session
from nnviz3d.apps.web.frames import Quality
from nnviz3d.apps.web.picture_view import RemoteView
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.primitives import Labels, Lines, Voxels
from nnviz3d.scene.same_picture import same_picture
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.spec import default_scene

SIZE = {"w": 160, "h": 90}
_PATIENCE = 60
"""Most seconds until a picture."""


@pytest.fixture
def session(small_capture) -> Iterator[Session]:
    renderer = Renderer(offscreen_window((160, 90)))
    yield Session(Scene.build(default_scene(), small_capture), renderer)
    renderer.close()


class Watched:
    """A view with one page, which displays each picture at once."""

    def __init__(self, session: Session) -> None:
        self.view = RemoteView(
            session, failed=self._fail, advance=lambda: None, clicked=lambda _: None, last_sender=lambda: "page"
        )
        self.drawn: list[Quality] = []
        self.sent: list[str] = []
        self.looked = 0
        frames = self.view._frames
        draw, smooth, picture = frames.draw, frames.smooth, frames.picture

        def counted_draw(quality, what=None):
            self.drawn.append(quality)
            return draw(quality, what)

        def counted_smooth(go_on):
            self.drawn.append(Quality.SMOOTH)
            return smooth(go_on)

        def counted_picture():
            self.looked += 1
            return picture()

        frames.draw, frames.smooth, frames.picture = counted_draw, counted_smooth, counted_picture
        self.view.pages.connect(self._receive)

    def _fail(self, error: Exception) -> None:
        raise error

    def _receive(self, _topic, picture, *, client_id) -> None:
        self.sent.append(picture["media"])
        asyncio.get_running_loop().call_soon(self.view.displayed, client_id, picture["number"])

    async def until(self, arrived: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while not arrived():
                await asyncio.sleep(0.005)

    async def change(self, *, moving: bool = False) -> None:
        """Report a change, and wait until the view has looked at it."""
        before = self.looked
        self.view.changed(moving=moving)
        await self.until(lambda: self.looked > before)

    async def still(self) -> None:
        """Wait until the picture is smooth."""
        await self.until(lambda: self.view._quality is Quality.SMOOTH and self.sent[-1:] == ["image/png"])


def run(session: Session, act: Callable[[Watched], Awaitable[None]]) -> None:
    async def both() -> None:
        watched = Watched(session)
        watched.view.update_size("", SIZE)
        loop = asyncio.ensure_future(watched.view.run())
        try:
            await watched.still()
            await act(watched)
        finally:
            loop.cancel()
            await asyncio.wait({loop})

    asyncio.run(both())


@pytest.mark.parametrize("moving", [False, True])
def test_state_that_looks_the_same_is_not_drawn_again(session, moving):
    async def act(watched: Watched) -> None:
        drawn, sent = list(watched.drawn), list(watched.sent)
        for _ in range(3):
            await watched.change(moving=moving)
        session.select(layer=None)
        await watched.change(moving=moving)
        assert (watched.drawn, watched.sent) == (drawn, sent)

    run(session, act)


def test_every_change_of_picture_camera_or_size_is_drawn(session):
    async def act(watched: Watched) -> None:
        def select() -> None:
            session.select(pick=CellPick("conv", (2, 2, 1)))
            watched.view.changed()

        def turn() -> None:
            pose = watched.view.pose()
            watched.view.look(replace(pose, position=tuple(2 * n for n in pose.position)))

        def time() -> None:
            session.clock.seek(0.5 * session.scene.duration)
            watched.view.changed()

        for one in (select, turn, time, lambda: watched.view.update_size("", {"w": 200, "h": 100})):
            before = len(watched.sent)
            one()
            await watched.until(lambda before=before: len(watched.sent) > before)
            await watched.still()

    run(session, act)


def test_picture_that_was_rough_becomes_full_and_then_smooth(session):
    async def act(watched: Watched) -> None:
        pose = watched.view.pose()
        watched.view.changed(moving=True)
        watched.view.look(replace(pose, position=tuple(2 * n for n in pose.position)))
        await watched.until(lambda: watched.drawn[-1] is Quality.ROUGH)
        del watched.drawn[:]
        await watched.change()
        await watched.until(lambda: watched.drawn[-1:] == [Quality.SMOOTH])
        await watched.still()
        assert [one for one in watched.drawn if one is not Quality.ROUGH] == [Quality.FULL, Quality.SMOOTH]

    run(session, act)


def test_picture_whose_smoothing_is_interrupted_is_smoothed_again(session):
    async def act(watched: Watched) -> None:
        frames, pose = watched.view._frames, watched.view.pose()
        smooth = frames.smooth

        async def interrupted(go_on):
            frames.smooth = smooth
            watched.view.changed()
            return await smooth(go_on)

        frames.smooth = interrupted
        watched.view.look(replace(pose, position=tuple(2 * n for n in pose.position)))
        await watched.until(lambda: frames.smooth is smooth)
        await watched.still()
        assert watched.drawn[-3:] == [Quality.FULL, Quality.SMOOTH, Quality.SMOOTH]

    run(session, act)


def test_page_that_comes_later_gets_a_picture_of_the_same_state(session):
    async def act(watched: Watched) -> None:
        watched.view.leave("page")
        before = len(watched.sent)
        watched.view.update_size("", SIZE)
        await watched.until(lambda: len(watched.sent) > before)

    run(session, act)


def test_error_is_reported_and_the_next_state_is_drawn(session, monkeypatch):
    async def act(watched: Watched) -> None:
        told: list[Exception] = []
        watched.view._failed = told.append
        with monkeypatch.context() as broken:
            broken.setattr(session.renderer, "draw", lambda _: 1 / 0)
            session.select(pick=CellPick("conv", (2, 2, 1)))
            watched.view.changed()
            await watched.until(lambda: bool(told))
        before = len(watched.sent)
        watched.view.changed()
        await watched.until(lambda: len(watched.sent) > before)

    run(session, act)


def test_draw_lists_of_one_state_are_the_same_picture_and_differ_in_any_field(small_capture):
    scene = Scene.build(default_scene(), small_capture)
    pick = CellPick("conv", (2, 2, 1))
    one = scene.at(3.0, Selection(pick=pick))
    assert same_picture(one, Scene.build(default_scene(), small_capture).at(3.0, Selection(pick=pick)))
    assert not same_picture(one, scene.at(3.0, Selection()))
    assert not same_picture(one, scene.at(2.5, Selection(pick=pick)))
    assert not same_picture(one, replace(one, primitives=one.primitives[:-1]))
    for kind in (Voxels, Lines, Labels):
        at = next(i for i, found in enumerate(one.primitives) if isinstance(found, kind))
        for field in fields(kind):
            value = getattr(one.primitives[at], field.name)
            other = value + 1 if isinstance(value, np.ndarray) and value.dtype.kind == "f" else object()
            changed = (
                *one.primitives[:at],
                replace(one.primitives[at], **{field.name: other}),
                *one.primitives[at + 1 :],
            )
            assert not same_picture(one, replace(one, primitives=changed)), (kind, field.name)


def test_numbers_that_are_nan_are_the_same_where_they_are_nan(small_capture):
    found = Scene.build(default_scene(), small_capture).at(3.0)
    block = next(one for one in found.primitives if isinstance(one, Voxels))
    holes = [replace(found, primitives=(replace(block, values=block.values * np.float32(np.nan)),)) for _ in range(2)]
    assert same_picture(*holes)
    assert not same_picture(holes[0], replace(found, primitives=(block,)))
