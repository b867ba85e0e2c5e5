"""Connections of a pair as captures of version 1 store them, which stay readable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.records import RANKINGS, Connections, Ranking, filled
from nnviz3d.data.storage import schema
from nnviz3d.data.storage.capture_writer import CaptureWriter


def write_connections(writer: CaptureWriter, found: Mapping[Ranking, Sequence[Connections]]) -> None:
    """Write one pair's strongest connections: by every ranking, one record for each sample in order.

    They are packed, ``index (N, rankings, k, 2)`` and the others ``(N, rankings, k)``, because many small arrays
    would take more time. A unit at the border has fewer connections than one in the middle, so shorter records are
    filled up with the index -1.
    """
    columns = [found[ranking] for ranking in RANKINGS]
    k = max(c.shown for column in columns for c in column)
    first = columns[0][0]
    path = schema.connection_path(first.source, first.target)

    def packed(part: Callable[[Connections], NDArray[Any]], filler: int) -> NDArray[Any]:
        return np.stack([np.stack([filled(part(c), k, filler) for c in column]) for column in columns], axis=1)

    attributes = {"rule": first.rule, "rankings": list(RANKINGS), "totals": [c.total for c in columns[0]]}
    writer.group(path, attributes)
    writer.whole(f"{path}/index", packed(lambda c: c.index, -1))
    writer.whole(f"{path}/weight", packed(lambda c: c.weight, 0))
    writer.whole(f"{path}/contribution", packed(lambda c: c.contribution, 0))
