"""Unique paths for recorded calls, which are the same in every run and valid in a Zarr store."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_UNSAFE = re.compile(r"[^\w.+=,()-]")
_PLUMBING = frozenset({"Cast", "ConvertToTensor", "Identity"})
_LONGEST_PART = 200
"""Most bytes of one part of a path; file systems allow 255."""
_CUT = 48
"""Characters left of a longer part, each of four bytes at most."""
_VERSION = re.compile(r"_v\d+$")


def is_plumbing(kind: str) -> bool:
    """Whether an operation of this class only changes a tensor's type."""
    return kind in _PLUMBING


def function_name(function: Any) -> str:
    """Return the usual name of an activation function: ``softmax`` for TensorFlow's ``softmax_v2`` and `Softmax`."""
    name = getattr(function, "__name__", None)
    return _VERSION.sub("", name) if isinstance(name, str) else type(function).__name__.lower()


def safe_part(name: str) -> str:
    """Make one part of a path safe for Zarr and for file systems, with as few changes as possible."""
    part = _UNSAFE.sub("_", name)
    if len(part.encode()) > _LONGEST_PART:
        part = f"{part[: _CUT // 2]}..{part[-_CUT // 2 :]}"
    if part.startswith("__"):
        part = "_" + part.lstrip("_")
    return part if part.strip(".") and part != "zarr.json" else f"_{part.strip('.')}"


class Namer:
    """Assigns paths and call numbers in the order of the calls."""

    def __init__(self) -> None:
        self._path_of: dict[tuple[int, tuple[str, ...]], str] = {}
        self._owner: dict[str, Any] = {}
        self._calls: dict[str, int] = {}

    def name(self, operation: Any, where: Iterable[str], fresh: bool) -> tuple[str, int]:
        """Name one call.

        Parameters
        ----------
        operation
            The called layer or operation.
        where
            Names from the model down to the operation.
        fresh
            Whether the operation was created by this call, as ``+`` creates an ``Add``. Keras numbers these over the
            whole process, so they are numbered here instead.

        Returns
        -------
        tuple
            The path, and 0 for its first call, 1 for the second, and so on.
        """
        parts = tuple(where)
        key = (id(operation), parts)
        path = self._path_of.get(key)
        if path is None:
            last = re.sub(r"_\d+$", "", parts[-1]) if fresh else parts[-1]
            path = self._free("/".join(safe_part(part) for part in (*parts[:-1], last)))
            self._path_of[key] = path
            self._owner[path] = operation  # kept, so that its id is not given to another object
        call = self._calls.get(path, 0)
        self._calls[path] = call + 1
        return path, call

    def _free(self, path: str) -> str:
        if path not in self._owner:
            return path
        number = 1
        while f"{path}_{number}" in self._owner:
            number += 1
        return f"{path}_{number}"
