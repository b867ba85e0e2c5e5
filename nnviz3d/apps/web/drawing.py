"""Choice of what draws the picture of the page: the browser or the server."""

from __future__ import annotations

from typing import Literal

Drawer = Literal["auto", "client", "server"]
"""``client``: each browser draws, ``server``: the server draws one picture for all, ``auto``: the browser if it can."""
