"""Panel for the keyframes of the camera: a list of times, each of which can be shown or removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.panels.page_panel import PagePanel


@dataclass(frozen=True)
class KeyframesState:
    """Values that the widgets show.

    Attributes
    ----------
    keyframes
        The times of the keyframes, in words.
    """

    keyframes: list[str] = field(default_factory=list)


class KeyframesPanel(PagePanel[KeyframesState]):
    """The camera's keyframes; the scripts of the page add them, because they know the page's camera."""

    def __init__(self, page: PageContext) -> None:
        super().__init__(page, KeyframesState())

    def synchronize(self) -> None:
        """Show the keyframes."""
        self.show(KeyframesState([f"{frame.at:g} s" for frame in self.page.session.keyframes.all]))

    def build(self) -> None:
        """Make the widgets."""
        attributes: dict[str, Any] = theme.icon_button("Add the camera here as a keyframe of a film (K)")
        with html.Div(classes="section appearance", id="keyframes"):
            with html.Div(classes="section-head steps-head"):
                html.Span("Camera keyframes", classes="section-title")
                v.VBtn(
                    icon="mdi-camera-plus-outline", click="window.nnviz3dSaves.keyframe()", id="keyframe", **attributes
                )
            with html.Div(classes="keyframes", v_if="keyframes.length"):
                with html.Span(v_for="(time, index) in keyframes", key="index", classes="keyframe"):
                    html.Button(
                        "{{ time }}", click="window.nnviz3dSaves.show(index)", title="Show this keyframe", type="button"
                    )
                    html.Button(
                        "×",
                        click="trigger('remove_keyframe', [index])",
                        title="Remove this keyframe",
                        aria_label="Remove this keyframe",
                        type="button",
                    )
            html.Div(
                "Save as my.toml; nnviz3d record my.toml flies them.", v_if="keyframes.length > 1", classes="faint"
            )
