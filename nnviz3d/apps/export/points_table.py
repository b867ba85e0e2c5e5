"""Export of points as a table, POINTS.csv: samples of an embedding, or the neurons of a node-link graph."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.export import ExportJob
from nnviz3d.apps.whole_files import write_whole
from nnviz3d.data.capabilities.embeddings import NO_CLASS, Embedding, embedding_names, read_embedding
from nnviz3d.data.labels import NO_LABEL
from nnviz3d.data.reader import CaptureReader
from nnviz3d.errors import UserError
from nnviz3d.scene.class_names import class_name
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.embedding_trajectory import embedded_of, embedding_of
from nnviz3d.scene.primitives import Points
from nnviz3d.scene.views.points.cloud import SampleSource
from nnviz3d.scene.views.points.columns import OWN, columns_of

Column = NDArray[np.generic] | list[str]
_AXES = ("x", "y", "z")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a spreadsheet's formulas."""


def write_points_table(job: ExportJob) -> None:
    """Write a row for each point of the scene, or of the capture's embeddings if the scene shows none.

    Raises
    ------
    UserError
        If there are no points, or the file cannot be written.
    """
    scene = job.scene()
    moment = scene.first_time
    context = scene.as_of(moment, job.selection).context
    clouds = [one for one in scene.at(moment, job.selection).primitives if isinstance(one, Points)]
    tables = [_table_of(cloud, context) for cloud in clouds]
    if not tables:
        capture = context.capture
        names = embedding_names(capture.stored)
        tables = [_own_table(read_embedding(capture.stored, name), capture) for name in names]
    if not tables:
        raise UserError(
            f"{job.out.name}: there are no points in this scene; choose one with points, such as embedding or nodes "
            "(--scene nodes for a model or a capture), or capture the model with --embed LAYER --dataset DATA."
        )
    write_whole(job.out, _text(tables).encode())


def point_columns(cloud: Points, context: SceneContext) -> dict[str, Column]:
    """Return what is known of points besides their positions in the world, by name.

    Returns
    -------
    dict
        Of samples: their own coordinates ``e1`` to ``e3``, ``sample``, ``label`` and ``prediction`` with the names of these
        classes, ``probability``, and the columns of a table about the samples. Of neurons and channels: ``layer`` and
        ``unit``; -1 is a whole layer.
    """
    if cloud.units is not None:
        units = np.array([-1 if unit is None else unit for _, unit in cloud.units], dtype=np.int64)
        return {"layer": [layer for layer, _ in cloud.units], "unit": units}
    source = cloud.source
    if isinstance(source, SampleSource):
        return {"sample": [context.capture.sample_name(source.sample)]}
    if source is None or source.layer is None or source.view != "embedding" or cloud.name != source.layer:
        return {}
    embedded = embedded_of(context.capture)
    names = {*embedding_names(context.capture.stored), *(() if embedded is None else (embedded.samples.layer,))}
    embedding = embedding_of(context, source.layer) if source.layer in names else None
    if embedding is None or len(embedding.points) != len(cloud.points):
        return {}
    found = _columns(embedding, context.capture)
    for name, column in columns_of(context, embedding).items():
        if name not in OWN:
            cells = column.numbers if column.numbers is not None else [column.text(k) for k in range(len(cloud.points))]
            found.setdefault(name, cells)
    return found


def _columns(embedding: Embedding, capture: CaptureReader) -> dict[str, Column]:
    found: dict[str, Column] = {f"e{axis + 1}": column for axis, column in enumerate(embedding.points.T)}
    found["sample"] = list(embedding.names)
    for name, classes in (("label", embedding.labels), ("prediction", embedding.predictions)):
        if len(classes):
            found[name] = np.where(classes == NO_LABEL, NO_CLASS, classes)
            found[f"{name}_name"] = [class_name(capture.classes, int(k)) if k >= 0 else "" for k in classes]
    if len(embedding.probabilities):
        found["probability"] = embedding.probabilities
    return found


def _table_of(cloud: Points, context: SceneContext) -> Mapping[str, Column]:
    """Return the columns of a cloud: coordinates of an embedding are its own, others those of the world."""
    known = point_columns(cloud, context)
    own = [known.pop(f"e{axis}") for axis in (1, 2, 3) if f"e{axis}" in known]
    places = dict(zip(_AXES, own or cloud.points.T, strict=False))
    return {"points": [cloud.name] * len(cloud.points), **places, **known}


def _own_table(embedding: Embedding, capture: CaptureReader) -> Mapping[str, Column]:
    known = _columns(embedding, capture)
    places = {name: known.pop(f"e{axis + 1}") for axis, name in enumerate(_AXES) if f"e{axis + 1}" in known}
    return {"points": [embedding.name] * len(embedding.points), **places, **known}


def _cells(column: Column) -> list[str]:
    """Return a column as text; a name that a spreadsheet would take for a formula gets an apostrophe before it."""
    if isinstance(column, np.ndarray):
        return list(map(str, column))
    return [f"'{text}" if text.startswith(_FORMULAS) else text for text in column]


def _text(tables: Iterable[Mapping[str, Column]]) -> str:
    """Write tables below each other, with all their columns; numbers are the shortest that read back equal."""
    found = list(tables)
    names = list(dict.fromkeys(name for table in found for name in table))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for table in found:
        columns = [_cells(table[name]) if name in table else None for name in names]
        count = len(next(iter(table.values())))
        for k in range(count):
            writer.writerow(["" if column is None else column[k] for column in columns])
    return out.getvalue()
