"""Addresses of captures that are no files, such as ``s3://bucket/run.zarr``, opened by fsspec."""

from __future__ import annotations

from pathlib import Path

from zarr.abc.store import Store
from zarr.storage import LocalStore


def store_at(where: str, *, read_only: bool = False) -> Store:
    """Return the Zarr store at a path or an address."""
    return LocalStore(Path(where), read_only=read_only)
