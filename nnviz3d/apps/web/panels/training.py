"""Panel of a training: a slider over the recorded steps, with the loss and metrics of the shown one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trame.widgets import html

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.fields import step_field
from nnviz3d.apps.web.panels.page_panel import PagePanel
from nnviz3d.apps.web.value_checks import asked_index
from nnviz3d.scene.views.training import figures, step_text, validation_figures


@dataclass(frozen=True)
class TrainingState:
    """Values that the widgets show.

    Attributes
    ----------
    recorded_steps
        The number of recorded steps, S.
    recorded_index
        The position of the shown step among them, 0 to S - 1.
    step_words, step_figures
        The name of the shown step, and its loss and metrics.
    step_chosen
        Whether the user chose the step; else it follows the clock.
    """

    recorded_steps: int = 0
    recorded_index: int = 0
    step_words: str = ""
    step_figures: str = ""
    step_chosen: bool = False


class TrainingPanel(PagePanel[TrainingState]):
    """Choice of a recorded step; only for a capture of a training."""

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, TrainingState())
        page.on_change("recorded_index", self._choose)

    def synchronize(self) -> None:
        """Show the step of the clock, or the chosen one."""
        session = self.page.session
        training, index = session.scene.context.capture.training, session.clock.recorded_index
        if training is None or index is None:
            return
        self.show(
            TrainingState(
                recorded_steps=len(training),
                recorded_index=index,
                step_words=step_text(training, index),
                step_figures=" · ".join([*figures(training, index), *validation_figures(training, index)]),
                step_chosen=session.selection.step is not None,
            )
        )

    def tick(self) -> None:
        """Show the step of the clock."""
        self.synchronize()

    def _choose(self, recorded_index: Any) -> None:
        session = self.page.session
        training = session.scene.context.capture.training
        if training is None or session.clock.recorded_index is None or recorded_index == session.clock.recorded_index:
            return
        # The page's own number of steps is not trusted: scripts in the browser can change it.
        session.clock.show_recorded(asked_index("recorded step", recorded_index, len(training)))
        self.page.refresh(moving=True)

    def _release(self) -> None:
        """Let the step follow the clock again."""
        self.page.session.clock.show_recorded(None)
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        if self.page.session.scene.context.capture.training is None:
            return
        with html.Div(classes="section appearance", id="steps", v_if="recorded_steps"):
            with html.Div(classes="section-head steps-head"):
                html.Span("Training", classes="section-title")
                html.Span("{{ step_words }}", classes="faint", id="step-words")
            step_field(
                self.page,
                "recorded_index",
                "recorded_steps",
                "step_chosen",
                self._release,
                title="Recorded step whose numbers are shown",
                label="Recorded step of the training",
                ids=("step", "step-release"),
            )
            html.Div("{{ step_figures }}", classes="faint", id="step-figures")
