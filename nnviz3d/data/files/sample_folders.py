"""Find the samples of a folder: pictures, sounds or texts, in the folder itself or in one sub-folder for each class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nnviz3d.data.files.paths import is_file, is_folder, listed, quoted
from nnviz3d.data.files.picture_files import HEIC, SUFFIXES, WITH_HEIF, damage_of, reads_heic
from nnviz3d.data.files.sound_files import SOUNDS
from nnviz3d.errors import SampleError

_MARK = "/./"
"""Separates a folder from a path relative to it, as in rsync; the whole string is still the file's path."""
_SHOWN = 5
"""Most kinds of files, or sub-folders, that a sentence lists."""


_KINDS = {"pictures": SUFFIXES | HEIC, "sounds": SOUNDS, "texts": frozenset({".txt"})}
"""The kinds of samples in folders, in the order in which they are looked for, and the endings of their files."""


@dataclass(frozen=True)
class FolderSample:
    """A file of a folder: a picture, a sound, or a text that is one sample.

    Attributes
    ----------
    source
        The sample's name in a request, from which its name and label can be found again.
    name
        ``1.jpg``, or ``cat/1.jpg`` in a folder of class folders.
    label
        Number of its class, if its folder is a class folder.
    """

    source: str
    name: str
    label: int | None = None


@dataclass(frozen=True)
class SampleFolder:
    """A folder's samples, by name, and the names of their classes, if the folder has class folders.

    Attributes
    ----------
    kind
        ``pictures``, ``sounds`` or ``texts``.
    notice
        Sentences on the files and sub-folders that are not read; `None` if there are none.
    """

    samples: tuple[FolderSample, ...]
    classes: tuple[str, ...] | None = None
    notice: str | None = None
    kind: str = "pictures"


def read_folder(folder: Path) -> SampleFolder:
    """List a folder's samples; hidden and damaged files are left out, the damaged ones with a notice.

    A folder with pictures is a folder of pictures, whatever else it holds; then sounds are looked for, then texts. If the
    folder itself holds none, its sub-folders are the classes, in the order of their names, as in
    `keras.utils.image_dataset_from_directory`. A single sub-folder is not a class.

    Raises
    ------
    SampleError
        If there are none; the message lists the content of the folder.
    """
    inside = listed(folder, SampleError)
    classes = [path for path in inside if is_folder(path, SampleError)]
    held = [listed(sub, SampleError) for sub in classes]
    name, single = quoted(folder.name or folder), len(classes) < 2
    damaged: list[str] = []
    unread = [] if reads_heic() else [p.name for paths in (inside, *held) for p in paths if p.suffix.lower() in HEIC]
    if unread:
        damaged.append(f"{_files(unread)} (HEIC, read {WITH_HEIF})")
    for kind, endings in _KINDS.items():
        own, broken = _readable(inside, endings)
        damaged.extend(_told(path.name, why) for path, why in broken)
        if own:
            notices = (
                _left_out(damaged, name),
                _unread(name, [path.name for path in classes], f"the folder itself holds {kind}"),
            )
            found = tuple(FolderSample(str(path), path.name) for path in own)
            return SampleFolder(found, notice=_joined(notices), kind=kind)
        below = [_readable(paths, endings) for paths in held]
        damaged.extend(
            _told(f"{sub.name}/{p.name}", why) for sub, (_, bad) in zip(classes, below, strict=True) for p, why in bad
        )
        found = tuple(
            FolderSample(f"{folder}{_MARK}{sub.name}/{path.name}", f"{sub.name}/{path.name}", None if single else label)
            for label, (sub, (paths, _)) in enumerate(zip(classes, below, strict=True))
            for path in paths
        )
        if found:
            deeper = [
                f"{sub.name}/{path.name}"
                for sub, paths in zip(classes, held, strict=True)
                for path in paths
                if is_folder(path, SampleError)
            ]
            notices = (
                _left_out(damaged, name),
                _unread(name, deeper, "only the sub-folders of the folder itself are read"),
            )
            names = None if single else tuple(sub.name for sub in classes)
            return SampleFolder(found, names, _joined(notices), kind)
    why = f" {_left_out(damaged, name)}" if damaged else ""
    raise SampleError(
        f"The folder {name} holds no pictures{_instead(inside, classes)}; expected {', '.join(sorted(SUFFIXES))} files, "
        "or .wav or .txt files, or a sub-folder of them for each class. Arrays and tables are named one by one, as in "
        f"x.npy.{why}"
    )


def find_in_folder(source: str) -> tuple[SampleFolder, FolderSample] | None:
    """Split a sample's source into the folder of class folders and the sample in it.

    Returns
    -------
    `None` if the source is of another kind.

    Raises
    ------
    SampleError
        If the folder no longer holds samples.
    """
    root = source.rpartition(_MARK)[0]
    if not names_class(source) or not is_folder(Path(root), SampleError):
        return None
    folder = read_folder(Path(root))
    return next(((folder, one) for one in folder.samples if one.source == source), None)


def names_class(source: str) -> bool:
    """Whether the text of a source names a sample in a folder of class folders; no file is read."""
    _, mark, name = source.rpartition(_MARK)
    return bool(mark) and name.count("/") == 1


def _readable(paths: list[Path], endings: frozenset[str]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the files with these endings, and apart from them the damaged ones with the reason."""
    pictures = endings >= SUFFIXES
    endings = SUFFIXES if pictures and not reads_heic() else endings
    found = [path for path in paths if path.suffix.lower() in endings and is_file(path, SampleError)]
    damages = {path: damage_of(path) for path in found} if pictures else {}
    whole = [path for path in found if damages.get(path) is None]
    return whole, [(path, why) for path, why in damages.items() if why is not None]


def _files(names: list[str]) -> str:
    """Return the name of one file, or the number of several with the first."""
    return quoted(names[0]) if len(names) == 1 else f"{quoted(names[0])} and {len(names) - 1:,} more"


def _told(name: str, why: str) -> str:
    return f"{quoted(name)} ({why})"


def _left_out(damaged: list[str], folder: str) -> str | None:
    """Return a sentence that names the damaged files; `None` if there are none."""
    if not damaged:
        return None
    more = f" and {len(damaged) - _SHOWN:,} more" if len(damaged) > _SHOWN else ""
    return f"Left out of {folder}: {', '.join(damaged[:_SHOWN])}{more}."


def _joined(notices: Iterable[str | None]) -> str | None:
    return " ".join(filter(None, notices)) or None


def _instead(inside: list[Path], folders: list[Path]) -> str:
    """Describe the content of a folder that has no pictures."""
    endings = Counter(path.suffix.lower()[:12] or "unnamed" for path in inside if path not in folders)
    parts = [f"{count:,} {ending}" for ending, count in endings.most_common(_SHOWN)]
    if folders:
        parts.append(f"the {_sub_folders([path.name for path in folders])} without any")
    return f", only {' and '.join(parts)}" if parts else ""


def _unread(folder: str, names: list[str], why: str) -> str | None:
    """Return a sentence that names the ignored sub-folders; `None` if there are none."""
    if not names:
        return None
    are = "are" if len(names) > 1 else "is"
    return (
        f"The {_sub_folders(names)} of {folder} {are} not read: {why}. Name a sub-folder as an "
        "input of its own to read it."
    )


def _sub_folders(names: list[str]) -> str:
    """Return the names of the first few sub-folders."""
    shown = ", ".join(quoted(name) for name in names[:_SHOWN])
    return f"sub-folder{'s' * (len(names) > 1)} {shown}{', ...' * (len(names) > _SHOWN)}"
