"""The text of a view in an address: ``?view=`` of the live page, ``#view=`` of an exported file.

``1~s3~t4.5~p1,2,8,0,0,0~lconv2d_1`` is a version and fields, each with a letter and a value. A name is written with
letters, digits and ``._-``; each byte of its other characters in UTF-8 is ``!`` and two hexadecimal digits. A list has
commas. So the text has no character that an address or a chat program changes, and all programs may escape it once more.
The same text is read and written in the browser by ``nnviz3d/client/static/view_text.js``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pydantic import ValidationError

from nnviz3d.data.printable import printable
from nnviz3d.errors import SceneError
from nnviz3d.scene.camera import FIELD_OF_VIEW
from nnviz3d.scene.look import LONGEST_NAME, Count, LookSpec, Name, PickSpec, PoseSpec
from nnviz3d.scene.points_look import PointsSpec, in_runs
from nnviz3d.scene.view_spec import Strict

LONGEST_VIEW = 6000
"""Most characters of a view."""
_VERSION = "1"
_DECIMALS = Decimal("0.00001")
_UP = (0.0, 1.0, 0.0)
_PLAIN = re.compile(r"[A-Za-z0-9._-]")
_WORD = re.compile(r"(?:[A-Za-z0-9._-]|![0-9A-F]{2})*")
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,8})?")
_WHOLE = re.compile(r"[0-9]{1,15}")


class ViewState(Strict):
    """Everything that a view shows.

    Attributes
    ----------
    perspective
        Name of the perspective; by default the one that the session began with.
    sample
        Position in the list of samples. `against` of the look is a position in this list too.
    look
        What is chosen.
    pose
        The camera; by default the scene's own.
    """

    perspective: Name | None = None
    sample: Count | None = None
    look: LookSpec = LookSpec()
    pose: PoseSpec | None = None


def encode_view(view: ViewState) -> str:
    """Return the text of a view. Numbers have five decimals; fields that would make it too long are left out."""
    look = view.look
    values: dict[str, Any] = {name: getattr(look, name) for name in LookSpec.model_fields} | {
        "sample": view.sample,
        "perspective": view.perspective,
        "pose": view.pose,
        "aspect": None if view.pose is None else view.pose.aspect,
    }
    text = _VERSION
    for letter, (name, kind) in _FIELDS.items():
        if values[name] is not None:
            field = f"~{letter}{kind.write(values[name])}"
            text += field if len(text) + len(field) <= LONGEST_VIEW else ""
    return text


def decode_view(text: str) -> ViewState:
    """Read the text of a view.

    Raises
    ------
    SceneError
        If it is no such text, or a value is out of range.
    """
    try:
        found = _read(text)
        own = {name: found.pop(name, None) for name in ("perspective", "sample", "pose")}
        return ViewState.model_validate({**own, "look": found})
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
    except ValueError as error:
        why = str(error)
    raise SceneError(f"The view in the address is not understood ({printable(why)}), so the scene's own is shown.")


def _read(text: str) -> dict[str, Any]:
    if len(text) > LONGEST_VIEW:
        raise ValueError(f"it has more than {LONGEST_VIEW} characters")
    version, *fields = text.split("~")
    if version != _VERSION:
        raise ValueError("it is of another version")
    found: dict[str, Any] = {}
    for field in fields:
        name, kind = _FIELDS.get(field[:1], ("", None))
        if kind is None:
            raise ValueError(f"it has an unknown field {printable(field[:1])!r}")
        if name in found:
            raise ValueError(f"it has two fields {field[:1]!r}")
        found[name] = kind.read(field[1:])
    if "aspect" in found:
        if "pose" not in found:
            raise ValueError("it has a width over height without a pose")
        found["pose"]["aspect"] = found.pop("aspect")
    return found


@dataclass(frozen=True)
class _Kind:
    """Writes and reads the values of one kind; `read` raises `ValueError`."""

    write: Callable[[Any], str]
    read: Callable[[str], Any]


def _number(value: float) -> str:
    """Write a number with at most five decimals, as JavaScript's ``toFixed`` rounds."""
    text = format(Decimal(value).quantize(_DECIMALS, ROUND_HALF_UP), "f").rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _read_number(text: str) -> float:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{printable(text, 20)!r} is no number")
    return float(text)


def _read_whole(text: str) -> int:
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{printable(text, 20)!r} is no whole number")
    return int(text)


def _word(name: str) -> str:
    return "".join(
        character
        if _PLAIN.match(character)
        else "".join(f"!{byte:02X}" for byte in character.encode("utf-8", "replace"))
        for character in name
    )


