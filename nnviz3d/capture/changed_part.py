"""Write the changed run of one sample alone: what interventions change, without the numbers of the unchanged run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.capture_model import versions
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.inputs.painted import with_digest
from nnviz3d.capture.inputs.preprocess import Preparation, family_of
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.interventions import changed_batches, check_interventions
from nnviz3d.capture.programs.activations import Batch
from nnviz3d.capture.programs.runnable import Runnable, RunnableModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.started_run import with_real_shapes
from nnviz3d.capture.work import ReadSamples, Work, share_of
from nnviz3d.data.capabilities.interventions import write_changed, write_interventions
from nnviz3d.data.records import Provenance
from nnviz3d.data.request import Finished
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.errors import SampleError


class LastRun:
    """The outputs of all nodes in the last unchanged run on one sample: several changed runs begin with them."""

    def __init__(self) -> None:
        self._kept: tuple[Runnable, list[NDArray[np.generic]], Batch] | None = None

    def batch(self, program: Runnable, arrays: Sequence[Rows], *, live: bool) -> Batch:
        """Return the outputs for one sample; runs the program only for another sample than before.

        Parameters
        ----------
        arrays
            ``(1, *shape)`` for each input, after preprocessing.
        live
            Whether the model may have been trained since the last run, so that it runs in any case.
        """
        given = [array[:1] for array in arrays]
        kept = self._kept
        same = kept is not None and kept[0] is program and all(map(np.array_equal, kept[1], given))
        if kept is None or live or not same:
            self._kept = None  # freed first, so that there are never two in memory
            kept = program, [np.array(array) for array in given], next(program.batches(arrays))
            self._kept = kept
        return kept[2]


def capture_changed_run(
    model: RunnableModel,
    samples: Samples,
    settings: CaptureSettings,
    report: Report,
    read: ReadSamples,
    last: LastRun,
    *,
    write: bool = True,
) -> Finished:
    """Run a model on one sample with interventions, and write nothing but the changed run; see `capture_model`.

    Parameters
    ----------
    last
        Holds the unchanged run.
    write
        Whether the capture is written; otherwise the run only compiles what later ones need.

    Raises
    ------
    ModelError, SampleError
        As `check_interventions`, or if there are several samples.
    UserError
        If the capture cannot be written at its destination.
    """
    if len(samples) != 1:
        raise SampleError(f"A changed run alone is of one sample; there are {len(samples)}.")
    loaded = model.loaded
    trace = model.trace(samples.arrays)
    family = family_of(loaded.name, loaded.family)
    prepare = Preparation(trace.scaled, samples.is_picture, settings.preprocess, family)
    work = Work(settings.insights, trace, samples, prepare(samples), settings.classes, prepare, read, settings.out)
    check_interventions(work)
    tell = share_of(report, "interventions")
    tell(0)
    unchanged = last.batch(trace, work.arrays, live=model.live)
    changed = next(changed_batches(work, iter([unchanged])))
    tell(1)
    if write:
        _write(model, work, settings, prepare, unchanged, changed)
    model.ran(trace)
    return Finished(out=settings.out, samples=1, nodes=len(trace.graph), seconds={})


def _write(
    model: RunnableModel,
    work: Work,
    settings: CaptureSettings,
    prepare: Preparation,
    unchanged: Batch,
    changed: Batch,
) -> None:
    provenance = Provenance(
        model=model.loaded.name,
        sha256=model.loaded.sha256,
        preprocessing=prepare.mode,
        preprocessing_reason=prepare.reason,
        samples=work.samples.names,
        sample_notes=((),),
        versions={**versions(), **model.versions},
        seed=settings.seed,
    )
    graph, _ = with_real_shapes(work.program.graph, unchanged)
    with CaptureWriter(
        settings.out,
        graph=graph,
        provenance=provenance,
        samples=1,
        transient=settings.transient,
        float16=settings.float16,
    ) as writer:
        write_interventions(writer, tuple(map(with_digest, settings.insights.interventions)))
        for node_id, output in changed:
            numbers = changed.numbers(node_id, output)
            if numbers is not None:
                write_changed(writer, node_id, output, 0, numbers)
        writer.commit(1)
