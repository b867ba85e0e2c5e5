"""Keep what the model computed on demand inside the folder of its capture, so that later sessions hold it."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from nnviz3d.apps.whole_files import whole_file, writing
from nnviz3d.data.bundled import gallery
from nnviz3d.data.capabilities import CAPABILITIES
from nnviz3d.data.capture import open_capture
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.reader import CaptureReader
from nnviz3d.data.storage.address import address_of
from nnviz3d.data.storage.capture_writer import copy_entries
from nnviz3d.data.storage.kept_files import belongs_to, groups_in, kept_file
from nnviz3d.errors import CaptureError, UserError

_KINDS = frozenset(one.name for one in CAPABILITIES if not one.of_sample)
"""The kinds of what belongs to the model: the names of their groups."""


class KeptAnswers:
    """Writes answers for a model into the folder of its capture.

    Parameters
    ----------
    capture
        The ready capture, a folder that may be written to.
    """

    def __init__(self, capture: CaptureReader) -> None:
        self._capture = capture

    @staticmethod
    def of(capture: CaptureReader) -> KeptAnswers | None:
        """Return what keeps answers in a capture; `None` if it is no folder of the user that may be written to."""
        first = CaptureSeries.of(capture).first
        path = first.path
        if address_of(path) is not None or not path.is_dir() or not first.complete or _is_installed(path):
            return None
        return KeptAnswers(first) if os.access(path, os.W_OK | os.X_OK) else None

    def keep(self, answer: CaptureReader) -> str:
        """Keep what a capture holds of the model, and nothing of its sample; returns one sentence for the user.

        A file gets its name when it is complete, and replaces an earlier one of the same kind and layer.

        Parameters
        ----------
        answer
            A capture of the same model, one zip file.
        """
        folder, name = self._capture.path, self._capture.path.name
        try:
            if open_capture(folder).provenance != self._capture.provenance:
                return f"{name} was written anew since it was opened, so this is not kept in it."
            CaptureSeries.of(self._capture).with_model(answer)
        except CaptureError as error:
            return str(error)
        try:
            with zipfile.ZipFile(answer.path) as archive:
                for group in groups_in(archive, _KINDS):
                    _write(kept_file(folder, group), archive, group)
        except UserError as error:
            return f"This is not kept after the session. {error}"
        return f"Kept in {name}."


def _write(out: Path, archive: zipfile.ZipFile, group: str) -> None:
    with writing(out):
        out.parent.mkdir(exist_ok=True)
        with whole_file(out) as partial, zipfile.ZipFile(partial, "w") as kept:
            copy_entries(archive, kept, [name for name in archive.namelist() if belongs_to(name, group)])


def _is_installed(path: Path) -> bool:
    """Whether a capture comes with the package."""
    homes = (Path(__file__).resolve().parents[1], gallery().resolve())
    return any(path.resolve().is_relative_to(home) for home in homes)
