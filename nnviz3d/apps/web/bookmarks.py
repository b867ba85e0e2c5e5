"""Menu of bookmarks: named views, which the browser keeps, by `static/navigation.js`."""

from __future__ import annotations

from trame.widgets import html
from trame.widgets import vuetify3 as v

from nnviz3d.apps.bookmark_shelf import identity
from nnviz3d.apps.web import theme
from nnviz3d.apps.web.page_context import PageContext

_LONGEST = 75
"""Most characters of a name."""


def build_bookmarks(page: PageContext) -> None:
    """Make the button and its menu."""
    page.client_only(bookmarks=[], bookmark_name="", bookmark_menu=False)
    page.show({"bookmarks_of": identity(page.session)})
    with v.VMenu(v_model=("bookmark_menu",), location="bottom end", offset=4, close_on_content_click=False):
        with v.Template(v_slot_activator="{ props }"):
            v.VBtn(v_bind="props", icon="mdi-bookmark-outline", id="bookmarks", **theme.icon_button("Bookmarks (b)"))
        with html.Div(classes="bookmark-menu", id="bookmark-menu"):
            html.Div("Bookmarks", classes="section-title")
            with html.Form(
                classes="bookmark-new",
                raw_attrs=['autocomplete="off"', '@submit.prevent="window.nnviz3dWay.bookmark(bookmark_name)"'],
            ):
                html.Input(
                    value=("bookmark_name",),
                    input="bookmark_name = $event.target.value",
                    type="text",
                    maxlength=_LONGEST,
                    placeholder="A name for this view",
                    aria_label="A name for this view",
                    id="bookmark-name",
                    classes="bookmark-field",
                )
                html.Button("Add", type="submit", classes="whatif-button", id="bookmark-add")
            with html.Div(v_for="name in bookmarks", key="name", classes="bookmark"):
                html.Button(
                    "{{ name }}",
                    type="button",
                    classes="bookmark-open line",
                    title=("name",),
                    click="bookmark_menu = false; window.nnviz3dWay.openBookmark(name)",
                    v_bind="{ 'data-bookmark': name }",
                )
                html.Button(
                    "×",
                    type="button",
                    classes="bookmark-remove",
                    click="window.nnviz3dWay.removeBookmark(name)",
                    title=("`Remove the bookmark ${name}`",),
                    aria_label=("`Remove the bookmark ${name}`",),
                )
            html.Div(
                "{{ bookmarks.length ? 'Kept by this browser, for this model.' :"
                " 'None yet. A bookmark holds the perspective, what is chosen, and the camera; this browser keeps it.' }}",
                classes="faint",
            )
