"""SavedModel folders of TensorFlow, which are code and are loaded only if the user trusts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from nnviz3d.capture.loading.loaded_model import LoadedModel, sha256_of
from nnviz3d.data.model_sources import ModelSource
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError, UserError


def load_saved_model(source: ModelSource) -> LoadedModel:
    """Load a trusted SavedModel folder as a model of one layer.

    Raises
    ------
    ModelError
        If it is not trusted, is damaged, or has no signature for serving.
    """
    path = source.file
    if not source.options.trust:
        raise ModelError(
            f"{path.name} is a SavedModel, which is TensorFlow code. Loading it can run anything; if you know where it "
            "comes from, add --trust."
        )
    try:
        model = _wrapped(path)
    except UserError:
        raise
    except Exception as error:  # TensorFlow may raise any error for a damaged folder
        raise ModelError(f"The SavedModel {path.name} cannot be loaded: {reason(error)}") from error
    note = "A SavedModel keeps no layers, so the whole of it is one block."
    return LoadedModel(model, path.name, sha256_of(path / "saved_model.pb"), notes=(note,))


def _wrapped(path: Path) -> keras.Model:
    """Wrap a SavedModel in a model of one layer."""
    signatures = tf.saved_model.load(str(path)).signatures
    if "serving_default" not in signatures:
        others = ", ".join(signatures) or "none"
        raise ModelError(f"The SavedModel {path.name} has no signature serving_default; it has {others}.")
    _, wanted = signatures["serving_default"].structured_input_signature
    inputs = {
        name: keras.Input(batch_shape=tuple(spec.shape), dtype=spec.dtype.name, name=name)
        for name, spec in wanted.items()
    }
    layer = SavedModel(str(path), call_endpoint="serving_default", name="saved_model")
    return keras.Model(inputs, layer(inputs), name=path.name)


class SavedModel(keras.layers.TFSMLayer):  # type: ignore[misc]
    """A SavedModel's signature, which takes its inputs by name; the class name is the kind that the graph shows."""

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Run the signature."""
        return self.call_endpoint_fn(**inputs)
