"""Panel that asks a training that goes on to wait, to make single steps, and to go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from trame.widgets import html

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel

_WORDS = {
    "none": "",
    "running": "It is running.",
    "pausing": "Pausing after the next step ...",
    "paused": "Paused; it goes on when the page closes.",
}


_BUTTONS = (
    ("Pause", "pause", "training_state === 'running'", "Let the training wait after its next step"),
    ("One step", "step", "training_state === 'paused'", "Let the training make one step, and wait again"),
    ("Continue", "continue", "training_state !== 'running'", "Let the training go on"),
)
"""Label, name, condition and tooltip of each button."""


@dataclass(frozen=True)
class TrainingControlState:
    """Values that the widgets show.

    Attributes
    ----------
    training_state
        As `TrainingControl.state`.
    training_state_words
        The same in words.
    """

    training_state: str = "none"
    training_state_words: str = ""


class TrainingControlPanel(PagePanel[TrainingControlState]):
    """Buttons to pause, step and continue; only for a recorder with ``control=True``."""

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, TrainingControlState())
        control = page.session.training_control
        for name, ask in (("pause", control.pause), ("step", control.step), ("continue", control.go_on)):
            page.on_trigger(f"training_{name}", partial(self._ask, ask))

    def synchronize(self) -> None:
        """Show what the training does."""
        state = self.page.session.training_control.state
        self.show(TrainingControlState(state, _WORDS[state]))

    def _ask(self, ask: Callable[[], None]) -> None:
        ask()
        self.page.synchronize()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="section training-control", id="training-control", v_if="training_state !== 'none'"):
            html.Span("{{ training_state_words }}", classes="faint", id="training-state", role="status")
            for words, name, shown, told in _BUTTONS:
                html.Button(
                    words,
                    v_if=shown,
                    click=f"trigger('training_{name}')",
                    classes="whatif-button",
                    id=f"training-{name}",
                    title=told,
                    type="button",
                )
