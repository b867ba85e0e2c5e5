"""Host names and origins: as browsers send them, and as the user gives those of a proxy."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from nnviz3d.data.printable import printable
from nnviz3d.errors import UserError

_USUAL_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::([0-9]{1,5}))?")
"""A name or an IPv6 address in brackets, and a port; stricter than `urlsplit`, which skips some characters."""
_PLAIN_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_LONGEST_NAME = 253
"""Most characters of a host name in DNS."""


class Endpoint(NamedTuple):
    """A host name in lower case, without brackets, and a port; `None` for the usual port of the scheme."""

    name: str
    port: int | None

    def __str__(self) -> str:
        return bracketed(self.name) if self.port is None else f"{bracketed(self.name)}:{self.port}"

    @property
    def is_plain(self) -> bool:
        """Whether the name has only the characters of host names, so that it may stand in a command line."""
        return is_address(self.name) or (
            len(self.name) <= _LONGEST_NAME and _PLAIN_NAME.fullmatch(self.name) is not None
        )


def endpoint_of(host: str | None) -> Endpoint | None:
    """Read a host header; `None` if it is missing or invalid."""
    found = _HOST.fullmatch(host or "")
    if found is None:
        return None
    port = int(found[3]) if found[3] else None
    return Endpoint((found[1] or found[2]).lower(), None if port in _USUAL_PORTS.values() else port)


def endpoint_of_origin(origin: str) -> Endpoint | None:
    """Read an origin header; `None` if it is not of the web, such as ``null``."""
    scheme, _, host = origin.partition("://")
    return endpoint_of(host) if scheme in _USUAL_PORTS else None


@dataclass(frozen=True)
class PublicOrigin:
    """Scheme, name and port under which browsers reach a proxy in front of the server."""

    scheme: str
    endpoint: Endpoint

    def __str__(self) -> str:
        return f"{self.scheme}://{self.endpoint}"


@dataclass(frozen=True)
class PublicAddress:
    """Addresses of the server other than its own: those of proxies in front of it.

    Attributes
    ----------
    origins
        The public origins that the user trusts.
    base_path
        The path that a proxy puts before all addresses and does not remove, ``/user/x/proxy/8080``; empty for none.
    in_notebook
        Whether a notebook on the user's machine may hold the page in a frame.
    """

    origins: tuple[PublicOrigin, ...] = ()
    base_path: str = ""
    in_notebook: bool = False


def public_address(origins: Sequence[str], base_path: str | None) -> PublicAddress:
    """Read the options ``--origin`` and ``--base-path``.

    Raises
    ------
    UserError
        If one of them is invalid.
    """
    return PublicAddress(tuple(map(_public_origin, origins)), _base_path(base_path or ""))


def _public_origin(text: str) -> PublicOrigin:
    expected = "expected a scheme and a host, such as https://hub.example or http://localhost:8888"
    try:
        parts = urlsplit(text.strip())
        netloc = parts.netloc.encode("idna").decode() if not parts.netloc.isascii() else parts.netloc
    except ValueError:  # also a name that IDNA does not allow
        raise UserError(f"--origin {printable(text)} is no origin; {expected}.") from None
    endpoint = endpoint_of(netloc)
    if parts.scheme not in _USUAL_PORTS or endpoint is None or not endpoint.is_plain:
        raise UserError(f"--origin {printable(text)} is no origin; {expected}.")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise UserError(
            f"--origin {printable(text)} has a path; {expected}. If the proxy keeps its path in the address, give the "
            f"path by --base-path."
        )
    return PublicOrigin(parts.scheme, endpoint)


def _base_path(text: str) -> str:
    """Return a base path with its percent signs decoded, with a slash before it and none behind it."""
    path = unquote(text.strip())
    parts = [part for part in path.split("/") if part]
    if not path.isprintable() or any(part in (".", "..") for part in parts) or re.search(r"[?#{}%\\]|://", path):
        raise UserError(
            f"--base-path {printable(text)} is no path of a proxy; expected one such as /user/x/proxy/8080, without the "
            f"host and without ?."
        )
    return "".join(f"/{part}" for part in parts)


def is_address(name: str) -> bool:
    """Whether a host name is a numeric address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def bracketed(name: str) -> str:
    """Return a host name as it stands in an address: IPv6 in brackets."""
    return f"[{name}]" if ":" in name else name
