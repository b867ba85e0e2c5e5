"""Damaged inputs of each kind: each gives a right result, or one sentence and exit code 2."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from tests.fuzz.__main__ import faults
from tests.fuzz.judge import report
from tests.fuzz.trials import KINDS, Material

TRIALS = {
    "models": 50,
    "captures": 55,
    "scenes": 60,
    "pictures": 35,
    "arrays": 30,
    "classes": 15,
    "options": 30,
    "exports": 25,
}
"""Number of trials of each kind in three hundred; ``python -m tests.fuzz`` runs thousands."""
TOTAL = int(os.environ.get("NNVIZ3D_TRIALS", "300"))
"""Number of trials of all kinds together."""

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return Material.made(tmp_path_factory.mktemp("fuzz") / "material")


def test_three_hundred_trials_cover_every_kind():
    assert sum(TRIALS.values()) == 300
    assert set(TRIALS) == set(KINDS)


@pytest.mark.parametrize("kind", TRIALS)
def test_damaged_input_is_refused_in_one_sentence_or_answered_right(kind: str, material: Material, tmp_path: Path):
    trials = math.ceil(TRIALS[kind] * TOTAL / 300)
    found = list(faults({kind: range(trials)}, 0, material, tmp_path))
    assert not found, report(found)
