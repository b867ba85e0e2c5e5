"""Writing of an exported page: its parts in the order of their importance, within the given size."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnviz3d.apps.choices import QUANTITIES
from nnviz3d.apps.export import ExportJob
from nnviz3d.apps.export.html.document import document
from nnviz3d.apps.export.html.frames import (
    LAYOUTS,
    POINT_PICTURES,
    TableKey,
    has_point_pictures,
    quantities_of,
    scenes_of,
    selection_for,
    table_of,
)
from nnviz3d.apps.export.html.packs import Pack, pack_text
from nnviz3d.apps.export.html.parts import Packer, PagePart
from nnviz3d.apps.export.html.progress import ExportBar
from nnviz3d.apps.export.html.samples import chosen_samples
from nnviz3d.apps.export.html.words import page_words
from nnviz3d.apps.export.sizes import read_size, size_text
from nnviz3d.apps.whole_files import whole_file, writing
from nnviz3d.client.encoding import Encoder
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.note_words import ROUNDED_NUMBERS
from nnviz3d.data.quantities import OF_GRADIENTS, Quantity
from nnviz3d.errors import UserError
from nnviz3d.scene.scene import Scene

FORMAT = 1
"""Number of the format of the packs, which the page's own script knows."""
_SPARE = 2000
"""Bytes of a limited size that are kept for the sentences on what is left out."""
_TAG = 64
"""Bytes around each pack in the file, at most."""
_ROUNDED = f"the numbers of the cells are {ROUNDED_NUMBERS}"


@dataclass(frozen=True)
class _PackedParts:
    """The packed content of a page, and sentences on what it lacks."""

    title: str
    words: dict[str, Any]
    parts: list[PagePart]
    lacks: list[str]


@dataclass(frozen=True)
class PackedPage:
    """A page that is ready to be written.

    Attributes
    ----------
    texts
        The texts of the file one after the other.
    size
        Bytes of the file.
    samples
        Number of its samples.
    lacks
        Sentences on what it lacks.
    """

    texts: tuple[str, ...]
    size: int
    samples: int
    lacks: tuple[str, ...]

    @property
    def words(self) -> str:
        """The size and the number of samples: ``640 kB, 3 samples``."""
        return f"{size_text(self.size)}, {self.samples} sample{'s' * (self.samples != 1)}"


def write_html(job: ExportJob) -> None:
    """Write a scene into one HTML file, whole or not at all. Its size is told first, and what is left out.

    Raises
    ------
    UserError
        If there are no such samples, the size is too small, or the file cannot be written.
    """
    name = quoted(job.out.name)
    with ExportBar(name) as bar:
        page = packed_page(job, bar)
    print(f"{name}: {page.words}", file=sys.stderr)
    for sentence in page.lacks:
        print(f"{name}: {sentence}", file=sys.stderr)
    write_page(page, job.out)


def packed_page(job: ExportJob, report: Callable[[int, int], None]) -> PackedPage:
    """Pack a page.

    Parameters
    ----------
    report
        Is called with the number of packed parts and of all parts.

    Raises
    ------
    UserError
        If there are no such samples, or the size is too small.
    """
    capture = job.found.capture
    samples = chosen_samples(job.settings.samples, job.selection.sample, capture.committed)
    limit = None if job.settings.max_size is None else read_size(job.settings.max_size)
    most = None if limit is None else limit - _SPARE
    with capture.stored.remembering():
        page = _fitting(job, samples, most, report)
        notes = [_ROUNDED] if job.settings.float16 else []
        index, packs = _packs(page, [*notes, *page.lacks])
        texts = list(document(page.title, [index, *packs]))
    size = sum(len(text.encode()) for text in texts)
    if limit is not None and size > limit:
        raise UserError(
            f"--max-size {job.settings.max_size}: {job.out.name} takes {size_text(size)}; give a larger size."
        )
    return PackedPage(tuple(texts), size, len(page.words["samples"]), tuple(page.lacks))


