"""One table of words for targets, which the capture process and ready captures have to read alike."""

from __future__ import annotations

from nnviz3d.data.targets import Target

CLASSES = ("tench", "Golden Retriever", "great_white_shark", "Espresso", "not a fish")
"""The classes of the output ``scores``."""

WORDS: dict[str, Target] = {
    "1": Target("scores", 1),
    " 1 ": Target("scores", 1),
    "Golden Retriever": Target("scores", 1),
    "golden_retriever": Target("scores", 1),
    "GOLDEN RETRIEVER": Target("scores", 1),
    "golden retriever": Target("scores", 1),
    "great white shark": Target("scores", 2),
    "Great_White_Shark": Target("scores", 2),
    "espresso": Target("scores", 3),
    "scores[3]": Target("scores", 3),
    "not a fish": Target("scores", 4),
    "not scores[3]": Target("scores", 3, against=True),
    "not espresso": Target("scores", 3, against=True),
    "Not golden_retriever": Target("scores", 1, against=True),
    "not 0": Target("scores", 0, against=True),
    "not not a fish": Target("scores", 4, against=True),
}
