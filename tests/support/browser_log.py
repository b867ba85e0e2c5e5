"""Warnings and errors of pages in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def logged_by(page: Page) -> list[str]:
    """Return a list that receives the warnings and errors of a page's console and scripts, as they come."""
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: logged.append(str(error)))
    return logged
