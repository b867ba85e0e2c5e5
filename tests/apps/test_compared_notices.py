"""The notices about two models that are compared: each is printed once, with the name of its model unless both give it."""

from __future__ import annotations

import pytest

from nnviz3d.apps.compared_notices import ComparedNotices

UNIT, NONE, SAMPLE = "Preprocessing unit.", "Preprocessing none.", "photo.png was cropped."


@pytest.mark.parametrize(
    ("target", "other", "of_target", "of_other", "expected"),
    [
        ("a.keras", "b.keras", [UNIT], [UNIT], [UNIT]),
        ("a.keras", "b.keras", [UNIT], [NONE], [f"a.keras: {UNIT}", f"b.keras: {NONE}"]),
        ("a.keras", "b.keras", [UNIT, SAMPLE], [NONE, SAMPLE], [f"a.keras: {UNIT}", SAMPLE, f"b.keras: {NONE}"]),
        ("one/m.keras", "two/m.keras", [UNIT], [NONE], [f"one/m.keras: {UNIT}", f"two/m.keras: {NONE}"]),
        ("a.keras", "a.keras", [UNIT], [UNIT], [UNIT]),
        ("a.keras", "b.keras", [UNIT], [], [f"a.keras: {UNIT}"]),
    ],
    ids=["equal", "different", "partly", "same_file_name", "same_model", "other_failed"],
)
def test_notices_of_two_models_are_told_once_and_named_where_they_differ(target, other, of_target, of_other, expected):
    notices, told = ComparedNotices(other), []
    for model, texts in ((target, of_target), (other, of_other)):
        for text in texts:
            notices.hear(model, text)
    assert told == []
    notices.release(told.append)
    assert told == expected
    notices.release(told.append)
    assert told == expected, "each is told once"
