"""A temporary folder that is always removed, even if a signal interrupts its creation or removal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnviz3d.data.files.unfinished import make_temporary_folder
from nnviz3d.stopping import DelayedSignals


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make an empty folder, and remove it with its content at the end."""
    folder = None
    try:
        with DelayedSignals():
            folder = make_temporary_folder()
        yield folder
    finally:
        with DelayedSignals():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
