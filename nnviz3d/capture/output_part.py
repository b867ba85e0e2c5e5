"""Write the outputs of some layers for some samples: a part of an embedding whose points another program computes."""

from __future__ import annotations

import numpy as np

from nnviz3d.capture.capture_model import versions
from nnviz3d.capture.capture_settings import CaptureSettings
from nnviz3d.capture.embedding import outputs_of
from nnviz3d.capture.inputs.class_names import settle_names
from nnviz3d.capture.inputs.preprocess import Preparation, family_of
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.runnable import RunnableModel
from nnviz3d.capture.request_loop import Report
from nnviz3d.capture.work import ReadSamples, Work
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.records import Provenance
from nnviz3d.data.request import Finished
from nnviz3d.data.storage.capture_writer import CaptureWriter
from nnviz3d.data.storage.schema import OUTPUTS


def capture_outputs(
    model: RunnableModel, samples: Samples, settings: CaptureSettings, report: Report, read: ReadSamples
) -> Finished:
    """Run a model on samples, and write the outputs of the layers that are embedded; see `capture_model`.

    The capture holds a group with the attributes ``nodes`` and ``names``, an array for each of the nodes, by its number,
    and ``labels``, ``predictions``, ``probabilities`` and ``thumbnails``, each with a row for each sample.

    Raises
    ------
    ModelError, SampleError
        As `outputs_of`.
    UserError
        If the capture cannot be written at its destination.
    """
    loaded = model.loaded
    trace = model.trace(samples.arrays)
    family = family_of(loaded.name, loaded.family)
    prepare = Preparation(trace.scaled, samples.is_picture, settings.preprocess, family)
    names = settle_names(settings.classes, samples, trace.graph)
    work = Work(
        insights=settings.insights,
        program=trace,
        samples=names.labelled(samples),
        arrays=prepare(samples),
        classes=names.names,
        prepare=prepare,
        read=read,
        out=settings.out,
    )
    outputs = outputs_of(work, work.samples, work.arrays, report)
    provenance = Provenance(
        model=loaded.name,
        sha256=loaded.sha256,
        preprocessing=prepare.mode,
        preprocessing_reason=prepare.reason,
        samples=samples.names,
        sample_notes=((),) * len(samples),
        versions={**versions(), **model.versions},
        seed=settings.seed,
    )
    with CaptureWriter(
        settings.out,
        graph=trace.graph,
        provenance=provenance,
        samples=len(samples),
        classes=names.names,
        transient=settings.transient,
    ) as writer:
        writer.group(OUTPUTS, {"nodes": list(outputs.vectors)})
        arrays = {str(i): vectors for i, vectors in enumerate(outputs.vectors.values())} | {
            name: getattr(outputs, name) for name in ("predictions", "probabilities", "thumbnails")
        }
        # Another part may have labels.
        arrays["labels"] = outputs.labels if len(outputs.labels) else np.full(len(samples), NO_LABEL, np.int64)
        for name, values in arrays.items():
            if len(values):
                writer.rows(f"{OUTPUTS}/{name}", 0, values)
        writer.commit(len(samples))
    return Finished(out=settings.out, samples=len(samples), nodes=len(trace.graph), seconds={})
