"""Clean names and error messages of libraries, so that they can be printed, drawn and sent."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_DIGITS = 15
_MOST: int = 10**_DIGITS
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PREFACE = re.compile(r"^Exception encountered when calling [\w.]+\(\)\.\s*")
_APPENDIX = re.compile(r"\s*Arguments received by .*", re.DOTALL)

_JOINERS = "\u200c\u200d"
"""Characters that join letters or parts of an emoji; Persian and Hindi need them."""
LONGEST_NAME = 200
"""Most characters of a layer's, a class's or a file's name that are shown."""
LONGEST_SENTENCE = 690
"""Most characters of an error message."""


def printable(text: str, limit: int | None = LONGEST_NAME) -> str:
    r"""Return a text without control characters of a terminal, line breaks or changes of the reading direction.

    Each of them is escaped as in Python, so that different names stay different: a line break becomes ``\n``.

    Parameters
    ----------
    limit
        Most characters; a longer text is cut in its middle. `None` for no limit.
    """
    if not text.isprintable():
        text = "".join(map(_spelled, text))
    if limit is None or len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[: limit - half - 1]}…{text[-half:]}"


def all_printable(texts: Iterable[object]) -> tuple[str, ...]:
    """Return `printable` of each text; a million names, of which none needs a change, are checked at once."""
    words = tuple(map(str, texts))
    if max(map(len, words), default=0) <= LONGEST_NAME and "".join(words).isprintable():
        return words
    return tuple(map(printable, words))


def sentence(text: str, limit: int | None = LONGEST_SENTENCE) -> str:
    """Return a text on one line, escaped like `printable`, and cut in its middle if it is very long."""
    return printable(" ".join(text.split()), limit)


def printable_lines(text: str) -> str:
    """Return a text of several lines, such as a traceback, at full length and escaped like `printable`."""
    return "\n".join(printable(line.expandtabs(), None) for line in text.splitlines())


def _spelled(character: str) -> str:
    if character.isprintable() or character in _JOINERS:
        return character
    return " " if unicodedata.category(character) == "Zs" else repr(character)[1:-1]


def read_integer(digits: str) -> int:
    """Read a whole number, with or without a sign; a number larger than any count becomes the largest count.

    Python itself refuses to read more than 4,300 digits.
    """
    if len(digits) <= _DIGITS:
        return int(digits)
    return -_MOST if digits.startswith("-") else _MOST


def listed_or(words: Sequence[str]) -> str:
    """Return words as a list of alternatives: ``a, b or c``."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def folded(name: str) -> str:
    """Return a name in the form for comparison: ``golden_retriever`` equals ``Golden Retriever``."""
    return name.casefold().replace("_", " ").strip()


def reason(error: BaseException, limit: int = 240) -> str:
    """Return an error's message on one line, without terminal colours or Keras' list of arguments, ending in a period."""
    text = " ".join(_APPENDIX.sub("", _COLOUR.sub("", str(error))).split()) or "no reason was given"
    # Keras adds the position in the model and a paragraph on the inference of shapes; only the cause helps.
    text = printable(_PREFACE.sub("", text.rpartition("Error encountered: ")[2]), None)
    if len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
