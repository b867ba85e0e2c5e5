"""The interface of attribution methods: a function of model, samples and target, with a few settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.programs.differentiable import DifferentiableModel, Operator
from nnviz3d.data.capabilities.attributions import TITLES


@dataclass(frozen=True)
class Settings:
    """Settings of a method besides model, samples and target.

    Attributes
    ----------
    layer
        Node id of the layer whose locations the map covers; an input for methods that explain pixels.
    baselines
        Reference values without any content, ``(n, *shape)`` for each input of the model.
    seed
        Seed for methods that draw random numbers.
    report
        Called with the finished and the total amount of work.
    note
        Called with a sample's number and the relative error of its map's sum, if that sum misses the value that the
        method promises.
    """

    layer: str
    baselines: Sequence[NDArray[Any]]
    seed: int
    report: Callable[[int, int], None]
    note: Callable[[int, float], None] = lambda sample, missing: None


class Function(Protocol):
    """The attribution of ``g`` to each location of ``settings.layer``.

    Parameters
    ----------
    model, x, y, g
        ``g(model, x, y)`` returns the explained number of each sample, ``(n,)``. x holds ``(n, *shape)`` for each input;
        y is ``(n,)``.
    settings
        As above.

    Returns
    -------
    ``(n, *locations)`` float32, without channels: ``(n, H, W)`` for pictures.
    """

    def __call__(
        self, model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
    ) -> NDArray[np.float32]:
        """Compute the maps."""
        ...


@dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes
    ----------
    name
        As on the command line: ``grad_cam``.
    at
        Whether its maps cover the locations of an input, or of a convolution (or another layer with spatial axes).
    reads
        Settings that determine its maps.
    constants
        Constants that determine its maps, by name, such as the number of copies.
    """

    name: str
    at: Literal["input", "layer"]
    attribute: Function
    reads: tuple[Literal["baseline", "seed"], ...] = ()
    constants: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def signed(self) -> bool:
        """Whether its maps may have negative values."""
        return TITLES[self.name][1]
