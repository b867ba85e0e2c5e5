"""Files of a capture that hold numbers."""

from __future__ import annotations

from pathlib import Path


def chunk_files(folder: Path) -> list[Path]:
    """Return the files with the numbers of all arrays in a folder of a capture."""
    return sorted(path for path in folder.rglob("c.*") if path.is_file())
