"""The sentences that the window shows below the scene."""

from __future__ import annotations

from nnviz3d.apps.window.controls import Controls


def status_lines(window: Controls) -> tuple[str, ...]:
    """Return the lines below the scene after the next turn of the window's loop."""
    window.advance(0.0, 0.0)
    return tuple(row.text for panel in window.panels() if panel.name == "status" for row in panel.rows)
