"""Threads for compiled functions that work on ranges of points."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Self

from nnviz3d.processors import processors


def ranges(count: int, parts: int | None = None) -> list[tuple[int, int]]:
    """Split ``range(count)`` into parts of about equal length, by default of a thousand, and at most 64."""
    parts = parts or max(1, min(64, count // 1000))
    edges = [count * k // parts for k in range(parts + 1)]
    return [(a, b) for a, b in pairwise(edges) if a < b]


class Threads:
    """Threads that run compiled functions on ranges of points; a context manager.

    Parameters
    ----------
    count
        By default as many as there are cores. The calling thread is one of them.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or processors()
        self._pool = ThreadPoolExecutor(self.count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run(self, parts: Iterable[tuple[int, int]], function: Any, *arguments: Any) -> list[Any]:
        """Run a function on ranges, and return its results in their order."""
        parts = list(parts)
        found: list[Any] = [None] * len(parts)
        left = itertools.count()

        def take() -> None:
            while (part := next(left)) < len(parts):
                found[part] = function(*arguments, *parts[part])

        # One task for each thread: starting a task takes as long as computing a small part.
        helpers = [self._pool.submit(take) for _ in range(min(self.count, len(parts)) - 1)]
        take()
        for helper in helpers:
            helper.result()
        return found
