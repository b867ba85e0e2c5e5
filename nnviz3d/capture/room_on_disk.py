"""Estimate of a capture's size on disk before it is written; a capture that does not fit is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from nnviz3d.capture.inputs.rows import Rows, bytes_of
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.request_loop import Report
from nnviz3d.data.request import Notice
from nnviz3d.data.storage.rows_writer import as_float16
from nnviz3d.data.storage.shards import stored_share
from nnviz3d.errors import UserError

_REPORTED = 250 * 10**6
"""Least size in bytes that is reported."""


def check_room(
    out: Path,
    first: Batch,
    samples: int,
    inputs: Sequence[Rows],
    pictures: Iterable[Rows],
    report: Report,
    *,
    keeps: Callable[[str], bool] = lambda _: True,
    float16: bool = False,
) -> None:
    """Report how much room a large capture takes.

    Parameters
    ----------
    out
        The capture.
    first
        The first batch, from whose first sample the size is estimated.
    samples
        Number of samples.
    inputs, pictures
        What is written besides, for all samples.
    keeps
        Whether the outputs of a node are written.
    float16
        Whether they are rounded to float16.

    Raises
    ------
    UserError
        If the disk has too little room.
    """
    found = [as_float16(batch_numbers[0]) if float16 else batch_numbers[0] for batch_numbers in _outputs(first, keeps)]
    plain = sum(numbers.nbytes for numbers in found)
    beside = sum(map(bytes_of, (*inputs, *pictures)))
    if plain * samples + beside < _REPORTED:
        return
    one = sum(numbers.nbytes * stored_share(numbers) for numbers in found)
    size = round(one * samples + beside)
    folder = out.absolute().parent
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UserError(
            f"{out} would take about {_words(size)}, {_words(size / samples)} for each of {samples:,} samples, but "
            f"{folder} has {_words(free)} left; capture fewer samples, or write to another disk."
        )
    report(
        Notice(
            text=f"{out.name} takes about {_words(size)} on disk: {_words(size / samples)} for each of "
            f"{samples:,} sample{'s' * (samples != 1)}."
        )
    )


def _outputs(batch: Batch, keeps: Callable[[str], bool]) -> Iterable[NDArray[Any]]:
    for node_id, output in batch:
        numbers = batch.numbers(node_id, output) if keeps(node_id) else None
        if numbers is not None:
            yield numbers


def _words(size: float) -> str:
    """Return a number of bytes in words."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
