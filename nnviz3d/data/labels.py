"""True classes of samples of which some have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_LABEL = -(2**63)
"""In an array of labels, the place of a sample whose class is not known. Any other number may be a label: a hinge loss has
-1 and 1."""


def label_in(labels: NDArray[np.int64], index: int) -> int | None:
    """Return the label of a sample; `None` if it is not known, or no label is."""
    label = int(labels[index]) if len(labels) else NO_LABEL
    return None if label == NO_LABEL else label
