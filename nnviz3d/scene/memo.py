"""Values computed once from a capture or a training."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class Memo:
    """Keeps values as long as the capture or the training that they were computed from.

    All layouts that a scene tries, and its revisions, share one memo, so a view whose `__init__` reads numbers through it
    reads them once.
    """

    def __init__(self) -> None:
        self._found: WeakKeyDictionary[object, dict[Hashable, Any]] = WeakKeyDictionary()

    def get(self, owner: object, key: Hashable, compute: Callable[[], T]) -> T:
        """Return a value; computed at the first call for this owner and key.

        Parameters
        ----------
        owner
            What the value was computed from; the memo holds no reference to it.
        """
        kept = self._found.setdefault(owner, {})
        if key not in kept:
            kept[key] = compute()
        found: T = kept[key]
        return found
