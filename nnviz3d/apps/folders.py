"""A temporary folder that is gone afterwards, whenever a signal comes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnviz3d.apps.interruption import Interruption


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make an empty folder, and remove it with all that is in it at the end."""
    folder = None
    try:
        with Interruption():
            folder = Path(tempfile.mkdtemp(prefix="nnviz3d-"))
        yield folder
    finally:
        with Interruption():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
