"""Trace a model without a batch size if its code allows it, else with one."""

from __future__ import annotations

import itertools
from dataclasses import replace

import keras

from nnviz3d.capture.programs.flat_program import Inputs, InputSpec, Program, open_model
from nnviz3d.errors import ModelError

_ROWS = (5, 7, 11, 13, 17, 19, 23)
"""Batch sizes for models that need one; a size that is no length in the model cannot be taken for another axis."""


def open_with_rows(model: keras.Model, inputs: Inputs) -> tuple[Program, tuple[InputSpec, ...]]:
    """Trace a model; one whose code needs the batch size as a number is traced for a batch of a few samples.

    Such code draws ``keras.random.normal(ops.shape(x))``, or copies a class token for every sample.

    Returns
    -------
    program
        The model's program.
    specs
        Its inputs, with the batch size that was chosen, if any.

    Raises
    ------
    ModelError
        If the model cannot run on symbolic inputs.
    """
    given = any(spec.batch is not None for spec in inputs.specs)
    try:
        program = open_model(model, inputs)
    except ModelError:
        counted = None if given else _with_rows(model, inputs)
        if counted is None:
            raise
        return counted
    if not given and (program.sealed or program.needs_rows):
        counted = _with_rows(model, inputs)
        if counted is not None and (program.needs_rows or len(counted[0].sealed) < len(program.sealed)):
            return counted
    return program, inputs.specs


def _with_rows(model: keras.Model, inputs: Inputs) -> tuple[Program, tuple[InputSpec, ...]] | None:
    """Trace a model for a batch of a few samples; `None` if it cannot run on symbolic inputs."""
    lengths = _lengths(model, inputs)
    rows = next(n for n in itertools.chain(_ROWS, itertools.count(101)) if n not in lengths)
    specs = tuple(replace(spec, batch=rows) for spec in inputs.specs)
    try:
        return replace(open_model(model, replace(inputs, specs=specs)), rows=rows), specs
    except ModelError:
        return None


def open_for_batch(model: keras.Model, inputs: Inputs) -> Program:
    """Trace a model for the batch size of its inputs.

    Raises
    ------
    ModelError
        If the model cannot run on symbolic inputs.
    """
    program, rows = open_model(model, inputs), inputs.specs[0].batch
    return program if rows in _lengths(model, inputs) else replace(program, rows=rows)


def _lengths(model: keras.Model, inputs: Inputs) -> set[int | None]:
    """Return the lengths of all axes of a model's weights and samples."""
    return {n for weight in model.weights for n in weight.shape} | {n for s in inputs.specs for n in s.shape}
