"""Measure a plain pass through VGG16, a pass that returns every output, and the writing of a capture; prints JSON.

Arguments: a folder, the size of the picture, the number of rounds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from nnviz3d.capture.programs.activations import Forward
from nnviz3d.capture.programs.describe import describe
from nnviz3d.capture.programs.flat_program import expected_inputs, open_model
from nnviz3d.data.records import Provenance
from nnviz3d.data.storage.capture_writer import CaptureWriter
from tests.benchmarks.timing import interleaved

SIZE, ROUNDS = int(sys.argv[2]), int(sys.argv[3])
model = keras.applications.VGG16(weights=None, include_top=SIZE == 224, input_shape=(SIZE, SIZE, 3))
inputs = expected_inputs(model)
assert inputs is not None
described = describe(open_model(model, inputs), "vgg16")
forward = Forward(described, inputs.specs)
x = np.random.default_rng(1).random((1, SIZE, SIZE, 3), dtype=np.float32)
plain = tf.function(lambda x: model(x, training=False), jit_compile=False)
given = tf.constant(x)
batch = next(iter(forward.batches([x])))


def write(k: int) -> None:
    out = Path(sys.argv[1]) / f"{k}.zarr"
    with CaptureWriter(out, graph=described.graph, provenance=Provenance("VGG16"), samples=1) as writer:
        for node_id, output in batch:
            values = batch.numbers(node_id, output)
            if values is not None:
                writer.write_activations(node_id, output, 0, values)
        writer.commit(1)


seconds = interleaved(
    {
        "plain": lambda _: plain(given).numpy(),
        "all outputs": lambda _: next(iter(forward.batches([x]))),
        "keras predict": lambda _: model.predict(x, verbose=0),
    },
    ROUNDS,
    warm=min(3, ROUNDS),
)
seconds.update(interleaved({"writing": write}, min(3, ROUNDS)))
print(json.dumps(seconds))