def _fitting(
    job: ExportJob, samples: Sequence[int], most: int | None, report: Callable[[int, int], None]
) -> _PackedParts:
    """Pack what fits into a size.

    Left out are first samples and quantities that come last, then the pictures of points, and then large layers.
    """
    dropped: set[str] = set()
    while True:
        page = _packed(job, samples, most, frozenset(dropped), report)
        size = _size(page, 1)
        if most is None or size <= most:
            break
        if POINT_PICTURES not in dropped and has_point_pictures(job.scene(), job.selection):
            dropped.add(POINT_PICTURES)
            continue
        spare, before = size - most, len(dropped)
        for layer, cells in sorted(page.parts[0].layers.items(), key=lambda one: -one[1]):
            if spare > 0:
                dropped.add(layer)
                spare -= int(cells)
        if len(dropped) == before:
            raise UserError(
                f"--max-size {job.settings.max_size}: {job.out.name} takes {size_text(size)} without any layer's cells."
            )
    if not dropped:
        return page
    names = ", ".join(node.id for node in job.found.capture.graph if node.id in dropped)
    cause = f"left out, because they do not fit into {job.settings.max_size}"
    told = [f"{cause}: the pictures of points"] if POINT_PICTURES in dropped else []
    told += [f"{cause}: the cells of {names}", "connections of these layers cannot be picked"] if names else []
    return replace(page, lacks=[*told, *page.lacks])


def _packed(
    job: ExportJob,
    samples: Sequence[int],
    most: int | None,
    dropped: frozenset[str],
    report: Callable[[int, int], None],
) -> _PackedParts:
    """Pack the tables of a page in their order, as many as fit, but at least one."""
    encoder, packer = Encoder(), Packer(rounded=job.settings.float16)
    scenes = scenes_of(job.found, job.selection)
    keys = list(_keys(scenes, job, samples))
    quantities: tuple[Quantity | None, ...] = tuple(dict.fromkeys(key.quantity for key in keys))
    words = page_words(scenes, samples, quantities, job.selection, encoder)
    page = _PackedParts(scenes["wide"].title(samples[0]), words, [], [])
    gradients = any(quantity in OF_GRADIENTS for quantity in quantities)
    lacks: dict[str, None] = {}
    for number, key in enumerate(keys):
        report(number, len(keys))
        scene, first = scenes[key.layout], all(key.sample != one.key.sample for one in page.parts)
        table = table_of(encoder, scene, key, job.selection, gradients=gradients, dropped=dropped, explains=first)
        page.parts.append(packer.pack(table, encoder.take()))
        lacks |= dict.fromkeys(table.left_out)
        if most is not None and number and _size(page, len(page.parts)) > most:
            page.parts.pop()
            break
    report(len(keys), len(keys))
    kept = [part.key for part in page.parts]
    words["samples"] = [one for one in words["samples"] if any(one["index"] == key.sample for key in kept)]
    words["quantities"] = [one for one in words["quantities"] if any(one["name"] == key.quantity for key in kept)]
    missing = _left_out(keys, kept, job)
    return replace(page, lacks=[*missing, *lacks])


def _left_out(keys: Sequence[TableKey], kept: Sequence[TableKey], job: ExportJob) -> Iterator[str]:
    """Yield one sentence for each kind of table that does not fit."""
    limit, capture = job.settings.max_size, job.found.capture
    shown = {key.sample for key in kept}
    samples = dict.fromkeys(key.sample for key in keys if key.sample not in shown)
    if samples:
        names = ", ".join(capture.sample_name(sample) for sample in samples)
        yield f"left out, because they do not fit into {limit}: the samples {names}"
    for key in keys:
        if key not in kept and key.sample in shown:
            what = QUANTITIES[key.quantity].lower() if key.quantity is not None else "the picture"
            words = f"{what} of {capture.sample_name(key.sample)} in the {key.layout} layout"
            yield f"left out, because it does not fit into {limit}: {words}"


def _size(page: _PackedParts, parts: int) -> int:
    """Return the bytes of a file with the first parts of a page."""
    index, packs = _packs(replace(page, parts=page.parts[:parts]), [])
    around = sum(len(text.encode()) for text in document(page.title, [index]))
    return around + sum(pack.size + _TAG for pack in packs)


def _keys(scenes: dict[str, Scene], job: ExportJob, samples: Sequence[int]) -> Iterator[TableKey]:
    """Yield the tables of a page; the first sample comes first in all layouts, and then its other quantities."""
    for sample in samples:
        chosen = selection_for(TableKey("wide", sample, job.selection.quantity), job.selection)
        for quantity in quantities_of(scenes["wide"], chosen):
            for layout in LAYOUTS:
                yield TableKey(layout, sample, quantity)


def _packs(page: _PackedParts, notes: list[str]) -> tuple[Pack, list[Pack]]:
    """Return the pack with the page's words, which is the first one of the file, and the others."""
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
    words = {"format": FORMAT, "title": page.title, "notes": notes, **page.words, "parts": listed}
    return pack_text(json.dumps(words, separators=(",", ":"), allow_nan=False)), packs


def write_page(page: PackedPage, out: Path) -> None:
    """Write a packed page, whole or not at all.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    with writing(out), whole_file(out) as file:
        for text in page.texts:
            file.write(text.encode())
