"""Panel that explains the picked cell or connection: its arithmetic, its channel and its receptive field."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from trame.widgets import html

from nnviz3d.apps.web.data_address import png_address
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.data.axes import channel_axis
from nnviz3d.data.capabilities.examples import read_examples
from nnviz3d.data.grouped_capture import originals
from nnviz3d.scene.colors import DEFAULT_DIVERGING, DEFAULT_SEQUENTIAL, colormap, number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.cell_explanation import CellExplanation, ChannelNumbers, channel_of, explained_cell
from nnviz3d.scene.derived.cell_fields import CellField, field_of
from nnviz3d.scene.selection import CellPick, Pick, Selection
from nnviz3d.scene.views.connections import EdgePick

_TERMS = 5
"""Number of terms that are listed for, and against."""
_MOST_LAYERS = 12
"""Maximum number of layers of a receptive field that are listed."""
_NO_CHANNEL: dict[str, Any] = {"picture": "", "here": {}, "bars": [], "low": "", "high": "", "words": ""}


@dataclass(frozen=True)
class PickState:
    """Values that the widgets show.

    Attributes
    ----------
    pick_title
        The name of the picked cell or connection; empty if there is nothing to explain.
    pick_terms
        Its strongest terms: ``place``, ``words``, ``product``, ``share`` of the largest one in percent, and ``against``,
        whether it is negative.
    pick_steps
        The arithmetic after the terms, as pairs of name and number.
    pick_reason
        Why the arithmetic is not known.
    pick_field
        The receptive field, as pairs of layer and box.
    pick_unclear
        A sentence on a layer that reads an unknown part of its input.
    pick_channel
        Map and histogram of its channel: ``picture`` as an address, ``here``, the style of the cell's frame in it, ``bars``
        with ``share`` in percent and ``here``, whether the cell's number is in it, the ends ``low`` and ``high``, and
        ``words``.
    pick_examples, pick_examples_words
        The samples of a data set that activate its channel most: ``name``, ``words`` and ``picture`` as an address, which
        is empty if they are no pictures; and the heading above them.
    """

    pick_title: str = ""
    pick_terms: list[dict[str, Any]] = field(default_factory=list)
    pick_steps: list[list[str]] = field(default_factory=list)
    pick_reason: str = ""
    pick_field: list[list[str]] = field(default_factory=list)
    pick_unclear: str = ""
    pick_channel: dict[str, Any] = field(default_factory=_NO_CHANNEL.copy)
    pick_examples: list[dict[str, str]] = field(default_factory=list)
    pick_examples_words: str = ""


class PickPanel(PagePanel[PickState]):
    """Explanation of the pick; computed once for each pick, sample and training step."""

    def __init__(self, page: PageContext) -> None:
        self._shown: tuple[SceneContext, Pick | None, int] | None = None
        super().__init__(page, PickState())

    def synchronize(self) -> None:
        """Explain the pick."""
        session = self.page.session
        selection, context = session.selection, session.context
        key = (context, selection.pick, selection.sample)
        before = self._shown
        if before is not None and before[0] is context and before[1:] == key[1:]:
            return
        self._shown = key
        self.show(_state(context, selection) if session.scene.blocks else PickState())

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section pick", id="pick", v_if="pick_title"):
            html.Span("{{ pick_title }}", classes="section-title")
            with html.Div(v_if="pick_terms.length", classes="pick-terms", id="pick-terms"):
                with html.Div(
                    v_for="term in pick_terms",
                    key="term.place",
                    classes=("['pick-term', { against: term.against }]",),
                    title=("term.words",),
                ):
                    html.Span("{{ term.place }}", classes="line")
                    with html.Span(classes="pick-bar"):
                        html.Span(style=("{ width: `${term.share}%` }",))
                    html.Span("{{ term.product }}", classes="pick-number")
            with html.Div(v_if="pick_steps.length", classes="pick-pairs", id="pick-steps"):
                _pairs("pick_steps")
            html.Div("{{ pick_reason }}", v_if="pick_reason", classes="faint pick-words", id="pick-reason")
            with html.Div(v_if="pick_channel.bars.length", classes="pick-channel", id="pick-channel"):
                with html.Div(classes="pick-map", v_if="pick_channel.picture"):
                    html.Img(src=("pick_channel.picture",), alt="Map of the channel")
                    html.Span(style=("pick_channel.here",))
                with html.Div(classes="pick-histogram"):
                    with html.Div(classes="pick-bars"):
                        html.Span(
                            v_for="(bar, k) in pick_channel.bars",
                            key="k",
                            classes=("{ here: bar.here }",),
                            style=("{ height: `${bar.share}%` }",),
                        )
                    with html.Div(classes="pick-ends faint"):
                        html.Span("{{ pick_channel.low }}")
                        html.Span("{{ pick_channel.high }}")
                    html.Div("{{ pick_channel.words }}", classes="faint")
            with html.Div(v_if="pick_examples.length", id="pick-examples"):
                html.Div("{{ pick_examples_words }}", classes="pick-head")
                with html.Div(classes="pick-examples"):
                    with html.Span(v_for="one in pick_examples", key="one.name", title=("one.words",)):
                        html.Img(v_if="one.picture", src=("one.picture",), alt=("one.name",))
                        html.Span("{{ one.name }}", v_if="!one.picture", classes="line")
            with html.Div(v_if="pick_field.length", id="pick-field"):
                html.Div("Depends on", classes="pick-head")
                with html.Div(classes="pick-pairs"):
                    _pairs("pick_field")
                html.Div("{{ pick_unclear }}", v_if="pick_unclear", classes="faint pick-words")


def _pairs(key: str) -> None:
    with html.Template(v_for=f"pair in {key}", key="pair[0]"):
        html.Span("{{ pair[0] }}", classes="faint line")
        html.Span("{{ pair[1] }}")


def _state(context: SceneContext, selection: Selection) -> PickState:
    """Return the explanation of the pick."""
    pick = selection.pick
    if isinstance(pick, EdgePick):
        return _edge_state(context, pick, selection.sample)
    if not isinstance(pick, CellPick) or pick.layer not in context.graph:
        return PickState()
    values = context.values(pick.layer, selection.sample).values
    if not context.placement(pick.layer).grid.holds(pick.index) or len(pick.index) > values.ndim:
        return PickState()
    found = explained_cell(context, pick, selection.sample)
    part = field_of(context, pick)
    state = PickState(
        pick_title=_title(pick.layer, pick.index),
        pick_terms=terms(found),
        pick_steps=steps(found),
        pick_reason=found.reason,
        pick_field=[] if part is None else boxes(part),
        pick_unclear=unclear_words(part),
    )
    listed, heading = examples_of(context, pick)
    state = replace(state, pick_examples=listed, pick_examples_words=heading)
    channel = channel_of(context, pick, selection.sample)
    if channel is None:
        return state
    value = values[pick.index] if len(pick.index) == values.ndim else None
    return replace(state, pick_channel=_channel(channel, None if value is None else float(value)))


def _edge_state(context: SceneContext, pick: EdgePick, sample: int) -> PickState:
    """Return where a connection stands among all terms of its target."""
    cell = CellPick(pick.target, pick.target_index)
    found = explained_cell(context, cell, sample)
    title = f"{_title(pick.source, pick.source_index)} → {_title(pick.target, pick.target_index)}"
    pairs = [["weight", number(pick.weight)]]
    if found.sum is not None:
        places = np.flatnonzero((found.sum.index == pick.source_index).all(axis=1))
        order = found.sum.strongest(len(found.sum.products)).tolist()
        for place in places[:1].tolist():
            product = float(found.sum.products[place])
            pairs.append(["weight × activation", f"{number(product)}"])
            pairs.append(["rank by size", f"{order.index(place) + 1:,} of {len(order):,}"])
    return PickState(
        pick_title=title, pick_terms=terms(found), pick_steps=[*pairs, *steps(found)], pick_reason=found.reason
    )


def _title(layer: str, index: tuple[int, ...]) -> str:
    return f"{layer} [{', '.join(map(str, index))}]" if index else layer


def terms(found: CellExplanation) -> list[dict[str, Any]]:
    """Return the strongest terms for and against a number, by size of their products."""
    if found.sum is None or len(found.sum.products) < 2:
        return []
    products = found.sum.products
    order = found.sum.strongest(len(products))
    chosen = [*order[products[order] > 0][:_TERMS], *order[products[order] < 0][:_TERMS]]
    most = float(np.abs(products).max()) or 1.0
    listed = []
    for k in chosen:
        source = found.sources[found.sum.sources[k]]
        weight, taken = found.sum.weights[k], found.sum.inputs[k]
        listed.append(
            {
                "place": _title(source, tuple(int(i) for i in found.sum.index[k])),
                "words": f"{number(float(taken))} × weight {number(float(weight))}",
                "product": number(float(products[k])),
                "share": round(100 * abs(float(products[k])) / most, 1),
                "against": bool(products[k] < 0),
            }
        )
    return listed


def steps(found: CellExplanation) -> list[list[str]]:
    """Return the arithmetic of a number after its terms, as pairs of name and number."""
    if found.sum is None:
        return []
    made, count = found.sum, len(found.sum.products)
    if made.largest:
        return [[f"largest of {count:,}", f"{made.total:.7g}"]]
    pairs = []
    if count > 1:
        positive, negative = (float(made.products[side].sum()) for side in (made.products > 0, made.products < 0))
        sides = [number(side) for side in (positive, negative) if side] or ["0"]
        pairs = [[f"{count:,} products", " + ".join(sides).replace("+ −", "− ")]]
    else:
        pairs = [["product", f"{number(float(made.inputs[0]))} × {number(float(made.weights[0]))}"]]
    if made.bias:
        pairs.append(["bias", number(made.bias)])
    pairs.append(["sum", f"{made.total:.7g}".replace("-", "−")])
    if made.function:
        pairs.append([f"{made.function} of it", f"{made.result:.7g}".replace("-", "−")])
    return pairs


def boxes(found: CellField) -> list[list[str]]:
    """Return the receptive field as pairs of layer and box, from the nearest layer to the inputs."""
    listed = [[name, _box(part.box, part.whole)] for name, part in reversed(list(found.layers.items()))]
    if len(listed) <= _MOST_LAYERS:
        return listed
    left = len(listed) - _MOST_LAYERS
    return [*listed[: _MOST_LAYERS - 1], [f"{left:,} more layers", ""], listed[-1]]


def _box(box: tuple[tuple[int, int], ...], whole: bool) -> str:
    if whole:
        return "everything"
    return ", ".join(f"{first}" if last == first + 1 else f"{first}–{last - 1}" for first, last in box)


def unclear_words(found: CellField | None) -> str:
    """Return a sentence on a layer that reads an unknown part of its input; empty if there is none."""
    name = None if found is None else found.unclear
    return "" if name is None else f"How much {name} reads is not known, so that everything before it counts."


def examples_of(context: SceneContext, pick: CellPick) -> tuple[list[dict[str, str]], str]:
    """Return the samples of a data set that activate a cell's channel most, and a heading; empty if none were captured."""
    grid = context.placement(pick.layer).grid
    axis = channel_axis(grid.axes)
    found = read_examples(context.capture.stored, originals(context.capture).get(pick.layer, pick.layer))
    if found is None or axis is None or len(pick.index) != len(grid.shape) or pick.index[axis] >= len(found.samples):
        return [], ""
    channel = pick.index[axis]
    listed = []
    for sample, mean in zip(found.samples[channel], found.means[channel], strict=True):
        place = int(np.searchsorted(found.shown, sample))
        picture = png_address(found.thumbnails[place]) if len(found.thumbnails) else ""
        name = found.names[place]
        listed.append({"name": name, "words": f"{name}: {number(float(mean))}", "picture": picture})
    unit = "channel" if len(grid.shape) > 1 else "neuron"
    return listed, f"Activate {unit} {channel} most, of {found.count:,} samples"


