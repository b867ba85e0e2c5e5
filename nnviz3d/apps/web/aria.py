"""Attributes for screen readers and the keyboard, which trame's widgets leave out unless they are listed."""

from __future__ import annotations

from trame_client.widgets import vue

ATTRIBUTES = (
    "role",
    "aria_current",
    "aria_expanded",
    "aria_hidden",
    "aria_label",
    "aria_labelledby",
    "aria_live",
    "aria_pressed",
    "aria_selected",
)


def allow_aria() -> None:
    """Let all widgets that are made from now on take `ATTRIBUTES`."""
    vue.SHARED_ATTRIBUTES.extend(name for name in ATTRIBUTES if name not in vue.SHARED_ATTRIBUTES)
