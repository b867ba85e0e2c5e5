"""Train the digits network with and without recording; prints seconds per step, the growth of memory, or each step."""

import json
import os
import sys
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from keras import layers

from nnviz3d import TrainingRecorder
from tests.benchmarks.timing import interleaved

BATCH = 128
SKIPPED, COUNTED = 3, 40
"""Steps: while the first ones run, Keras compiles the step and the recorder opens its capture."""


class Watch(keras.callbacks.Callback):
    """Measures the time of the counted steps, and the memory at two of them."""

    def __init__(self, marks=(), counted=COUNTED):
        super().__init__()
        self.step, self.marks, self.memory, self.seconds, self.counted = 0, marks, [], 0.0, counted

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step == SKIPPED:
            self.since = time.perf_counter()
        if self.step == SKIPPED + self.counted:
            self.seconds = (time.perf_counter() - self.since) / self.counted
        if self.step in self.marks:
            self.memory.append(megabytes())


def megabytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def network():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(recorder, steps, batch=BATCH, marks=(), counted=COUNTED):
    """Fit on random pixels, which take as long as digits."""
    rng = np.random.default_rng(0)
    rows = batch * min(steps, 100)
    x, y = rng.random((rows, 28, 28, 1), np.float32), rng.integers(0, 10, rows)
    watch = Watch(marks, counted)
    callbacks = [*([recorder] if recorder else []), watch]  # the recorder is first, so that its work is measured
    network().fit(x, y, batch_size=batch, epochs=-(-steps // 100), verbose=0, callbacks=callbacks)
    return watch


class Steps(keras.callbacks.Callback):
    """Prints the number and the time of each step, and ends the training some seconds after its first step."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.until, self.count = seconds, None, 0

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1
        print(self.count, time.time(), flush=True)
        # On a busy machine the first step, which compiles, takes longer than all the others.
        self.until = self.until or time.time() + self.seconds
        self.model.stop_training = self.count >= 10 and time.time() > self.until


def whole(folder, rounds, seconds):
    """Fit for some seconds, plain and with a recorder at its default settings, in turns; prints the seconds of each.

    With 0 seconds, two steps are counted.
    """
    counted = COUNTED if seconds else 2
    warm = fit(None, SKIPPED + counted, counted=counted).seconds
    steps = max(counted, int(seconds / warm))
    found = interleaved(
        {"plain": lambda _: fit(None, steps), "recorded": lambda _: fit(TrainingRecorder(folder / "run.zarr"), steps)},
        rounds,
        warm=0,
    )
    print(json.dumps({**found, "steps": steps}))


def watched(folder, seconds):
    """Fit for some seconds with a recorder at its default settings; prints each step as number and time."""
    rng = np.random.default_rng(0)
    x, y = rng.random((12_800, 28, 28, 1), np.float32), rng.integers(0, 10, 12_800)
    callbacks = [TrainingRecorder(folder / "run.zarr"), Steps(seconds)]
    network().fit(x, y, batch_size=BATCH, epochs=10_000, verbose=0, callbacks=callbacks)


def main(folder, rounds, steps):
    seconds = {"plain": [], "every 10": [], "every 1": []}

    def act(name, every):
        def run(k):
            recorder = TrainingRecorder(folder / "run.zarr", every=every) if every else None
            found = fit(recorder, SKIPPED + COUNTED).seconds
            if k >= 0:
                seconds[name].append(found)

        return run

    interleaved(
        {"plain": act("plain", 0), "every 10": act("every 10", 10), "every 1": act("every 1", 1)}, rounds, warm=0
    )
    # In small batches, because only the number of steps affects the recorded data.
    recorder = TrainingRecorder(folder / "run.zarr", every=1)
    memory = fit(recorder, steps, batch=16, marks=(steps // 4, steps)).memory
    medians = {name: float(np.median(found)) for name, found in seconds.items()}
    print(json.dumps({"seconds": medians, "megabytes": memory, "steps": steps}))


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[0] == "whole":
        whole(Path(words[1]), int(words[2]), float(words[3]))
    elif words[0] == "watched":
        watched(Path(words[1]), float(words[2]))
    else:
        main(Path(words[0]), int(words[1]), int(words[2]))
