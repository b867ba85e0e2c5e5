"""Fixtures for tests of exports."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def no_tensorflow() -> Iterator[None]:
    """Hide TensorFlow, which tests of the capture load in this process with local symbols; otherwise VTK is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(sys.modules, "tensorflow", raising=False)
        yield
