"""The command `inspect`, in a module of its own."""

from __future__ import annotations

import io
import json
import sys
from typing import Annotated

from cyclopts import Parameter

from nnviz3d.cli.commands import INSPECT_HELP
from nnviz3d.cli.targets import capturing
from nnviz3d.errors import UserError
from nnviz3d.options import NO_MODEL, OPTIONAL, Model

_ENDLESS = 1_000_000
"""Characters: the width of a line that is never cut."""


def inspect(
    target: str | None = None,
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative=())] = False,
    sample: Annotated[int | None, OPTIONAL] = None,
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    model: Model = NO_MODEL,
) -> None:
    """Run the command; its help is `INSPECT_HELP`."""
    from nnviz3d.apps.inspection import describe, print_table
    from nnviz3d.apps.open_target import opened

    if all_ and sample is not None:
        raise UserError("--sample and --all contradict each other; leave one of them out.")
    with (
        capturing(target) as run,
        opened(target, None, model.options(), run, sample=sample or 0, whole=all_, drawn=False) as found,
    ):
        names = [one.name for one in found.samples]
        if json_:
            told = describe(found.capture, found.sample, names, together=all_)
            print(json.dumps(told, ensure_ascii=False, allow_nan=False))
        else:
            from rich.console import Console

            if sys.stdout.isatty():
                print_table(found.capture, Console(), found.sample, names, together=all_)
                return
            # In a pipe or a file the table has its full width.
            lines = io.StringIO()
            console = Console(file=lines, width=_ENDLESS, color_system=None)
            print_table(found.capture, console, found.sample, names, together=all_)
            print("\n".join(line.rstrip() for line in lines.getvalue().splitlines()))


inspect.__doc__ = INSPECT_HELP
