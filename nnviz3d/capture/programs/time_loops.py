"""Calls that run at every step of a sequence, as `TimeDistributed` runs its layer."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras import ops
from keras.src import backend

Values = MutableMapping[int, Any]
"""Tensors by the ids of their symbols."""


@dataclass(frozen=True)
class TimeLoop:
    """A loop over the steps of a sequence around one call.

    Parameters
    ----------
    taken, made
        Pairs of symbols, ``(batch, *shape)`` at one step and ``(batch, time, *shape)`` for the sequence, of the tensors
        that the call takes and makes. A scalar at one step is ``(time,)`` for the sequence.
    """

    taken: tuple[tuple[Any, Any], ...]
    made: tuple[tuple[Any, Any], ...]

    def outside(self, symbol: Any) -> Any:
        """Return the sequence of a tensor that changes from step to step; other tensors are returned unchanged."""
        return next((whole for one, whole in (*self.taken, *self.made) if one is symbol), symbol)

    def run(self, values: Values, call: Callable[[Values], None]) -> None:
        """Run the call at every step, as Keras does: one step after the other if their number is known.

        Parameters
        ----------
        values
            The tensors that exist; those that the call makes are added.
        call
            Adds the tensors of one step to the values that it is given.
        """
        wholes = [values[id(whole)] for _, whole in self.taken]

        def at(step: Any) -> list[Any]:
            # Keras numbers steps along the first axis of a transposed tensor; the numbers are the same.
            parts = {
                id(one): whole[step] if len(one.shape) == 0 else whole[:, step]
                for (one, _), whole in zip(self.taken, wholes, strict=True)
            }
            local: Values = ChainMap(parts, values)
            call(local)
            return [local[id(one)] for one, _ in self.made]

        count = wholes[0].shape[_time_axis(self.taken[0][0])]
        if count is not None:
            steps = [at(step) for step in range(count)]
            made = [
                ops.stack([step[k] for step in steps], axis=_time_axis(one)) for k, (one, _) in enumerate(self.made)
            ]
        else:
            length = ops.shape(wholes[0])[_time_axis(self.taken[0][0])]
            first = backend.vectorized_map(at, ops.arange(length))
            made = [ops.moveaxis(tensor, 0, _time_axis(one)) for tensor, (one, _) in zip(first, self.made, strict=True)]
        values.update((id(whole), tensor) for (_, whole), tensor in zip(self.made, made, strict=True))


def run_in_loops(loops: Sequence[TimeLoop], values: Values, call: Callable[[Values], None]) -> None:
    """Run a call inside loops over time, the innermost first in the list."""
    if loops:
        loops[-1].run(values, lambda local: run_in_loops(loops[:-1], local, call))
    else:
        call(values)


def folded_results(loops: Sequence[TimeLoop], values: Values, function: Callable[[Values], Any]) -> Any:
    """Run a function inside loops over time, and fold the time axes of its result into the batch axis."""
    alone = [replace(loop, made=()) for loop in loops]
    (found,) = results_in_loops(alone, values, lambda local: [function(local)], 1)
    return ops.reshape(found, (-1, *found.shape[1 + len(loops) :])) if loops else found


def results_in_loops(
    loops: Sequence[TimeLoop], values: Values, function: Callable[[Values], Sequence[Any]], count: int
) -> list[Any]:
    """Run a function inside loops over time; returns its results, with the time axes behind the batch axis.

    Parameters
    ----------
    function
        Returns ``count`` tensors ``(batch, ...)`` for one step; it adds what the loops make to the values, as a call does.
    """
    marks = [[_Mark() for _ in range(count)] for _ in range(len(loops) + 1)]
    around = [
        replace(loop, made=(*loop.made, *zip(marks[i], marks[i + 1], strict=True))) for i, loop in enumerate(loops)
    ]

    def call(local: Values) -> None:
        found = function(local)
        local.update((id(mark), tensor) for mark, tensor in zip(marks[0], found, strict=True))

    run_in_loops(around, values, call)
    return [values.pop(id(mark)) for mark in marks[-1]]


class _Mark:
    """A symbol of a result that no call records."""

    shape = (None,)


def sequence_shape(shape: Sequence[int | None], length: int | None) -> tuple[int | None, ...]:
    """Return the shape of a sequence, of which ``shape``, with the batch axis, is one step."""
    at = min(1, len(shape))
    return (*shape[:at], length, *shape[at:])


def _time_axis(step: Any) -> int:
    return min(1, len(step.shape))
