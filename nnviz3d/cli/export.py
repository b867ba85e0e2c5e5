"""The command `export`, in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from nnviz3d.cli.commands import EXPORT_HELP
from nnviz3d.cli.targets import capturing, open_target, selection_of
from nnviz3d.errors import UserError
from nnviz3d.options import NO_LOOK, NO_MODEL, OPTIONAL, Look, Model

if TYPE_CHECKING:
    from nnviz3d.apps.export import ExportSettings


def export(
    target: str | None = None,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    samples: Annotated[str | None, OPTIONAL] = None,
    max_size: Annotated[str | None, OPTIONAL] = None,
    float16: Annotated[bool, Parameter(negative=())] = False,
    gallery: Annotated[bool, Parameter(negative=())] = False,
    model: Model = NO_MODEL,
    look: Look = NO_LOOK,
) -> None:
    """Run the command; its help is `EXPORT_HELP`."""
    from nnviz3d.apps.export import ExportJob, ExportSettings, check_export
    from nnviz3d.apps.export import export as write

    settings = ExportSettings(samples, max_size, float16)
    if gallery:
        _write_gallery(target, output, settings, model, look)
        return
    whole = check_export(output, settings).whole or samples is not None
    with capturing(target) as run, open_target(target, model, look, run, whole=whole) as found:
        write(ExportJob(found, selection_of(look, found), output, settings))


def _write_gallery(target: str | None, folder: Path, settings: ExportSettings, model: Model, look: Look) -> None:
    from nnviz3d.apps.export.html.gallery import check_gallery, write_gallery
    from nnviz3d.apps.snapshot import require_graphics

    if target is not None or model != NO_MODEL or look != NO_LOOK:
        raise UserError("--gallery exports the bundled scenes as they are; leave the target and its options out.")
    check_gallery(folder)
    require_graphics()
    write_gallery(folder, settings)


export.__doc__ = EXPORT_HELP
