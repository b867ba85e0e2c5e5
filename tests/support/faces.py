"""Faces of the drawn cells of a block, in one list."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.export.faces import Faces, open_faces


def visible_faces(drawn: NDArray[np.bool_]) -> Faces:
    """Return the faces of the drawn cells, ``(X, Y, Z)``, that are not between two drawn cells."""
    cells = [np.argwhere(open_).astype(np.int32) for open_ in open_faces(drawn)]
    sides = np.repeat(np.arange(6, dtype=np.uint8), [len(found) for found in cells])
    return Faces(np.concatenate(cells), sides)
