"""The loss of a model on a batch: the one that it was compiled with, or the usual one of its output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.src.trainers.compile_utils import CompileLoss
from numpy.typing import NDArray

from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.data.graph import LayerNode
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError

LossFunction = Callable[[Any, Any, Any], Any]
"""From inputs, targets and outputs of one batch to its loss."""


@dataclass(frozen=True)
class Loss:
    """A loss with the targets of the data set.

    Attributes
    ----------
    name
        The name that users know.
    function
        The loss of one batch.
    targets
        ``(N, ...)``, in the form that the loss takes.
    chosen
        Whether the model does not say its loss, so that it follows from the output.
    """

    name: str
    function: LossFunction
    targets: NDArray[Any]
    chosen: bool

    @staticmethod
    def of(loaded: LoadedModel, head: LayerNode, targets: NDArray[Any]) -> Loss:
        """Return the loss that a model was compiled with; of a model without one, the usual one of its output `head`."""
        model, classes = loaded.model, head.shape[-1] if head.shape else None
        if model.compiled and model.loss is not None:
            name = _name_of(model.loss)
            return Loss(name, _own(model), _fitting(name, targets, classes), chosen=False)
        config = loaded.compile_config.get("loss")
        if config is not None:
            try:
                # Safe mode is Keras' default: a loss of the user's own is refused.
                read = keras.saving.deserialize_keras_object(config) if _is_object(config) else config
                compiled: Any = keras.losses.get(read)
            except Exception as error:  # Keras may raise anything over a foreign configuration
                raise ModelError(
                    f"The loss that {loaded.name} was compiled with cannot be loaded ({reason(error)}); compile the model "
                    "with a loss of Keras and save it again."
                ) from error
            name, chosen = _name_of(compiled), False
        else:
            compiled, chosen = _usual(head, targets), True
            name = _name_of(compiled)
        return Loss(name, _with(CompileLoss(compiled), model), _fitting(name, targets, classes), chosen)


def _own(model: keras.Model) -> LossFunction:
    """Return the loss of a compiled model, with the losses that its layers add, as `Model.evaluate` computes it."""
    return lambda x, y, predicted: model._compute_loss(x=x, y=y, y_pred=predicted, training=False)


def _with(loss: Any, model: keras.Model) -> LossFunction:
    """Return a loss with the losses that layers add, added in the order of `Model.compute_loss`."""

    def function(x: Any, y: Any, predicted: Any) -> Any:
        total = loss(y, predicted)
        for added in model.losses:
            total = total + keras.ops.sum(keras.ops.cast(added, keras.backend.floatx()))
        return total

    return function


def _is_object(config: Any) -> bool:
    return isinstance(config, dict) and "class_name" in config


def _usual(head: LayerNode, targets: NDArray[Any]) -> Any:
    """Return the usual loss of an output: cross-entropy for classes, mean squared error for numbers."""
    classes = targets.dtype.kind in "iub" and targets.ndim == 1
    if head.activation == "softmax" or head.kind == "Softmax":
        return keras.losses.SparseCategoricalCrossentropy() if classes else keras.losses.CategoricalCrossentropy()
    if head.activation == "sigmoid":
        return keras.losses.BinaryCrossentropy()
    if classes and (head.size or 0) > 1:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return keras.losses.MeanSquaredError()


def _name_of(loss: Any) -> str:
    name = (
        loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", type(loss).__name__)
    )
    return str(name).replace("_", " ")


def _fitting(loss: str, targets: NDArray[Any], classes: int | None) -> NDArray[Any]:
    """Return the targets in the form that a loss takes: class numbers as vectors for the categorical cross-entropy."""
    if classes and loss == "categorical crossentropy" and targets.ndim == 1 and targets.dtype.kind in "iu":
        return np.asarray(np.eye(classes, dtype=np.float32)[targets])
    return targets
