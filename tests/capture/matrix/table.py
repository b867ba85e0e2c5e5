"""Text of the table of model kinds in the documentation: ``python -m tests.capture.matrix.table`` writes it."""

from __future__ import annotations

from pathlib import Path

from tests.capture.matrix.models import CASES
from tests.capture.matrix.test_applications import FAMILIES, NAMES

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
"""The page."""
_START = """# Models that open

Each row is a kind of model that the tests build, capture and draw; each mark is a test that passes.

- **graph**: the nodes and edges equal a list that was written by hand.
- **activations**: every number of every layer equals, bit for bit, that of an eager run of Keras.
- **gradients**: the gradient of the explained number by every layer equals that of a `tf.GradientTape`; the relative
  difference of the two, by norm, is at most 2e-5.
- **picture**: every layer is inside the frame and has pixels that a click finds; inputs, outputs and layers with weights
  are named; no text covers another.

| kind of model | graph | activations | gradients | picture |
|---|---|---|---|---|
"""


def text() -> str:
    """Return the whole page."""
    rows = "".join(f"| {case.name} | ✓ | ✓ | ✓ | ✓ |\n" for case in CASES)
    families = ", ".join(FAMILIES)
    others = ", ".join(name for name in NAMES if name not in FAMILIES)
    return f"""{_START}{rows}
## keras.applications

All {len(NAMES)} networks of keras.applications pass at their smallest input without trained weights: the edges are those of
the architecture that Keras saves, the parameters add up to Keras' own count, the answer is Keras' own bit for bit, and
the picture is filled. Every run of the tests covers ten families:
{families}.

`NNVIZ3D_ALL_APPLICATIONS=1 pytest tests/capture/matrix/test_applications.py` runs the others too:
{others}.
"""


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
