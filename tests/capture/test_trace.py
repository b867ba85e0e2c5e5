"""Runs that would take more memory than the limit are refused before they begin."""

import keras
import numpy as np
import pytest
from keras import layers

import nnviz3d
from nnviz3d.errors import ModelError, SampleError


@pytest.mark.parametrize("layer", [layers.RepeatVector(10**9), layers.ZeroPadding1D(10**9)])
def test_run_larger_than_the_limit_is_refused(tmp_path, layer):
    shape = (4,) if isinstance(layer, layers.RepeatVector) else (2, 2)
    model = keras.Sequential([keras.Input(shape), layer], name="wide")
    with pytest.raises(ModelError, match=r"A run of Sequential 'wide' on one sample would take 1\d\.\d GB of memory"):
        nnviz3d.capture(model, np.ones((1, *shape), np.float32), out=tmp_path / "run.zarr")
    assert list(tmp_path.iterdir()) == []


def test_random_input_larger_than_the_limit_is_refused(tmp_path):
    for shape in ((10**5, 10**5, 3), (10**10,)):
        pixels = keras.Input(shape)
        with pytest.raises(SampleError, match=r"A random input .* would take .* GB of memory"):
            nnviz3d.capture(keras.Model(pixels, pixels[:, :1]), out=tmp_path / "run.zarr")


def test_raised_limit_allows_a_larger_run(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((4,)), layers.RepeatVector(1000)])
    x = np.ones((1, 4), np.float32)
    monkeypatch.setenv("NNVIZ3D_LIMIT", "0.00001")
    with pytest.raises(ModelError, match="--limit"):
        nnviz3d.capture(model, x, out=tmp_path / "run.zarr")
    monkeypatch.setenv("NNVIZ3D_LIMIT", "0.001")
    assert len(nnviz3d.capture(model, x, out=tmp_path / "run.zarr").graph) == 2
