"""Finds out what of a model in training can be looked at: its graph, its probe samples, samples to be placed as points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.describe import DescribedModel, describe
from nnviz3d.capture.embedded import EmbeddedProbe
from nnviz3d.capture.graph import Inputs, expected_inputs, open_model
from nnviz3d.capture.probe import Loss, Probe
from nnviz3d.data.words import reason
from nnviz3d.errors import ModelError, UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What a recorder is asked to look at beside weights and gradients.

    Parameters
    ----------
    probes
        ``(x, y)``, if there are any.
    loss
        What is differentiated by the probe samples' activations; by default what the model was compiled with.
    embed
        A layer, and the samples ``x, y`` whose answers by it are kept to be placed as points, if there are any.
    classes
        Names of the classes, if known.
    """

    probes: tuple[Any, Any] | None = None
    loss: Loss | None = None
    embed: tuple[str, Any, Any] | None = None
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Watched:
    """What of a model can be looked at.

    Attributes
    ----------
    described
        The graph.
    probe, embedded
        The probe samples, and the samples to be placed as points, where there are any that the model can be run on.
    notes
        What a user should know of it, as sentences.
    """

    described: DescribedModel
    probe: Probe | None = None
    embedded: EmbeddedProbe | None = None
    notes: tuple[str, ...] = ()

    @staticmethod
    def of(model: keras.Model, wanted: Wanted, *, strict: bool, before: Watched | None = None) -> Watched:
        """Look at a model.

        Parameters
        ----------
        before
            What was found when it was looked at without probe samples.
        strict
            Whether what is asked for has to be possible. Else what is not possible is left out, and `notes` say so.

        Raises
        ------
        UserError
            If nothing can be told of the model, or, where that is strict, if it cannot be looked at as it is asked for.
        """
        notes: list[str] = []

        def attempt(what: str, work: Callable[[], T]) -> T | None:
            try:
                return work()
            except UserError as error:
                if strict:
                    raise
                notes.append(f"{what} are not recorded: {reason(error)}")
            except Exception as error:
                if strict:
                    raise ModelError(f"{what} cannot be recorded: {reason(error)}") from error
                notes.append(f"{what} are not recorded: {reason(error)}")
            return None

        probe = None
        embedded = None if before is None else before.embedded
        if wanted.probes is not None:
            x, y = wanted.probes
            probe = attempt("The probe samples' activations", lambda: Probe(model, x, y, wanted.loss))
        if wanted.embed is not None and before is None:
            layer, points, targets = wanted.embed
            embedded = attempt(
                f"The samples to be placed as points by {layer!r}",
                lambda: _embedded(model, layer, points, targets, wanted.classes),
            )
        if probe is not None:
            described = probe.described
            notes += [probe.note] if probe.note else []
        else:
            described, note = _without_samples(model)
            notes += [note] if note else []
        return Watched(described, probe, embedded, tuple(notes))


def labels_of(targets: Any, samples: int) -> NDArray[np.int64] | None:
    """Read the class of each sample off its targets: whole numbers, one for each, or rows of one 1 among zeros."""
    leaves = [] if targets is None else keras.tree.flatten(targets)
    if len(leaves) != 1:
        return None
    values = np.asarray(leaves[0])[:samples]
    if values.dtype.kind in "iu" and values.size == samples:
        return values.reshape(-1).astype(np.int64)
    one_hot = values.ndim == 2 and values.shape[1] > 1 and np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all()
    return values.argmax(1).astype(np.int64) if one_hot else None


def _embedded(model: keras.Model, layer: str, x: Any, y: Any, classes: tuple[str, ...] | None) -> EmbeddedProbe:
    count = len(np.asarray(keras.tree.flatten(x)[0]))
    return EmbeddedProbe(model, layer, x, labels_of(y, count), classes)


def _without_samples(model: keras.Model) -> tuple[DescribedModel, str]:
    """Return a model's graph, and what a user should know of it, as a sentence or nothing."""
    inputs = expected_inputs(model)
    try:
        if inputs is not None:
            return describe(open_model(model, inputs), model.name), ""
        problem = ModelError(f"{type(model).__name__} {model.name!r} does not know what it takes.")
    except ModelError as error:
        problem = error
    parts = _parts_of(model)
    if not parts:
        raise ModelError(
            f"{reason(problem)} None of its layers is known by itself either; give TrainingRecorder probes=(x, y), samples "
            "as the model is fed them, or build its layers before fit."
        )
    names = ", ".join(part.name for part, _ in parts)
    return _side_by_side(model, parts), f"{reason(problem)} So its parts stand side by side: {names}."


def _parts_of(layer: Any) -> list[tuple[Any, Inputs]]:
    """Find the layers and models within a model that can be traced each by itself, and what they take."""
    found = []
    for part in layer.layers:
        inputs = expected_inputs(part) if part.built and part.weights else None
        if inputs is None and isinstance(part, keras.Model):
            found += _parts_of(part)
        elif inputs is not None:
            try:
                open_model(_SideBySide([(part, inputs)]), _renamed(part, inputs))
            except ModelError:
                found += _parts_of(part) if isinstance(part, keras.Model) else []
            else:
                found.append((part, inputs))
    return found


class _SideBySide(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Models that do not feed one another, as one: of one that has a `train_step` and no `call`."""

    def __init__(self, parts: Sequence[tuple[Any, Inputs]]) -> None:
        super().__init__()
        self.parts = [part for part, _ in parts]
        self._takes = [inputs for _, inputs in parts]

    def call(self, flat: Sequence[Any]) -> Any:
        """Run each part on its share of the inputs."""
        rest = list(flat)
        answers = []
        for part, inputs in zip(self.parts, self._takes, strict=True):
            count = len(inputs.specs)
            answers.append(part(inputs.pack(rest[:count])))
            del rest[:count]
        return answers


def _side_by_side(model: keras.Model, parts: Sequence[tuple[Any, Inputs]]) -> DescribedModel:
    renamed = [_renamed(part, inputs) for part, inputs in parts]
    specs = tuple(spec for inputs in renamed for spec in inputs.specs)
    return describe(open_model(_SideBySide(parts), Inputs(specs, [0] * len(specs))), model.name)


def _renamed(part: Any, inputs: Inputs) -> Inputs:
    """Name a part's inputs after it, because those of two parts may have one name."""
    specs = tuple(replace(spec, name=f"{part.name}_{spec.name}") for spec in inputs.specs)
    return Inputs(specs, [0] * len(specs))
