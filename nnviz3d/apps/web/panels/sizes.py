"""Panel that lists the size of the gradient by layer while the cells show gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from trame.widgets import html

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_choice
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.data.targets import LOSS
from nnviz3d.scene.colors import number
from nnviz3d.scene.derived.layer_sizes import LayerSize, extremes, layer_sizes

_TITLES: dict[Quantity, str] = {
    "gradient": "Gradient by layer",
    "gradient_x_activation": "Gradient × activation by layer",
}


@dataclass(frozen=True)
class SizesState:
    """Values that the widgets show.

    Attributes
    ----------
    sizes
        The layers in the order of the flow: ``name``, ``size`` in words, and ``share`` of the largest size in percent.
    sizes_title
        The heading of the list.
    sizes_words
        Sentences above the list: the layers with the smallest and the largest size, and how sizes are measured.
    """

    sizes: list[dict[str, Any]] = field(default_factory=list)
    sizes_title: str = ""
    sizes_words: str = ""


class SizesPanel(PagePanel[SizesState]):
    """Sizes of the gradient by layer; computed once for each sample, target and training step."""

    def __init__(self, page: PageContext) -> None:
        self._shown: tuple[object, ...] = (None,)
        super().__init__(page, SizesState())
        page.on_trigger("highlight_size", self.highlight)

    def synchronize(self) -> None:
        """Show the sizes, if the cells show gradients that are known."""
        session = self.page.session
        context, selection, quantity = session.context, session.selection, session.choices.quantity
        shown = quantity in OF_GRADIENTS and session.scene.blocks and context.has_gradients(selection)
        explained = context.explained(selection) if shown else None
        if explained is None:
            self._shown = (None,)
            self.show(SizesState())
            return
        key = (quantity, selection.sample, selection.target)
        if self._shown[0] is context and self._shown[1:] == key:
            return
        self._shown = (context, *key)
        loss = explained.target == LOSS
        what = context.name_of(explained.target) if loss else f"the score of {context.name_of(explained.target)}"
        self.show(state_of(layer_sizes(context, quantity, selection), _TITLES[quantity], what))

    def tick(self) -> None:
        """Show the sizes at the clock's step of a training."""
        self.synchronize()

    def highlight(self, layer: str) -> None:
        """Highlight a layer of the list."""
        self.page.session.select(layer=asked_choice("layer", layer, [one["name"] for one in self.state.sizes]))
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section difference", id="sizes", v_if="sizes.length"):
            html.Span("{{ sizes_title }}", classes="section-title")
            html.Div("{{ sizes_words }}", classes="faint diff-words", id="sizes-words")
            with html.Div(classes="diff-places"):
                with html.Button(
                    v_for="one in sizes",
                    key="one.name",
                    type="button",
                    classes=("['diff-place', { chosen: one.name === layer }]",),
                    click="trigger('highlight_size', [one.name])",
                    title=("`${one.name}: ${one.size}`",),
                ):
                    html.Span("{{ one.name }}", classes="line")
                    with html.Span(classes="pick-bar"):
                        html.Span(style=("{ width: `${one.share}%` }",))
                    html.Span("{{ one.size }}", classes="pick-number")


def state_of(sizes: tuple[LayerSize, ...], title: str, what: str) -> SizesState:
    """Return the sizes as the page shows them.

    Parameters
    ----------
    what
        The number whose gradient it is: the loss, or a score.
    """
    largest = max((one.size for one in sizes if np.isfinite(one.size)), default=0.0) or 1.0
    listed = [
        {
            "name": one.layer,
            "size": number(one.size),
            "share": round(100 * one.size / largest, 1) if np.isfinite(one.size) else 0,
        }
        for one in sizes
    ]
    measure = f"Root mean square over all numbers of the layer; the gradient is that of {what}."
    return SizesState(listed, title, " ".join(text for text in (extremes(sizes), measure) if text))
