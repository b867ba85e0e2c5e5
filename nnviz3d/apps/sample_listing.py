"""Lists of the samples of inputs, which the model has not been run on."""

from __future__ import annotations

from collections.abc import Mapping

from nnviz3d.apps.samples import Sample
from nnviz3d.data.graph import Shape
from nnviz3d.data.sample_sources import expand
from nnviz3d.errors import SampleError


def uncaptured(inputs: tuple[str, ...], shapes: Mapping[str, Shape] | None = None, seed: int = 0) -> tuple[Sample, ...]:
    """List the samples of some inputs; none without inputs.

    Parameters
    ----------
    shapes, seed
        As for `expand`.

    Raises
    ------
    SampleError
        If an input does not exist or cannot be read.
    """
    return tuple(map(Sample.of, expand(inputs, seed=seed, shapes=shapes))) if inputs else ()


def available(inputs: tuple[str, ...], shapes: Mapping[str, Shape] | None = None, seed: int = 0) -> tuple[Sample, ...]:
    """List the samples of some inputs; none if they no longer exist, because a ready capture does not need them."""
    try:
        return uncaptured(inputs, shapes, seed)
    except SampleError:
        return ()
