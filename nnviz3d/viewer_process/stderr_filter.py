"""Tells the sentence that a command ends with from all else that it says on standard error."""

from __future__ import annotations

import re

_MARK = "nnviz3d: "
_LINES = re.compile(r"[^\r\n]*[\r\n]|[^\r\n]+")
"""Lines with their ends, and the beginning of one more. A progress bar goes back with ``\\r`` to where a line begins."""
_MOVES = re.compile(r"(?:\x1b\[[\d;?]*[A-Za-z])*")
"""What clears a progress bar away and hides or shows the cursor: nobody reads it, so a line may begin after it."""
_PART_OF_A_MOVE = re.compile(r"\x1b(?:\[[\d;?]*)?")


class Speech:
    """What a command says, piece by piece as it comes.

    Attributes
    ----------
    sentence
        The last line that begins with ``nnviz3d: ``, and whatever follows it; empty if there is none.
    """

    def __init__(self) -> None:
        self.sentence = ""
        self._held = ""
        self._at_beginning = True

    def hear(self, said: str) -> str:
        """Take in what comes next, and return what is to be passed on.

        Only what may still become a line that begins with ``nnviz3d: `` is held back, so progress bars move.
        """
        passed = ""
        for piece in _LINES.findall(self._held + said):
            moves, words = _split(piece) if self._at_beginning else ("", piece)
            passed += moves
            self._held = words if self._at_beginning and _undecided(words) else ""
            if self._held or not words:
                continue
            if self._at_beginning and words.startswith(_MARK):
                passed += self.sentence
                self.sentence = words
            elif self.sentence:
                self.sentence += words
            else:
                passed += words
            self._at_beginning = words[-1] in "\r\n"
        return passed

    def end(self) -> str:
        """Return what is to be passed on of what was held back: nothing more comes."""
        held, self._held = self._held, ""
        return held


def _split(line: str) -> tuple[str, str]:
    moves = _MOVES.match(line)
    end = moves.end() if moves else 0
    return line[:end], line[end:]


def _undecided(words: str) -> bool:
    return bool(words) and (_MARK.startswith(words) or _PART_OF_A_MOVE.fullmatch(words) is not None)
