"""The strongest connections of all pairs of a capture, packed into a few arrays, so that one read finds all of a sample.

The group ``connections/packed`` has the attributes ``rankings`` and ``pairs``: of each pair the source, the target, the
rule, the first column and the number of columns. Its arrays are ``index``, ``(N, rankings, T, 2)``, ``weight`` and
``contribution``, ``(N, rankings, T)``, and ``totals``, ``(N, pairs)``. A pair with fewer connections in a sample is filled
up with the index -1. Captures of version 1 have a group for each pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.records import RANKINGS, Connections, Ranking
from nnviz3d.data.storage import schema

if TYPE_CHECKING:
    from nnviz3d.data.storage.array_writer import ArrayWriter
    from nnviz3d.data.storage.zarr_reader import StoredArrays

Found = Mapping[tuple[str, str], Mapping[Ranking, Sequence[Connections]]]
"""For each pair of nodes and each ranking, the connections of some samples in order."""


def write_packed(writer: ArrayWriter, start: int, found: Found, most: Mapping[tuple[str, str], int]) -> None:
    """Write the connections of samples from ``start`` on; the first call decides on the pairs.

    Parameters
    ----------
    most
        The greatest number of connections of each pair, whatever the sample.
    """
    if not found:
        return
    firsts = dict(zip(found, np.cumsum([0, *(most[pair] for pair in found)]).tolist(), strict=False))
    if start == 0:
        pairs = [[*pair, found[pair][RANKINGS[0]][0].rule, firsts[pair], most[pair]] for pair in found]
        writer.group(schema.PACKED, {"rankings": list(RANKINGS), "pairs": pairs})
    count, width = len(next(iter(found.values()))[RANKINGS[0]]), sum(most[pair] for pair in found)
    index = np.full((count, len(RANKINGS), width, 2), -1, np.int64)
    weight, contribution = (np.zeros((count, len(RANKINGS), width), np.float32) for _ in range(2))
    totals = np.zeros((count, len(found)), np.int64)
    for number, (pair, records) in enumerate(found.items()):
        first = firsts[pair]
        for which, ranking in enumerate(RANKINGS):
            for i, one in enumerate(records[ranking]):
                columns = slice(first, first + one.shown)
                index[i, which, columns] = one.index
                weight[i, which, columns] = one.weight
                contribution[i, which, columns] = one.contribution
                totals[i, number] = one.total
    axes = ("ranking", "connection")
    writer.rows(f"{schema.PACKED}/index", start, index, (*axes, "end"))
    writer.rows(f"{schema.PACKED}/weight", start, weight, axes)
    writer.rows(f"{schema.PACKED}/contribution", start, contribution, axes)
    writer.rows(f"{schema.PACKED}/totals", start, totals, ("pair",))


class PackedConnections:
    """Reader of the packed connections of a capture; it keeps those of the last sample.

    Raises
    ------
    CaptureError
        If their description is damaged.
    """

    def __init__(self, stored: StoredArrays) -> None:
        self._stored = stored
        attributes = stored.attributes(schema.PACKED)
        pairs: Any = attributes.get("pairs")
        rankings: Any = attributes.get("rankings")
        valid = isinstance(pairs, list) and all(map(_is_pair, pairs)) and isinstance(rankings, list)
        if not valid or not all(name in stored.graph for pair in pairs for name in pair[:2]):
            raise stored.damaged(f"{schema.PACKED} has no valid description of its connections")
        self._rankings: list[Any] = rankings
        self._places: dict[tuple[str, str], tuple[int, Literal["dense", "fan"], slice]] = {
            (source, target): (number, rule, slice(first, first + most))
            for number, (source, target, rule, first, most) in enumerate(pairs)
        }
        self._width = max((first + most for *_, first, most in pairs), default=0)
        self._last: tuple[int, dict[str, NDArray[Any]]] | None = None

    def read(self, source: str, target: str, ranking: Ranking, sample: int) -> Connections | None:
        """Read a pair's connections for one sample; `None` if none were captured."""
        if (source, target) not in self._places or ranking not in self._rankings:
            return None
        number, rule, columns = self._places[source, target]
        arrays, which = self._arrays(sample), self._rankings.index(ranking)
        pairs = arrays["index"][which, columns]
        real = pairs[:, 0] >= 0
        graph = self._stored.graph
        sizes = [graph.node(end).size or np.iinfo(np.int64).max for end in (source, target)]
        if not ((pairs[real] >= 0) & (pairs[real] < sizes)).all():
            raise self._stored.damaged(f"{schema.PACKED} leads to cells that {source} and {target} do not have")
        weight, contribution = (arrays[name][which, columns][real] for name in ("weight", "contribution"))
        total = int(arrays["totals"][number])
        return Connections(source, target, rule, ranking, total, pairs[real], weight, contribution)

    def _arrays(self, sample: int) -> dict[str, NDArray[Any]]:
        if self._last is None or self._last[0] != self._stored.checked(sample):
            shape = (None, len(self._rankings), self._width)
            shapes: dict[str, tuple[tuple[int | None, ...], str]] = {
                "index": ((*shape, 2), "i"),
                "weight": (shape, "f"),
                "contribution": (shape, "f"),
                "totals": ((None, len(self._places)), "i"),
            }
            self._last = (
                sample,
                {
                    name: self._stored.sample(self._stored.require(f"{schema.PACKED}/{name}", axes, kinds), sample)
                    for name, (axes, kinds) in shapes.items()
                },
            )
        return self._last[1]


def _is_pair(one: Any) -> bool:
    """Whether a value describes a pair: source, target, rule, first column and number of columns."""
    return (
        isinstance(one, list)
        and len(one) == 5
        and all(isinstance(name, str) for name in one[:2])
        and one[2] in ("dense", "fan")
        and all(type(n) is int and 0 <= n < 2**40 for n in one[3:])
    )
