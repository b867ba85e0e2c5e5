"""Find the channel axis of each tensor in a model; many layers have no setting for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import keras

from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.flat_program import Program
from nnviz3d.capture.programs.sound_axes import rows_of_one_kind, spectra
from nnviz3d.data.axes import Axes, axes_of, axes_over_time, named_axes
from nnviz3d.data.files.picture_arrays import PictureShape

_NO_CHANNELS = "no channels"
_Known = int | str
"""Position of the axis of channels in one sample's shape; or `_NO_CHANNELS`."""

_BY_FORMAT = ("Conv", "Pool", "UpSampling", "ZeroPadding", "Cropping", "SpatialDropout")
"""Parts of the names of layers whose `data_format` is reliable; in other layers it may be only a default."""
_MIX_LAST = ("Dense", "Embedding", "Attention", "RNN", "LSTM", "GRU")
"""Parts of the names of layers that read and write channels last only."""
_SIDES = re.compile(r"(\d)D")
_REDUCE = frozenset({"Mean", "Max", "Min", "Sum", "Prod", "Std", "Var", "Any", "All", "Logsumexp", "Norm"})
_UNFOLD = frozenset({"Flatten", "Reshape", "ExpandDims", "GetItem"})
"""Calls that read a table ``(H, W)`` as a row of numbers, or as a picture of one channel."""


def axes_of_calls(program: Program) -> dict[int, Axes]:
    """Name the axes of each call's first output, by the call's position: time steps, channels and locations.

    A layer with a `data_format` determines the axes of its input and output. The other calls pass the axes of their
    input on, or take them from the calls that read them. If no call determines them, channels come last, and the axes of an
    input follow its shape.
    """
    wanted = _wanted(program)
    found: dict[int, _Known | None] = {}
    for i, call in enumerate(program.calls):
        rank = len(call.shape)
        given = _given(call, [(found.get(s), program.calls[s]) for s, _ in call.sources])
        given = wanted.get(i) if given is None else given
        if given is None and call.is_input:
            picture = PictureShape.of(call.shape)
            given = 0 if picture is not None and picture.channels_first else None
        found[i] = given if given == _NO_CHANNELS or (isinstance(given, int) and given < rank) else None
    steps = time_axes(program)
    named = {i: _named(call.shape, found[i], steps[i]) for i, call in enumerate(program.calls)}
    return named | spectra(program, named) | rows_of_one_kind(program, wanted)


def _named(shape: Sequence[int | None], known: _Known | None, steps: int) -> Axes:
    if isinstance(known, int) and known < steps:
        steps = 0
    frame = len(shape) - steps
    if known is None:
        return axes_over_time(axes_of(shape[steps:]), steps)
    return axes_over_time(named_axes(frame, known - steps if isinstance(known, int) else None), steps)


def time_axes(program: Program) -> dict[int, int]:
    """Find how many axes of each call's first output are the steps of a loop over time, by the call's position.

    Layers inside `TimeDistributed` and recurrent convolutions say so; tensors of the same rank before and behind follow.
    """
    position = {id(call): i for i, call in enumerate(program.calls)}
    wanted: dict[int, int] = {}
    for i in reversed(range(len(program.calls))):
        call = program.calls[i]
        for source, _ in call.sources:
            taken = program.calls[source].shape
            steps = _steps(call, len(taken)) or (wanted.get(position[id(call)], 0) if _passes(call, taken) else 0)
            wanted[source] = max(wanted.get(source, 0), min(steps, len(taken)))
    found: dict[int, int] = {}
    for i, call in enumerate(program.calls):
        shape = call.shape
        before = [found[s] for s, _ in call.sources if _passes(call, program.calls[s].shape)]
        found[i] = min(_steps(call, len(shape)) or wanted.get(i, 0) or max(before, default=0), len(shape))
    return found


def _steps(call: Call, rank: int) -> int:
    """Return how many axes of a tensor of that rank, taken or made by a call, are steps over which the call loops."""
    sides = _SIDES.search(type(call.operation).__name__)
    recurrent = isinstance(call.operation, keras.layers.RNN) and sides is not None and rank == int(sides[1]) + 2
    return len(call.loops) + recurrent


def _wanted(program: Program) -> dict[int, _Known]:
    """Find the channel axis of each call's output from the calls that read it; the first of these counts."""
    readers: dict[int, list[Call]] = {}
    position = {id(call): i for i, call in enumerate(program.calls)}
    for call in program.calls:
        for source, _ in call.sources:
            readers.setdefault(source, []).append(call)
    wanted: dict[int, _Known] = {}
    for i in reversed(range(len(program.calls))):
        shape = program.calls[i].shape
        votes = [_read(reader, shape, wanted.get(position[id(reader)])) for reader in readers.get(i, [])]
        told = [vote for vote in votes if vote is not None]
        # A table has no channels only if no call reads channels in it.
        certain = [vote for vote in told if vote != _NO_CHANNELS]
        if certain:
            wanted[i] = certain[0]
        elif told and len(told) == len(votes):
            wanted[i] = _NO_CHANNELS
    return wanted


