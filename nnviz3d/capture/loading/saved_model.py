"""SavedModel folders of TensorFlow, which are code and are loaded only if the user trusts them."""

from __future__ import annotations

from graphlib import CycleError
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.loading.saved_graph import GraphModel
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.capture.programs.frozen import assignments_undone
from nnviz3d.data.files.digest import sha256_of
from nnviz3d.data.model_sources import ModelSource
from nnviz3d.data.printable import reason
from nnviz3d.errors import ModelError, UserError


def load_saved_model(source: ModelSource) -> LoadedModel:
    """Load a trusted SavedModel folder as a model of the layers in its graph.

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
        model, notes = _opened(path)
    except UserError:
        raise
    except Exception as error:  # TensorFlow may raise any error for a damaged folder
        raise ModelError(f"The SavedModel {path.name} cannot be loaded: {reason(error)}") from error
    return LoadedModel(model, path.name, sha256_of(path / "saved_model.pb"), notes=tuple(notes))


def _opened(path: Path) -> tuple[keras.Model, list[str]]:
    """Return the layers of a SavedModel, or all of it as one block if its graph cannot be divided, with notes."""
    saved = tf.saved_model.load(str(path))
    signatures = saved.signatures
    if "serving_default" not in signatures:
        others = ", ".join(signatures) or "none"
        raise ModelError(
            f"The SavedModel {path.name} has no signature serving_default; it has {others}. Save it "
            "again with the function to show: tf.saved_model.save(model, FOLDER, signatures=FUNCTION)."
        )
    signature = signatures["serving_default"]
    try:
        model = GraphModel(saved, signature, path.name)
        _check(model, signature)
        inputs = expected_inputs(model)
        if inputs is not None:
            open_model(model, inputs)
    except LookupError as error:
        return _one_block(path, signature), [f"The whole SavedModel is one block: its graph lacks {reason(error)}"]
    except (CycleError, ModelError, TypeError, ValueError, tf.errors.OpError) as error:
        return _one_block(path, signature), [
            f"The whole SavedModel is one block, because of its graph: {reason(error)}"
        ]
    return model, [
        "The layers are those of the SavedModel's graph, by the names of its operations; their kinds follow from the "
        "operations.",
        *model.notes,
    ]


def _check(model: GraphModel, signature: Any) -> None:
    """Compare the results of the layers with those of the signature, for random numbers.

    Inputs of text or of an unknown size are not compared.

    Raises
    ------
    ValueError
        If they differ, as those of a model that draws random numbers.
    """
    _, wanted = signature.structured_input_signature
    shapes = [tuple(spec.shape)[1:] for spec in wanted.values() if spec.shape.rank]
    numeric = all(spec.dtype.is_floating or spec.dtype.is_integer for spec in wanted.values())
    if not numeric or len(shapes) != len(wanted) or any(None in shape for shape in shapes):
        return
    rng = np.random.default_rng(0)
    given = {
        name: tf.cast(rng.uniform(0, 2, [spec.shape[0] or 2, *spec.shape[1:]]), spec.dtype)
        for name, spec in wanted.items()
    }
    with assignments_undone():
        expected, found = signature(**given), tf.function(model, autograph=False)(given)
    found = found if isinstance(found, dict) else dict.fromkeys(expected, found)
    for name, values in expected.items():
        if values.dtype.is_floating and not np.allclose(values, found[name], rtol=1e-3, atol=1e-5, equal_nan=True):
            raise ValueError(f"its layers give another {name} than the whole.")


def _one_block(path: Path, signature: Any) -> keras.Model:
    """Wrap a SavedModel in a model of one layer."""
    _, wanted = signature.structured_input_signature
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
