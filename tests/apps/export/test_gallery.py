"""The gallery is a folder of pages and a page that lists them."""

from __future__ import annotations

import re

import pytest

from nnviz3d.apps.export import ExportSettings
from nnviz3d.apps.export.html import gallery
from nnviz3d.apps.target import bundled_scenes
from nnviz3d.errors import UserError
from tests.support import command_line
from tests.support.exported import ExportedPage
from tests.support.player import shown


def test_gallery_lists_each_scene_with_a_capture_and_names_the_others(webgl, monkeypatch, tmp_path):
    few = {name: bundled_scenes()[name] for name in ("structure", "imagenet")}
    monkeypatch.setattr(gallery, "bundled_scenes", lambda: few)
    told: list[str] = []
    gallery.write_gallery(tmp_path / "site", ExportSettings(), told.append)
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == ["index.html", "structure.html"]
    assert [text.split()[0] for text in told] == ["imagenet"]
    assert len(ExportedPage(tmp_path / "site/structure.html").words["samples"]) == 4
    with shown(webgl, tmp_path / "site/index.html", ready=False) as page:
        assert page.locator("a").get_attribute("href") == "structure.html"
        assert page.evaluate("document.images[0].naturalWidth") == 640
    gallery.write_gallery(tmp_path / "site", ExportSettings(samples="0"), told.append)  # it may be written again


@pytest.mark.parametrize("page", ["<!doctype html><title>My site</title>", ""])
def test_gallery_never_replaces_the_page_of_another_site(tmp_path, page):
    (tmp_path / "index.html").write_text(page)
    with pytest.raises(UserError, match="holds other files"):
        gallery.check_gallery(tmp_path)
    assert (tmp_path / "index.html").read_text() == page


def test_gallery_that_was_interrupted_is_made_again(tmp_path, bundled_page):
    (tmp_path / "structure.html").write_bytes(bundled_page("structure").read_bytes())
    gallery.check_gallery(tmp_path)
    (tmp_path / "mine.html").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        gallery.check_gallery(tmp_path)


def test_gallery_refuses_a_folder_with_other_files(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/text.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        gallery.check_gallery(tmp_path / "mine")
    done = command_line.run("export", "digits", "--gallery", "-o", "site", cwd=tmp_path)
    assert done.returncode == 2
    assert re.match(r"nnviz3d: --gallery exports the bundled scenes as they are", done.stderr)
    assert not (tmp_path / "site").exists()