def _read(reader: Call, shape: Sequence[int | None], behind: _Known | None) -> _Known | None:
    """Return the channel axis of a tensor that a call takes.

    Parameters
    ----------
    shape
        The tensor's shape.
    behind
        Channel axis of the call's output.
    """
    operation, given = reader.operation, reader.shape
    steps = len(reader.loops)
    told = _told(operation, len(shape) - steps)
    if told is not None:
        return told + steps
    kind = type(operation).__name__
    if isinstance(operation, keras.layers.Flatten) and operation.data_format == "channels_first" and len(shape) > 2:
        return 0
    if len(shape) == 2 and kind in _UNFOLD and len(given) != 2:
        return _NO_CHANNELS
    order = _order(operation, len(shape), steps)
    if order is not None:
        return order[behind] if isinstance(behind, int) and behind < len(order) else behind
    # The last axis is only the default of a normalization; any other axis was set on purpose.
    if isinstance(operation, keras.layers.BatchNormalization) and len(shape) > 2 and _axis(operation.axis) == 0:
        return 0
    return behind if _passes(reader, shape) else None


def _given(call: Call, sources: Sequence[tuple[_Known | None, Call]]) -> _Known | None:
    """Return the channel axis of a call's output, from its settings or from its input."""
    operation, shape = call.operation, call.shape
    steps = len(call.loops)
    told = _told(operation, len(shape) - steps)
    if told is not None:
        return told + steps
    known = next(((known, taken) for known, taken in sources if known is not None), None)
    if known is None:
        return None
    at, source = known
    taken, kind = source.shape, type(operation).__name__
    order = _order(operation, len(taken), steps)
    if order is not None and isinstance(at, int):
        return order.index(at) if at in order else None
    if kind in _REDUCE and len(shape) < len(taken) and isinstance(at, int):
        return _reduced(operation, at, len(taken), steps)
    return at if _passes(call, taken) else None


def _told(operation: Any, rank: int) -> int | None:
    """Return the channel axis that a layer's settings give for a tensor of that rank; `None` if they give none."""
    kind = type(operation).__name__
    if not isinstance(operation, keras.Layer) or rank < 1:
        return None
    if isinstance(operation, keras.layers.MelSpectrogram):
        # It takes ``(..., samples)`` and returns ``(..., mel bins, frames)``.
        return rank - 2 if rank > 1 else None
    if rank > 1 and any(part in kind for part in _BY_FORMAT):
        form = getattr(operation, "data_format", None)
        # In a sequence of maps, the time axis comes before the channels.
        sides = _SIDES.search(kind)
        first = rank - 1 - int(sides[1]) if sides is not None else 0
        return None if form is None else max(first, 0) if form == "channels_first" else rank - 1
    return rank - 1 if any(part in kind for part in _MIX_LAST) else None


def _order(operation: Any, rank: int, steps: int) -> tuple[int, ...] | None:
    """Return the input axis of each output axis, without the batch; `None` if no axis moves.

    Parameters
    ----------
    steps
        Number of time axes over which the call runs step by step; they stay first.
    """
    kind = type(operation).__name__
    if kind == "Permute":
        return (*range(steps), *(int(n) - 1 + steps for n in operation.dims))
    axes = getattr(operation, "axes", None)
    if kind == "Transpose" and isinstance(axes, list | tuple) and len(axes) == rank + 1 - steps and axes[0] == 0:
        return (*range(steps), *(int(n) - 1 + steps for n in axes[1:]))
    return None


def _reduced(operation: Any, at: int, rank: int, steps: int) -> int | None:
    axis = getattr(operation, "axis", None)
    if axis is None:
        return None
    gone = {_axis(n, rank - steps) + steps for n in (axis if isinstance(axis, list | tuple) else [axis])}
    return None if at in gone else at - sum(n < at for n in gone)


def _axis(axis: Any, rank: int = 0) -> int:
    """Convert an axis of a batch, which may be negative, to an axis of one sample of that rank."""
    return int(axis) + rank if axis < 0 else int(axis) - 1


def _passes(call: Call, taken: Sequence[int | None]) -> bool:
    """Whether the output of a call has the same axes as one of its inputs."""
    return type(call.operation).__name__ != "Reshape" and len(call.shape) == len(taken)
