"""Pictures that are painted over the inputs of a model, as the model takes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.inputs.arrays import span_of
from nnviz3d.capture.inputs.rows import Rows
from nnviz3d.capture.inputs.sample_set import Samples
from nnviz3d.capture.programs.flat_program import InputSpec
from nnviz3d.data.capabilities.interventions import Intervention
from nnviz3d.data.files.digest import sha256_of
from nnviz3d.data.files.picture_arrays import PictureShape, numbers_like
from nnviz3d.data.files.picture_files import read_header, read_image
from nnviz3d.errors import ModelError, SampleError

_OPAQUE = 128
"""Least alpha of a pixel that is painted; the others stay as they are."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class PaintedNumbers:
    """Numbers that take the place of an input's.

    Attributes
    ----------
    mask
        bool, of the shape of one sample: which numbers are replaced.
    values
        The numbers, as the model takes them, of the same shape.
    """

    mask: NDArray[np.bool_]
    values: NDArray[Any]


def with_digest(one: Intervention) -> Intervention:
    """Return an intervention with the digest of its picture, if it has one."""
    return replace(one, digest=sha256_of(Path(one.picture))) if one.picture and not one.digest else one


def painted_input(
    one: Intervention,
    inputs: Sequence[str],
    specs: Sequence[InputSpec],
    samples: Samples,
    prepare: Callable[[Samples], list[Rows]],
) -> PaintedNumbers:
    """Read the picture of an intervention. Its opaque pixels are preprocessed as the samples are.

    Parameters
    ----------
    inputs, specs
        Node ids and types of the model's inputs.
    samples
        The samples that are painted over. If they are of an array, pixels become numbers of the range of that array.
    prepare
        The preprocessing of the samples.

    Raises
    ------
    ModelError
        If the intervention is at no input that takes pictures, or the range of its numbers is none of pictures.
    SampleError
        If the picture cannot be read, is not of the input's size, or is another one than that of the digest.
    """
    if one.layer not in inputs:
        raise ModelError(f"{one.text}: only an input can be painted over; the model has {', '.join(inputs)}.")
    position = list(inputs).index(one.layer)
    array = samples.arrays[position]
    shape = PictureShape.of(array.shape[1:], specs[position].axes)
    if shape is None or array.dtype.kind not in "uif":
        raise ModelError(f"{one.text}: {one.layer} takes no pictures, so it cannot be painted over.")
    span = (0.0, 255.0) if array.dtype == np.uint8 else samples.spans.get(specs[position].name) or span_of(array)
    if span is None:
        raise ModelError(f"{one.text}: {one.layer} holds no numbers, so it cannot be painted over.")
    path = Path(one.picture)
    given = read_header(path).size
    if one.digest and sha256_of(path) != one.digest:
        raise SampleError(
            f"{path.name} has changed since it was painted over {one.layer}, so earlier runs show another picture; undo "
            "this change, or capture the model with the picture again."
        )
    if given != (shape.width, shape.height):
        raise SampleError(
            f"{path.name} is {given[0]} x {given[1]} pixels; a picture to paint over {one.layer} is "
            f"{shape.width} x {shape.height}."
        )
    image = read_image(path).convert("RGBA")
    rank, size = len(array.shape) - 1, (shape.height or 0, shape.width or 0)
    pixels = np.asarray(image.convert(_MODES[shape.channels])).reshape(1, *size, shape.channels)
    opaque = np.asarray(image.getchannel("A")) >= _OPAQUE
    numbers = numbers_like(pixels, array.dtype, span)
    if numbers is None:
        raise ModelError(
            f"{one.text}: the numbers of {one.layer} are {span[0]:g} to {span[1]:g}, and pixels are known as 0 to 1, -1 to "
            "1 or 0 to 255 only; capture samples of such a range, or pictures."
        )
    drawn = shape.as_model_input(numbers, rank)
    alone = samples.take(0)
    others = (drawn if k == position else other for k, other in enumerate(alone.arrays))
    values = prepare(replace(alone, arrays=tuple(others)))[position][:1]
    mask = shape.as_model_input(np.broadcast_to(opaque[np.newaxis, ..., np.newaxis], pixels.shape), rank)
    return PaintedNumbers(np.ascontiguousarray(mask[0]), np.ascontiguousarray(values[0]))
