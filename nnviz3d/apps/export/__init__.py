"""Exports of a target as one file: the formats by the ending of the file's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from nnviz3d.apps.target import check_output
from nnviz3d.errors import UserError

if TYPE_CHECKING:
    from nnviz3d.apps.open_target import Opened
    from nnviz3d.scene.scene import Scene
    from nnviz3d.scene.selection import Selection

ASPECT = 16 / 9
"""Width over height of the picture that the layout of an export fills."""


@dataclass(frozen=True)
class ExportSettings:
    """Settings that only some formats take; `None` and `False` mean that they are not given.

    Attributes
    ----------
    samples
        The samples to export: ``0:20``, ``3``, or several of these with commas between them.
    max_size
        Maximum size of the file, such as ``50MB``.
    float16
        Whether the numbers are rounded to float16.
    """

    samples: str | None = None
    max_size: str | None = None
    float16: bool = False


@dataclass(frozen=True)
class ExportJob:
    """One export.

    Attributes
    ----------
    found
        The open target.
    selection
        What the options of the look select.
    out
        The file to write.
    """

    found: Opened
    selection: Selection
    out: Path
    settings: ExportSettings = field(default_factory=ExportSettings)

    def scene(self) -> Scene:
        """Lay out the scene for a picture with the usual aspect, `ASPECT`."""
        return self.found.scene(self.selection, aspect=ASPECT)


@dataclass(frozen=True)
class Format:
    """A format of exports.

    Attributes
    ----------
    words
        What the file is, for messages.
    write
        ``module:function`` that takes an `ExportJob` and writes the file, whole or not at all.
    settings
        The fields of `ExportSettings` that the format takes.
    whole
        Whether the file holds all samples of a model's input, so that all of them are captured.
    """

    words: str
    write: str
    settings: frozenset[str] = frozenset()
    whole: bool = False


FORMATS: Mapping[str, Format] = {
    ".html": Format(
        "a page that rotates and plays without a server",
        "nnviz3d.apps.export.html.write:write_html",
        frozenset({"samples", "max_size", "float16"}),
    ),
    ".zarr.zip": Format("the capture as one file", "nnviz3d.apps.export.capture_file:write_capture_file", whole=True),
    ".glb": Format(
        "a 3D model, binary glTF", "nnviz3d.apps.export.model_file:write_model_file", frozenset({"max_size"})
    ),
    ".csv": Format("a table of points", "nnviz3d.apps.export.points_table:write_points_table"),
    ".svg": Format("the structure or a chart", "nnviz3d.apps.export.vector_file:write_vector_file"),
    ".pdf": Format("the same for printing", "nnviz3d.apps.export.vector_file:write_vector_file"),
    ".vtm": Format("the numbers for PyVista and ParaView", "nnviz3d.apps.export.data_sets:write_data_sets"),
}
"""The formats by ending, in lower case. To add one: an entry, and a module with its function."""


def format_of(out: Path) -> Format:
    """Return the format of a file by its ending.

    Raises
    ------
    UserError
        If no format has this ending.
    """
    name = out.name.lower()
    # Of ".zarr.zip" and ".zip" the longer ending wins.
    found = max((ending for ending in FORMATS if name.endswith(ending) and name != ending), key=len, default=None)
    if found is None:
        endings = ", ".join(f"{ending} ({one.words})" for ending, one in FORMATS.items())
        raise UserError(f"-o {out}: the name of an export ends in {endings}.")
    return FORMATS[found]


def check_export(out: Path, settings: ExportSettings) -> Format:
    """Refuse an export that cannot be written, before any work; returns its format.

    Raises
    ------
    UserError
        If the ending is unknown, the place cannot be written to, or the format does not take a setting.
    """
    found = format_of(out)
    check_output(out, (out.suffix.lower(),))
    given = (one.name for one in fields(settings) if getattr(settings, one.name) != one.default)
    for name in given:
        if name not in found.settings:
            takers = ", ".join(ending for ending, one in FORMATS.items() if name in one.settings)
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} has no effect on {out.name}; it goes with {takers or 'no format'}.")
    return found


def export(job: ExportJob) -> None:
    """Write a file in the format of its ending, whole or not at all.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    module, name = check_export(job.out, job.settings).write.split(":")
    write: Callable[[ExportJob], None] = getattr(import_module(module), name)
    write(job)
