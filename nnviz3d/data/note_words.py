"""Beginnings of the notes on a capture that a picture tells in another place, shared by capture and scene."""

from __future__ import annotations

NO_CONNECTIONS = "No connections are captured for "
"""Beginning of a note that names layers; the legend of the connections names those for which no lines are drawn."""
TEXT_NOT_STORED = "Not stored, because they hold text: "
"""Beginning of a note that names nodes; the words themselves stand beside their blocks."""
ROUNDED = "rounded to float16"
"""Note on a number that was stored as float16."""
ROUNDED_NUMBERS = f"{ROUNDED}, to about three digits"
"""Note on a file whose numbers were all stored as float16."""
RANDOM_WEIGHTS = "The weights are random, not trained (--weights none)."
"""Note on a model of keras.applications without its trained weights."""
CADENCE = "The cost of a record decided which steps were recorded: "
"""Beginning of a note on how a training was recorded, which the provenance tells."""


def told_elsewhere(note: str) -> bool:
    """Whether a note repeats what another part of the picture says."""
    return note.startswith((NO_CONNECTIONS, TEXT_NOT_STORED, CADENCE))
