"""Numbers as text in the browser are those of Python: the digits of NumPy, and a minus sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnviz3d.client.pick_tables import scientific_from
from nnviz3d.scene.facts import exact
from tests.support.client import page_with

pytestmark = pytest.mark.chromium


def written(page: Any, numbers: np.ndarray, *, half: bool) -> list[str]:
    script = """([numbers, scientific, half]) => numbers.map((bits) => {
      const view = new DataView(new ArrayBuffer(4));
      view.setUint32(0, bits);
      return client.exactNumber(view.getFloat32(0), scientific, half);
    })"""
    bits = numbers.astype(np.float32).view(np.uint32).tolist()
    return page.evaluate(script, [bits, scientific_from(numbers.dtype.type), half])


def test_numbers_are_written_as_numpy_writes_them(chromium: Any) -> None:
    rng, page = np.random.default_rng(8), page_with(chromium, "numbers.js")
    bits = rng.integers(0, 2**32, 12_000, dtype=np.uint32)
    subnormal = rng.integers(0, 2**23, 2_000, dtype=np.uint32)
    powers = (np.arange(256, dtype=np.uint32) << 23).view(np.float32)
    tens = np.array([10.0**k for k in range(-45, 39)], dtype=np.float32)
    near = np.concatenate([np.nextafter(tens, np.float32(0)), np.nextafter(tens, np.float32(np.inf))])
    plain = rng.normal(0, 1, 4_000).astype(np.float32)
    whole = rng.integers(0, 2**31, 2_000).astype(np.float32)
    numbers = np.concatenate(
        [bits.view(np.float32), subnormal.view(np.float32), powers, -powers, tens, near, plain, whole]
    )
    wanted = [exact(number) for number in numbers]
    found = written(page, numbers, half=False)
    assert [pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1]] == []


def test_float16_numbers_are_written_as_numpy_writes_them(chromium: Any) -> None:
    numbers = np.arange(0, 2**16, 3, dtype=np.uint16).view(np.float16)
    found = written(page_with(chromium, "numbers.js"), numbers, half=True)
    wanted = [exact(number) for number in numbers]
    assert [pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1]] == []
