"""Fields of the panels: a name at the left and a control at the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v


def labelled(name: str, title: str, **more: Any) -> Any:
    """Make a field; use it as a context manager and make the control inside.

    Parameters
    ----------
    name, title
        The name, and the tooltip that says what the field does.
    more
        Further attributes of the HTML element.
    """
    made = html.Div(classes="field", title=title, **more)
    with made:
        html.Span(name, classes="field-name")
    return made


def choice_buttons(name: str, key: str, choices: Sequence[str] | str, title: str, **more: Any) -> None:
    """Make a field of a few buttons, one of which is pressed.

    Parameters
    ----------
    key
        The name of the chosen value in the page's state; also the id of the element.
    choices
        The choices, or the name of the list of choices in the page's state. The rest as for `labelled`.
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
