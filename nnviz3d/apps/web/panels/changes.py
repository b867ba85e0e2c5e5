"""Sign in the heading that the shown sample runs with interventions, in every perspective; it shows or undoes them."""

from __future__ import annotations

from dataclasses import dataclass

from trame.widgets import html

from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel

_WHERE = "Activations, gradients and maps are those of the model without this; a click shows what it changes."


@dataclass(frozen=True)
class ChangesState:
    """Values that the widgets show.

    Attributes
    ----------
    changes_words
        The number of interventions in words; empty if there are none.
    changes_told
        The interventions in words, one a line.
    changes_reset
        Whether the model can be asked for a run without them.
    """

    changes_words: str = ""
    changes_told: str = ""
    changes_reset: bool = False


class ChangesPanel(PagePanel[ChangesState]):
    """The number of interventions: a click shows what they change, another one undoes them all."""

    area = "heading"

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, ChangesState())
        page.on_trigger("show_changes", self.show_changes)

    def synchronize(self) -> None:
        """Show how many interventions there are."""
        found = self.page.session.interventions
        told, count = "\n".join(one.shown_text for one in found.listed), len(found.listed)
        words = f"{count} {'change' if count == 1 else 'changes'}" if count else ""
        self.show(ChangesState(words, told, bool(count) and found.possible))

    def show_changes(self) -> None:
        """Show the change in the cells: in this perspective if it can, else in that of activations."""
        session = self.page.session
        if "change" not in session.choices.quantities:
            session.look_at("activations")
        if "change" in session.choices.quantities:
            session.choices.show("change")
        self.page.refresh()

    def build(self) -> None:
        """Make the widgets."""
        with html.Div(classes="changes", id="changes", v_if="changes_words", role="status"):
            html.Button(
                "{{ changes_words }}",
                click="trigger('show_changes')",
                type="button",
                classes="changes-words",
                id="changes-show",
                title=(f"`${{changes_told}}\\n\\n{_WHERE}`",),
            )
            html.Button(
                "Reset",
                v_if="changes_reset",
                click="trigger('reset_interventions')",
                type="button",
                classes="changes-reset",
                id="changes-reset",
                title="Undo all changes",
            )
