"""Colours as people without one kind of cones see them, their differences, and the contrast of text.

Viénot, Brettel and Mollon (1999), "Digital video colourmaps for checking the legibility of displays by dichromats", for
protanopia and deuteranopia; differences are Euclidean in CIELAB (CIE 1976), where about 2 is just visible; contrast is that
of the Web Content Accessibility Guidelines 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_TO_LMS = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
_BLIND = {
    "full": np.eye(3),
    "protanopia": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
    "deuteranopia": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
}
VISIONS = tuple(_BLIND)
"""Kinds of colour vision."""
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ @ np.ones(3)


def linear(colors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return sRGB in [0, 1], ``(..., 3)``, as amounts of light."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def seen(colors: NDArray[np.floating] | Sequence[Sequence[float]], vision: str) -> NDArray[np.float64]:
    """Return sRGB colours in [0, 1], ``(..., 3)``, as CIELAB of what somebody with a kind of colour vision sees."""
    light = linear(np.asarray(colors, dtype=float))
    if vision != "full":
        dichromat = np.linalg.inv(_TO_LMS) @ _BLIND[vision] @ _TO_LMS
        light = np.clip(light @ dichromat.T, 0, 1)
    share = light @ _TO_XYZ.T / _WHITE
    f = np.where(share > (6 / 29) ** 3, np.cbrt(share), share * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def difference(one: Sequence[float], other: Sequence[float], vision: str) -> float:
    """Return the difference of two sRGB colours in [0, 1]."""
    return float(np.linalg.norm(seen([one], vision) - seen([other], vision)))


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the contrast of two sRGB colours in [0, 1], from 1 to 21."""
    lights = sorted(float(linear(np.asarray(color, dtype=float)) @ (0.2126, 0.7152, 0.0722)) for color in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)
