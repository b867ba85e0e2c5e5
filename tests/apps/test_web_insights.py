"""The page's choices of what the cells show, of which class, and by which method, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.apps.conftest import Served
from tests.apps.test_web import changed, looking, still, text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.chromium


@pytest.fixture(scope="module")
def gradients() -> Iterator[Served]:
    yield from serving("gradients")


@pytest.fixture(scope="module")
def decisions() -> Iterator[Served]:
    yield from serving("decisions")


def serving(scene: str) -> Iterator[Served]:
    server = Served(scene)
    yield server
    code, _, errors = server.end()
    assert code == 0
    assert "Traceback" not in errors, errors


def choose(page: Page, field: str, title: str) -> None:
    page.locator(f".field:has(#{field}) .v-field").click()
    page.locator(".v-overlay--active .v-list-item", has_text=title).first.click()


def test_the_cells_show_another_quantity(chromium: Browser, gradients: Served):
    with looking(chromium, gradients) as page:
        before = still(page)
        assert "Gradient of the score" in text(page, "#insights")
        choose(page, "quantity", "Activation")
        after = changed(page, before)
        # Gradients are blue and orange; activations after ReLU are never blue.
        blue = [(p[..., 2] > 150) & (p[..., 0] < 90) for p in (before, after)]
        assert blue[0].mean() > 10 * blue[1].mean()


def test_another_class_and_another_method_give_other_maps(chromium: Browser, decisions: Served):
    with looking(chromium, decisions) as page:
        first = still(page)
        assert "3 · 0.891" in text(page, "#insights")
        choose(page, "explained", "5 · ")
        second = changed(page, first)
        assert "5 · 0.0" in text(page, "#insights")
        choose(page, "method", "Occlusion")
        changed(page, second)
        assert "Occlusion" in text(page, "#insights")
