"""Find the pictures of a folder: either in the folder itself, or in one sub-folder for each class."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from nnviz3d.data.files.paths import is_file, is_folder, listed, quoted
from nnviz3d.data.files.picture_files import SUFFIXES
from nnviz3d.errors import SampleError

_MARK = "/./"
"""Separates a folder from a path relative to it, as in rsync; the whole string is still the file's path."""
_SHOWN = 5
"""Most kinds of files, or sub-folders, that a sentence lists."""


@dataclass(frozen=True)
class FolderPicture:
    """A picture of a folder.

    Attributes
    ----------
    source
        The picture's name in a request, from which its name and label can be found again.
    name
        ``1.jpg``, or ``cat/1.jpg`` in a folder of class folders.
    label
        Number of its class, if its folder is a class folder.
    """

    source: str
    name: str
    label: int | None = None


@dataclass(frozen=True)
class PictureFolder:
    """A folder's pictures, by name, and the names of their classes, if the folder has class folders.

    Attributes
    ----------
    notice
        A sentence on the sub-folders that are not read; `None` if there are none.
    """

    pictures: tuple[FolderPicture, ...]
    classes: tuple[str, ...] | None = None
    notice: str | None = None


def read_folder(folder: Path) -> PictureFolder:
    """List a folder's pictures; hidden files are ignored.

    If the folder itself holds no picture, its sub-folders are the classes, in the order of their names, as in
    `keras.utils.image_dataset_from_directory`. A single sub-folder is not a class.

    Raises
    ------
    SampleError
        If there are none; the message lists the content of the folder.
    """
    inside = listed(folder, SampleError)
    found = _pictures(inside)
    classes = [path for path in inside if is_folder(path, SampleError)]
    if found:
        notice = _unread(folder, [path.name for path in classes], "the folder itself holds pictures")
        return PictureFolder(tuple(FolderPicture(str(path), path.name) for path in found), notice=notice)
    single = len(classes) < 2
    held = [listed(sub, SampleError) for sub in classes]
    pictures = tuple(
        FolderPicture(f"{folder}{_MARK}{sub.name}/{path.name}", f"{sub.name}/{path.name}", None if single else label)
        for label, (sub, paths) in enumerate(zip(classes, held, strict=True))
        for path in _pictures(paths)
    )
    if not pictures:
        raise SampleError(
            f"The folder {quoted(folder.name or folder)} holds no pictures{_instead(inside, classes)}; expected "
            f"{', '.join(sorted(SUFFIXES))} files, or a sub-folder of them for each class. Arrays are named one by one, "
            "as in x.npy."
        )
    deeper = [
        f"{sub.name}/{path.name}"
        for sub, paths in zip(classes, held, strict=True)
        for path in paths
        if is_folder(path, SampleError)
    ]
    notice = _unread(folder, deeper, "only the sub-folders of the folder itself are read")
    return PictureFolder(pictures, None if single else tuple(sub.name for sub in classes), notice)


def find_in_folder(source: str) -> tuple[PictureFolder, FolderPicture] | None:
    """Split a picture's source into the folder of class folders and the picture in it.

    Returns
    -------
    `None` if the source is of another kind.

    Raises
    ------
    SampleError
        If the folder no longer holds pictures.
    """
    root, mark, name = source.rpartition(_MARK)
    if not mark or name.count("/") != 1 or not is_folder(Path(root), SampleError):
        return None
    folder = read_folder(Path(root))
    return next(((folder, one) for one in folder.pictures if one.source == source), None)


def _pictures(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.suffix.lower() in SUFFIXES and is_file(path, SampleError)]


def _instead(inside: list[Path], folders: list[Path]) -> str:
    """Describe the content of a folder that has no pictures."""
    endings = Counter(path.suffix.lower()[:12] or "unnamed" for path in inside if path not in folders)
    parts = [f"{count:,} {ending}" for ending, count in endings.most_common(_SHOWN)]
    if folders:
        parts.append(f"the {_sub_folders([path.name for path in folders])} without any")
    return f", only {' and '.join(parts)}" if parts else ""


def _unread(folder: Path, names: list[str], why: str) -> str | None:
    """Return a sentence that names the ignored sub-folders; `None` if there are none."""
    if not names:
        return None
    are = "are" if len(names) > 1 else "is"
    return (
        f"The {_sub_folders(names)} of {quoted(folder.name or folder)} {are} not read: {why}. Name a sub-folder as an "
        "input of its own to read it."
    )


def _sub_folders(names: list[str]) -> str:
    """Return the names of the first few sub-folders."""
    shown = ", ".join(quoted(name) for name in names[:_SHOWN])
    return f"sub-folder{'s' * (len(names) > 1)} {shown}{', ...' * (len(names) > _SHOWN)}"
