"""Values of the panel that explains a pick, computed from the session."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.pick_examples import StrongSample, strongest_samples
from nnviz3d.apps.pick_explanation import PickExplanation, Sum, explanation_of, map_pixels, odd_words
from nnviz3d.apps.pick_requests import lacks_examples, lacks_gradient
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.data_address import png_address
from nnviz3d.scene.colors import number
from nnviz3d.scene.context import SceneContext
from nnviz3d.scene.derived.cell_explanation import ChannelNumbers, channel_of, histogram
from nnviz3d.scene.derived.cell_fields import field_of
from nnviz3d.scene.derived.explanation_words import field_boxes, unclear_words
from nnviz3d.scene.derived.kernel_pictures import KernelPicture

ASKED = ("gradient", "examples")
"""Requests to the model that buttons of the panel send."""
_NO_CHANNEL: dict[str, Any] = {"picture": "", "here": {}, "bars": [], "low": "", "high": "", "words": ""}


@dataclass(frozen=True)
class PickState:
    """Values that the widgets show.

    Attributes
    ----------
    pick_title
        The name of the picked cell, connection or weight; empty if there is nothing to explain.
    pick_terms
        Its strongest terms: ``place``, also in two parts, ``name`` and ``at``; ``words``, ``product``, ``share`` of the
        largest one in percent, ``against``, whether it is negative, and ``layer`` and ``index`` of the number that it
        takes, an empty name if none is shown.
    pick_heads
        The headings of the terms that are not ``against``, and of those that are.
    pick_steps
        The arithmetic after the terms, as pairs of name and number.
    pick_rival
        The same of a class's score minus that of its rival: ``terms``, ``heads`` and ``steps``, and ``names``, what the
        two sums are of; no names if there is no rival.
    pick_reason
        Why the arithmetic is not known.
    pick_slopes
        Gradients, as pairs of name and number.
    pick_asks
        What the model can be asked for: ``gradient``, ``examples``.
    pick_kernel
        The weights that a connection belongs to, in the form of `pick_channel`.
    pick_field
        The receptive field, as pairs of layer and box.
    pick_unclear
        A sentence on a layer that reads an unknown part of its input.
    pick_channel
        Map and histogram of its channel: ``picture`` as an address, ``here``, the style of the cell's frame in it, ``bars``
        with ``share`` in percent and ``here``, whether the cell's number is in it, the ends ``low`` and ``high``, and
        ``words``.
    pick_examples, pick_examples_words
        The samples of a data set that activate its channel most: ``name``, ``words``, ``hint``, what a click does,
        ``picture`` as an address, which is empty if they are no pictures, and ``position`` in the list of samples, -1 if
        it is not there; and the heading above them.
    """

    pick_title: str = ""
    pick_terms: list[dict[str, Any]] = field(default_factory=list)
    pick_heads: list[str] = field(default_factory=list)
    pick_steps: list[list[str]] = field(default_factory=list)
    pick_rival: dict[str, Any] = field(default_factory=lambda: {"names": [], "terms": [], "heads": [], "steps": []})
    pick_reason: str = ""
    pick_slopes: list[list[str]] = field(default_factory=list)
    pick_asks: list[str] = field(default_factory=list)
    pick_kernel: dict[str, Any] = field(default_factory=_NO_CHANNEL.copy)
    pick_field: list[list[str]] = field(default_factory=list)
    pick_unclear: str = ""
    pick_channel: dict[str, Any] = field(default_factory=_NO_CHANNEL.copy)
    pick_examples: list[dict[str, Any]] = field(default_factory=list)
    pick_examples_words: str = ""


def pick_state(session: Session) -> PickState:
    """Return the explanation of the pick."""
    context, selection = session.context, session.selection
    found = explanation_of(context, selection)
    if found is None:
        return PickState()
    state = _arithmetic(context, found)
    if found.kernel is not None:
        state = replace(state, pick_kernel=_kernel(found.kernel))
    if found.cell is None:
        return state
    part = field_of(context, found.cell)
    state = replace(state, pick_field=[] if part is None else field_boxes(part), pick_unclear=unclear_words(part))
    strong, heading = strongest_samples(session, found.cell)
    lacking = {"gradient": lacks_gradient(session, found.cell), "examples": lacks_examples(session, found.cell)}
    asks = [what for what in ASKED if lacking[what]]
    state = replace(state, pick_examples=[*map(_example, strong)], pick_examples_words=heading, pick_asks=asks)
    channel = channel_of(context, found.cell, selection.sample)
    if channel is None:
        return state
    values = context.values(found.cell.layer, selection.sample).values
    value = float(values[found.cell.index]) if len(found.cell.index) == values.ndim else None
    return replace(state, pick_channel=_channel(channel, value))


def _arithmetic(context: SceneContext, found: PickExplanation) -> PickState:
    first, *more = found.sums
    state = PickState(
        pick_title=found.title,
        pick_terms=_terms(context, first),
        pick_heads=[first.raises, first.lowers],
        pick_steps=first.pairs,
        pick_reason=found.reason,
        pick_slopes=found.slopes,
    )
    if not more:
        return state
    (rival,) = more
    rivals = {
        "names": [first.name, rival.name],
        "terms": _terms(context, rival),
        "heads": [rival.raises, rival.lowers],
        "steps": rival.pairs,
    }
    return replace(state, pick_rival=rivals)


def _terms(context: SceneContext, found: Sum) -> list[dict[str, Any]]:
    return [
        {
            "place": line.place,
            "name": line.layer or line.place,
            "at": line.place[len(line.layer or line.place) :],
            "words": f"{line.place} = {line.words}",
            "product": number(line.product),
            "share": round(100 * line.share, 1),
            "against": line.against,
            "layer": line.layer if line.layer is not None and line.layer in context.graph else "",
            "index": list(line.index),
        }
        for line in found.lines
    ]


def _example(found: StrongSample) -> dict[str, Any]:
    words = f"{found.name}: {number(found.mean)}"
    known = found.position is not None
    return {
        "name": found.name,
        "words": words,
        "hint": f"{words}; show this sample" if known else f"{words}; it is not among the samples to choose from",
        "picture": "" if found.picture is None else png_address(found.picture),
        "position": -1 if found.position is None else found.position,
    }


def _kernel(found: KernelPicture) -> dict[str, Any]:
    """Return a kernel as the page shows it."""
    finite = found.values[np.isfinite(found.values)]
    if not finite.size:
        return _NO_CHANNEL
    value = None if found.at is None else float(found.values[found.at])
    mapped = found.values if found.values.ndim == 2 else None
    counts, ends = histogram(finite)
    odd = odd_words(found.values.size - finite.size)
    words = f"{found.words}; {'sum of the finite ones' if odd else 'sum'} {number(float(finite.sum()))}{odd}"
    return _map_and_histogram(counts, ends, value, mapped, found.at, words, signed=True)


def _channel(found: ChannelNumbers, value: float | None) -> dict[str, Any]:
    """Return the map and the histogram of a channel as the page shows them."""
    odd = odd_words(found.odd)
    numbers = f"{len(found.values):,} {'finite numbers' if odd else 'numbers'}"
    words = f"{numbers}, mean {number(float(found.values.mean(dtype=np.float64)))}{odd}"
    return _map_and_histogram(found.counts, found.ends, value, found.map, found.at, words, signed=found.ends[0] < 0)


def _map_and_histogram(
    counts: NDArray[np.int64],
    ends: tuple[float, float],
    value: float | None,
    mapped: NDArray[np.floating] | None,
    at: tuple[int, ...] | None,
    words: str,
    *,
    signed: bool,
) -> dict[str, Any]:
    """Return a histogram with a marked number, and a map with a marked cell.

    Parameters
    ----------
    signed
        Whether the colours of the map show the sign.
    """
    low, high = ends
    width, last = (high - low) / len(counts), len(counts) - 1
    here = -1
    if value is not None and np.isfinite(value):
        here = min(int((value - low) / width), last) if width else len(counts) // 2
    # Heights are roots of the counts, because most numbers of a channel are often zero.
    heights = np.sqrt(counts / (int(counts.max()) or 1))
    bars = [{"share": round(100 * float(height), 1), "here": k == here} for k, height in enumerate(heights)]
    shown = {**_NO_CHANNEL, "bars": bars, "low": number(low), "high": number(high), "words": words}
    if mapped is None:
        return shown
    rows, columns = mapped.shape
    frame: dict[str, str] = {"display": "none"}
    if at is not None:
        frame = {
            "left": f"{100 * at[1] / columns:.2f}%",
            "top": f"{100 * at[0] / rows:.2f}%",
            "width": f"{100 / columns:.2f}%",
            "height": f"{100 / rows:.2f}%",
        }
    return {**shown, "picture": png_address(map_pixels(mapped, signed=signed)), "here": frame}
