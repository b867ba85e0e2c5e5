"""Says what of a recording could not be done, at which step, and by which layer if that is known."""

from __future__ import annotations

import re

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.words import reason

_NODE = re.compile(r"\{\{node ([^}]+)\}\}")
"""How TensorFlow names the operation that failed: by the scopes it was made in, of which each layer is one."""


def failure(what: str, step: int, error: BaseException, graph: ModelGraph | None = None) -> str:
    """Say that something is recorded no more.

    Parameters
    ----------
    what
        What it is, in the plural.
    step
        The step at which it failed.
    graph
        The model, if it is known, whose layers the error may name.
    """
    layer = None if graph is None else _layer_of(error, graph)
    where = "" if layer is None else f", at layer {layer}"
    return f"From step {step:,} on {what} are not recorded{where}: {reason(error)} The training goes on."


def _layer_of(error: BaseException, graph: ModelGraph) -> str | None:
    """Find the layer whose code or whose operation raised."""
    notes = getattr(error, "__notes__", ())
    scopes = {part for found in _NODE.findall(str(error)) for part in found.split("/")}
    named = [node.id for node in graph if node.id in notes or node.path.rpartition("/")[2] in scopes]
    return named[0] if named else None
