"""The client's scripts become one module."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from nnviz3d.client import bundle


def test_names_are_unique_among_all_scripts() -> None:
    counts = Counter(name for script in bundle.scripts() for name in bundle.declared(script))
    assert not [name for name, count in counts.items() if count > 1]


@pytest.mark.parametrize("script", [name for name in bundle.scripts() if name != bundle.SHADERS])
def test_bundle_of_each_script_has_no_import_and_declares_what_it_uses(script: str) -> None:
    text = bundle.bundle(script)
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert len(re.findall(r"^export\b", text, re.MULTILINE)) == 1
    for names in re.findall(r"^import \{([^}]*)\}", bundle.script(script), re.MULTILINE):
        for name in re.findall(r"\w+", names):
            assert re.search(rf"^(async )?(function\*?|class|const|let) {name}\b", text, re.MULTILINE), name


@pytest.mark.parametrize("script", bundle.scripts())
def test_scripts_load_nothing_and_run_no_text_as_code(script: str) -> None:
    text = bundle.script(script)
    assert not re.search(r"\b(eval|Function|document\.write|insertAdjacentHTML|outerHTML)\b\s*\(", text)
    assert "innerHTML" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/)", re.sub(r"^\s*(\*|//).*$", "", text, flags=re.MULTILINE))


def test_bundle_has_the_shaders_that_vtk_draws_with() -> None:
    assert "voxels.frag.glsl" in bundle.script(bundle.SHADERS)
