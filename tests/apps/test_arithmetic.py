"""The arithmetic of the pick in the window: shown and hidden by a key, with the numbers of the page."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnviz3d.apps.session import Session
from nnviz3d.apps.window.arithmetic import Arithmetic
from nnviz3d.scene.panel_rows import BarRow, KeyRow, TextRow
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.selection import CellPick, LayerPick
from nnviz3d.scene.spec import default_scene

SAMPLE = 7


@pytest.fixture(scope="module")
def session(digits) -> Session:
    session = Session(Scene.build(default_scene(), digits), SimpleNamespace())
    session.select(sample=SAMPLE)
    return session


def test_key_without_a_pick_says_what_to_do(session):
    arithmetic = Arithmetic(session)
    session.select(pick=None)
    assert "Click a cell" in arithmetic.toggle()
    session.select(pick=LayerPick("dense"))
    assert "Click a cell" in arithmetic.toggle()
    session.select(pick=CellPick("dense", (3,)))
    assert not arithmetic.panels()


def test_panel_follows_the_pick_and_lists_what_speaks_for_and_against_a_class(session, digits):
    arithmetic = Arithmetic(session)
    session.select(pick=CellPick("dense_1", (7,)))
    assert arithmetic.toggle() == "arithmetic: shown"
    (panel,) = arithmetic.panels()
    heads = [row.text for row in panel.rows if isinstance(row, TextRow)]
    assert heads[0] == "dense_1 [7]: 7"
    assert [head for head in heads if head in ("For 7", "Against 7")] == ["For 7", "Against 7"]
    products = digits.activation("dense", SAMPLE) * digits.weights("dense_1")["kernel"][:, 7]
    bars = [row for row in panel.rows if isinstance(row, BarRow)]
    assert bars[0].text == f"dense [{int(products.argmax())}]"
    assert {bar.share for bar in bars if bar.share > 1} == set()
    assert any(isinstance(row, KeyRow) and row.key == "softmax of the sum" for row in panel.rows)
    assert arithmetic.panels()[0].rows is panel.rows
    session.select(pick=CellPick("dense", (3,)))
    assert arithmetic.panels()[0].rows[0].text == "dense [3]"
    session.select(pick=None)
    assert not arithmetic.panels()
    assert arithmetic.toggle() == "arithmetic: hidden"
