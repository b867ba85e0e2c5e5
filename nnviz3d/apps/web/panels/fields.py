"""Fields of the panels: a name at the left and a control at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext

RELEASE = "$event || window.document.activeElement.blur()"
"""Handler of a list that opens or closes: after it has closed, the keys control the picture again."""


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


def choice_list(key: str, items: str, label: str | tuple[str], **more: Any) -> Any:
    """Make a list that opens, from which the user chooses one item.

    Parameters
    ----------
    key, items
        Names of the chosen value and of the items in the page's state.
    label
        The name for screen readers; as a tuple, an expression of the page.
    more
        Further attributes of the widget; ``id`` is `key` if it is not given.
    """
    return v.VSelect(v_model=(key,), items=(items,), aria_label=label, update_menu=RELEASE, **{"id": key, **more})


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
