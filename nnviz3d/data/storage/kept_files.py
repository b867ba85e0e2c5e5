"""Files inside a capture's folder that keep what a session let the model compute: one for each kind and layer.

Each is a capture of its own, without numbers of samples: ``run.zarr/more/embeddings-dense-0a1b2c3d.zarr.zip`` holds the
group ``embeddings/dense``. Its name follows from the group, so a newer answer of the same kind and layer replaces it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Collection
from pathlib import Path

from nnviz3d.data.storage.schema import DESCRIPTION
from nnviz3d.errors import CaptureError

FOLDER = "more"
"""The folder inside that of the capture."""
_ENDING = ".zarr.zip"
_LONGEST = 60
"""Most letters of a file's name that repeat the name of its group."""


def kept_files(folder: Path) -> list[Path]:
    """Return the files that a capture's folder keeps, in the order of their names.

    Raises
    ------
    CaptureError
        If the system refuses to list them.
    """
    try:
        names = os.listdir(folder / FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise CaptureError(f"{folder / FOLDER} cannot be read: {error.strerror or error}.") from None
    return [folder / FOLDER / name for name in sorted(names) if name.endswith(_ENDING) and not name.startswith(".")]


def is_kept(path: Path) -> bool:
    """Whether a path is that of a file inside a capture's folder."""
    return path.parent.name == FOLDER and path.name.endswith(_ENDING) and (path.parents[1] / DESCRIPTION).is_file()


def kept_file(folder: Path, group: str) -> Path:
    """Return the file in which a capture's folder keeps a group."""
    words = re.sub(r"[^A-Za-z0-9_.]+", "-", group).strip("-.")[:_LONGEST]
    return folder / FOLDER / f"{words}-{hashlib.sha256(group.encode()).hexdigest()[:8]}{_ENDING}"


def groups_in(archive: zipfile.ZipFile, kinds: Collection[str]) -> tuple[str, ...]:
    """Return the groups of some kinds that hold arrays, such as ``embeddings/dense`` and ``features/conv2d/@0``.

    Parameters
    ----------
    kinds
        Names of groups directly below the root; empty: all.
    """
    found: dict[str, None] = {}
    for name in archive.namelist():
        kind, _, rest = name.partition("/")
        if (kinds and kind not in kinds) or not rest.endswith(f"/{DESCRIPTION}"):
            continue
        if json.loads(archive.read(name)).get("node_type") == "array":
            found[name.removesuffix(f"/{DESCRIPTION}").rpartition("/")[0]] = None
    return tuple(found)


def belongs_to(name: str, group: str) -> bool:
    """Whether a file of a capture belongs to a group: it is in it, or describes the root or a group around it."""
    around, _, last = name.rpartition("/")
    return name.startswith(f"{group}/") or (
        last == DESCRIPTION and f"{group}/".startswith(f"{around}/" if around else "")
    )
