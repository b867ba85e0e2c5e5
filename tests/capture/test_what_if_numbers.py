"""Changes in a session are those of the interventions alone, whatever rounded the numbers of the session's capture."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from nnviz3d import Intervention
from nnviz3d.apps.sample_runner import SampleRunner
from nnviz3d.apps.samples import Sample
from nnviz3d.apps.session import Session
from nnviz3d.capture.loading.loaded_model import LoadedModel
from nnviz3d.capture.model_cache import CachedModel
from nnviz3d.data.capture import open_capture
from nnviz3d.data.request import CaptureRequest
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import default_scene
from tests.support.waiting import wait_until


class InProcess:
    """A worker that runs a model in this process."""

    def __init__(self, model):
        self.asked, self._model = [], model

    def run(self, request, on_event):
        self.asked.append(request)
        return self._model.answer(request, on_event)

    def interrupt(self):
        pass

    def close(self):
        pass


def model_of(rounding=0.0):
    """A model whose weights are those of one file; a relative difference of each stands for another machine's rounding."""
    start = keras.Input((6, 5, 2), name="start")
    conv = layers.Conv2D(4, 3, padding="same", name="conv")(start)
    apart = layers.DepthwiseConv2D(3, name="apart")(conv)
    found = keras.Model(start, layers.Dense(3, name="head")(layers.Flatten(name="flat")(apart)), name="small")
    numbers = np.random.default_rng(2)
    for variable in found.weights:
        variable.assign(numbers.normal(size=variable.shape).astype(np.float32) * np.float32(1 + rounding))
    return CachedModel(LoadedModel(found, "small", sha256="ab"))


@pytest.fixture(params=["another machine", "float16", "float16 in the session"])
def session(request, tmp_path):
    """A session on a capture that was made elsewhere."""
    np.save(tmp_path / "x.npy", np.random.default_rng(3).normal(size=(3, 6, 5, 2)).astype(np.float32))
    short = request.param != "another machine"
    stored = CaptureRequest(model="", inputs=(f"{tmp_path}/x.npy",), out=tmp_path / "run.zarr", float16=short)
    model_of(0.0 if short else 1e-6).answer(stored, lambda _: None)
    worker = InProcess(model_of())
    both = request.param == "float16 in the session"
    template = CaptureRequest(model="", out=tmp_path / "more.zarr", transient=True, float16=both)
    runner = SampleRunner(worker, template, tmp_path)
    samples = tuple(Sample(f"x[{k}]", k, f"{tmp_path}/x.npy[{k}]") for k in range(3))
    scene = Scene.build(default_scene(), open_capture(stored.out))
    yield SimpleNamespace(
        session=Session(scene, SimpleNamespace(), samples=samples, runner=runner), asked=worker.asked, folder=tmp_path
    )
    runner.close()


def change(shown, one):
    """Ask for one more intervention; returns a function from a layer to its change."""
    shown.interventions.add(one)
    wait_until(shown.poll, "the model answers", patience=60, pause=0.01)
    assert not shown.queries.message
    assert one in shown.interventions.listed
    return lambda layer: shown.scene.context.change(layer, shown.selection.sample)


def test_numbers_that_no_intervention_reaches_change_by_exactly_0(session):
    shown, asked = session.session, session.asked
    found = change(shown, Intervention("conv", unit=1))
    assert not asked[-1].changed_only, "both runs are of this session"
    before = shown.scene.context.values("conv", shown.selection.sample).values
    for unit in (1, 2):
        for layer in ("conv", "apart"):
            assert not found(layer)[..., [0, 3]].any(), layer
            assert found(layer)[..., 1 : unit + 1].all(), layer
        assert np.array_equal(found("conv")[..., 1], -before[..., 1])
        assert not found("start").any()
        found = change(shown, Intervention("conv", unit=2)) if unit == 1 else found
    assert asked[-1].changed_only, "the unchanged run is of this session"


def test_unchanged_run_of_another_source_is_not_compared(session):
    """A drawing has another source after each stroke, and the run on the last one may have been stopped."""
    shown, asked = session.session, session.asked
    change(shown, Intervention("conv", unit=1))
    np.save(session.folder / "y.npy", np.ones((1, 6, 5, 2), np.float32))
    shown.samples.set_source(shown.samples.chosen, f"{session.folder}/y.npy[0]")
    found = change(shown, Intervention("conv", unit=2))
    assert not asked[-1].changed_only
    assert not found("conv")[..., [0, 3]].any()
