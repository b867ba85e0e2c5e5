"""Films as pure functions from film time to scene time and camera pose."""

from __future__ import annotations

from typing import Literal

from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.tours.flythrough import fly_back, fly_through
from nnviz3d.scene.tours.orbit import orbit
from nnviz3d.scene.tours.story import story_film
from nnviz3d.scene.tours.track import Tour

TourKind = Literal["orbit", "flythrough", "backward", "scene", "story"]


def usual_tour(scene: Scene) -> TourKind:
    """Return the default tour of a scene: its keyframes, the tour of its backward pass, or the flythrough."""
    if len(scene.spec.camera.keyframes) > 1:
        return "scene"
    return "flythrough" if scene.timeline.backward is None else "backward"


def make_tour(
    scene: Scene,
    aspect: float,
    kind: TourKind | None = None,
    seconds: float | None = None,
    selection: Selection | None = None,
) -> Tour:
    """Plan a film.

    Parameters
    ----------
    scene
        The scene of the film.
    aspect
        Width over height of the picture.
    kind
        By default the result of `usual_tour`.
    seconds
        Length of the film; by default chosen for the network.
    selection
        What a story tells of, its sample above all.

    Raises
    ------
    UserError
        If the scene has no such tour.
    """
    match kind or usual_tour(scene):
        case "orbit":
            return orbit(scene, aspect, seconds)
        case "flythrough":
            return fly_through(scene, aspect, seconds)
        case "backward":
            if scene.timeline.backward is None:
                raise UserError('The scene shows no backward pass; add [[views]] with kind = "backward" to it.')
            return fly_back(scene, aspect, seconds)
        case "story":
            return story_film(scene, aspect, seconds, selection or Selection())
        case "scene":
            if len(scene.spec.camera.keyframes) < 2:
                raise UserError(
                    "The scene has no camera keyframes to move between; add [[camera.keyframes]] at two moments, or "
                    "choose --tour orbit or flythrough."
                )
            length = seconds or scene.duration
            pace = scene.duration / length
            return Tour(length, False, lambda tau: (tau * pace, scene.camera(tau * pace, aspect=aspect)))
