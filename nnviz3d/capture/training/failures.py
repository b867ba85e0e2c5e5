"""Sentences about failed parts of a recording: what failed, at which step, and in which layer if that is known."""

from __future__ import annotations

import re

from nnviz3d.data.graph import ModelGraph
from nnviz3d.data.printable import reason

_NODE = re.compile(r"\{\{node ([^}]+)\}\}")
"""TensorFlow's name of the failed operation: the scopes in which it was made, one of them for each layer."""


def failure(what: str, step: int, error: BaseException, graph: ModelGraph | None = None) -> str:
    """Say that something is no longer recorded.

    Parameters
    ----------
    what
        Name of the part, in the plural.
    step
        The step at which it failed.
    graph
        The model, if it is known; the error may name one of its layers.
    """
    layer = None if graph is None else _layer_of(error, graph)
    where = "" if layer is None else f", because layer {layer} failed"
    return f"From step {step:,} on, {what} are not recorded{where}: {reason(error)} The training continues."


def _layer_of(error: BaseException, graph: ModelGraph) -> str | None:
    """Find the layer whose code or operation raised an error."""
    notes = getattr(error, "__notes__", ())
    scopes = {part for found in _NODE.findall(str(error)) for part in found.split("/")}
    named = [node.id for node in graph if node.id in notes or node.path.rpartition("/")[2] in scopes]
    return named[0] if named else None
