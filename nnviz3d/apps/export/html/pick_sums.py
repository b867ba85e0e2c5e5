"""Why numbers are what they are, for an exported page: the sums of the outputs, and of small layers before them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nnviz3d.apps.pick_explanation import PickExplanation, Sum, explanation_of
from nnviz3d.scene.colors import number
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, Selection

MOST = 128
"""Maximum number of sums of a sample."""


def sum_words(scene: Scene, selection: Selection) -> list[dict[str, Any]]:
    """Return the sums of a sample's numbers as JSON, from the outputs backwards, whole layers as long as they fit.

    Parameters
    ----------
    selection
        What the page shows of the sample.

    Returns
    -------
    An empty list if the scene shows no layers, or the numbers of several steps of a training.
    """
    context, sample = scene.context, selection.sample
    changes = context.capture.training is not None and selection.step is None
    if not scene.blocks or changes or sample >= context.capture.committed:
        return []
    context = scene.as_of(scene.duration, selection).context
    found: list[dict[str, Any]] = []
    for node in reversed(context.graph.nodes):
        if node.id in context.graph.inputs or not context.capture.has_activations(node.id):
            continue
        shape = context.values(node.id, sample).values.shape
        if len(found) + int(np.prod(shape)) > MOST:
            continue
        for index in np.ndindex(shape):
            pick = CellPick(node.id, tuple(int(i) for i in index))
            told = explanation_of(context, replace(selection, pick=pick))
            if told is not None:
                found.append(_words(pick, told))
    return found


def _words(pick: CellPick, found: PickExplanation) -> dict[str, Any]:
    return {
        "layer": pick.layer,
        "index": list(pick.index),
        "title": found.title,
        "reason": found.reason,
        "sums": [_sum(one) for one in found.sums],
    }


def _sum(found: Sum) -> dict[str, Any]:
    return {
        "name": found.name,
        "heads": [found.raises, found.lowers],
        "lines": [
            {
                "place": line.place,
                "words": line.words,
                "product": number(line.product),
                "share": round(100 * line.share, 1),
                "against": line.against,
            }
            for line in found.lines
        ],
        "pairs": found.pairs,
    }
