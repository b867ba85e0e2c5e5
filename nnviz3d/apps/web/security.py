"""Who may talk to the server: pages that it handed out itself, to who knows its token.

A server on the loopback is within reach of every web page that the same browser shows: a page of a foreign site may open
a websocket to it, and a site whose name is made to point at 127.0.0.1 (DNS rebinding) counts as the same origin. So the
token is asked for always, and requests that name a foreign host or come from a foreign page are refused.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import sys
import traceback
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

_PAGES = ("/", "/index.html")
PRIVATE = "/samples/"
"""Addresses under this are for who knows the secret, as the page itself is."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = {
    # No page of others may frame this one, and this one loads nothing from others.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws://{host}; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Gate:
    """Decides which requests are answered.

    Parameters
    ----------
    host, port
        What the server is bound to.

    Attributes
    ----------
    token
        The secret of this run.
    """

    def __init__(self, host: str, port: int) -> None:
        self.token = secrets.token_urlsafe(24)
        self._port = port
        self._names = names_of(host)
        self._any_address = is_wildcard(host)
        self._ticket: str | None = secrets.token_urlsafe(24)

    def refusal(self, host: str | None, origin: str | None) -> str | None:
        """Say why a request with these headers is refused; `None` if it is not."""
        name = self._own(host)
        if name is None:
            allowed = ", ".join(f"{_bracketed(n)}:{self._port}" for n in sorted(self._names))
            return f"This server answers only to {allowed}; the request names {host!r} as its host."
        if origin is not None and origin.lower() != f"http://{(host or '').lower()}":
            return f"This server answers only its own pages; the request comes from {origin!r}."
        return None

    def _own(self, host: str | None) -> str | None:
        if host is None:
            return None
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname, parts.port or 80
        except ValueError:
            return None
        if name is None or port != self._port or parts.path or parts.username is not None:
            return None
        # Bound to all addresses the own ones are unknown; but a number, unlike a name, cannot be made to point here.
        return name if name in self._names or (self._any_address and _is_address(name)) else None

    def knows(self, token: str | None) -> bool:
        """Whether this is the token."""
        return token is not None and secrets.compare_digest(token.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token; cookies of one host are shared by all its ports."""
        return f"nnviz3d-{self._port}"

    @property
    def ticket(self) -> str:
        """What the browser is started with: it works once, so it may stand where others can read it, unlike the token."""
        return self._ticket or ""

    def redeem(self, ticket: str) -> bool:
        """Whether this is the ticket; from then on it is not."""
        if self._ticket is None or not secrets.compare_digest(ticket.encode(), self._ticket.encode()):
            return False
        self._ticket = None
        return True

    @property
    def middleware(self) -> Middleware:
        """What aiohttp asks before it answers anything."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            reason = self.refusal(request.headers.get("Host"), request.headers.get("Origin"))
            told = request.query.get("secret", request.cookies.get(self.cookie))
            private = request.path in _PAGES or request.path.startswith(PRIVATE)
            if reason is None and private and not self.knows(told):
                reason = "The address lacks the right secret; open the one that nnviz3d printed."
            if reason is not None:
                return web.Response(status=403, text=f"{reason}\n")
            try:
                response = await handler(request)
            except web.HTTPException:
                raise
            except Exception:
                # A websocket ends so when its other end says what it should not: nothing to tell of.
                if request.path != "/ws":
                    traceback.print_exc(file=sys.stderr)
                raise
            if not response.prepared:
                for name, value in _HEADERS.items():
                    response.headers[name] = value.format(host=request.host)
            return response

        return check


def names_of(host: str) -> frozenset[str]:
    """Say by which names a server bound to this host may be called."""
    plain = host.strip("[]").lower()
    if is_loopback(plain):
        return _LOOPBACK | {plain}
    own = socket.gethostname().lower()
    names = _LOOPBACK | {own, f"{own}.local", socket.getfqdn().lower()}
    return names if is_wildcard(plain) else names | {plain}


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_wildcard(host: str) -> bool:
    """Whether it stands for all addresses of the machine."""
    return not host or (_is_address(host) and ipaddress.ip_address(host).is_unspecified)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _bracketed(name: str) -> str:
    return f"[{name}]" if ":" in name else name


def address(host: str, port: int) -> str:
    """Write the server's address as a browser on this machine opens it."""
    return f"http://{_bracketed('127.0.0.1' if is_wildcard(host) else host.strip('[]'))}:{port}"
