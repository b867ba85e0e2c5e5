"""Check that an object given as a model is a Keras 3 model."""

from __future__ import annotations

from pathlib import Path

import keras

from nnviz3d.errors import ModelError

_KERAS_2 = ("tf_keras", "keras.engine", "keras.src.engine", "tensorflow.python.keras")
"""Packages that define the model classes of Keras 2."""


def check_model(model: object) -> None:
    """Refuse an object that is not a Keras 3 model.

    Parameters
    ----------
    model
        The object that was given as a model.

    Raises
    ------
    ModelError
        If the object is a Keras 2 model, or no Keras model.
    """
    if isinstance(model, keras.Model):
        return
    package = keras_2_package(type(model))
    if package is not None:
        raise ModelError(
            f"{type(model).__name__} {getattr(model, 'name', '')!r} is a model of Keras 2 ({package}), whose layers "
            f"nnviz3d cannot run; expected a model of Keras {keras.__version__}. Save it with model.save('model.h5') and "
            "open that file, or build it with `import keras` (TF_USE_LEGACY_KERAS unset) and copy its weights: "
            "new.set_weights(old.get_weights())."
        )
    if any(f"{base.__module__}.".startswith("torch.nn.") for base in type(model).__mro__):
        raise ModelError(
            f"{type(model).__name__} is a model of PyTorch, which nnviz3d does not run; export it to ONNX, "
            "torch.onnx.export(model, example, 'model.onnx'), and open that file."
        )
    hint = "; a model file is captured with: nnviz3d capture FILE" if isinstance(model, str | Path) else ""
    raise ModelError(f"Expected a Keras model, got {type(model).__name__}{hint}.")


def check_backend(what: str) -> None:
    """Refuse a backend of Keras other than TensorFlow.

    Parameters
    ----------
    what
        Name of the class or function that needs TensorFlow.

    Raises
    ------
    ModelError
        If Keras runs on another backend.
    """
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise ModelError(
            f"{what} needs TensorFlow as the backend of Keras, which runs on {backend} here. Set the environment variable "
            "KERAS_BACKEND=tensorflow before keras is imported, or capture the trained model: nnviz3d.capture(model, x)."
        )


def keras_2_package(kind: type) -> str | None:
    """Return the Keras 2 package that defines a class or one of its base classes."""
    for base in kind.__mro__:
        for package in _KERAS_2:
            if f"{base.__module__}.".startswith(f"{package}."):
                return package
    return None
