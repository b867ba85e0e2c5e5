"""Flights of a page's camera to a layer or a group, which `static/navigation.js` asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.flight import around_layers, around_pick, pose_before
from nnviz3d.apps.layer_search import find_places, show_place
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.picture_view import RemoteView
from nnviz3d.apps.web.value_checks import asked_choice, asked_text
from nnviz3d.errors import UserError
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene


class Flights:
    """Flies to what a page asks for. A page that draws the scene itself gets the pose, and flies there.

    Parameters
    ----------
    page
        The session and the functions of the page.
    view
        The picture that the server draws.
    camera
        Returns the camera that a page has sent, `None` for that of the server's picture, and the picture's width over
        height.
    home
        Resets the camera of the page that sent the last message.
    """

    def __init__(
        self,
        page: PageContext,
        view: RemoteView,
        camera: Callable[[Any], tuple[CameraPose, float]],
        home: Callable[[], None],
    ) -> None:
        self._page = page
        self._view = view
        self._camera = camera
        self._home = home
        page.on_trigger("fly_to", self.fly_to)
        page.on_trigger("show_channel", self.show_channel)

    def fly_to(self, name: Any = None, sent: Any = None, *, at_once: Any = False) -> dict[str, Any] | None:
        """Show a layer or a group, and move the camera there.

        Parameters
        ----------
        name
            Its id; `None` for the pick, or else the highlighted layer or group; empty for the whole network. What is named
            is shown, even if it is inside a closed group; a layer is highlighted, and the pick is cleared.
        sent
            The page's camera; `None` if the server draws.
        at_once
            Whether the reader prefers pictures without motion.

        Returns
        -------
        The pose to which the page itself flies; `None` if the server moves the camera.
        """
        session, page = self._page.session, self._page
        groups = session.groups
        if name == "":
            page.select(layer=None, pick=None)
            self._home()
            return None
        if name is not None:
            known = {*(node.id for node in session.scene.capture.graph), *groups.all}
            name = asked_choice("layer", name, known)
            groups.reveal(name)
            page.group = name if name in groups.all and not groups.is_closed(name) else None
            page.select(layer=None if page.group else name, pick=None)
        elif session.selection.pick is None and session.selection.layer is None and page.group is None:
            raise UserError("Choose a layer in the list or in the picture, then press f to fly to it.")
        pose, aspect = self._camera(sent)
        found = pose_before(self._points(name, session.layouts.scene_for(aspect)), pose, aspect)
        if found is None:
            raise UserError(
                "This perspective gives layers no place to fly to; choose Network or Activations in the bar."
            )
        if sent is None:
            (self._view.look if at_once is True else self._view.fly)(found)
            return None
        return asdict(found)

    def show_channel(self, text: Any) -> bool:
        """Pick the channel or neuron that a text means, such as ``conv2d 3``; returns whether there is one."""
        session, page = self._page.session, self._page
        found = find_places(session, asked_text("channel", text))
        if not found or found[0].channel is None:
            page.say("No layer has that name and channel; type a layer's name and a number, such as conv2d 3.")
            return False
        page.group = None
        show_place(session, found[0])
        page.refresh()
        return True

    def _points(self, name: str | None, layout: Scene) -> NDArray[np.float64]:
        session = self._page.session
        if name is None:
            pick = session.selection.pick
            found = around_pick(layout, session.clock.t, session.selection)
            if len(found):
                return found
            name = (None if pick is None else pick.of_layer) or session.selection.layer or self._page.group
        return around_layers(layout, () if name is None else session.groups.shown_of(name))
