"""A stop of a story: its caption, what it is about, and how long one reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnviz3d.scene.selection import CellPick

CHARACTERS = 16.0
"""Characters that a viewer reads in a second beside a picture; subtitles are made for 12 to 20."""
_ORIENTATION = 1.0
"""Seconds in which a viewer looks at the picture before reading."""
_LEAST = 3.0
"""Minimum number of seconds of a stop."""


@dataclass(frozen=True)
class StoryStop:
    """A stop of a story.

    Attributes
    ----------
    title
        What it is about, in a few words.
    sentences
        The caption: facts that were read or computed from the capture.
    layers
        Node ids of the layers that it tells of, of the network with all groups open; empty: everything.
    near
        Those of them that the camera looks at if they are many; empty: all.
    layer
        The highlighted one of them; `None` if none is.
    ranks
        Number of positions along the flow that are lit.
    pick
        The number that the caption names last; `None` if it names none.
    """

    title: str
    sentences: tuple[str, ...]
    layers: tuple[str, ...] = ()
    near: tuple[str, ...] = field(default=(), kw_only=True)
    layer: str | None = field(default=None, kw_only=True)
    ranks: int = field(default=0, kw_only=True)
    pick: CellPick | None = field(default=None, kw_only=True)

    @property
    def text(self) -> str:
        """The caption as one text."""
        return " ".join(self.sentences)

    @property
    def caption(self) -> str:
        """The same text for display: no line ends within a shape."""
        return self.text.replace(" × ", "\u00a0×\u00a0")

    @property
    def seconds(self) -> float:
        """Seconds in which one looks at the picture, and reads title and caption."""
        return max(_LEAST, _ORIENTATION + (len(self.title) + len(self.text)) / CHARACTERS)
