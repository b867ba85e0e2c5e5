"""Tests of the table of keys."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from nnviz3d.apps.web import page_keys
from nnviz3d.apps.window.bookmarks import Bookmarks
from nnviz3d.apps.window.brush import Brush
from nnviz3d.apps.window.change_keys import ChangeKeys
from nnviz3d.apps.window.controls import Controls
from nnviz3d.apps.window.dead_keys import DeadKeys
from nnviz3d.apps.window.key_commands import KeyCommands
from nnviz3d.apps.window.keys import KEYS, described, table
from nnviz3d.apps.window.lasso import Lasso
from nnviz3d.apps.window.point_keys import PointKeys
from nnviz3d.apps.window.search import Search
from nnviz3d.apps.window.time_keys import TimeKeys

OWNERS = (Controls, ChangeKeys, DeadKeys, KeyCommands, PointKeys, TimeKeys, Search, Bookmarks, Lasso, Brush)
DOCUMENT = Path(__file__).parents[2] / "docs" / "window.md"


def test_every_key_has_one_action_that_exists():
    names = Counter(name for key in KEYS for name in key.names)
    assert set(names.values()) == {1}
    for key in KEYS:
        (action,) = [getattr(owner, key.action) for owner in OWNERS if hasattr(owner, key.action)]
        assert callable(action)


def test_help_lists_every_key_once():
    lines = described()
    assert len(set(lines)) == len(lines)
    assert {(key.label, key.words) for key in KEYS} <= set(lines)


def test_documentation_holds_the_table_of_keys():
    assert table() in DOCUMENT.read_text(encoding="utf-8"), "put the output of nnviz3d.apps.window.keys.table() there"


def test_documentation_holds_the_table_of_the_page():
    assert page_keys.table() in DOCUMENT.read_text(encoding="utf-8"), "put the output of page_keys.table() there"
