"""Read samples from files, names and memory, in the shapes of a model's inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from nnviz3d.capture.inputs import pictures
from nnviz3d.capture.inputs.aids import NO_AIDS, Aids
from nnviz3d.capture.inputs.arrays import file_samples
from nnviz3d.capture.inputs.pictures import PictureSource, notes_on
from nnviz3d.capture.inputs.rows import converted
from nnviz3d.capture.inputs.sample_set import Samples, beside, join
from nnviz3d.capture.inputs.sounds import sound_samples
from nnviz3d.capture.inputs.tables import table_samples
from nnviz3d.capture.inputs.texts import text_samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.bundled import digits
from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.data.files.paths import is_folder, user_path
from nnviz3d.data.files.picture_arrays import PictureShape
from nnviz3d.data.files.sample_folders import SampleFolder, find_in_folder, names_class, read_folder
from nnviz3d.data.files.sound_files import SOUNDS, read_sound
from nnviz3d.data.files.text_files import text_lines, whole_text
from nnviz3d.data.sample_sources import named_inputs
from nnviz3d.data.source_names import (
    DIGIT_NAMES,
    TABLES,
    TEXTS,
    SampleFile,
    digit_numbers,
    is_picture,
    locate,
    sentence_in,
)
from nnviz3d.errors import SampleError

Shapes = Sequence[tuple[int, ...]]
"""A shape for each input of the model, without the batch; empty while the shapes are not known."""
_SENTENCE, _PICTURE = "sentence", "picture"
"""Kinds of sources that are read together if they follow each other."""


def read_samples(
    sources: Sequence[str],
    specs: Sequence[InputSpec],
    *,
    seed: int = 0,
    aids: Aids = NO_AIDS,
    shapes: Shapes = (),
    held: Samples | None = None,
) -> Samples:
    """Read the samples that the user names.

    Parameters
    ----------
    sources
        Pictures, ``.wav`` sounds, folders of them, ``.npy`` or ``.npz`` files, tables (``.csv``), texts (``.txt``, one on
        each line), rows of those as in ``x.npy[3]`` or ``x.npy[3:10]``, a sentence, ``digits:N``, ``digits:A-B``,
        ``sklearn:china.jpg`` (a photograph that comes with scikit-learn) or ``random``; none means ``random``. Samples of
        several sources are joined. ``name=SOURCE`` gives the samples of one of several inputs.
    specs
        The model's inputs.
    seed
        For ``random``.
    aids
        Vocabularies and rates of the inputs.
    shapes
        Shapes of samples for a model with variable lengths; by default those of the first samples.
    held
        Samples in memory; their names have priority over files.

    Raises
    ------
    SampleError
        If something cannot be read or does not fit the model or the shapes.
    """
    if held is not None and not shapes and tuple(sources) == held.names:
        return held
    rows = {name: i for i, name in enumerate(held.names)} if held is not None else {}
    together = None if any(source in rows for source in sources) else named_inputs(sources)
    if together is not None:
        return _of_each_input(together, specs, seed, aids, shapes)
    parts: list[Samples] = []
    kinds = [None if source in rows else _together(source) for source in sources or ("random",)]
    for kind, run in groupby(zip(kinds, sources or ("random",), strict=True), key=lambda one: one[0]):
        named = [source for _, source in run]
        # Sentences in a row get one length, and pictures in a row are not all held in memory.
        for group in [[source] for source in named] if kind is None else [named]:
            taken = tuple(shapes) or (parts[0].shapes if parts else ())
            if held is not None and group[0] in rows:
                part = held.take(rows[group[0]])
            elif kind == _SENTENCE:
                sentences = [sentence_in(source) or "" for source in group]
                part = text_samples(sentences, specs, encoders=aids.encoders, taken=taken)
            elif kind == _PICTURE:
                files = [located.path for located in map(locate, group) if located is not None]
                part = _picture_samples([PictureSource.of_file(path.name, path) for path in files], specs, taken)
            else:
                part = _read(group[0], specs, seed, aids, taken)
            if taken and part.shapes != taken:
                raise SampleError(
                    f"{part.names[0]} has the shape {_listed(part.shapes)}; the samples beside it have {_listed(taken)}, "
                    "and samples of one capture need one shape."
                )
            parts.append(part)
    return parts[0] if len(parts) == 1 else join(parts)


def _together(source: str) -> str | None:
    """Return the kind of a source that is read together with those beside it; `None` if it is read alone."""
    if sentence_in(source) is not None:
        return _SENTENCE
    located = locate(source)
    if located is None or is_folder(located.path, SampleError) or names_class(source):
        return None
    return _PICTURE if is_picture(located.path) else None


def _of_each_input(
    together: Mapping[str, Sequence[str]], specs: Sequence[InputSpec], seed: int, aids: Aids, shapes: Shapes
) -> Samples:
    """Read the samples of each input from its own sources."""
    names = [spec.name for spec in specs]
    unknown = [name for name in together if name not in names]
    missing = [name for name in names if name not in together]
    if unknown:
        raise SampleError(
            f"The model has no input {unknown[0]!r}; its input{'s are' if len(names) > 1 else ' is'} {', '.join(names)}."
        )
    if missing:
        raise SampleError(
            f"No samples are given for the input{'s' * (len(missing) > 1)} {', '.join(missing)}; add "
            f"{' and '.join(f'--input {name}=FILE' for name in missing)}."
        )
    each = [
        read_samples(
            together[spec.name], [spec], seed=seed, aids=aids.of(i), shapes=shapes[i : i + 1] if shapes else ()
        )
        for i, spec in enumerate(specs)
    ]
    return beside(names, each)


def random_samples(specs: Sequence[InputSpec], seed: int, vocabulary: Mapping[int, int], taken: Shapes = ()) -> Samples:
    """Draw one sample: noise for pictures, tokens below the vocabulary's size, otherwise a standard normal."""
    rng = np.random.default_rng(seed)
    arrays, is_picture, shown = [], [], {}
    for i, spec in enumerate(specs):
        wanted = taken[i] if taken else spec.shape
        shape = tuple(16 if n is None else n for n in wanted)
        check_size(f"A random input {spec.name!r} of the shape {shape}", 8 * math.prod(shape), SampleError)
        kind = PictureShape.of(wanted, spec.axes) if len(spec.shape) == 3 else None
        if i in vocabulary:
            arrays.append(rng.integers(0, max(vocabulary[i], 1), (1, *shape)).astype(spec.dtype))
        elif spec.dtype == "string":
            raise SampleError(
                f"The input {spec.name!r} takes text, which cannot be drawn at random; give {_text_for(specs)}."
            )
        elif kind is not None and not spec.dtype.startswith("int"):
            pixels = pictures.noise(kind, rng)[None]
            arrays.append(kind.as_model_input(pixels, len(spec.shape)))
            shown[spec.name] = pixels[..., :3] if kind.channels >= 3 else np.repeat(pixels, 3, axis=3)
        elif "int" in spec.dtype:
            arrays.append(rng.integers(0, 2, (1, *shape)).astype(spec.dtype))
        else:
            arrays.append(rng.standard_normal((1, *shape)).astype(np.float32))
        is_picture.append(spec.name in shown)
    return Samples(tuple(arrays), (f"random (seed {seed})",), tuple(is_picture), shown)


