"""Numbers of short input vectors beside their cells, with the names of their columns if they are known."""

from __future__ import annotations

from nnviz3d.scene.colors import number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.primitives import Label
from nnviz3d.scene.views.outputs import NAMED_CELLS, beside_cells


def named_inputs(context: SceneContext) -> tuple[str, ...]:
    """Return the inputs whose numbers are written beside their cells: short vectors that are no tokens."""
    found = []
    for name in context.graph.inputs:
        grid = context.placement(name).grid
        short = len(grid.shape) <= 1 and 0 < grid.count <= NAMED_CELLS and not grid.tokens
        if short and context.capture.has_activations(name) and context.capture.tokens(0, name) is None:
            found.append(name)
    return tuple(found)


def words_beside(context: SceneContext, name: str, sample: int) -> list[str]:
    """Write each number of an input with the name of its column, if it has one."""
    values = context.values(name, sample).values.reshape(-1)
    columns = context.capture.unit_names(name) if len(values) > 1 else None
    texts = [number(float(value)) for value in values]
    return texts if columns is None else [f"{column}   {text}" for column, text in zip(columns, texts, strict=True)]


def column_labels(context: SceneContext, sample: int) -> list[Label]:
    """Return the labels of all inputs whose numbers are written."""
    return [
        label
        for name in named_inputs(context)
        for label in beside_cells(context, name, words_beside(context, name, sample), "left")
    ]
