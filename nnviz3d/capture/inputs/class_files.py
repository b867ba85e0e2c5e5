"""Names of classes, from a user's file or of ImageNet."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

from nnviz3d.data.files.memory_limit import read_text
from nnviz3d.data.files.paths import quoted, user_path
from nnviz3d.errors import SampleError


def read_classes(path: Path) -> tuple[str, ...]:
    """Read class names, one on each line.

    Raises
    ------
    SampleError
        If the file is missing, empty, too large or not text.
    """
    try:
        lines = read_text(user_path(path), SampleError).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise SampleError(
            f"The class names in {quoted(path)} cannot be read ({why}); expected a text file with one name on each line."
        ) from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise SampleError(f"{path.name} names no classes; expected one name on each line.")
    return names


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return ImageNet's 1000 class names in the order of the usual networks' outputs."""
    text = resources.files("nnviz3d.capture.inputs").joinpath("imagenet.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())
