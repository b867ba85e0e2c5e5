"""Choice of a port to listen at."""

from __future__ import annotations

import errno
import os
import socket

from nnviz3d.data.printable import printable
from nnviz3d.errors import UserError

PORT = 8080
"""First port of the search for a free one."""
_TRIES = 100
"""Number of ports to try."""


def choose_port(host: str, port: int | None) -> int:
    """Return the given port if it is free; without one, the first free port from 8080.

    Raises
    ------
    UserError
        If the given port is taken or forbidden, or there is no such host.
    """
    if port is not None:
        if not 0 <= port <= 65535:
            raise UserError(f"A port is a number from 0 to 65535; got {port}.")
        return _bind(host, port)
    for candidate in range(PORT, PORT + _TRIES):
        try:
            return _bind(host, candidate)
        except PortTaken:
            continue
    raise UserError(f"The ports {PORT} to {PORT + _TRIES - 1} are all taken; choose another with --port.")


class PortTaken(UserError):  # noqa: N818 - the name says what happened
    """Another program listens at the port."""


def _bind(host: str, port: int) -> int:
    """Try to listen at a port, 0 for any free one; returns the port."""
    if not host.strip("[]"):
        raise UserError(
            "--host is empty; expected an address such as 127.0.0.1, or 0.0.0.0 for all addresses of this machine."
        )
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise bind_error(host, port, error) from None
    except UnicodeError:  # a part of the name is empty, or longer than a host name may be
        raise UserError(
            f"There is no host {printable(host)!r}; expected an address of this machine, such as 127.0.0.1."
        ) from None


def bind_error(host: str, port: int, error: OSError) -> UserError:
    """Return the error for a port that cannot be listened at."""
    if error.errno == errno.EADDRINUSE:
        return PortTaken(f"Port {port} is taken; choose another with --port, or leave it out for a free one.")
    if isinstance(error, socket.gaierror):
        return UserError(f"There is no host {host!r} to listen at ({error.strerror}).")
    return UserError(f"Cannot listen at {host} port {port}: {error.strerror or error}.")
