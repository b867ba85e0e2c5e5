"""Find the axes of sounds, of their spectra, and of rows of token numbers."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from nnviz3d.capture.programs.call import Call
from nnviz3d.capture.programs.flat_program import Program
from nnviz3d.data.axes import CHANNEL, FREQUENCY, TIME, TOKEN, Axes, channel_axis, location_shape

_OVER_MAPS = ("Conv2D", "Pooling2D", "UpSampling2D", "ZeroPadding2D", "Cropping2D", "Normalization", "Activation")
"""Parts of the names of layers whose output has the axes of their input."""
_KEEP = frozenset(
    {"Add", "Multiply", "Subtract", "Average", "Maximum", "Minimum", "Concatenate", "Dropout", "SpatialDropout2D"}
    | {"ReLU", "LeakyReLU", "PReLU", "ELU", "Relu", "Rescaling", "Resizing", "Log", "Abs", "Square", "Identity"}
    | {"TrueDivide", "Divide", "Power", "Sqrt", "Log10", "Log1p"}
)
_ADD_CHANNEL = frozenset({"Reshape", "ExpandDims", "GetItem"})


def spectra(program: Program, named: Mapping[int, Axes]) -> dict[int, Axes]:
    """Name the time and the frequencies of spectrograms, and of the maps that layers of rows and columns make of them.

    Parameters
    ----------
    named
        Names of the axes of each call's first output, as layers of any other input would have them.

    Returns
    -------
    The names by the call's position, only of tensors with frequencies. In a spectrogram that a layer reads as a sequence
    the frequencies are channels.
    """
    found: dict[int, Axes] = {}
    read = _read_as_sequence(program)
    for i, call in enumerate(program.calls):
        shape = call.shape
        pair = _spectrum(call)
        for source, _ in call.sources:
            pair = pair or (_places(found[source]) if source in found and _keeps(call, source, program) else None)
        if pair is None or call.loops:
            continue
        if len(shape) == 2 and not (i in read and pair == (TIME, FREQUENCY)):
            found[i] = pair
        elif len(shape) == 3:
            known = channel_axis(named[i])
            at = 0 if isinstance(call.operation, keras.layers.MelSpectrogram) else 2 if known is None else known
            found[i] = (*pair[:at], CHANNEL, *pair[at:])
    return found


def _spectrum(call: Call) -> Axes | None:
    """Return the two axes of a layer that makes a spectrogram."""
    if isinstance(call.operation, keras.layers.MelSpectrogram):
        return FREQUENCY, TIME
    stft = getattr(keras.layers, "STFTSpectrogram", ())
    if type(call.operation).__name__ == "STFT":
        return TIME, FREQUENCY
    if stft and isinstance(call.operation, stft) and call.operation.data_format == "channels_last":
        return TIME, FREQUENCY
    return None


def _places(axes: Axes) -> Axes:
    return location_shape(axes, axes)


def _keeps(call: Call, source: int, program: Program) -> bool:
    """Whether the output of a call has the axes of an input with frequencies, or those and one channel."""
    kind, given, taken = type(call.operation).__name__, call.shape, program.calls[source].shape
    if len(given) == len(taken):
        return call.plumbing or kind in _KEEP or any(part in kind for part in _OVER_MAPS)
    return kind in _ADD_CHANNEL and len(given) == 3 and tuple(given) == (*taken, 1)


def _read_as_sequence(program: Program) -> frozenset[int]:
    """Find the tensors that recurrent, one-dimensional or attention layers read."""
    parts = ("1D", "RNN", "LSTM", "GRU", "Attention", "Dense")
    return frozenset(
        source
        for call in program.calls
        if any(part in type(call.operation).__name__ for part in parts)
        for source, _ in call.sources
    )


def rows_of_one_kind(program: Program, wanted: Mapping[int, int | str]) -> dict[int, Axes]:
    """Name the axis of vectors ``(T,)`` that are sounds or other signals, or token numbers.

    A vector has time steps if a layer computes its spectrogram, or if it becomes ``(T, 1)`` for layers whose channels are
    last; it has tokens if an embedding takes it. Layers before, which keep its length, do not change that.

    Parameters
    ----------
    wanted
        Channel axis of the calls' outputs, by position, where the calls that read them tell it.
    """
    found: dict[int, Axes] = {}
    for i in reversed(range(len(program.calls))):
        call, given = program.calls[i], program.calls[i].shape
        for source, _ in call.sources:
            taken = program.calls[source].shape
            if len(taken) != 1 or taken[0] == 1:
                continue
            kind = type(call.operation).__name__
            if isinstance(call.operation, keras.layers.MelSpectrogram):
                found[source] = (TIME,)
            elif isinstance(call.operation, keras.layers.Embedding):
                found[source] = (TOKEN,)
            elif kind in _ADD_CHANNEL and len(given) == 2 and given[1] == 1 and wanted.get(i) == 1:
                found[source] = (TIME,)
            elif i in found and (call.plumbing or kind in _KEEP or "Normalization" in kind):
                found[source] = found[i]
    return found
