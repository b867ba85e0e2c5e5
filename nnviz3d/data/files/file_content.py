"""Find out what a file is from its first bytes, to say it of a file that is not what its name says."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

RENAME = "rename it to end in"
"""The beginning of the advice on a model that opens under another name."""
_AGAIN = "download it again"
_TORCH = "export the model to ONNX in Python, torch.onnx.export(model, example, 'model.onnx'), and open that file"


@dataclass(frozen=True)
class Content:
    """The kind of a file, found from its first bytes.

    Attributes
    ----------
    words
        What it is, with an article: ``an empty file``.
    advice
        What to do with it, in the imperative; empty if that depends on what was expected.
    strange
        Whether no model file of any kind has this content.
    is_pickle
        Whether it is a pickle of Python, which is never read.
    """

    words: str
    advice: str = ""
    strange: bool = False
    is_pickle: bool = False


def content_of(path: Path) -> Content:
    """Return what a file is by its first bytes; a file of an unknown kind is "some other kind of file"."""
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return Content("an empty file", "copy or download it again", strange=True)
    if head.startswith(b"version https://git-lfs.github.com/"):
        return Content("a pointer of Git LFS to the real file", "run git lfs pull in its repository", strange=True)
    if head.lstrip(b"\xef\xbb\xbf \r\n\t")[:15].lower().startswith((b"<!doctype html", b"<html")):
        way = f"{_AGAIN} with the address of the file itself, not of its page"
        return Content("a web page (HTML)", way, strange=True)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return Content("an HDF5 file", f"{RENAME} .h5")
    if head.startswith(b"PK\x03\x04"):
        return _of_zip(path)
    if head.startswith(b"\x1f\x8b"):
        return Content("an archive that gzip compressed", "unpack it first")
    if head[4:8] == b"TFL3":
        return Content("a model of TensorFlow Lite", f"{RENAME} .tflite")
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return Content(
            "a pickle or an old file of PyTorch, which can run any code", f"of PyTorch: {_TORCH}", is_pickle=True
        )
    if head[:9].lstrip().startswith((b"{", b"[")) and _is_text(head):
        return Content("a text file (JSON)", "give the file that model.save() wrote")
    return Content("a text file" if _is_text(head) else "some other kind of file")


def _of_zip(path: Path) -> Content:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return Content("a damaged zip archive", "copy or download it again")
    if "config.json" in names:
        return Content("a .keras archive", f"{RENAME} .keras")
    if any(name.endswith("/data.pkl") for name in names):
        return Content("a file of PyTorch", _TORCH)
    models = [
        name for name in names if name.lower().endswith((".keras", ".h5", ".hdf5", ".onnx", ".tflite", "config.json"))
    ]
    inside = f" that holds {models[0]}" if models else ""
    return Content(f"a zip archive{inside}", "unpack it, and open what it holds" if models else "")


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > 500
    return b"\0" not in head
