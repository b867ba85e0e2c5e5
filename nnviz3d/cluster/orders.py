"""Orders to the workers of a cluster, as JSON."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from nnviz3d.data.bundled import bundled, gallery
from nnviz3d.data.files.paths import exists, quoted
from nnviz3d.data.json_lines import to_line
from nnviz3d.data.request import CaptureRequest
from nnviz3d.data.storage.address import address_of
from nnviz3d.errors import UserError


class Order(BaseModel):
    """Base class of the orders.

    Attributes
    ----------
    job
        Name of the job that the order belongs to, unique among all jobs of a cluster.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str

    def to_json(self) -> str:
        """Write the order as JSON."""
        return to_line(self)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read an order that `to_json` wrote."""
        return cls.model_validate_json(text)


_BUNDLED = "bundled:"
"""Prefix of the name of a file that comes with nnviz3d; its folder differs between machines."""


def portable(path: str) -> str:
    """Return a path as other machines find it."""
    found = Path(path)
    return f"{_BUNDLED}{found.name}" if found.parent == gallery() else path


def found_here(path: str) -> str:
    """Return the path on this machine of one that `portable` returned on another machine.

    Raises
    ------
    UserError
        If it is not here.
    """
    if path.startswith(_BUNDLED):
        return str(bundled(path.removeprefix(_BUNDLED)))
    if address_of(path) is None and not exists(Path(path)):
        raise UserError(
            f"The worker on {socket.gethostname()} does not see {quoted(path)}; put it into a folder that all machines "
            "see, or at an address such as s3://BUCKET/RUN.zarr. Capture a model there first: nnviz3d capture MODEL -o."
        )
    return path


class FramesOrder(Order):
    """The order to draw frames of a film.

    Attributes
    ----------
    plan
        The film: JSON of `FilmPlan`, whose captures are `portable`.
    ending
        Ending of the film's name; nothing for a folder. The frames are packed for its format.
    numbers
        The frames, counted from 0.
    """

    plan: str
    ending: str
    numbers: tuple[int, ...]


class CaptureOrder(Order):
    """The order to capture some samples into the arrays of one capture.

    Attributes
    ----------
    request
        The request; its `part` says which samples, and its `out` is ignored.
    store
        Folder or address of the capture under construction, as every worker sees it.
    total
        Number of samples of the capture; `None` for the first part, which finds it out.
    """

    request: CaptureRequest
    store: str
    total: int | None = None

    @property
    def start(self) -> int:
        """Number of the first sample."""
        return 0 if self.request.part is None else self.request.part[0]

    @property
    def size(self) -> int:
        """Number of samples of a part, of which the last one may have fewer."""
        return 0 if self.request.part is None else self.request.part[1] - self.request.part[0]

    @property
    def first(self) -> bool:
        """Whether this is the first part, which makes the arrays."""
        return self.start == 0


class RowsOrder(Order):
    """The order to work on some rows of an array.

    Attributes
    ----------
    store, path
        Folder or address of the store, and the path of the array in it.
    start, stop
        The first row, and the one after the last.
    """

    store: str
    path: str
    start: int
    stop: int
