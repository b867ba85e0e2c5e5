"""Arrays of several captures of one model as one: a path is read from the first capture that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from numpy.typing import NDArray

from nnviz3d.data.storage.direct_reads import StoredArray
from nnviz3d.data.storage.zarr_reader import StoredArrays


class ChainedArrays(StoredArrays):
    """The arrays of a first capture, and those that only further captures have.

    Numbers of samples, such as `committed`, are those of the first one.

    Parameters
    ----------
    captures
        The arrays of each capture, at least one.
    """

    def __init__(self, captures: Sequence[StoredArrays]) -> None:
        first = captures[0]
        super().__init__(
            first.path, first._listing, graph=first.graph, complete=first._complete, committed=first.committed
        )
        self._captures = tuple(captures)

    def reopened(self) -> StoredArrays:
        """Return a new reader without opened arrays."""
        return ChainedArrays([one.reopened() for one in self._captures])

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Read the same part of an array only once within this context."""
        with ExitStack() as stack:
            for one in self._captures:
                stack.enter_context(one.remembering())
            yield

    def find(self, path: str, shape: Sequence[int | None] | None = None, kinds: str = "biuf") -> StoredArray | None:
        """Open an array; `None` if there is none."""
        return self._owner(path).find(path, shape, kinds)

    def read(self, array: StoredArray, selection: Any) -> NDArray[Any]:
        """Read part of an array."""
        return self._owner(array.path).read(array, selection)

    def _owner(self, path: str) -> StoredArrays:
        """Return the arrays of the first capture that has a path; the first of all if none has it."""
        return next((one for one in self._captures if one._member(path) is not None), self._captures[0])

    def _member(self, path: str) -> Mapping[str, Any] | None:
        return next((found for one in self._captures if (found := one._member(path)) is not None), None)

    def _children(self, path: str, kind: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for one in self._captures for name in one._children(path, kind)))