def _channel(found: ChannelNumbers, value: float | None) -> dict[str, Any]:
    """Return the map and the histogram of a channel as the page shows them."""
    low, high = found.ends
    top = int(found.counts.max()) or 1
    width = (high - low) / len(found.counts)
    last = len(found.counts) - 1
    at = -1
    if value is not None and np.isfinite(value):
        at = min(int((value - low) / width), last) if width else len(found.counts) // 2
    # Heights are roots of the counts, because most numbers of a channel are often zero.
    heights = np.sqrt(found.counts / top)
    bars = [{"share": round(100 * float(height), 1), "here": k == at} for k, height in enumerate(heights)]
    words = f"{len(found.values):,} numbers, mean {number(float(found.values.mean(dtype=np.float64)))}"
    shown = {**_NO_CHANNEL, "bars": bars, "low": number(low), "high": number(high), "words": words}
    if found.map is None:
        return shown
    rows, columns = found.map.shape
    most = max(abs(low), abs(high)) or 1.0
    colors = colormap(DEFAULT_DIVERGING if low < 0 else DEFAULT_SEQUENTIAL)
    shares = np.nan_to_num(found.map / most if low >= 0 else found.map / most / 2 + 0.5)
    pixels = np.round(colors.at(shares) * 255).astype(np.uint8)
    here = {
        "left": f"{100 * found.at[1] / columns:.2f}%",
        "top": f"{100 * found.at[0] / rows:.2f}%",
        "width": f"{100 / columns:.2f}%",
        "height": f"{100 / rows:.2f}%",
    }
    return {**shown, "picture": png_address(pixels), "here": here}
