"""One table of keys for the window, its help and its documentation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from nnviz3d.apps.window.controls import Controls
from nnviz3d.apps.window.key_commands import KeyCommands
from nnviz3d.apps.window.keys import KEYS, described, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "window.md"


def test_every_key_does_one_thing_that_there_is():
    names = Counter(name for key in KEYS for name in key.names)
    assert set(names.values()) == {1}
    for key in KEYS:
        (action,) = [getattr(who, key.action) for who in (Controls, KeyCommands) if hasattr(who, key.action)]
        assert callable(action)


def test_the_help_names_every_key_once():
    lines = described()
    assert len(set(lines)) == len(lines)
    assert {(key.label, key.words) for key in KEYS} <= set(lines)


def test_the_documentation_holds_the_table_as_it_is():
    assert table() in DOCUMENT.read_text(encoding="utf-8"), "put the output of nnviz3d.apps.window.keys.table() there"
