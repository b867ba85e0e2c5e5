"""A training waits when a page asks it to, makes single steps, and goes on; its weights do not change by that."""

from __future__ import annotations

import _thread
import threading
from functools import partial

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d import TrainingRecorder
from nnviz3d.data import training_control
from nnviz3d.data.capture import open_capture
from nnviz3d.data.training_control import ControlFile, ControlRequest
from tests.support import waiting

pytestmark = pytest.mark.slow

wait_until = partial(waiting.wait_until, patience=240.0, pause=0.01)


@pytest.fixture(autouse=True)
def _long_lease(monkeypatch):
    """On a busy machine, the acting thread may get no processor for longer than a request is good."""
    monkeypatch.setattr(training_control, "LEASE", 240.0)


def model():
    keras.utils.set_random_seed(1)
    made = keras.Sequential([keras.Input((4,)), layers.Dense(3, "tanh", name="hidden"), layers.Dense(1, name="score")])
    made.compile("adam", "mse", jit_compile=False)
    return made


def fit(callbacks=(), epochs=2):
    made, rng = model(), np.random.default_rng(1)
    x, y = rng.normal(size=(40, 4)).astype("f4"), rng.normal(size=(40, 1)).astype("f4")
    made.fit(x, y, batch_size=8, epochs=epochs, verbose=0, callbacks=list(callbacks), shuffle=False)
    return [np.array(v) for v in made.weights]


class Page(threading.Thread):
    """Another thread that acts as the page of a training: it runs a function when the training has been recorded."""

    def __init__(self, path, act):
        super().__init__(daemon=True)
        self.path, self.act, self.file = path, act, ControlFile(path)
        self.error = None

    def run(self):
        try:
            wait_until(lambda: (self.path / "training" / "zarr.json").exists(), "the capture exists")
            self.act(self)
        except BaseException as error:  # noqa: BLE001 - the test reports it
            self.error = error

    @property
    def training(self):
        return open_capture(self.path).training

    def ask(self, *, pause, steps=0):
        self.file.ask(ControlRequest(pause, steps))

    def wait_for_pause(self):
        def waits():
            self.file.renew()
            training = self.training
            return training if training.paused else None

        return wait_until(waits, "it waits")


class Early(keras.callbacks.Callback):
    """Waits after the first step until the page has asked for a pause."""

    def __init__(self, asked):
        super().__init__()
        self.asked = asked

    def on_train_batch_end(self, batch, logs=None):
        self.asked.wait(240)
        self.asked.set()  # waits once, even if the page's thread has failed


def test_training_waits_makes_single_steps_and_goes_on_with_the_same_weights(tmp_path):
    plain, path, asked, seen = fit(), tmp_path / "run.zarr", threading.Event(), []

    def act(page):
        assert page.training.control
        page.ask(pause=True)
        asked.set()
        seen.append(page.wait_for_pause())
        for steps in (1, 2):
            page.ask(pause=True, steps=steps)
            wait_until(lambda: len(page.training) > len(seen[-1]), "a step was made")
            seen.append(page.wait_for_pause())
        page.ask(pause=False)

    page = Page(path, act)
    page.start()
    recorded = fit([TrainingRecorder(path, every=100, control=True), Early(asked)])
    page.join(60)
    assert page.error is None
    assert all(np.array_equal(a, b) for a, b in zip(plain, recorded, strict=True))
    first = int(seen[0].steps[-1])
    assert [training.steps.tolist() for training in seen] == [
        [1, first],
        [1, first, first + 1],
        [1, first, first + 1, first + 2],
    ]
    for training in seen:
        last = training.steps[-1]
        assert training.weight_steps[-1] == training.update_steps[-1] == training.probe_steps[-1] == last
        assert training.histograms.steps[-1] == last
    training = open_capture(path).training
    assert training.finished
    assert not training.paused
    assert not (path / "training" / "control.json").exists()


def test_training_goes_on_if_the_page_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(training_control, "LEASE", 2.0)
    path, asked, seen = tmp_path / "run.zarr", threading.Event(), []

    def act(page):
        page.ask(pause=True)
        asked.set()
        seen.append(page.wait_for_pause())

    page = Page(path, act)
    page.start()
    fit([TrainingRecorder(path, every=100, control=True), Early(asked)])
    page.join(60)
    assert page.error is None
    assert len(seen) == 1
    assert open_capture(path).training.finished


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_ctrl_c_ends_a_training_that_waits(tmp_path):
    path, asked = tmp_path / "run.zarr", threading.Event()

    def act(page):
        page.ask(pause=True)
        asked.set()
        page.wait_for_pause()
        _thread.interrupt_main()

    page = Page(path, act)
    page.start()
    with pytest.raises(KeyboardInterrupt):
        fit([TrainingRecorder(path, every=100, control=True), Early(asked)])
    page.join(60)
    assert page.error is None
    training = open_capture(path).training
    assert not training.paused
    assert not training.finished


def test_request_to_pause_has_no_effect_on_a_recorder_without_control(tmp_path):
    path = tmp_path / "run.zarr"

    def act(page):
        page.ask(pause=True)

    page = Page(path, act)
    page.start()
    fit([TrainingRecorder(path, every=2)])
    page.join(60)
    training = open_capture(path).training
    assert not training.control
    assert training.steps.tolist() == [1, 2, 4, 6, 8, 10]


def test_custom_training_loop_waits_too(tmp_path):
    path, asked, seen = tmp_path / "run.zarr", threading.Event(), []

    def act(page):
        page.ask(pause=True)
        asked.set()
        seen.append(page.wait_for_pause())
        page.ask(pause=False)

    page = Page(path, act)
    page.start()
    made, recorder = model(), TrainingRecorder(path, every=100, control=True)
    x, y = np.ones((8, 4), "f4"), np.ones((8, 1), "f4")
    for number in range(6):
        recorder.step(made, x, y, loss=float(number))
        if number:
            asked.wait(60)
    recorder.close()
    page.join(60)
    assert page.error is None
    assert seen[0].steps.tolist()[0] == 1
    assert len(seen[0]) == 2
    assert seen[0].weight_steps.tolist() == seen[0].steps.tolist()
