"""What every attribution method is: one function of model, samples and target, with a few settings."""

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
    """What a method needs to know beside model, samples and target.

    Attributes
    ----------
    layer
        Node id of the layer whose places the map is of: an input for methods that look at pixels.
    baselines
        What stands for "nothing there": for each input of the model ``(n, *shape)``.
    seed
        For methods that draw at random.
    report
        Is told how many steps of the work are done, and of how many.
    note
        Is told, by the sample's number, what share of a map is not accounted for, where a method promises a sum that it
        did not reach.
    """

    layer: str
    baselines: Sequence[NDArray[Any]]
    seed: int
    report: Callable[[int, int], None]
    note: Callable[[int, float], None] = lambda sample, missing: None


class Function(Protocol):
    """How much each place of ``settings.layer`` counts for ``g``.

    Parameters
    ----------
    model, x, y, g
        ``g(model, x, y)`` gives what is explained, ``(n,)``; x is ``(n, *shape)`` for each input, y is ``(n,)``.
    settings
        As above.

    Returns
    -------
    ``(n, *places)`` float32, channels left out: ``(n, H, W)`` for pictures.
    """

    def __call__(
        self, model: DifferentiableModel, x: Sequence[Any], y: Any, g: Operator, settings: Settings
    ) -> NDArray[np.float32]:
        """Attribute."""
        ...


@dataclass(frozen=True)
class Method:
    """An attribution method.

    Attributes
    ----------
    name
        As on the command line: ``grad_cam``.
    at
        Whether it looks at the places of an input, or of a convolution (or another layer that has places).
    reads
        Which of the settings determine its maps.
    constants
        What else does, by name, such as how often it looks.
    """

    name: str
    at: Literal["input", "layer"]
    attribute: Function
    reads: tuple[Literal["baseline", "seed"], ...] = ()
    constants: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def signed(self) -> bool:
        """Whether its numbers may be negative."""
        return TITLES[self.name][1]