def _read(source: str, specs: Sequence[InputSpec], seed: int, aids: Aids, taken: Shapes) -> Samples:
    if source == "random":
        return random_samples(specs, seed, aids.vocabulary, taken)
    located = locate(source)
    if located is None:
        return _digits(digit_numbers(source), specs, taken)
    if is_folder(located.path, SampleError):
        return _folder(read_folder(located.path), specs, aids, taken)
    if located.suffix in TABLES:
        return table_samples(located, specs)
    member = find_in_folder(source)
    if member is not None:
        return _folder(replace(member[0], samples=(member[1],)), specs, aids, taken)
    if is_picture(located.path):
        return _picture_samples([PictureSource.of_file(located.path.name, located.path)], specs, taken)
    if located.suffix in SOUNDS:
        named = [(located.path.name, read_sound(located.path))]
        return sound_samples(named, specs, rates=aids.rates, taken=taken)
    if located.suffix in TEXTS:
        return _lines(located, specs, aids, taken)
    return file_samples(located, specs)


def _lines(located: SampleFile, specs: Sequence[InputSpec], aids: Aids, taken: Shapes) -> Samples:
    lines = text_lines(located.path)
    chosen = [lines[i] for i in located.chosen(len(lines))]
    return text_samples(chosen, specs, file=located.path.name, encoders=aids.encoders, taken=taken)


