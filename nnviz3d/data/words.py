"""Turns what libraries say when they fail into part of a sentence."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PREFACE = re.compile(r"^Exception encountered when calling [\w.]+\(\)\.\s*")
_APPENDIX = re.compile(r"\s*Arguments received by .*", re.DOTALL)


def reason(error: BaseException, limit: int = 240) -> str:
    """Return an error's message on one line, without terminal colours or Keras' list of arguments, ending in a period."""
    text = " ".join(_APPENDIX.sub("", _COLOUR.sub("", str(error))).split()) or "no reason was given"
    # Keras wraps the cause in where it met it and a paragraph on how shapes are inferred; only the cause helps.
    text = _PREFACE.sub("", text.rpartition("Error encountered: ")[2])
    if len(text) > limit:
        text = text[: limit - 1].rstrip() + "…"
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
