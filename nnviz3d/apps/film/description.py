"""The description of a film in its folder of frames: everything that determines them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from itertools import product
from typing import Any

from nnviz3d.apps.film.frame_range import FilmScene
from nnviz3d.data.records import RANKINGS
from nnviz3d.scene.context import SceneContext


def film_of(film: FilmScene) -> dict[str, Any]:
    """Return everything that determines the frames of a film, as JSON."""
    scene, selection = film.scene, film.selection
    provenance = scene.context.capture.provenance
    captions = film.path.captions
    return {
        "nnviz3d": version("nnviz3d"),
        "capture": {
            "model": provenance.model,
            "sha256": provenance.sha256,
            "preprocessing": provenance.preprocessing,
            "contents": _digest(scene.context, selection.sample),
        },
        "scene": scene.spec.model_dump(mode="json", exclude={"source"}),
        "selection": asdict(selection),
        "tour": film.tour,
        **({"captions": list(captions)} if captions else {}),
        "size": list(film.size),
        "frames": len(film.moments),
        "seconds": float(film.moments[-1]),
    }


def _digest(context: SceneContext, sample: int) -> str:
    """Hash everything of a sample that can be drawn: numbers, connections, pictures and words."""
    capture, graph = context.capture, context.graph
    words = [graph.to_json(), capture.classes, capture.sample_name(sample), capture.label(sample)]
    found = hashlib.sha256(json.dumps(words, sort_keys=True).encode())
    for node in graph:
        if capture.has_activations(node.id):
            found.update(context.values(node.id, sample).values.tobytes())
    for name in graph.inputs:
        picture = capture.picture(name, sample)
        if picture is not None:
            found.update(picture.tobytes())
    for edge, ranking in product(graph.edges, RANKINGS):
        pair = capture.connections(edge.source, edge.target, ranking, sample)
        if pair is not None:
            found.update(json.dumps([edge.source, edge.target, pair.rule, ranking, pair.total]).encode())
            for array in (pair.index, pair.weight, pair.contribution):
                found.update(array.tobytes())
    return found.hexdigest()
