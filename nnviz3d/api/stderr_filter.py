"""Split a command's standard error into progress output and the final error message."""

from __future__ import annotations

import re

_MARK = "nnviz3d: "
"""Beginning of a line that holds an error message."""
_LINES = re.compile(r"[^\r\n]*[\r\n]|[^\r\n]+")
"""Lines with their ends, and an unfinished last line. A progress bar returns to the line's beginning with ``\\r``."""
_MOVES = re.compile(r"(?:\x1b\[[\d;?]*[A-Za-z])*")
"""Control sequences that clear a progress bar and hide or show the cursor: they may precede a line."""
_PART_OF_A_MOVE = re.compile(r"\x1b(?:\[[\d;?]*)?")


class StderrFilter:
    """Holds back the final error message of a command and passes on everything else.

    Attributes
    ----------
    message
        The last line that begins with ``nnviz3d: ``, and everything after it; empty if there is none.
    """

    def __init__(self) -> None:
        self.message = ""
        self._held = ""
        self._at_beginning = True

    def feed(self, output: str) -> str:
        """Take the next piece of output, and return what to pass on.

        Only text that may still become a line with ``nnviz3d: `` at its beginning is held back, so progress bars move.
        """
        passed = ""
        for piece in _LINES.findall(self._held + output):
            moves, text = _split(piece) if self._at_beginning else ("", piece)
            passed += moves
            self._held = text if self._at_beginning and _undecided(text) else ""
            if self._held or not text:
                continue
            if self._at_beginning and text.startswith(_MARK):
                passed += self.message
                self.message = text
            elif self.message:
                self.message += text
            else:
                passed += text
            self._at_beginning = text[-1] in "\r\n"
        return passed

    def end(self) -> str:
        """Return the text that is still held back, after the last piece of output."""
        held, self._held = self._held, ""
        return held


def _split(line: str) -> tuple[str, str]:
    """Split a line into the control sequences at its beginning and the rest."""
    moves = _MOVES.match(line)
    end = moves.end() if moves else 0
    return line[:end], line[end:]


def _undecided(text: str) -> bool:
    """Whether a text may still become the beginning of an error message when more output follows."""
    return bool(text) and (_MARK.startswith(text) or _PART_OF_A_MOVE.fullmatch(text) is not None)
