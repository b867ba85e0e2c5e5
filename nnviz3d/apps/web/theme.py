"""Colours and shapes of the controls, matched to the picture's background."""

from __future__ import annotations

from typing import Any

EMBER = "#ff9e4d"
"""The picture's colour of large positive values."""

VUETIFY: dict[str, Any] = {
    "theme": {
        "defaultTheme": "night",
        "themes": {
            "night": {
                "dark": True,
                "colors": {
                    "background": "#07090d",
                    "surface": "#0d1118",
                    "surface-bright": "#1a212c",
                    "surface-light": "#151b25",
                    "surface-variant": "#222b38",
                    "on-surface-variant": "#c9d2de",
                    "primary": EMBER,
                    "secondary": "#5ca8ff",
                    "error": "#ff6b6b",
                    "on-background": "#dbe2ec",
                    "on-surface": "#dbe2ec",
                },
                "variables": {"border-color": "#9fb2cc", "border-opacity": 0.09, "medium-emphasis-opacity": 0.62},
            }
        },
    },
    "defaults": {
        "VSlider": {"color": "primary", "trackColor": "#2a3443", "hideDetails": True, "density": "compact"},
        "VSelect": {"variant": "outlined", "density": "compact", "hideDetails": True},
        "VAutocomplete": {"variant": "outlined", "density": "compact", "hideDetails": True},
        "VTextField": {"variant": "outlined", "density": "compact", "hideDetails": True},
        "VTooltip": {"openDelay": 350},
    },
}
"""Vuetify's configuration."""


def icon_button(title: str) -> dict[str, Any]:
    """Return the attributes of a small round icon button with a tooltip."""
    return {"variant": "text", "size": "small", "density": "comfortable", "title": title, "aria_label": title}
