"""Compute every capability that a request asks for, and write its arrays into the capture."""

from __future__ import annotations

from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work
from nnviz3d.data.capabilities import CAPABILITIES
from nnviz3d.data.capabilities.capability import imported
from nnviz3d.data.storage.capture_writer import CaptureWriter


def write_capabilities(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Compute and write every capability that the request asks for, after all of them have checked the request.

    Raises
    ------
    UserError
        If one cannot be computed for this model or these samples; the sentence says why and what to do.
    """
    for capability in CAPABILITIES:
        if capability.check is not None:
            imported(capability.check)(work)
    for capability in CAPABILITIES:
        if capability.wanted(work.insights):
            imported(capability.capture)(writer, work, report)
