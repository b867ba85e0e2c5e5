"""Painting over the shown sample's picture, and drawings: samples that the user draws on an empty picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nnviz3d.apps.frame_state import FrameState
from nnviz3d.apps.interventions import Interventions
from nnviz3d.apps.model_queries import ModelQueries
from nnviz3d.apps.samples import Sample, SampleList
from nnviz3d.data.axes import CHANNEL
from nnviz3d.data.files.picture_files import read_paint
from nnviz3d.errors import UserError

NOTHING_TO_PAINT = "There is no picture to paint over; choose a sample that is a picture."
PAINT_FORMATS = ("PNG",)
"""Pillow's names of the formats in which pages send paint."""


@dataclass(frozen=True)
class Canvas:
    """The picture that can be painted over.

    Attributes
    ----------
    layer
        Node id of the input.
    picture
        ``(H, W, 3)`` uint8: the picture without paint, of the size that the model takes.
    grey
        Whether the model sees no colours.
    overlay
        The file with the paint; `None` if there is none.
    drawing
        Whether the picture is a drawing: an empty picture, whose sample changes with each stroke.
    """

    layer: str
    picture: NDArray[np.uint8]
    grey: bool
    overlay: Path | None
    drawing: bool

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.picture.shape[:2]
        return width, height


class Painting:
    """Paints over the shown sample, and makes drawings.

    Parameters
    ----------
    frame
        The frame that shows the sample.
    samples
        The samples of the session; drawings are added to them.
    queries
        Queries to the model.
    interventions
        The interventions, of which paint is one.
    run
        Runs the model on the sample at a position for the first time, and shows it.
    """

    def __init__(
        self,
        frame: FrameState,
        samples: SampleList,
        queries: ModelQueries,
        interventions: Interventions,
        run: Callable[[int], None],
    ) -> None:
        self._frame = frame
        self._samples = samples
        self._queries = queries
        self._interventions = interventions
        self._run = run
        self._overlays: dict[int, Path | None] = {}
        self._received: set[Path] = set()
        self._made = 0

    @property
    def canvas(self) -> Canvas | None:
        """The picture of the shown sample; `None` if it is none, or no model can be asked."""
        if not self._queries.possible:
            return None
        capture, sample = self._frame.scene.capture, self._frame.selection.sample
        for layer in capture.graph.inputs:
            picture = capture.picture(layer, sample)
            if picture is None:
                continue
            node = capture.graph.node(layer)
            at = node.axes.index(CHANNEL) if CHANNEL in node.axes and len(node.shape) > 1 else None
            grey = at is None or node.shape[at] == 1
            drawing = self._samples[self._samples.chosen].drawing
            return Canvas(layer, np.zeros_like(picture) if drawing else picture, grey, self.overlay, drawing)
        return None

    @property
    def overlay(self) -> Path | None:
        """The file with the paint over the shown sample; `None` if there is none."""
        position = self._samples.chosen
        if self._samples[position].drawing:
            return self._overlays.get(position)
        return next((Path(one.picture) for one in self._interventions.listed if one.picture), None)

    def received(self, overlay: Path) -> bool:
        """Whether a file is paint of this session; otherwise its path comes from a capture, which may be a stranger's."""
        return overlay in self._received

    @property
    def can_add(self) -> bool:
        """Whether a picture alone is a sample of the model."""
        return len(self._frame.scene.capture.graph.inputs) == 1

    def paint(self, overlay: Path, image: Image.Image | None = None, *, goes_on: bool = False) -> None:
        """Put a picture's opaque pixels over the shown sample, in place of earlier paint.

        Parameters
        ----------
        overlay
            A PNG picture of the canvas' size, in a folder of its own that lasts as long as the session.
        image
            Its pixels as `read_paint` returns them, if they have been read.
        goes_on
            Whether this continues the last stroke.

        Raises
        ------
        UserError
            If there is no canvas, or the picture is not of its size.
        """
        canvas = self._canvas()
        if image is None or image.size != canvas.size:
            image = read_paint(overlay, canvas.size, formats=PAINT_FORMATS)
        self._received.add(overlay)
        empty = not np.asarray(image)[..., 3].any()
        if canvas.drawing:
            position = self._samples.chosen
            self._overlays[position] = None if empty else overlay
            self._samples.set_source(position, self._flat(canvas, image, self._samples[position].name))
            self._run(position)
        elif empty:
            self._interventions.clear_paint()
        else:
            self._interventions.paint(canvas.layer, overlay, goes_on=goes_on)

    def draw(self) -> None:
        """Add a drawing, empty at first, and show it.

        Raises
        ------
        UserError
            If there is no picture whose size it takes, or the model takes more than a picture.
        """
        canvas = self._canvas()
        self._check_can_add()
        self._made += 1
        name = f"drawing {self._made}"
        empty = Image.new("RGBA", canvas.size)
        source = self._flat(canvas, empty, name, black=True)
        self._run(self._samples.add(Sample(name, None, source, drawing=True)))

    def keep(self) -> int:
        """Add the painted picture as a sample of its own; returns its position.

        Raises
        ------
        UserError
            If nothing is painted, or the model takes more than a picture.
        """
        canvas = self._canvas()
        self._check_can_add()
        if canvas.overlay is None or canvas.drawing:
            raise UserError("Nothing is painted over this sample; paint first.")
        self._made += 1
        name = f"painted {self._made}"
        source = self._flat(canvas, read_paint(canvas.overlay, canvas.size), name)
        # Earlier strokes, to which `undo` may go back, are in the picture, too.
        paint = frozenset(map(str, {*self._received, canvas.overlay}))
        return self._samples.add(Sample(name, None, source, paint=paint))

    def _canvas(self) -> Canvas:
        canvas = self.canvas
        if canvas is None:
            raise UserError(NOTHING_TO_PAINT)
        return canvas

    def _check_can_add(self) -> None:
        inputs = self._frame.scene.capture.graph.inputs
        if not self.can_add:
            raise UserError(f"A picture alone is no sample of this model, whose inputs are {', '.join(inputs)}.")

    def _flat(self, canvas: Canvas, overlay: Image.Image, name: str, *, black: bool = False) -> str:
        """Write the picture with the paint on it; returns its source."""
        runner = self._queries.runner
        if runner is None:
            raise UserError(NOTHING_TO_PAINT)
        below = np.zeros_like(canvas.picture) if black else canvas.picture
        whole = Image.alpha_composite(Image.fromarray(below).convert("RGBA"), overlay.convert("RGBA"))
        path = runner.new_folder() / f"{name}.png"
        whole.convert("L" if canvas.grey else "RGB").save(path)
        return str(path)
