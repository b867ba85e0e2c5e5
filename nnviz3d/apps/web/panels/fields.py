"""Fields of the panels: a name at the left and a control at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext


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


def step_field(
    page: PageContext,
    key: str,
    count: str,
    chosen: str,
    release: Callable[[], None],
    *,
    title: str,
    label: str,
    ids: tuple[str, str],
    **more: Any,
) -> None:
    """Make a slider over steps, and the button that lets the step follow the clock again.

    Parameters
    ----------
    key, count, chosen
        Of the page's state: the position of the shown step, the number of steps, and whether the user chose the step.
    release
        Lets the step follow the clock.
    title, label
        The tooltip, and the name for screen readers.
    ids
        Of the slider and of the button.
    more
        Further attributes of the field.
    """
    with labelled("Step", title, **more):
        v.VSlider(
            v_model=(key,),
            min=0,
            max=(f"{count} - 1",),
            step=1,
            end=page.guarded(page.redraw),
            id=ids[0],
            aria_label=label,
        )
        v.VBtn(
            icon="mdi-clock-outline",
            click=page.guarded(release),
            disabled=(f"!{chosen}",),
            id=ids[1],
            **theme.icon_button("Let the step follow the clock"),
        )
