"""The fields of the panels: a name at the left, and what can be chosen at the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v


def labelled(name: str, title: str, **more: Any) -> Any:
    """Make a field, a context for what can be chosen in it.

    Parameters
    ----------
    name, title
        What it is called, and what it does.
    more
        Further attributes.
    """
    made = html.Div(classes="field", title=title, **more)
    with made:
        html.Span(name, classes="field-name")
    return made


def choice_buttons(name: str, key: str, choices: Sequence[str] | str, title: str, **more: Any) -> None:
    """Make a field of a few buttons, of which one is down.

    Parameters
    ----------
    key
        Of the page's state: what is chosen; also the field's id.
    choices
        What can be chosen; or the key of the page's state where that stands. The rest as for `field`.
    """
    with labelled(name, title, **more):
        with v.VBtnToggle(
            v_model=(key,),
            mandatory=True,
            density="compact",
            variant="outlined",
            divided=True,
            id=key,
            classes="choice",
        ):
            if isinstance(choices, str):
                v.VBtn("{{ choice }}", v_for=f"choice in {choices}", key="choice", value=("choice",))
            else:
                for choice in choices:
                    v.VBtn(choice, value=choice)
