"""The recorded steps of a training: a slider over them, and the numbers of the one that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme
from nnviz3d.apps.web.panels.fields import field
from nnviz3d.scene.views.training import figures, step_text

if TYPE_CHECKING:
    from nnviz3d.apps.web.app import WebApp


class Steps:
    """Chooses which step is looked at; a capture without a training has no control."""

    def __init__(self, app: WebApp) -> None:
        self._app = app
        app.state.update({"steps": 0, "step_place": 0, "step_words": "", "step_figures": "", "step_chosen": False})
        self.synchronize()
        app.state.change("step_place")(app.guarded(self._choose))

    def synchronize(self) -> None:
        """Show which step is seen: the clock's, or the chosen one."""
        session, state = self._app.session, self._app.state
        training, place = session.scene.context.capture.training, session.clock.recorded_index
        if training is None or place is None:
            return
        state.steps = len(training)
        state.step_place = place
        state.step_words = step_text(training, place)
        state.step_figures = " · ".join(figures(training, place))
        state.step_chosen = session.selection.step is not None

    def _choose(self, step_place: Any, **_: Any) -> None:
        session = self._app.session
        training = session.scene.context.capture.training
        if training is None or session.clock.recorded_index is None or step_place == session.clock.recorded_index:
            return
        # Not by the page's own count, which a page may change.
        if not isinstance(step_place, int) or not 0 <= step_place < len(training):
            raise ValueError(f"The page asked for an unknown recorded step {step_place!r}.")
        session.clock.show_recorded(step_place)
        self._app.refresh(moving=True)

    def _release(self) -> None:
        """Leave the step to the clock again."""
        self._app.session.clock.show_recorded(None)
        self._app.refresh()

    def _still(self) -> None:
        """Draw once more, as well as can be, when the slider is let go."""
        self._app.view.changed()

    def build(self) -> None:
        """Make the widgets."""
        if self._app.session.scene.context.capture.training is None:
            return
        guarded = self._app.guarded
        with html.Div(classes="section appearance", id="steps", v_if="steps"):
            with html.Div(classes="section-head steps-head"):
                html.Span("Training", classes="section-title")
                html.Span("{{ step_words }}", classes="faint", id="step-words")
            with field("Step", "Which recorded step is shown: what was kept last by then"):
                v.VSlider(
                    v_model=("step_place",),
                    min=0,
                    max=("steps - 1",),
                    step=1,
                    end=guarded(self._still),
                    id="step",
                    aria_label="Recorded step of the training",
                )
                v.VBtn(
                    icon="mdi-clock-outline",
                    click=guarded(self._release),
                    disabled=("!step_chosen",),
                    id="step-release",
                    **theme.icon_button("Leave the step to the clock"),
                )
            html.Div("{{ step_figures }}", classes="faint", id="step-figures")