def _folder(folder: SampleFolder, specs: Sequence[InputSpec], aids: Aids, taken: Shapes) -> Samples:
    paths = [(one.name, user_path(one.source)) for one in folder.samples]
    if folder.kind == "sounds":
        sounds = [(name, read_sound(path)) for name, path in paths]
        samples = sound_samples(sounds, specs, rates=aids.rates, taken=taken)
    elif folder.kind == "texts":
        texts = [whole_text(path) for _, path in paths]
        names = [name for name, _ in paths]
        samples = text_samples(texts, specs, names, file=names[0], encoders=aids.encoders, taken=taken)
    else:
        samples = _picture_samples([PictureSource.of_file(name, path) for name, path in paths], specs, taken)
    if folder.classes is None:
        return samples
    labels = [one.label for one in folder.samples if one.label is not None]
    return replace(samples, labels=np.array(labels, np.int64), classes=folder.classes)


def _digits(numbers: range, specs: Sequence[InputSpec], taken: Shapes) -> Samples:
    images, labels = digits()
    samples = _picture_samples([PictureSource.of_bytes(f"digits:{i}", images[i]) for i in numbers], specs, taken)
    truth = labels[numbers.start : numbers.stop]
    return replace(samples, labels=truth, classes=DIGIT_NAMES)


def _picture_samples(sources: Sequence[PictureSource], specs: Sequence[InputSpec], taken: Shapes) -> Samples:
    first = sources[0].name
    if len(specs) != 1:
        raise SampleError(
            f"The model has {len(specs)} inputs ({', '.join(s.name for s in specs)}), but a picture is only one; write "
            f"NAME={first} for each input, or give {_file_for(specs)}."
        )
    spec = specs[0]
    shape = spec.picture
    if spec.dtype == "string":
        raise SampleError(
            f"{first} is a picture, but the model's input {spec.name!r} takes text; give a sentence, or a "
            ".txt file with one on each line."
        )
    if shape is None:
        raise SampleError(
            f"{first} is a picture, but the model's input {spec.name!r} takes {spec.shape}; give a .npy file of that "
            "shape, or random."
        )
    before = PictureShape.of(taken[0], spec.axes) if taken and len(taken[0]) == 3 else None
    if before is not None:
        shape = replace(shape, height=before.height, width=before.width)
    headers = [source.header() for source in sources]
    shape = shape.sized_for(headers[0].size)
    rank, fitted = len(spec.shape), pictures.PictureRows(tuple(sources), shape).pixels
    return Samples(
        (converted(fitted, lambda pixels: shape.as_model_input(pixels, rank)),),
        tuple(source.name for source in sources),
        (True,),
        {spec.name: converted(fitted, pictures.shown_from)},
        notes=tuple(notes_on(header, shape, source.name) for header, source in zip(headers, sources, strict=True)),
    )


def _file_for(specs: Sequence[InputSpec]) -> str:
    """Return the kind of file for samples of these inputs: several inputs need several arrays."""
    if len(specs) > 1:
        return f"an .npz file with an array of each name: {', '.join(spec.name for spec in specs)}"
    return "a .npy file"


def _text_for(specs: Sequence[InputSpec]) -> str:
    """Return the kinds of input that hold text for a model."""
    if len(specs) > 1:
        return f"a .csv file with a column of each name, or {_file_for(specs)}"
    return "a sentence, a .txt file with one on each line, or a .npy file"


def _listed(shapes: Shapes) -> str:
    return ", ".join(str(shape) for shape in shapes)
