"""Find the pick under a point of the picture; shared by window and browser."""

from __future__ import annotations

import numpy as np

from nnviz3d.apps.session import Session
from nnviz3d.render import picking
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Pick

_PLAIN = str.maketrans({"→": "->", "×": "x", "∞": "inf", "−": "-"})


def pick_at(session: Session, at: tuple[float, float], layout: Scene | None = None) -> Pick | None:
    """Find what is seen at a point of the picture.

    Parameters
    ----------
    at
        Pixels of the renderer's picture, from its upper left corner.
    layout
        The drawn layout of the session's scene; by default its own.
    """
    scene = (layout or session.scene).as_of(session.clock.t, session.selection)
    drawn = scene.at(session.clock.t, session.selection)
    hit = picking.pick(drawn, session.renderer.pose(), session.renderer.size, at)
    return None if hit is None else scene.pick(hit, session.selection)


def layer_at(session: Session, at: tuple[float, float]) -> str | None:
    """Find the layer whose block, drawn or not, lies at a point of the picture."""
    if not session.scene.blocks:
        pick = pick_at(session, at)
        return None if pick is None else pick.of_layer
    placements = list(session.scene.context.plan.placements.values())
    low = np.array([p.origin for p in placements])
    size = np.array([p.size for p in placements])
    found = picking.nearest_box(low, low + size, session.renderer.pose(), session.renderer.size, at)
    return None if found is None else placements[found].node


def say(session: Session) -> str:
    """Return the sentence about the pick in ASCII characters; empty without a pick."""
    selection = session.selection
    if selection.pick is None:
        return ""
    found = session.scene.as_of(session.clock.t, selection).describe(selection.pick, selection)
    return "" if found is None else found.sentence.translate(_PLAIN)
