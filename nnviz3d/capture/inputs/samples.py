"""Read samples from files, names and memory, in the shapes of a model's inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from nnviz3d.capture.inputs import pictures
from nnviz3d.capture.inputs.arrays import file_samples
from nnviz3d.capture.inputs.sample_set import Samples, join
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.bundled import digits
from nnviz3d.data.files.memory_limit import check_size
from nnviz3d.data.files.paths import is_folder, user_path
from nnviz3d.data.files.picture_files import PictureShape, read_image
from nnviz3d.data.files.picture_folders import PictureFolder, find_in_folder, read_folder
from nnviz3d.data.sample_sources import DIGIT_NAMES, digit_numbers, is_picture, locate
from nnviz3d.errors import SampleError

Shapes = Sequence[tuple[int, ...]]
"""A shape for each input of the model, without the batch; empty while the shapes are not known."""


def read_samples(
    sources: Sequence[str],
    specs: Sequence[InputSpec],
    *,
    seed: int = 0,
    vocabulary: Mapping[int, int] | None = None,
    shapes: Shapes = (),
    held: Samples | None = None,
) -> Samples:
    """Read the samples that the user names.

    Parameters
    ----------
    sources
        Pictures, folders of pictures, ``.npy`` or ``.npz`` files, rows of those as in ``x.npy[3]`` or ``x.npy[3:10]``,
        ``digits:N``, ``digits:A-B``, ``sklearn:china.jpg`` (a photograph that comes with scikit-learn) or ``random``;
        none means ``random``. Samples of several sources are joined.
    specs
        The model's inputs.
    seed
        For ``random``.
    vocabulary
        Number of tokens of each input that takes tokens, by the input's position.
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
    parts: list[Samples] = []
    for source in sources or ("random",):
        taken = tuple(shapes) or (parts[0].shapes if parts else ())
        if held is not None and source in rows:
            part = held.take(rows[source])
        else:
            part = _read(source, specs, seed, vocabulary or {}, taken)
        if taken and part.shapes != taken:
            raise SampleError(
                f"{part.names[0]} has the shape {_listed(part.shapes)}; the samples beside it have {_listed(taken)}, and "
                "samples of one capture need one shape."
            )
        parts.append(part)
    return parts[0] if len(parts) == 1 else join(parts)


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
                f"The input {spec.name!r} takes text, which cannot be drawn at random; give {_file_for(specs)}."
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


def _read(
    source: str,
    specs: Sequence[InputSpec],
    seed: int,
    vocabulary: Mapping[int, int],
    taken: Shapes,
) -> Samples:
    if source == "random":
        return random_samples(specs, seed, vocabulary, taken)
    located = locate(source)
    if located is None:
        return _digits(digit_numbers(source), specs, taken)
    if is_folder(located.path, SampleError):
        return _folder(read_folder(located.path), specs, taken)
    if is_picture(located.path):
        member = find_in_folder(source)
        if member is not None:
            return _folder(replace(member[0], pictures=(member[1],)), specs, taken)
        return _picture_samples([(located.path.name, read_image(located.path))], specs, taken)
    return file_samples(located, specs)


def _folder(folder: PictureFolder, specs: Sequence[InputSpec], taken: Shapes) -> Samples:
    named = [(one.name, read_image(user_path(one.source))) for one in folder.pictures]
    samples = _picture_samples(named, specs, taken)
    if folder.classes is None:
        return samples
    labels = [one.label for one in folder.pictures if one.label is not None]
    return replace(samples, labels=np.array(labels, np.int64), classes=folder.classes)


def _digits(numbers: range, specs: Sequence[InputSpec], taken: Shapes) -> Samples:
    images, labels = digits()
    samples = _picture_samples([(f"digits:{i}", Image.fromarray(images[i])) for i in numbers], specs, taken)
    truth = labels[numbers.start : numbers.stop]
    return replace(samples, labels=truth, classes=DIGIT_NAMES)


def _picture_samples(named: Sequence[tuple[str, Image.Image]], specs: Sequence[InputSpec], taken: Shapes) -> Samples:
    if len(specs) != 1:
        raise SampleError(
            f"The model has {len(specs)} inputs ({', '.join(s.name for s in specs)}), but a picture is only one; give "
            f"{_file_for(specs)}."
        )
    spec = specs[0]
    shape = spec.picture
    if spec.dtype == "string":
        raise SampleError(
            f"{named[0][0]} is a picture, but the model's input {spec.name!r} takes text; give a .npy file of text."
        )
    if shape is None:
        raise SampleError(
            f"{named[0][0]} is a picture, but the model's input {spec.name!r} takes {spec.shape}; give a .npy file of that "
            "shape, or random."
        )
    before = PictureShape.of(taken[0], spec.axes) if taken and len(taken[0]) == 3 else None
    if before is not None:
        shape = replace(shape, height=before.height, width=before.width)
    shape = shape.sized_for(named[0][1])
    fitted = [pictures.fit(image, shape, name) for name, image in named]
    pixels, shown = pictures.stack(fitted)
    return Samples(
        (shape.as_model_input(pixels, len(spec.shape)),),
        tuple(name for name, _ in named),
        (True,),
        {spec.name: shown},
        notes=tuple((p.note,) if p.note else () for p in fitted),
    )


def _file_for(specs: Sequence[InputSpec]) -> str:
    """Return the kind of file for samples of these inputs: several inputs need several arrays."""
    if len(specs) > 1:
        return f"an .npz file with an array of each name: {', '.join(spec.name for spec in specs)}"
    return "a .npy file"


def _listed(shapes: Shapes) -> str:
    return ", ".join(str(shape) for shape in shapes)
