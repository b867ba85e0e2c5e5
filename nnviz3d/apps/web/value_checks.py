"""Checks of values that pages ask for. A script in a browser can send anything, so nothing is used unchecked."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from nnviz3d.errors import SceneError, UserError
from nnviz3d.scene.look import PoseSpec

T = TypeVar("T", bound=str)

_LARGEST = 1e12
"""No number that a page asks for is larger."""
_MOST = 60
"""Most characters of a value in a sentence."""
_LONGEST = 1000
"""Most characters of a text that a page asks for."""
_NAMED = 12
"""Most choices that a sentence lists."""
_CORNERS = 1000
"""Most corners of an outline."""


def asked_number(what: str, value: object) -> float:
    """Return a number that a page asks for.

    Raises
    ------
    UserError
        If it is none, or it is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_LARGEST < value < _LARGEST:
        raise UserError(f"The page asked for an impossible {what}, {shown(value)}; it is a number.")
    return float(value)


def asked_limit(what: str, value: object) -> float | None:
    """Return a number that a page asks for as a text or a number; `None` if the text is empty.

    Raises
    ------
    UserError
        If it is no number.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and len(value) <= _MOST:
        try:
            value = float(value.replace("−", "-"))
        except ValueError:
            raise UserError(f"{shown(value)} is no number; expected one such as 0.5, or nothing.") from None
    return asked_number(what, value)


def asked_outline(value: Any) -> NDArray[np.float64]:
    """Return the corners of an outline that a page has drawn, ``(k, 2)``.

    Raises
    ------
    UserError
        If they are no such list.
    """
    if not isinstance(value, list) or not 3 <= len(value) <= _CORNERS:
        raise UserError(f"The page asked for an impossible outline, {shown(value)}; it has 3 to {_CORNERS:,} corners.")
    if not all(isinstance(corner, list) and len(corner) == 2 for corner in value):
        raise UserError(f"The page asked for an impossible outline, {shown(value)}; each corner has two numbers.")
    return np.array([[asked_number("corner of an outline", one) for one in corner] for corner in value], dtype=float)


def asked_pose(sent: object) -> PoseSpec:
    """Return a pose of the camera that a page asks for.

    Raises
    ------
    SceneError
        If it is none.
    """
    try:
        return PoseSpec.model_validate(sent)
    except ValidationError:
        raise SceneError("The page sent no possible pose of the camera.") from None


def asked_index(what: str, value: object, count: int) -> int:
    """Return an index below `count` that a page asks for.

    Raises
    ------
    UserError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise UserError(f"The page asked for an unknown {what}, {shown(value)}; they are 0 to {count - 1}.")
    return value


def asked_flag(what: str, value: object) -> bool:
    """Return yes or no, as a page asks for it.

    Raises
    ------
    UserError
        If it is neither.
    """
    if not isinstance(value, bool):
        raise UserError(f"The page asked for an impossible {what}, {shown(value)}; it is yes or no.")
    return value


def asked_text(what: str, value: object) -> str:
    """Return some words that a page asks for.

    Raises
    ------
    UserError
        If they are no text, or a long one.
    """
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise UserError(
            f"The page asked for an impossible {what}, {shown(value)}; it has at most {_LONGEST} characters."
        )
    return value


def asked_choice(what: str, value: object, choices: Collection[T]) -> T:
    """Return one of several words that a page asks for.

    Raises
    ------
    UserError
        If it is none of them.
    """
    found = next((one for one in choices if isinstance(value, str) and one == value), None)
    if found is None:
        named = sorted(choices)
        known = f"; there are {', '.join(named)}" if 0 < len(named) <= _NAMED else ""
        raise UserError(f"The page asked for an unknown {what}, {shown(value)}{known}.")
    return found


def shown(value: object) -> str:
    """Return a value as a sentence shows it."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
