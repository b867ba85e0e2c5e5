"""Find the scaling of pixels that a model applies itself, from the values of its nodes for two pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnviz3d.capture.inputs.pixel_scaling import PixelPath, PixelScaling, chosen_path, ends_of
from nnviz3d.data.graph import LayerNode, ModelGraph


def scaling_of_values(
    graph: ModelGraph, position: int, black: Mapping[str, tuple[Any, ...]], white: Mapping[str, tuple[Any, ...]]
) -> PixelScaling:
    """Follow a picture through the nodes without weights, as `pixel_scaling` follows it through Keras layers.

    Parameters
    ----------
    position
        Position of the input that takes the picture.
    black, white
        Outputs of each node for pixels of 0 and of 255.
    """
    paths = {graph.inputs[position]: PixelPath((0.0, 255.0), ())}
    met: list[LayerNode] = []
    for node in graph:
        sources = graph.sources(node.id)
        if not any(source in paths for source in sources):
            continue
        if node.parameters > 1:
            met.append(node)
        elif all(source in paths for source in sources):
            before = [paths[source] for source in sources]
            low, high = black[node.id][0], white[node.id][0]
            ends = (None if low is None or high is None else ends_of(low, high)) or before[0].ends
            nodes = tuple(dict.fromkeys(name for path in before for name in path.nodes))
            changed = not np.allclose(ends, before[0].ends, rtol=1e-6, atol=1e-6)
            paths[node.id] = PixelPath(ends, (*nodes, node.id) if changed else nodes)
    reached = [paths[source] for node in met for source in graph.sources(node.id) if source in paths]
    chosen = chosen_path(reached or list(paths.values())[-1:])
    names = tuple(f"{graph.node(name).kind} {graph.node(name).name!r}" for name in chosen.nodes)
    return PixelScaling(names, f"{met[0].kind} {met[0].name!r}" if met else None, chosen.bytes_in)
