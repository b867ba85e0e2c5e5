"""Panel of the loss landscape: its loss and data set, and for a training a slider over the weights that were kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trame.widgets import html

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import step_field
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_index
from nnviz3d.scene.colors import number
from nnviz3d.scene.views.landscape import LandscapeView


@dataclass(frozen=True)
class LandscapeState:
    """Values that the widgets show.

    Attributes
    ----------
    kept_weights
        The number of steps of the training whose weights were kept; 0 for random directions.
    kept_index
        The position of the shown step among them.
    landscape_words, landscape_loss
        The size of the data set, and the loss of the shown weights.
    kept_chosen
        Whether the user chose the step; else it follows the clock.
    """

    kept_weights: int = 0
    kept_index: int = 0
    landscape_words: str = ""
    landscape_loss: str = ""
    kept_chosen: bool = False


class LandscapePanel(PagePanel[LandscapeState]):
    """Choice of the weights that the training kept; only for a scene with a landscape."""

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, LandscapeState())
        page.on_change("kept_index", self._choose)

    @property
    def _view(self) -> LandscapeView | None:
        return self.page.session.scene.find(LandscapeView)

    def synchronize(self) -> None:
        """Show the weights of the clock, or the chosen ones."""
        view, session = self._view, self.page.session
        if view is None:
            self.show(LandscapeState())
            return
        found, step = view.landscape, session.selection.step
        now = view.moment(session.clock.t, step)
        at = f"step {found.steps[now]:,}: " if len(found.steps) else "trained weights: "
        loss = found.path_losses[now] if len(found.steps) else found.center
        self.show(
            LandscapeState(
                kept_weights=len(found.steps),
                kept_index=now,
                landscape_words=f"{found.count:,} samples",
                landscape_loss=f"{at}{found.loss} {number(float(loss))}",
                kept_chosen=step is not None,
            )
        )

    def tick(self) -> None:
        """Show the weights of the clock."""
        self.synchronize()

    def _choose(self, kept_index: Any) -> None:
        view, session = self._view, self.page.session
        if view is None or kept_index == view.moment(session.clock.t, session.selection.step):
            return
        # The page's own number of steps is not trusted: scripts in the browser can change it.
        kept_index = asked_index("number of kept weights", kept_index, len(view.landscape.steps))
        self.page.select(step=int(view.landscape.steps[kept_index]), moving=True)

    def _release(self) -> None:
        """Let the step follow the clock again."""
        self.page.select(step=None)

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section appearance", id="landscape", v_if="landscape_words"):
            with html.Div(classes="section-head steps-head"):
                html.Span("Loss landscape", classes="section-title")
                html.Span("{{ landscape_words }}", classes="faint", id="landscape-words")
            step_field(
                self.page,
                "kept_index",
                "kept_weights",
                "kept_chosen",
                self._release,
                title="The training step whose weights are shown on the path",
                label="Training step of the kept weights",
                ids=("kept-step", "kept-release"),
                v_if="kept_weights > 1",
            )
            html.Div("{{ landscape_loss }}", classes="faint", id="landscape-loss")
