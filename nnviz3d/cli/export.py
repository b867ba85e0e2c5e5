"""The command `export`, in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from nnviz3d.cli.commands import EXPORT_HELP
from nnviz3d.cli.targets import open_target, run_capture, selection_of
from nnviz3d.options import NO_LOOK, NO_MODEL, OPTIONAL, Look, Model


def export(
    target: str | None = None,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    samples: Annotated[str | None, OPTIONAL] = None,
    max_size: Annotated[str | None, OPTIONAL] = None,
    float16: Annotated[bool, Parameter(negative=())] = False,
    model: Model = NO_MODEL,
    look: Look = NO_LOOK,
) -> None:
    """Run the command; its help is `EXPORT_HELP`."""
    from nnviz3d.apps.export import ExportJob, ExportSettings, check_export
    from nnviz3d.apps.export import export as write

    settings = ExportSettings(samples, max_size, float16)
    whole = check_export(output, settings).whole or samples is not None
    with open_target(target, model, look, run_capture, whole=whole) as found:
        write(ExportJob(found, selection_of(look, found), output, settings))


export.__doc__ = EXPORT_HELP
