"""Conversion of messages to and from lines of JSON, for a program and the process that runs a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from nnviz3d.data.files.memory_limit import read_text
from nnviz3d.data.files.paths import quoted
from nnviz3d.data.request import EVENT, CaptureRequest, Event, Invitation
from nnviz3d.errors import UserError


def to_line(message: BaseModel) -> str:
    """Write a message as one line of ASCII, without the line end.

    A file name that is not UTF-8 holds lone surrogates (`os.fsdecode`). Python's JSON escapes them; pydantic refuses them.

    Raises
    ------
    ValueError
        If the message holds something that JSON cannot express.
    """
    return json.dumps(message.model_dump(mode="json"))


def read_request(line: str) -> CaptureRequest:
    """Read a request that `to_line` wrote.

    Raises
    ------
    ValueError
        If the line is something else.
    """
    return CaptureRequest.model_validate(_json(line))


def read_event(line: str) -> Event:
    """Read an event that `to_line` wrote.

    Raises
    ------
    ValueError
        If the line is something else.
    """
    return EVENT.validate_python(_json(line))


def read_invitation(line: str) -> Invitation:
    """Read an invitation that `to_line` wrote.

    Raises
    ------
    ValueError
        If the line is something else.
    """
    return Invitation.model_validate(_json(line))


def invitation_in(path: Path) -> Invitation:
    """Read an invitation from a file.

    Raises
    ------
    UserError
        If the file is not an invitation. Only `nnviz3d.serve` and `nnviz3d.show` write invitations.
    """
    try:
        return read_invitation(read_text(path))
    except (OSError, ValueError):  # no UTF-8 text, no JSON, or another message
        raise UserError(
            f"--live {quoted(path)} names no running program; leave the option out. Only nnviz3d.serve and nnviz3d.show "
            "use it."
        ) from None


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
