"""Exported pages hold the capture's numbers bit for bit, and every frame of the scene."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnviz3d.apps.export import ExportJob, ExportSettings, export
from nnviz3d.apps.export.html.frames import LAYOUTS, TableKey, moments, selection_for
from nnviz3d.apps.open_target import Opened
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.support import command_line
from tests.support.decoder import Decoder
from tests.support.exported import ExportedPage
from tests.support.gallery import READY


def exported(found: Opened, out: Path, selection: Selection | None = None, **settings: Any) -> ExportedPage:
    export(ExportJob(found, selection or Selection(found.sample), out, ExportSettings(**settings)))
    return ExportedPage(out)


@pytest.mark.parametrize("name", READY)
def test_page_holds_every_frame_of_a_bundled_scene(bundled_target, bundled_page, name):
    found, page = bundled_target(name), ExportedPage(bundled_page(name))
    decoder = Decoder()
    decoder.records, decoder.arrays = dict(enumerate(page.records)), dict(enumerate(page.arrays))
    for layout, aspect in LAYOUTS.items():
        scene = Scene.build(found.spec, found.capture, aspect=aspect, trajectory=found.trajectory)
        times = moments(scene.duration)
        assert max(np.diff(times), default=0) < 1 / 29
        assert (times[0], times[-1]) == (0 if len(times) > 1 else scene.duration, scene.duration)
        for key, table in page.tables.items():
            if key[0] == layout:
                assert len(table) == len(times)
                for moment in {0, len(times) // 3, len(times) * 4 // 7, len(times) - 1}:
                    what = scene.at(times[moment], selection_for(TableKey(*key), Selection(found.sample)))
                    decoder.frame({"background": page.looks[key]["background"], "primitives": table[moment]}, what)


def test_cells_are_the_numbers_of_the_capture_bit_for_bit(bundled_target, bundled_page):
    found, page = bundled_target("digits"), ExportedPage(bundled_page("digits"))
    scene = Scene.build(found.spec, found.capture)
    for sample in range(3):
        for node in found.capture.graph:
            if node.id not in found.capture.graph.inputs:
                stored = found.capture.activation(node.id, sample)
                cells = page.values(("wide", sample, "activation"), node.id)
                assert cells.dtype == np.float32
                assert cells.tobytes() == scene.context.placement(node.id).grid.arrange(stored).T.copy().T.tobytes()


def test_page_with_gradients_holds_each_quantity_the_shown_one_first(bundled_target, bundled_page):
    page, sample = ExportedPage(bundled_page("gradients")), bundled_target("gradients").sample
    held = [quantity for layout, _, quantity in page.tables if layout == "wide"]
    assert held == ["gradient", "activation", "gradient_x_activation"]
    assert [one["name"] for one in page.words["quantities"]] == held
    slope, value, product = (page.values(("wide", sample, quantity), "conv2d") for quantity in held)
    assert np.array_equal(slope * value, product)


def test_page_says_what_it_cannot_change_and_what_to_type(bundled_page):
    digits, decisions = (dict(ExportedPage(bundled_page(name)).words["fixed"]) for name in ("digits", "decisions"))
    assert digits["samples"] == "3 of 10; --samples all exports every one"
    assert digits["lines"].endswith("--ranking contribution exports those by |weight × activation|")
    assert decisions["method"].endswith("--method exports another")
    assert "; the capture also holds " in decisions["method"]
    assert decisions["explained"].endswith("; --class exports another target")
    assert "nnviz3d serve" in digits["anything else"]


def test_float16_rounds_the_cells_only_and_says_so(bundled_target, tmp_path):
    found = bundled_target("digits")
    exact = exported(found, tmp_path / "exact.html", samples="2")
    page = exported(found, tmp_path / "page.html", samples="2", float16=True)
    table = ("wide", 2, "activation")
    cells = page.values(table, "conv2d")
    assert cells.dtype == np.float16
    assert np.array_equal(cells, exact.values(table, "conv2d").astype(np.float16))
    assert any("float16" in note for note in page.words["notes"])
    assert not any("float16" in note for note in exact.words["notes"])


def test_policy_lets_only_the_script_and_the_style_of_the_file_act(bundled_page):
    page = ExportedPage(bundled_page("structure"))
    rules = dict(rule.strip().partition(" ")[::2] for rule in page.html.policy.split(";"))
    assert rules["default-src"] == "'none'"
    for rule, element in (("script-src", "module"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(page.html.texts[element].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert not {"link", "img", "iframe", "object", "base", "form"} & set(page.html.tags)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"samples": "3:2"}, "there are no such samples"),
        ({"samples": "10"}, "there is no sample 10; the capture holds samples 0 to 9"),
        ({"samples": "a"}, "--samples is all, or numbers and ranges"),
        ({"max_size": "big"}, "--max-size is a size such as 50MB"),
        ({"max_size": "0"}, "--max-size is a size such as 50MB"),
    ],
)
def test_wrong_settings_are_refused_before_a_file_is_written(bundled_target, tmp_path, settings, says):
    with pytest.raises(UserError, match=says):
        exported(bundled_target("digits"), tmp_path / "page.html", **settings)
    assert not list(tmp_path.iterdir())


def test_samples_are_listed_with_the_shown_one_first(small_capture, tmp_path):
    found = Opened(default_scene(), small_capture, 1)
    page = exported(found, tmp_path / "page.html", samples="0,1:3")
    assert [one["index"] for one in page.words["samples"]] == [1, 0, 2]
    assert {sample for _, sample, _ in page.tables} == {0, 1, 2}


def test_tables_beyond_the_maximum_size_are_left_out_and_named(bundled_target, bundled_page, tmp_path, capsys):
    found, whole = bundled_target("digits"), bundled_page("digits").stat().st_size
    limit = f"{whole // 1000 - 20}kB"
    page = exported(found, tmp_path / "page.html", samples="0:3", max_size=limit)
    said = capsys.readouterr().err
    assert (tmp_path / "page.html").stat().st_size <= whole - 20_000
    names = [found.capture.sample_name(i) for i in range(3)]
    assert f"left out, because it does not fit into {limit}: activation of {names[2]} in the tall layout" in said
    assert said.count("left out") == len(page.words["notes"]) == 1
    assert ("wide", 2, "activation") in page.tables


def test_cells_of_large_layers_are_left_out_by_name_if_one_sample_does_not_fit(bundled_target, tmp_path, capsys):
    found = bundled_target("digits")
    exported(found, tmp_path / "whole.html")
    least = int(re.search(r"takes (\d+) kB without any", refused(found, tmp_path, max_size="100kB"))[1])
    page = exported(found, tmp_path / "page.html", max_size=f"{least + 20}kB")
    (note,) = [note for note in page.words["notes"] if "cells" in note]
    gone = note.partition("the cells of ")[2].split(", ")
    assert gone
    assert note in capsys.readouterr().err
    blocks = {
        page.records[i]["name"] for i in next(iter(page.tables.values()))[-1] if page.records[i]["kind"] == "Voxels"
    }
    assert not blocks & set(gone)
    assert blocks
    described = {one["layer"] for one in page.records if one.get("kind") == "LayerTable"}  # and their numbers are gone
    assert not described & set(gone)
    assert (tmp_path / "whole.html").stat().st_size - 1000 * least > 80_000
    assert not (tmp_path / "none.html").exists()


def test_pictures_of_points_are_left_out_first_and_named(bundled_target, bundled_page, tmp_path, capsys):
    found, whole = bundled_target("embedding"), bundled_page("embedding")
    limit = f"{whole.stat().st_size // 1000 - 100}kB"
    page = exported(found, tmp_path / "page.html", max_size=limit)
    (note,) = page.words["notes"]
    assert note == f"left out, because they do not fit into {limit}: the pictures of points"
    assert note in capsys.readouterr().err
    for opened, pictured in ((page, False), (ExportedPage(whole), True)):
        last = next(iter(opened.tables.values()))[-1]
        (cloud,) = (opened.records[i] for i in last if opened.records[i]["kind"] == "Points")
        assert (cloud["pictures"] is not None) == pictured


def refused(found: Opened, folder: Path, **settings: Any) -> str:
    with pytest.raises(UserError) as told:
        exported(found, folder / "none.html", **settings)
    return str(told.value)


@pytest.mark.slow
def test_command_tells_the_size_and_writes_digits_in_less_than_a_megabyte(tmp_path):
    done = command_line.run("export", "digits", "-o", "digits.html", cwd=tmp_path)
    size = (tmp_path / "digits.html").stat().st_size
    assert size < 1_000_000
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"digits.html: {-(-size // 1000)} kB, 1 sample\n"
