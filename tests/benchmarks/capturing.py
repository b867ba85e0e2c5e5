"""Measure the capture of pictures against `predict` on them, and against writing the same files; prints JSON.

Arguments: a folder for files, a model as `nnviz3d capture` takes it, the number of pictures, and the number of rounds. The
model ``small`` is made here: with it the script only goes through its code, and waits for no disk.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
from PIL import Image

from nnviz3d.capture.model_cache import ModelCache
from nnviz3d.data.request import CaptureRequest

folder, model, count, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
small = model == "small"
if small:
    import keras

    model = str(folder / "small.keras")
    layers = [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(5)]
    keras.Sequential(layers).save(model)
cache = ModelCache()
weights = "none" if model.startswith("keras:") else None
pictures, out, copies = folder / "pictures", folder / "run.zarr", folder / "copies"
pictures.mkdir()
random = np.random.default_rng(0)
for i in range(count):
    coarse = random.integers(0, 256, (14, 14, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((224, 224), Image.Resampling.BICUBIC).save(pictures / f"{i:03}.png")
request = CaptureRequest(model=model, weights=weights, inputs=(str(pictures),), out=out)
first = cache.capture(request.model_copy(update={"inputs": (str(pictures / "000.png"),)}), lambda _: None)
held = cache._kept
assert held is not None
taken = held.traced.loaded.model
size = taken.input_shape[1:3]
x = np.stack([np.asarray(Image.open(p).resize(size), np.float32) for p in sorted(pictures.iterdir())])
stages: dict[str, float] = {}


def capture(_: int) -> None:
    stages.update(cache.capture(request, lambda _: None).seconds)


def written() -> list[int]:
    return [file.stat().st_size for file in out.rglob("*") if file.is_file()]


def write(_: int) -> None:
    """Write files of the sizes of the capture's, from memory."""
    copies.mkdir()
    for number, length in enumerate(written()):
        (copies / str(number)).write_bytes(memory[:length])


def predict(_: int) -> None:
    taken.predict(x, verbose=0)


capture(0)
memory = memoryview(random.bytes(max(written())))
seconds: dict[str, list[float]] = {"predict": [], "capture": [], "files": []}
predict(0)
for k in range(rounds):
    for name, action, earlier in (("predict", predict, None), ("capture", capture, out), ("files", write, copies)):
        if earlier is not None:  # what the round before wrote is removed, and is on disk, before the time runs
            shutil.rmtree(earlier, ignore_errors=True)
        if not small:
            os.sync()
        began = time.perf_counter()
        action(k)
        seconds[name].append(time.perf_counter() - began)
print(
    json.dumps(
        {name: float(np.median(times)) for name, times in seconds.items()}
        | {"bytes": sum(written()), "number": len(written()), "stages": stages}
    )
)
