"""Fixtures for tests that run Keras models."""

import gc
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sys

# In the product TensorFlow and OpenGL never share a process: TensorFlow loads its LLVM with global symbols, which break
# that of Mesa. Here TensorFlow is loaded with local symbols, so that one command can run all tests.
_real = sys.setdlopenflags
sys.setdlopenflags = lambda flags: _real(flags & ~os.RTLD_GLOBAL)
try:
    import tensorflow  # noqa: F401
finally:
    sys.setdlopenflags = _real

import numpy as np
import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/capture" in item.path.as_posix():
            item.add_marker(pytest.mark.tensorflow)


@pytest.fixture(autouse=True, scope="module")
def _collected():
    gc.collect()  # models contain reference cycles


@pytest.fixture(autouse=True)
def _seeded():
    import keras

    keras.utils.set_random_seed(7)
    # Numbers in names such as dense_1 start from 0, so that tests do not depend on their order.
    keras.backend.clear_session(free_memory=False)


@pytest.fixture
def rng():
    return np.random.default_rng(3)
