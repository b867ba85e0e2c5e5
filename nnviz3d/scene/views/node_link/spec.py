"""Settings of the node-link graph in a scene file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nnviz3d.data.records import Ranking
from nnviz3d.scene.colors import DEFAULT_DIVERGING, DEFAULT_SEQUENTIAL
from nnviz3d.scene.view_spec import Diverging, Phase, Reveal, Sequential, ViewSpec


class NodesSpec(ViewSpec):
    """The network as a graph: a ball for each neuron or channel, a line for each weight. It stands alone in its scene.

    Attributes
    ----------
    most
        Maximum number of balls of a layer; of larger layers only the most active units are shown.
    strongest
        Maximum number of lines between two layers.
    ranking
        Strength of a line: its weight, or its contribution for the sample, which is weight times activation.
    """

    kind: Literal["nodes"]
    arrays: ClassVar[frozenset[str]] = frozenset({"activations", "connections"})
    stands_alone: ClassVar[bool] = True
    ranking: Ranking = "weight"
    most: Annotated[int, Field(ge=1, le=1024)] = 64
    strongest: Annotated[int, Field(ge=1)] = 240
    colormap: Sequential = DEFAULT_SEQUENTIAL
    diverging: Diverging = DEFAULT_DIVERGING
    reveal: Reveal = Reveal()

    @property
    def phase(self) -> Phase:
        """The forward pass, which reveals the layers."""
        return Phase("forward", self.reveal.start, self.reveal.duration)
