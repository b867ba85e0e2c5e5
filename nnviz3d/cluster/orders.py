"""Orders to the workers of a cluster, as JSON."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

from nnviz3d.data.json_lines import to_line
from nnviz3d.data.request import CaptureRequest


class Order(BaseModel):
    """What all orders say.

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
    def first(self) -> bool:
        """Whether this is the first part, which makes the arrays."""
        return self.start == 0
