"""Check the targets of a request, and write the scores of the explained ones."""

from __future__ import annotations

from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import Work
from nnviz3d.data.request import Notice
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.target_words import find_target, two_classes


def check_targets(work: Work) -> None:
    """Refuse a target that the model does not have.

    Raises
    ------
    ModelError
        If there is such a target.
    """
    for word in work.insights.targets:
        find_target(word, work.program.graph, work.classes)


def write_explained_targets(writer: CaptureWriter, work: Work, report: Report) -> None:
    """Write the index and the score of every explained target.

    Raises
    ------
    ModelError
        If no target is named and the model has no output to explain.
    """
    for slot in work.slots:
        slot.write(writer)
        two = two_classes(work.program.graph, work.classes, slot.output) if slot.against else None
        if two is not None:
            told = f"{two[0]} is explained as the negative of {slot.output!r}, the number that tells {two[1]} from it"
            report(Notice(text=f"{told}: what speaks against {two[1]} speaks for {two[0]}."))
