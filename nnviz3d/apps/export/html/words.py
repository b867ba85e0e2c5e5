"""Words of an exported page around its picture: title, samples, layers, times, and the views that fit the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.apps.choices import QUANTITIES
from nnviz3d.apps.export.html.fixed import fixed_choices
from nnviz3d.apps.export.html.frames import LAYOUTS, TableKey, moments, selection_for
from nnviz3d.apps.export.html.looks import page_looks
from nnviz3d.apps.export.html.pick_fields import field_words
from nnviz3d.apps.export.html.stories import story_words
from nnviz3d.apps.provenance import answering_output, provenance_lines, sample_note
from nnviz3d.client.encoding import Encoder
from nnviz3d.data.quantities import Quantity
from nnviz3d.data.reader import CaptureReader
from nnviz3d.scene.context import shape_text
from nnviz3d.scene.layer_families import FAMILIES, family_of
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection
from nnviz3d.scene.views.structure import number_of_parameters

_THUMB = 88
"""Longer side of a sample's picture in the list, in pixels."""
_ASPECTS = 33
"""Number of aspects, from 1:4 to 4:1, for which the view of the whole scene is computed."""


def page_words(
    scenes: dict[str, Scene],
    samples: Sequence[int],
    quantities: Sequence[Quantity | None],
    selection: Selection,
    encoder: Encoder,
) -> dict[str, Any]:
    """Return what the page says, as JSON. Pictures and fonts are arrays of the encoder."""
    scene = scenes["wide"]
    capture = scene.context.capture
    times = moments(scene.duration)
    return {
        "made_by": f"nnviz3d {version('nnviz3d')}",
        "model": capture.provenance.model,
        "duration": scene.duration,
        "moments": len(times),
        "step": times[1] - times[0] if len(times) > 1 else 0.0,
        "stops": list(scene.timeline.stops),
        "phases": runs([scene.timeline.phase(t) for t in times]),
        "layouts": [
            {"name": name, "aspect": aspect, "homes": _homes(scenes[name], aspect)} for name, aspect in LAYOUTS.items()
        ],
        "samples": [
            {**_sample(scene, index, encoder), "story": _story(scenes, index, quantities, selection)}
            for index in samples
        ],
        "quantities": [{"name": name, "title": QUANTITIES[name]} for name in quantities if name is not None],
        "layers": _layers(scene),
        "layer_total": _total(scene),
        "layer": selection.layer,
        "pick": _pick(selection),
        "time": scene.first_time,
        "pose": None if scene.spec.camera.pose is None else scene.spec.camera.pose.model_dump(),
        "looks": page_looks(scene, selection, encoder),
        "fixed": list(fixed_choices(scene, samples, quantities, selection)),
        "fields": field_words(scenes),
        "fonts": [encoder.array(_font(weight)) for weight in ("Regular", "SemiBold")],
    }


def runs(words: Sequence[str]) -> list[list[Any]]:
    """Return each word with the number of times that it is repeated."""
    found: list[list[Any]] = []
    for word in words:
        if found and found[-1][0] == word:
            found[-1][1] += 1
        else:
            found.append([word, 1])
    return found


def _homes(scene: Scene, aspect: float) -> list[Any]:
    """Return the first poses, the saved one or those that show the whole scene, by rising aspects of their pictures."""
    every = sorted({*np.geomspace(0.25, 4, _ASPECTS).round(4).tolist(), aspect})
    return [[one, asdict(scene.first_pose(scene.duration, aspect=one))] for one in every]


def _pick(selection: Selection) -> dict[str, Any] | None:
    """Return the picked number or location; `None` if nothing else is picked."""
    pick = selection.pick
    return {"layer": pick.layer, "index": list(pick.index)} if isinstance(pick, CellPick) else None


def _sample(scene: Scene, index: int, encoder: Encoder) -> dict[str, Any]:
    capture = scene.context.capture
    head = answering_output(capture)
    picture = _thumbnail(capture, index)
    return {
        "index": index,
        "name": capture.sample_name(index),
        "title": scene.title(index),
        "note": sample_note(capture, head, index, None if head is None else capture.activation(head, index)),
        "picture": -1 if picture is None else encoder.array(picture),
        "provenance": provenance_lines(capture, index),
    }


def _story(
    scenes: dict[str, Scene], sample: int, quantities: Sequence[Quantity | None], selection: Selection
) -> list[dict[str, Any]]:
    """Return the stops of a sample's tour."""
    return story_words(scenes, quantities, selection_for(TableKey("wide", sample, None), selection))


def _thumbnail(capture: CaptureReader, sample: int) -> NDArray[np.uint8] | None:
    found = (capture.picture(name, sample) for name in capture.graph.inputs)
    picture = next((one for one in found if one is not None), None)
    if picture is None:
        return None
    image = Image.fromarray(picture)
    if max(image.size) > _THUMB:
        image.thumbnail((_THUMB, _THUMB), Image.Resampling.LANCZOS)
    return np.asarray(image.convert("RGB"))


def _layers(scene: Scene) -> list[dict[str, str]]:
    graph = scene.context.graph
    return [
        {
            "id": node.id,
            "name": node.name,
            "group": node.group,
            "kind": f"{node.kind} · output" if node.id in graph.outputs else node.kind,
            "shape": shape_text(node),
            "parameters": number_of_parameters(node.parameters) if node.parameters else "",
            "color": "#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in FAMILIES[family_of(node)])),
        }
        for node in graph
    ]


def _total(scene: Scene) -> str:
    graph = scene.context.graph
    return f"{sum(node.members or 1 for node in graph):,} · {number_of_parameters(graph.parameters)} parameters"


def _font(weight: str) -> NDArray[np.uint8]:
    return np.frombuffer((files("nnviz3d.render") / "fonts" / f"Inter-{weight}.otf").read_bytes(), np.uint8)
