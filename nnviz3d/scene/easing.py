"""Slow begin and slow end of a movement."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Share = TypeVar("Share", float, NDArray[np.float64])


def eased(share: Share) -> Share:
    """Return the share of the way that is covered after a share of the time, 0 to 1: slow at first and at last."""
    return share * share * (3 - 2 * share)
