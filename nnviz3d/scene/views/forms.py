"""Words at the blocks: the names of their axes, and what is odd about their numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from nnviz3d.data.axes import channel_axis
from nnviz3d.data.kept_layers import NOT_KEPT, was_left_out
from nnviz3d.data.storage.axis_names import read_texts
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import LayerValues, SceneContext
from nnviz3d.scene.derived.time_axis import runs_over_time, shown_axes
from nnviz3d.scene.layout.cells import CellGrid
from nnviz3d.scene.layout.routes import ABOVE_SKIPS
from nnviz3d.scene.layout.signals import is_signal
from nnviz3d.scene.primitives import Label

_AXES, _ODD = -1.0, 6.0
"""Priorities of the labels: names of axes give way to all others, odd numbers are shown rather than names of layers."""
_UNCHANGED = "unchanged"
_LONGEST = 44
"""Maximum length of a sample's text above a block."""
_EMPTY_BLOCKS = 8
"""Maximum number of blocks without numbers that say so; with more, the capture holds only some layers."""


def axis_words(grid: CellGrid, over_time: bool = True) -> str:
    """Name the axes of a block by their direction on the screen; empty for vectors and single numbers.

    A block of more than three axes has several of them in its depth, and says its rank.

    Parameters
    ----------
    over_time
        Whether a layer of the network reads the steps of a sequence in order.
    """
    if grid.tokens:
        return "token ↓" if len(grid.shape) == 1 else "token ↓  unit →"
    if len(grid.shape) < 2:
        return f"{grid.axes[0]} →" if is_signal(grid) else ""
    at = channel_axis(grid.axes)
    names = [name.replace("axis", "axis ") for name in shown_axes(grid.axes, over_time)]
    channel = [names[at]] if at is not None and grid.channels > 1 else []
    outer = [name for i, name in enumerate(names) if i != at]
    if len(outer) == 1:
        return "  ".join([f"{outer[0]} →", *(f"{name} ↓" for name in channel)])
    *planes, row, column = outer
    deep = [*channel, *planes]
    words = f"{column} →  {row} ↓  {', '.join(deep)}: front to back" if deep else f"{column} →  {row} ↓"
    return f"{words}  (rank {len(grid.shape)})" if len(grid.shape) > 4 else words


def axis_labels(context: SceneContext, blocks: Iterable[str], chosen: str | None) -> list[Label]:
    """Name the axes of the chosen block, and otherwise of the first block of each kind of axes.

    Parameters
    ----------
    blocks
        The nodes that are drawn as blocks, in order.
    """
    found, named = [], set()
    over_time = runs_over_time(context.capture)
    for name in blocks:
        placement = context.placement(name)
        words = axis_words(placement.grid, over_time)
        if not words or (words in named if chosen is None else name != chosen):
            continue
        named.add(words)
        width, height, depth = placement.size
        height += ABOVE_SKIPS if placement.grid.tokens else 0.0
        found.append(Label(placement.origin, (words,), "above", _AXES, 0.3, span=(width, height, depth)))
    return found


def oddity(layer: LayerValues) -> str:
    """Say what is odd about a layer's numbers: there are none, they are all equal, or some are NaN or infinite."""
    found, count = layer.statistics, layer.statistics.count
    if not count:
        return "no numbers: an axis has length 0"
    parts = []
    for broken, what in ((found.nans, "NaN"), (found.infinities, "infinite")):
        if broken:
            parts.append(f"all {what}" if broken == count else f"{broken:,} of {count:,} {what}")
    if not parts and count > 1 and found.low == found.high:
        parts.append(f"all numbers are {number(found.low)}")
    return ", ".join(parts)


def odd_labels(
    context: SceneContext,
    layers: Mapping[str, LayerValues],
    shown: Sequence[str],
    sample: int,
    unchanged: Collection[str] = (),
) -> list[Label]:
    """Label the blocks whose numbers are odd, and the blocks without captured numbers if these are few.

    Parameters
    ----------
    layers
        The shown numbers by node.
    shown
        The nodes whose numbers the view shows if there are any.
    sample
        The sample whose texts are shown at the inputs that take text.
    unchanged
        Nodes that no change reaches, whose zeros are not odd; an input among them shows the sample.
    """
    words = {name: _UNCHANGED if name in unchanged else oddity(layer) for name, layer in layers.items()}
    words |= {name: "" for name in context.graph.inputs if name in unchanged}
    missing = [node.id for node in context.graph if not context.capture.has_activations(node.id)]
    if shown and len(missing) <= _EMPTY_BLOCKS:
        words |= {name: _instead(context, name, sample) for name in missing}
    labels = []
    for name, text in words.items():
        if text:
            placement = context.placement(name)
            labels.append(Label(placement.origin, (text,), "above", _ODD, 0.8, small=True, span=placement.size))
    return labels


def _instead(context: SceneContext, name: str, sample: int) -> str:
    """Return the text that an input was given, in quotes; without one say that there are no numbers."""
    stored, index = context.capture.stored_sample(sample)
    texts = read_texts(stored, name, index)
    if texts is None:
        if was_left_out(context.capture, name):
            return f"numbers {NOT_KEPT}"
        return "no numbers were captured"
    whole = ", ".join(f"“{text}”" for text in texts)
    return whole if len(whole) <= _LONGEST else f"{whole[: _LONGEST - 1]}…"
