"""Choices that an exported page shows as they were exported, and how to export another one: words for its help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnviz3d.data.capabilities.attributions import TITLES, attribution_methods
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.views.activations import ActivationsSpec
from nnviz3d.scene.views.attributions import AttributionsSpec
from nnviz3d.scene.views.connections import ConnectionsSpec
from nnviz3d.scene.views.history import HistorySpec
from nnviz3d.scene.views.node_link.spec import NodesSpec

_RANKED = {"weight": "|weight|", "contribution": "|weight × activation|"}


def fixed_choices(
    scene: Scene, samples: Sequence[int], quantities: Sequence[Quantity | None], selection: Selection
) -> Iterator[tuple[str, str]]:
    """Yield the name of each choice that the page cannot change, and a sentence about it.

    Parameters
    ----------
    samples
        Indices of the samples that the page can show.
    quantities
        The quantities that its cells can show.
    """
    capture, graph = scene.context.capture, scene.context.graph
    if len(samples) < capture.committed:
        yield "samples", f"{len(samples):,} of {capture.committed:,}; --samples all exports every one"
    yield from _explained(scene, samples[0], quantities, selection)
    lines = next((view for view in scene.spec.views if isinstance(view, ConnectionsSpec | NodesSpec)), None)
    if lines is not None and graph.edges:
        shown = selection.ranking or lines.ranking
        other = "contribution" if shown == "weight" else "weight"
        yield "lines", f"the strongest by {_RANKED[shown]}; --ranking {other} exports those by {_RANKED[other]}"
    closed = sum(node.members > 0 for node in graph)
    if closed:
        yield "groups", f"{closed:,} groups of layers are closed; --groups open exports every layer as a block"
    if selection.step is not None and capture.training is not None:
        yield "training step", f"{selection.step:,}; --step exports another"
    if any(isinstance(view, HistorySpec) for view in scene.spec.views):
        yield "statistic of the training", "one for all layers; save another as my.toml with the key w, and export that"
    if scene.blocks:
        yield (
            "a picked number",
            "its value and what it depends on, and for outputs and small layers its sum; nnviz3d serve, on the same "
            "target, shows the sum of every number",
        )
    yield "anything else", "nnviz3d serve, on the same target, also unfolds layers, opens groups and runs other inputs"


def _explained(
    scene: Scene, sample: int, quantities: Sequence[Quantity | None], selection: Selection
) -> Iterator[tuple[str, str]]:
    """Yield the words about the explained target, the attribution method and what a difference subtracts."""
    context = scene.context
    maps = next((view for view in scene.spec.views if isinstance(view, AttributionsSpec)), None)
    slopes = any(quantity in OF_GRADIENTS for quantity in quantities)
    found = context.explained(selection) if selection.sample == sample else None
    if found is not None and (maps is not None or slopes):
        yield "explained", f"{context.name_of(found.target)}; --class exports another target"
    if maps is not None:
        methods = attribution_methods(context.capture.stored)
        shown = selection.method or maps.method or next(iter(methods), "")
        others = [_title(name) for name in methods if name != shown]
        held = f"; the capture also holds {', '.join(others)}" if others else ""
        yield "method", f"{_title(shown)}{held}; --method exports another"
    cells = next((view for view in scene.spec.views if isinstance(view, ActivationsSpec)), None)
    if cells is not None and "difference" in quantities:
        against = cells.against if selection.against is None else selection.against
        other = context.counterpart
        if against is None and other is not None:
            yield "subtracted model", f"{other.name}; --against exports another"
        else:
            yield "subtracted sample", f"{context.capture.sample_name(against or 0)}; --against exports another"


def _title(method: str) -> str:
    return TITLES.get(method, (method, False))[0]
