"""The gallery of the repository, made by `nnviz3d export --gallery -o docs/gallery --max-size 2400kB`."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnviz3d.apps.export.html.write import FORMAT
from nnviz3d.version import __version__
from tests.support.exported import ExportedPage
from tests.support.gallery import READY
from tests.support.player import shown, until

GALLERY = Path(__file__).resolve().parents[3] / "docs/gallery"


def test_gallery_has_a_page_for_each_scene_with_a_capture():
    assert {path.stem for path in GALLERY.iterdir()} == {"index", *READY}
    assert sum(path.stat().st_size for path in GALLERY.iterdir()) < 24e6


@pytest.mark.parametrize("name", READY)
def test_page_is_of_this_version_and_opens_without_a_network(webgl, name):
    path = GALLERY / f"{name}.html"
    words = ExportedPage(path).words
    assert (words["format"], words["made_by"]) == (FORMAT, f"nnviz3d {__version__}")
    with shown(webgl, path, ready=False, size=(480, 300)) as page:
        until(page, "globalThis.nnviz3d !== undefined")
        assert page.locator("#message").is_hidden()


def test_index_links_every_page(webgl):
    with shown(webgl, GALLERY / "index.html", ready=False) as page:
        links = page.locator("a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
        assert sorted(links) == sorted(f"{name}.html" for name in READY)
