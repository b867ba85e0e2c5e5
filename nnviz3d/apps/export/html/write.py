"""Writing of an exported page: its parts in the order of their importance, within the given size."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nnviz3d.apps.export import ExportJob
from nnviz3d.apps.export.html.document import document
from nnviz3d.apps.export.html.frames import LAYOUTS, Key, quantities_of, scenes_of, selection_for, table_of
from nnviz3d.apps.export.html.packs import Pack, pack_text
from nnviz3d.apps.export.html.parts import Packer, Part
from nnviz3d.apps.export.html.progress import ExportBar
from nnviz3d.apps.export.html.settings import chosen_samples, read_size, size_text
from nnviz3d.apps.export.html.words import page_words
from nnviz3d.apps.film.sink import PartialFile
from nnviz3d.client.encoding import Encoder
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene

_FORMAT = 1
_ROUNDED = "the numbers of the cells are rounded to float16, to about three digits"


@dataclass(frozen=True)
class _Page:
    """The packed content of a page."""

    title: str
    words: dict[str, Any]
    parts: list[Part]


def write_html(job: ExportJob) -> None:
    """Write a scene into one HTML file, whole or not at all. Its size is told first, and what is left out.

    Raises
    ------
    UserError
        If there are no such samples, the size is too small, or the file cannot be written.
    """
    capture = job.found.capture
    samples = chosen_samples(job.settings.samples, job.selection.sample, capture.committed)
    most = None if job.settings.max_size is None else read_size(job.settings.max_size)
    with ExportBar(job.out.name) as bar:
        page = _packed(job, samples, bar)
        notes = [_ROUNDED] if job.settings.float16 else []
        texts = list(_texts(page, notes))
    size = sum(len(text.encode()) for text in texts)
    if most is not None and size > most:
        raise UserError(f"--max-size {job.settings.max_size}: {job.out.name} takes {size_text(size)}.")
    count = f"{len(samples)} sample{'s' * (len(samples) != 1)}"
    print(f"{job.out.name}: {size_text(size)}, {count}", file=sys.stderr)
    _write(job, texts)


def _packed(job: ExportJob, samples: Sequence[int], bar: ExportBar) -> _Page:
    encoder, packer = Encoder(), Packer(rounded=job.settings.float16)
    scenes = scenes_of(job.found, job.selection)
    keys = list(_keys(scenes, job, samples))
    quantities: tuple[Quantity | None, ...] = tuple(dict.fromkeys(key.quantity for key in keys))
    words = page_words(scenes, samples, quantities, job.selection, encoder)
    parts = []
    gradients = any(quantity in OF_GRADIENTS for quantity in quantities)
    for number, key in enumerate(keys):
        bar(number, len(keys))
        table = table_of(encoder, scenes[key.layout], key, job.selection, gradients=gradients)
        parts.append(packer.pack(table, encoder.take()))
    bar(len(keys), len(keys))
    return _Page(scenes["wide"].title(samples[0]), words, parts)


def _keys(scenes: dict[str, Scene], job: ExportJob, samples: Sequence[int]) -> Iterator[Key]:
    """Yield the tables of a page; the first sample comes first in all layouts, and then its other quantities."""
    for sample in samples:
        chosen = selection_for(Key("wide", sample, job.selection.quantity), job.selection)
        for quantity in quantities_of(scenes["wide"], chosen):
            for layout in LAYOUTS:
                yield Key(layout, sample, quantity)


def _texts(page: _Page, notes: list[str]) -> Iterator[str]:
    packs: list[Pack] = []
    listed = []
    for part in page.parts:
        first = 1 + len(packs)
        packs += [part.text, *part.packs]
        listed.append(
            {
                "text": first,
                "packs": list(range(first + 1, first + 1 + len(part.packs))),
                "groups": part.groups,
                "arrays": part.arrays,
                "first_record": part.first_record,
                "first_array": part.first_array,
            }
        )
    words = {"format": _FORMAT, "title": page.title, "notes": notes, **page.words, "parts": listed}
    index = pack_text(json.dumps(words, separators=(",", ":"), allow_nan=False))
    yield from document(page.title, [index, *packs])


def _write(job: ExportJob, texts: Sequence[str]) -> None:
    try:
        partial = PartialFile(job.out)
        try:
            for text in texts:
                partial.write(text.encode())
            partial.keep()
        finally:
            partial.discard()
    except OSError as error:
        raise UserError(f"Cannot write {job.out}: {error.strerror or error}.") from None
