"""Export of a scene as VTK's data sets, NET.vtm, for PyVista and ParaView."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from nnviz3d.apps.export import ExportJob
from nnviz3d.apps.export.multi_block import multi_block
from nnviz3d.apps.whole_files import writing
from nnviz3d.data.files.unfinished import partial_path
from nnviz3d.errors import UserError
from nnviz3d.render.data_files import write_tree
from nnviz3d.stopping import DelayedSignals

_PART = re.compile(r"_\d+(_\d+)*\.vt[ip]")
"""End of the name of a data set's file, after the name of the ``.vtm`` without its ending."""


def write_data_sets(job: ExportJob) -> None:
    """Write the tree of data sets of `multi_block`: a file, and a folder of the same name beside it.

    Raises
    ------
    UserError
        If they cannot be written, or the folder holds something else.
    """
    out, folder = job.out, job.out.with_suffix("")
    if folder.exists() and not _is_ours(folder):
        raise UserError(f"-o {out} writes the folder {folder.name} too, which holds other files; choose another name.")
    data = multi_block(job.scene(), job.selection)
    with writing(out):
        partial = partial_path(out)
        try:
            with DelayedSignals():
                partial.mkdir(mode=0o700)
            made = partial / "made"  # the outer folder is private, the files in it follow the user's umask
            made.mkdir()
            write_tree(data, made / out.name)
            with DelayedSignals():
                shutil.rmtree(folder, ignore_errors=True)
                (made / folder.name).replace(folder)
                (made / out.name).replace(out)
        finally:
            with DelayedSignals():
                shutil.rmtree(partial, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    """Whether a folder holds nothing but the data sets of an earlier export of the same name."""
    name = folder.name
    return folder.is_dir() and all(
        file.name.startswith(name) and _PART.fullmatch(file.name, len(name)) for file in folder.iterdir()
    )