def _read_word(text: str) -> str:
    if _WORD.fullmatch(text) is None:
        raise ValueError(f"{printable(text, 20)!r} is no name")
    codes = re.sub(r"!(..)", lambda match: f"\x00{match[1]}", text).split("\x00")
    found = codes[0].encode() + b"".join(bytes([int(part[:2], 16)]) + part[2:].encode() for part in codes[1:])
    try:
        name = found.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{printable(text, 20)!r} is no name") from None
    if not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"a name has 1 to {LONGEST_NAME} characters")
    return name


def _words(names: Sequence[str]) -> str:
    return ",".join(map(_word, names))


def _read_words(text: str) -> tuple[str, ...]:
    return tuple(map(_read_word, text.split(","))) if text else ()


def _pick(pick: PickSpec) -> str:
    if pick.index is None:
        return _word(pick.layer)
    return f"{_word(pick.layer)},{','.join(map(str, pick.index))}"


def _read_pick(text: str) -> Mapping[str, Any]:
    layer, comma, index = text.partition(",")
    numbers = tuple(map(_read_whole, index.split(","))) if index else ()
    return {"layer": _read_word(layer), "index": numbers if comma else None}


def _points(points: PointsSpec) -> str:
    """Write the fields of points, each with its letter, and a mere letter for a field that is true."""
    found = ((letter, kind, getattr(points, name)) for letter, (name, kind) in _POINTS.items())
    items = (letter + ("" if kind is None else kind.write(value)) for letter, kind, value in found if value is not None)
    return ",".join(items)


def _read_points(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in text.split(",") if text else ():
        letter = item[:1]
        if letter not in _POINTS:
            raise ValueError(f"points have an unknown field {printable(letter)!r}")
        name, kind = _POINTS[letter]
        if name in found or (kind is None and item != letter):
            raise ValueError(f"{printable(item, 20)!r} is no choice of points")
        found[name] = True if kind is None else kind.read(item[1:])
    return found


def _read_runs(text: str) -> str:
    in_runs(text)
    return text


def _pose(pose: PoseSpec) -> str:
    numbers = [*pose.position, *pose.target]
    if pose.up != _UP or pose.field_of_view != FIELD_OF_VIEW:
        numbers += pose.up
    if pose.field_of_view != FIELD_OF_VIEW:
        numbers.append(pose.field_of_view)
    return ",".join(map(_number, numbers))


def _read_pose(text: str) -> dict[str, Any]:
    numbers = list(map(_read_number, text.split(",")))
    if len(numbers) not in (6, 9, 10):
        raise ValueError(f"a pose has 6, 9 or 10 numbers, not {len(numbers)}")
    found: dict[str, Any] = {"position": tuple(numbers[:3]), "target": tuple(numbers[3:6])}
    if len(numbers) > 6:
        found["up"] = tuple(numbers[6:9])
    if len(numbers) > 9:
        found["field_of_view"] = numbers[9]
    return found


_NAME = _Kind(_word, _read_word)
_REAL = _Kind(_number, _read_number)
_COUNT = _Kind(str, _read_whole)
_POINTS: Mapping[str, tuple[str, _Kind | None]] = {
    "n": ("name", _NAME),
    "c": ("of_class", _COUNT),
    "w": ("wrong", None),
    "k": ("column", _NAME),
    "v": ("value", _NAME),
    "l": ("low", _REAL),
    "h": ("high", _REAL),
    "i": ("isolated", None),
    "s": ("chosen", _Kind(str, _read_runs)),
}
"""The fields of points by their letters: the name, and the kind of its values; none for what is true if it is there."""
_FIELDS: Mapping[str, tuple[str, _Kind]] = {
    "s": ("sample", _COUNT),
    "t": ("time", _REAL),
    "p": ("pose", _Kind(_pose, _read_pose)),
    "k": ("aspect", _REAL),
    "l": ("layer", _NAME),
    "h": ("threshold", _REAL),
    "c": ("colormap", _NAME),
    "n": ("normalize", _NAME),
    "r": ("ranking", _NAME),
    "q": ("quantity", _NAME),
    "a": ("against", _COUNT),
    "g": ("target", _NAME),
    "m": ("method", _NAME),
    "u": ("unfold", _NAME),
    "f": ("unfolded", _REAL),
    "o": ("channel_order", _NAME),
    "i": ("channel_pictures", _NAME),
    "e": ("embedding", _NAME),
    "b": ("colored_by", _NAME),
    "y": ("points", _Kind(_points, _read_points)),
    "d": ("step", _COUNT),
    "v": ("statistic", _NAME),
    "z": ("histogram", _NAME),
    "x": ("pick", _Kind(_pick, _read_pick)),
    "w": ("opened", _Kind(_words, _read_words)),
    "j": ("perspective", _NAME),
    "I": ("interventions", _Kind(_words, _read_words)),
    "O": ("map_opacity", _REAL),
}
"""The fields by their letters: the name, and the kind of its values."""
