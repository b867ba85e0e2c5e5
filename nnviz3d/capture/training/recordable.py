"""Parts of a model in training that can be recorded: its graph, probe samples, and samples to be embedded as points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from nnviz3d.capture.programs.describe import DescribedModel, describe
from nnviz3d.capture.programs.flat_program import Inputs, expected_inputs, open_model
from nnviz3d.capture.training.embedding_probe import EmbeddedProbe
from nnviz3d.capture.training.probe import Loss, Probe
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError, UserError

T = TypeVar("T")


@dataclass(frozen=True)
class RequestedParts:
    """Parts that a recorder is asked to record besides weights and gradients.

    Parameters
    ----------
    probes
        ``(x, y)``, if there are any.
    loss
        The loss whose gradients with respect to activations are recorded; by default the compiled loss.
    embed
        A layer, and the samples ``x, y`` whose outputs of that layer are recorded to be embedded as points, if any.
    classes
        Names of the classes, if known.
    """

    probes: tuple[Any, Any] | None = None
    loss: Loss | None = None
    embed: tuple[str, Any, Any] | None = None
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class RecordableParts:
    """The parts of a model that can be recorded.

    Attributes
    ----------
    described
        The graph.
    probe, embedded
        The probe samples, and the samples to be embedded as points; `None` if there are none that the model can run on.
    notes
        Sentences for the user about parts that are not recorded.
    """

    described: DescribedModel
    probe: Probe | None = None
    embedded: EmbeddedProbe | None = None
    notes: tuple[str, ...] = ()

    @staticmethod
    def of(
        model: keras.Model, requested: RequestedParts, *, strict: bool, before: RecordableParts | None = None
    ) -> RecordableParts:
        """Find the recordable parts of a model.

        Parameters
        ----------
        before
            The earlier result, without probe samples.
        strict
            Whether every requested part must be possible. Otherwise impossible parts are left out, and `notes` say so.

        Raises
        ------
        UserError
            If nothing of the model can be recorded or, if `strict`, a requested part cannot.
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
        if requested.probes is not None:
            x, y = requested.probes
            probe = attempt("The probe samples' activations", lambda: Probe(model, x, y, requested.loss))
        if requested.embed is not None and before is None:
            layer, points, targets = requested.embed
            embedded = attempt(
                f"The samples to be embedded as points by {layer!r}",
                lambda: _embedded(model, layer, points, targets, requested.classes),
            )
        if probe is not None:
            described = probe.described
            notes += [probe.note] if probe.note else []
        else:
            described, note = _without_samples(model)
            notes += [note] if note else []
        return RecordableParts(described, probe, embedded, tuple(notes))


def labels_of(targets: Any, samples: int) -> NDArray[np.int64] | None:
    """Read the class of each sample from its targets: one whole number each, or rows of zeros with a single 1."""
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
    """Return a model's graph, and a sentence for the user about it, which may be empty."""
    inputs = expected_inputs(model)
    try:
        if inputs is not None:
            return describe(open_model(model, inputs), model.name), ""
        problem = ModelError(f"{type(model).__name__} {model.name!r} has no known input shapes.")
    except ModelError as error:
        problem = error
    parts = _parts_of(model)
    if not parts:
        raise ModelError(
            f"{reason(problem)} The input shapes of its layers are not known either; give TrainingRecorder probes=(x, y), "
            "samples in the form that the model takes, or build its layers before fit."
        )
    names = ", ".join(part.name for part, _ in parts)
    return _side_by_side(model, parts), f"{reason(problem)} So its parts are shown side by side: {names}."


def _parts_of(layer: Any) -> list[tuple[Any, Inputs]]:
    """Find the layers and models inside a model that can be traced separately, and their inputs."""
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
    """Separate parts of a model combined in one model: for a model with a `train_step` and no `call`."""

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
    """Name a part's inputs after the part, because inputs of two parts may have the same name."""
    specs = tuple(replace(spec, name=f"{part.name}_{spec.name}") for spec in inputs.specs)
    return Inputs(specs, [0] * len(specs))
