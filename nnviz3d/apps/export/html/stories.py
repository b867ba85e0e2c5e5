"""The tour of an exported page: captions, cameras, times and highlighted layers of all stops, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from nnviz3d.data.quantities import Quantity
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.story.captions import story_of
from nnviz3d.scene.tours.story import Walk

_ASPECTS: Mapping[str, tuple[float, ...]] = {"wide": (0.9, 1.2, 16 / 9, 2.4), "tall": (0.4, 0.52, 0.9)}
"""Aspects, by layout, of the pictures for which the cameras are computed."""
_DIGITS = 4
"""Digits after the point of a camera's coordinates, in world units; a cell is about one unit wide."""


def story_words(
    scenes: Mapping[str, Scene], quantities: Sequence[Quantity | None], selection: Selection
) -> list[dict[str, Any]]:
    """Return the stops of a sample's tour, as JSON.

    Parameters
    ----------
    scenes
        The scene in each layout.
    quantities
        The quantities that the page can show.
    selection
        What the page shows of the sample.

    Returns
    -------
    An empty list if the page shows none of what the captions tell: no layers, other quantities than activations, a
    spread layer, or other training steps than that of the captions.
    """
    scene = scenes["wide"]
    told = "activation" in quantities or None in quantities
    if not scene.blocks or not told or selection.unfold is not None:
        return []
    chosen = replace(selection, quantity="activation" if "activation" in quantities else None)
    stops = story_of(scene, chosen)
    # The caption is below the picture, but in a tall one the scales take as much room as a caption in it.
    walks = {
        name: [(aspect, Walk.of(one, aspect, chosen, stops, captioned=name == "tall")) for aspect in _ASPECTS[name]]
        for name, one in scenes.items()
    }
    walk = walks["wide"][0][1]
    if any(scene.step(t, chosen) != one.step for t, one in zip(walk.times, walk.selections, strict=True)):
        return []
    return [
        {
            "title": stop.title,
            "text": stop.caption,
            "seconds": round(stop.seconds, 2),
            "time": walk.times[i],
            "layer": walk.selections[i].layer,
            "pick": _pick(walk.selections[i]),
            "poses": {
                name: [[aspect, _rounded(found.poses[i])] for aspect, found in of_layout]
                for name, of_layout in walks.items()
            },
        }
        for i, stop in enumerate(stops)
    ]


def _pick(selection: Selection) -> dict[str, Any] | None:
    """Return the number that is marked at a stop."""
    pick = selection.pick
    return {"layer": pick.layer, "index": list(pick.index)} if isinstance(pick, CellPick) else None


def _rounded(pose: CameraPose) -> dict[str, Any]:
    return {
        name: [round(part, _DIGITS) for part in value] if isinstance(value, tuple) else value
        for name, value in asdict(pose).items()
    }
