"""Addresses that hold a picture."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from nnviz3d.apps.png import encode_png


def png_address(pixels: NDArray[np.uint8]) -> str:
    """Return a picture, ``(h, w, 3)``, as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(encode_png(np.ascontiguousarray(pixels))).decode('ascii')}"
