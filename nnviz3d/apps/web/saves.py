"""Saves of what the page shows: scene files, keyframes of the camera, and the view in the page's address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from nnviz3d.apps.saved_scene import NAME, saved_scene
from nnviz3d.apps.view_state import show_view, view_of
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.picture_view import RemoteView
from nnviz3d.apps.web.value_checks import asked_pose
from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.look import PoseSpec
from nnviz3d.scene.view_text import ViewState, decode_view, encode_view

_INTERVAL = 0.4
"""Seconds between two updates of the address."""


class Saves:
    """Answers the scripts of a page, `static/saves.js`.

    A page that draws the scene itself sends the pose of its camera. One for which the server draws sends none.

    Parameters
    ----------
    page
        The session and the functions of the page.
    view
        The picture that the server draws.
    clients
        Returns the number of open pages.
    stay
        Lets the page that sent the last message move its camera by itself.
    """

    def __init__(
        self, page: PageContext, view: RemoteView, clients: Callable[[], int], stay: Callable[[], None]
    ) -> None:
        self._page = page
        self._session = page.session
        self._view = view
        self._clients = clients
        self._stay = stay
        self._last: tuple[Any, ...] = ()
        page.show({"view": encode_view(self._shown())})
        page.on_trigger("write_scene", self._write)
        page.on_trigger("add_keyframe", self._add)
        page.on_trigger("remove_keyframe", self._remove)
        page.on_trigger("show_keyframe", self._show_keyframe)
        page.on_trigger("open_view", self._open)
        page.on_trigger("look", self._look)

    async def run(self) -> None:
        """Tell the pages the view for their address whenever it has changed, as long as the server runs."""
        while True:
            await asyncio.sleep(_INTERVAL)
            if self._clients() and not self._session.moving:
                self._page.guarded(self._update)()

    def _update(self) -> None:
        session = self._session
        pose = self._view.pose() if self._view.camera_set_by_user else None
        shown = (session.perspectives.current, session.scene.context.opened, len(session.samples))
        now = (session.selection, session.clock.t, session.interventions.listed, *shown, pose)
        if now != self._last:
            self._last = now
            self._page.set({"view": encode_view(self._shown())})

    def _shown(self) -> ViewState:
        """Return the view, with the camera of the picture that the server draws if the user has moved it."""
        shown = view_of(self._session)
        if not self._view.camera_set_by_user:
            return shown
        return shown.model_copy(update={"pose": PoseSpec.of(self._view.pose(), self._view.aspect)})

    def camera(self, sent: Any) -> tuple[CameraPose, float]:
        """Return the camera of the page, and the width over height of its picture."""
        if sent is None:
            return self._view.pose(), self._view.aspect
        pose = asked_pose(sent)
        aspect = pose.aspect or self._view.aspect
        return pose.pose(aspect), aspect

    def _write(self, pose: Any = None) -> str:
        """Return the scene file of what the page shows."""
        camera, aspect = self.camera(pose)
        saved = saved_scene(self._session, camera, aspect, self._session.layouts.scene_for(aspect))
        opens = f"{NAME} opens as it is shown here: nnviz3d serve {NAME}." if saved.spec.source is not None else ""
        self._page.say(" ".join(filter(None, (opens, *saved.remarks))))
        return saved.text

    def _add(self, pose: Any = None) -> None:
        self._page.say(_sentence(self._session.keyframes.add(*self.camera(pose))))
        self._page.refresh()

    def _remove(self, number: Any = -1) -> None:
        if not isinstance(number, int):
            raise SceneError("The page asked for no keyframe of the camera.")
        self._page.say(_sentence(self._session.keyframes.remove(number)))
        self._page.refresh()

    def _show_keyframe(self, number: Any, aspect: Any = None) -> dict[str, Any]:
        """Go to the time of a keyframe; returns its pose for a page of a shape."""
        frames = self._session.keyframes.all
        if not isinstance(number, int) or not 0 <= number < len(frames):
            raise SceneError("There is no such keyframe of the camera.")
        self._session.clock.pause()
        self._session.clock.seek(frames[number].at)
        self._page.refresh()
        shape = aspect if isinstance(aspect, int | float) and 0.01 < aspect < 100 else self._view.aspect
        return asdict(self._session.layouts.scene_for(shape).camera(frames[number].at, aspect=shape))

    def _open(self, text: Any, *, drawn_here: Any = False, chosen: Any = False) -> dict[str, Any] | None:
        """Show the view of an address or a bookmark; returns its pose, if it has one that the page may take.

        All pages show one session. A page that is opened while others are open does not change what they show, unless the
        user has `chosen` the view on the page.
        """
        view = decode_view(str(text))
        shown = self._shown()
        alone = self._clients() <= 1 or chosen is True
        others = view.model_copy(update={"pose": None}) != shown.model_copy(update={"pose": None})
        if others and not alone:
            self._page.say(
                "Other pages show this scene, so the view in the address did not change it; close them and open it again."
            )
        elif others:
            try:
                show_view(self._session, view)
            except UserError as error:
                what = "bookmark" if chosen is True else "view in the address"
                raise SceneError(f"The {what} does not fit: {str(error).removeprefix('look.')}") from None
            self._page.refresh()
        pose = view.pose if alone or (drawn_here is True and not others) else None
        if pose is None:
            return None
        self._stay()
        return pose.model_dump()

    def _look(self, pose: Any) -> None:
        """Move the camera of the picture that the server draws."""
        self._view.look(asked_pose(pose).pose(self._view.aspect))


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
