"""Checks of records on construction."""

from itertools import chain

import numpy as np
import pytest

from nnviz3d.data.records import Connections, LayerActivations, Provenance, axes_of
from nnviz3d.errors import CaptureError


def test_activations_have_names_of_axes():
    assert axes_of(()) == ()
    assert axes_of((3,)) == ("channel",)
    assert axes_of((5, 3)) == ("time step", "channel")
    assert axes_of((4, 5, 3)) == ("row", "column", "channel")
    assert axes_of((2, 4, 5, 3)) == ("plane", "row", "column", "channel")
    assert axes_of((1, 2, 4, 5, 3)) == ("axis0", "axis1", "axis2", "axis3", "channel")
    assert LayerActivations("a", np.zeros((7, 4, 5, 3), np.float32)).axes == ("sample", "row", "column", "channel")


def test_connections_with_arrays_of_unequal_length_are_refused():
    index = np.zeros((3, 2), np.int64)
    good = np.zeros(3, np.float32)
    assert Connections("a", "b", "dense", "weight", 9, index, good, good).shown == 3
    with pytest.raises(CaptureError, match=r"expected index \(k, 2\), weight \(k,\)"):
        Connections("a", "b", "dense", "weight", 9, index, good[:2], good)


def test_provenance_ignores_unknown_keys():
    provenance = Provenance(
        "m.keras", samples=("a", "c"), notes=("b",), sample_notes=(("d",), ()), versions={"keras": "3"}, seed=1
    )
    assert Provenance.from_json({**provenance.to_json(), "mood": "good"}) == provenance
    with pytest.raises(CaptureError, match="names no model"):
        Provenance.from_json({"seed": 1})


def test_notes_of_a_sample_follow_the_notes_of_the_capture():
    provenance = Provenance("m.keras", samples=("a", "b"), notes=("of all",), sample_notes=(("of a",), ()))
    assert provenance.notes_of(0) == ("of all", "of a")
    assert provenance.notes_of(1) == ("of all",)


def test_provenance_without_sample_notes_is_read():
    data = Provenance("m.keras", samples=("a",), notes=("of all",)).to_json()
    del data["sample_notes"]
    older = Provenance.from_json(data)
    assert older.sample_notes == ()
    assert older.notes_of(0) == ("of all",)
    with pytest.raises(CaptureError, match="sample_notes are no lists"):
        Provenance.from_json({**data, "sample_notes": ["of a"]})


def test_every_text_of_a_provenance_is_printable():
    hostile = "a\x1b[31m\u202eb\ud800"
    sent = {"model": hostile, "sha256": hostile, "created": hostile, "notes": [hostile], "versions": {hostile: hostile}}
    found = Provenance.from_json(sent).to_json()
    for text in (
        found["model"],
        found["sha256"],
        found["created"],
        *found["notes"],
        *chain(*found["versions"].items()),
    ):
        assert text.isprintable()
