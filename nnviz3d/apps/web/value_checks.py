"""Checks of values that pages ask for. A script in a browser can send anything, so nothing is used unchecked."""

from __future__ import annotations

from collections.abc import Collection

from nnviz3d.errors import UserError

_LARGEST = 1e12
"""No number that a page asks for is larger."""
_MOST = 60
"""Most characters of a value in a sentence."""
_LONGEST = 1000
"""Most characters of a text that a page asks for."""
_NAMED = 12
"""Most choices that a sentence lists."""


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


def asked_choice(what: str, value: object, choices: Collection[str]) -> str:
    """Return one of several words that a page asks for.

    Raises
    ------
    UserError
        If it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        named = sorted(choices)
        known = f"; there are {', '.join(named)}" if 0 < len(named) <= _NAMED else ""
        raise UserError(f"The page asked for an unknown {what}, {shown(value)}{known}.")
    return value


def shown(value: object) -> str:
    """Return a value as a sentence shows it."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."
