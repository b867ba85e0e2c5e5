"""Ratios of times within one run: actions alternate, so that other load on the machine affects all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence


def interleaved(actions: Mapping[str, Callable[[int], object]], rounds: int, *, warm: int = 1) -> dict[str, float]:
    """Run all actions in turn for a number of rounds, and return the median seconds of each.

    Each action gets the number of its round; the first `warm` rounds do not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for k in range(-warm, rounds):
        for name, action in actions.items():
            start = time.perf_counter()
            action(k)
            if k >= 0:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def table(title: str, rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a title, columns aligned."""
    texts = [[f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in texts) for i in range(len(texts[0]))]
    print(f"\n{title}")
    for row in texts:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
