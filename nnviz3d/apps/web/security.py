"""Access check of the server: only pages that it served itself, and only with its token.

Any web page in the same browser can reach a server on the loopback: a page of a foreign site may open a websocket to it,
and a site whose name resolves to 127.0.0.1 (DNS rebinding) counts as the same origin. So the server always requires the
token, and refuses requests that name a foreign host or come from a foreign page.
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
_START = "index.html"
PRIVATE = "/samples/"
ARRAYS = "/arrays/"
"""Addresses below these paths require the token, as the page itself does."""
_QUOTED = 100
"""Most characters of a header that an answer quotes."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HEADERS = {
    # No other page may embed this one, and this one loads nothing from other sites.
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
        The address that the server is bound to.

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
        """Return the reason to refuse a request with these headers; `None` if it is accepted."""
        name, port = _parts(host)
        if name is None or not self._is_own(name):
            allowed = ", ".join(f"{_bracketed(n)}:{self._port}" for n in sorted(self._names))
            return (
                f"This server answers only to {allowed}; the request names {_quoted(host)} as its host. If that is a proxy "
                f"in front of it, open it through a tunnel instead: {self._tunnel}; if it is another name of this machine, "
                f"start nnviz3d with --host and that name."
            )
        if port != self._port:
            return (
                f"The address says port {port}, and this server listens at {self._port}. If the port is forwarded, forward "
                f"the same port: {self._tunnel}, or in a container -p {self._port}:{self._port}; or start nnviz3d with "
                f"--port {port}."
            )
        if origin is not None and origin.lower() != f"http://{(host or '').lower()}":
            secure = origin.lower() == f"https://{(host or '').lower()}"
            hint = f" It speaks http only, without an https proxy; use a tunnel: {self._tunnel}." if secure else ""
            return f"This server answers only its own pages; the request comes from {_quoted(origin)}.{hint}"
        return None

    @property
    def _tunnel(self) -> str:
        return f"ssh -L {self._port}:localhost:{self._port} HOST, then http://localhost:{self._port}"

    def _is_own(self, name: str) -> bool:
        # A server bound to all addresses does not know its own; but DNS can redirect only names, not numeric addresses.
        return name in self._names or (self._any_address and _is_address(name))

    def knows(self, token: str | None) -> bool:
        """Whether a text is the token."""
        return token is not None and _same(token, self.token)

    def token_of(self, request: web.Request) -> str | None:
        """Return the token that a request carries."""
        return request.query.get("secret", request.cookies.get(self.cookie))

    @property
    def cookie(self) -> str:
        """Name of the cookie that holds the token; cookies of one host are shared by all its ports."""
        return f"nnviz3d-{self._port}"

    @property
    def ticket(self) -> str:
        """Secret that opens the page once, so that it may appear on a public command line, unlike the token."""
        return self._ticket or ""

    def redeem(self, ticket: str) -> bool:
        """Whether a text is the ticket; a ticket is valid once."""
        if self._ticket is None or not _same(ticket, self._ticket):
            return False
        self._ticket = None
        return True

    @property
    def middleware(self) -> Middleware:
        """Middleware of aiohttp that checks each request."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            reason = self.refusal(request.headers.get("Host"), request.headers.get("Origin"))
            page = _is_page(request.path)
            private = page or request.path.startswith((PRIVATE, ARRAYS))
            if reason is None and private and not self.knows(self.token_of(request)):
                reason = "The address lacks the right secret; open the one that nnviz3d printed."
            if reason is not None:
                return web.Response(status=403, text=f"{reason}\n")
            if page and request.path not in _PAGES:
                return web.Response(status=404, text="There is no such page; open the one that nnviz3d printed.\n")
            try:
                response = await handler(request)
            except web.HTTPException:
                raise
            except Exception as error:
                if isinstance(error, OSError | ValueError) and not self.knows(self.token_of(request)):
                    # For example an invalid file name. Requests without the token must not write into the terminal.
                    return web.Response(status=404, text="There is no such file.\n")
                # A websocket raises when the client sends an invalid message, which needs no report.
                if request.path != "/ws":
                    traceback.print_exc(file=sys.stderr)
                raise
            if not response.prepared:
                for name, value in _HEADERS.items():
                    response.headers[name] = value.format(host=request.host)
            return response

        return check


def _is_page(path: str) -> bool:
    """Whether a path is that of the start page, in any spelling that a file system may accept."""
    parts = [part.rstrip(". ").lower() for part in path.replace("\\", "/").split("/")]
    named = [part for part in parts if part]
    return not named or named[-1] == _START


def _parts(host: str | None) -> tuple[str | None, int]:
    """Split a host header into name and port; the name is missing if the header is invalid."""
    try:
        parts = urlsplit(f"//{host or ''}")
        name, port = parts.hostname, parts.port or 80
    except ValueError:
        return None, 0
    return (None, 0) if parts.path or parts.username is not None else (name, port)


def _same(received: str, secret: str) -> bool:
    # A header may contain bytes that are not text.
    return secrets.compare_digest(received.encode("utf-8", "surrogateescape"), secret.encode())


def _quoted(text: str | None) -> str:
    return repr(text if text is None else text[:_QUOTED])


def names_of(host: str) -> frozenset[str]:
    """Return the host names under which a server bound to this host answers."""
    plain = host.strip("[]").lower()
    if is_loopback(plain):
        return _LOOPBACK | {plain}
    own = socket.gethostname().lower()
    names = _LOOPBACK | {own, f"{own}.local", socket.getfqdn().lower()}
    return names if is_wildcard(plain) else names | {plain}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_wildcard(host: str) -> bool:
    """Whether a host stands for all addresses of the machine."""
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
    """Return the server's address for a browser on this machine."""
    return f"http://{_bracketed('127.0.0.1' if is_wildcard(host) else host.strip('[]'))}:{port}"
