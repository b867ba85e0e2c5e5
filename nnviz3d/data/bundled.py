"""Files that come with nnviz3d: scenes, the digits network and its test digits."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnviz3d.errors import UserError


@cache
def gallery() -> Path:
    """Return the folder of bundled files.

    In an installed wheel it is inside the package; in a checkout it is at the top of the repository.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "scenes", package.parent / "scenes"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"nnviz3d is installed without its scenes; expected them in {package / 'scenes'}.")


def bundled(name: str) -> Path:
    """Find a bundled file or capture by its name, such as ``digits.npz``.

    Raises
    ------
    UserError
        If there is none of that name; the message lists all names.
    """
    folder = gallery()
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if name not in names:
        raise UserError(f"nnviz3d comes with no {name!r}; it has {', '.join(names)}.")
    return folder / name


@cache
def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bundled test digits, ``(N, 28, 28)``, and their classes, ``(N,)``."""
    with np.load(bundled("digits.npz"), allow_pickle=False) as file:
        images, labels = file["images"], file["labels"].astype(np.int64)
    images.flags.writeable = labels.flags.writeable = False
    return images, labels
