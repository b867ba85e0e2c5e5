"""Export of a capture as one file, RUN.zarr.zip."""

from __future__ import annotations

import shutil

from nnviz3d.apps.export import ExportJob
from nnviz3d.apps.whole_files import whole_file, writing
from nnviz3d.data.capture import Capture
from nnviz3d.data.grouped_capture import without_groups
from nnviz3d.data.storage.address import address_of
from nnviz3d.data.storage.capture_writer import check_destination, zip_folder
from nnviz3d.errors import UserError


def write_capture_file(job: ExportJob) -> None:
    """Copy the whole capture into one file, which opens as the capture did.

    Raises
    ------
    UserError
        If the target shows several captures, the capture is still being written, or the file cannot be written.
    """
    capture, out = without_groups(job.found.capture), job.out
    if not isinstance(capture, Capture):
        raise UserError(
            f"{out.name} holds one capture, but the input is shown beside another one; export without --input."
        )
    if capture.training is not None and not capture.training.finished:
        raise UserError(f"{capture.path.name} is still being written; export it when the training has ended.")
    address = address_of(capture.path)
    if address is not None:
        raise UserError(
            f"{address} is exported file by file: copy it here by the tools of its service, and export the copy."
        )
    check_destination(out)
    with writing(out):
        if out.exists() and out.samefile(capture.path):
            raise UserError(f"{out} is the capture itself; give another name.")
        with whole_file(out) as partial:
            if capture.path.is_dir():
                zip_folder(capture.path, partial.path)
            else:
                with capture.path.open("rb") as file:
                    shutil.copyfileobj(file, partial)
