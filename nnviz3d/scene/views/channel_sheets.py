"""The tiles of a layer's unfolded channels: their order, their pictures, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnviz3d.data.quantities import Quantity
from nnviz3d.errors import SceneError
from nnviz3d.scene.colors import (
    DEFAULT_DIVERGING,
    DEFAULT_SEQUENTIAL,
    INF_COLOR,
    NAN_COLOR,
    colormap,
    limits_for,
)
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.channel_pictures import examples_of, features_of
from nnviz3d.scene.derived.dead_channels import listed, silent_of
from nnviz3d.scene.layout.channel_tiles import TilePlaces, spread, stacked
from nnviz3d.scene.panel_rows import Row, TextRow
from nnviz3d.scene.selection import ChannelOrder, ChannelPictures, Selection
from nnviz3d.scene.view import ColoredCells, FillsBlocks

_WORDS = {
    "index": "by index",
    "mean": "highest mean activation first",
    "contribution": "largest contribution to the score first",
}


@dataclass(frozen=True, eq=False)
class ChannelSheet:
    """The tiles of one layer, in the order of the grid.

    Attributes
    ----------
    pixels, channels
        As in `Tiles`.
    names
        Text below each tile.
    maps
        Whether the tiles show the channels' maps, not their features.
    stacked, spread
        The places of the tiles in the block and in the grid.
    """

    pixels: NDArray[np.uint8]
    channels: NDArray[np.int64]
    names: tuple[str, ...]
    maps: bool
    stacked: TilePlaces
    spread: TilePlaces
    rows: tuple[Row, ...]


def sheet_of(
    context: SceneContext,
    layer: str,
    order: ChannelOrder,
    pictures: ChannelPictures,
    selection: Selection,
    blocks: FillsBlocks | None,
) -> ChannelSheet:
    """Return the tiles of a layer, with what the panel says of them.

    Parameters
    ----------
    order
        The order of the channels.
    pictures
        What the tiles show.
    blocks
        The view whose colours the maps have; `None` if no view draws the numbers of blocks.
    """
    placement = context.placement(layer)
    rank = _ranked(context, layer, order, selection)
    if pictures == "features":
        pixels, channels, names, remarks = features_of(context, layer, rank)
    elif pictures == "examples":
        pixels, channels, names, remarks = examples_of(context, layer, rank)
    else:
        pixels, remark = _maps(context, layer, rank, selection, blocks)
        channels, names, remarks = rank, tuple(map(str, rank)), (remark,)
    rows = (*_counted(layer, len(channels), len(rank), order), *(TextRow(text, "quiet") for text in remarks))
    places = stacked(placement, channels), spread(context, len(channels), pixels.shape[2] / pixels.shape[1])
    return ChannelSheet(pixels, channels, names, pictures == "maps", *places, rows)


def _ranked(context: SceneContext, layer: str, order: str, selection: Selection) -> NDArray[np.int64]:
    """Return all channels in the order of the grid."""
    held = context.values(layer, selection.sample)
    values = held.values
    if order == "index":
        return np.arange(held.grid.channels, dtype=np.int64)
    if order == "contribution":
        gradient = context.capture.explanations(selection.sample).gradient(layer, selection.target)
        if gradient is None:
            raise SceneError(
                f"The order by contribution needs gradients of {layer}; capture the sample again with --gradients."
            )
        values = values * gradient
    means = np.nan_to_num(held.grid.last(values).reshape(-1, held.grid.channels).mean(axis=0), nan=-np.inf)
    return np.argsort(-means, kind="stable").astype(np.int64)


def _maps(
    context: SceneContext, layer: str, rank: NDArray[np.int64], selection: Selection, blocks: FillsBlocks | None
) -> tuple[NDArray[np.uint8], str]:
    """Return the maps as pictures in the colours of the block, ``(n, rows, columns, 3)``, and a remark."""
    colored = None if blocks is None else blocks.cells_of(layer, selection)
    if colored is None:
        held = context.values(layer, selection.sample)
        limits = limits_for(held.statistics, "layer")
        chosen = colormap(selection.colormap or DEFAULT_SEQUENTIAL)
        fitting = colormap(DEFAULT_DIVERGING if limits[0] < 0 else DEFAULT_SEQUENTIAL)
        colored = ColoredCells(held, limits, chosen if chosen.diverging == fitting.diverging else fitting)
    held, limits, table = colored.layer, colored.limits, colored.colormap
    last = held.grid.last(held.values)
    values = last.transpose(2, 0, 1)[rank]
    share = (np.nan_to_num(values, nan=0.0) - limits[0]) / ((limits[1] - limits[0]) or 1.0)
    pixels = table.table[np.minimum((np.clip(share, 0, 1) * 256).astype(np.int64), 255)]
    pixels[np.isnan(values)] = np.round(np.array(NAN_COLOR) * 255)
    pixels[np.isinf(values)] = np.round(np.array(INF_COLOR) * 255)
    return np.ascontiguousarray(pixels), _silence(last, colored.quantity)


def _counted(layer: str, shown: int, total: int, order: ChannelOrder) -> tuple[TextRow, ...]:
    """Describe the number of shown channels, their choice and their order."""
    if total == 1:
        return (TextRow(f"the one channel of {layer}"),)
    words = f", {_WORDS[order]}" if shown > 1 else ""
    if shown == total:
        return (TextRow(f"{total} channels of {layer}{words}"),)
    # The channels were chosen during the capture; the order applies only to these.
    which = "those with captured pictures" if shown > 1 else "the one with a captured picture"
    return TextRow(f"{shown} of {total} channels of {layer}"), TextRow(f"{which}{words}", "quiet")


def _silence(values: NDArray[np.float32], quantity: Quantity) -> str:
    """List the channels, of ``(rows, columns, channels)``, that are 0 everywhere. Only the activation is not named."""
    silent, several = silent_of(values), values.shape[-1] > 1
    what = "" if quantity == "activation" else f"the {quantity.replace('_x_', ' × ')} of "
    whose = "" if quantity == "difference" else " for this sample"
    if not len(silent):
        return f"{what}{'each' if several else 'it'} is nonzero somewhere"
    if not several:
        return f"{what}it is 0 everywhere{whose}"
    verb = "is" if what or len(silent) == 1 else "are"
    return f"{what}{len(silent)} of them {verb} 0 everywhere{whose}: {listed(silent.tolist())}"
