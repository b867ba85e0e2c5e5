"""Access check of the server: only pages that it served itself, and only with its token.

Any web page in the same browser can reach a server on the loopback: a page of a foreign site may open a websocket to it,
and a site whose name resolves to 127.0.0.1 (DNS rebinding) counts as the same origin. So the server always requires the
token, and refuses requests that name a foreign host or come from a foreign page. The port in the host header proves
nothing, and differs behind a tunnel: DNS changes names, never ports. A proxy has a name that only the user knows, so
its origin is let in if the user gave it.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import sys
import traceback

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from nnviz3d.apps.web.base_path import below
from nnviz3d.apps.web.origins import (
    Endpoint,
    PublicAddress,
    bracketed,
    endpoint_of,
    endpoint_of_origin,
    is_address,
)
from nnviz3d.apps.web.refusal import Refusal, Remedy

_PAGES = ("/", "/index.html")
_START = "index.html"
PRIVATE = "/samples/"
ARRAYS = "/arrays/"
EXPORTS = "/exports/"
"""Addresses below these paths require the token, as the page itself does."""
_QUOTED = 100
"""Most characters of a header that an answer quotes."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FRAMES = ("iframe", "frame", "embed", "object")
"""Values of the header Sec-Fetch-Dest for a page that is opened inside another one."""
_NOTEBOOKS = ("http://localhost:*", "http://127.0.0.1:*", "https://localhost:*", "vscode-webview:")
"""Origins of notebooks on the user's own machine, as a content policy names them."""
_HEADERS = {
    # This page loads nothing from other sites, and only pages of its own origin or of one that the user gave embed it.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {sockets}; worker-src 'self' blob:; "
        "object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'self'{parents}"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NO_SECRET = Refusal(
    "The address lacks the right secret; open the one that nnviz3d printed.",
    (Remedy("Each start of nnviz3d makes a new secret: copy the whole address, with ?secret= and all that follows"),),
)


class Gate:
    """Decides which requests are answered.

    Parameters
    ----------
    host, port
        The address that the server is bound to.
    public
        The origins and the base path of proxies in front of the server.

    Attributes
    ----------
    token
        The secret of this run.
    public
        As given.
    """

    def __init__(self, host: str, port: int, public: PublicAddress | None = None) -> None:
        self.token = secrets.token_urlsafe(24)
        self.public = public or PublicAddress()
        self._port = port
        self._names = names_of(host)
        self._any_address = is_wildcard(host)
        self._origins = frozenset(origin.endpoint for origin in self.public.origins)
        self._ticket: str | None = secrets.token_urlsafe(24)

    def refusal(self, request: web.Request) -> Refusal | None:
        """Return the reason to refuse a request by its headers; `None` if it is accepted."""
        host = endpoint_of(request.headers.get("Host"))
        if host is None or not self._is_own(host):
            return self._foreign_host(request)
        origin = request.headers.get("Origin")
        if origin is not None and endpoint_of_origin(origin) not in (host, *self._origins):
            return _foreign_origin(origin)
        return None

    def _foreign_host(self, request: web.Request) -> Refusal:
        host = request.headers.get("Host")
        allowed = ", ".join(sorted({*self._names, *map(str, self._origins)}))
        reason = f"This server answers only to {allowed}; the request names {_quoted(host)} as its host."
        tunnel = Remedy(
            f"Over SSH, type on your own computer, and then open http://localhost:{self._port} with the secret",
            f"ssh -N -L {self._port}:localhost:{self._port} HOST",
        )
        endpoint = endpoint_of(host)
        if endpoint is None or not endpoint.is_plain:
            return Refusal(reason, (tunnel,))
        scheme = "https" if request.headers.get("X-Forwarded-Proto", "").startswith("https") else "http"
        trusted = _start_with(
            "If that is a proxy or hub that you trust, or another name of this machine", f"{scheme}://{endpoint}"
        )
        return Refusal(reason, (trusted, tunnel))

    def _frame(self, request: web.Request) -> Refusal | None:
        """Return the refusal of a page that a page of another origin embeds; `None` if the user allowed such pages."""
        if (
            self._origins
            or self.public.in_notebook
            or request.headers.get("Sec-Fetch-Dest") not in _FRAMES
            or request.headers.get("Sec-Fetch-Site") not in ("cross-site", "same-site")
        ):
            return None
        around = _plain_origin("/".join(request.headers.get("Referer", "").split("/")[:3]))
        trusted = (_start_with("If you trust the page around it", around),) if around else ()
        own_tab = Remedy("Open the address that nnviz3d printed in a tab of its own")
        return Refusal("This page is not shown inside a page of another address.", (*trusted, own_tab))

    def _is_own(self, endpoint: Endpoint) -> bool:
        # A server bound to all addresses does not know its own; but DNS can redirect only names, not numeric addresses.
        return (
            endpoint.name in self._names
            or is_loopback(endpoint.name)
            or (self._any_address and is_address(endpoint.name))
            or endpoint in self._origins
        )

    def path_of(self, request: web.Request) -> str:
        """Return the path of a request without the base path."""
        inside = below(self.public.base_path, request.rel_url) if self.public.base_path else None
        return request.path if inside is None else inside.path

    def knows(self, token: str | None) -> bool:
        """Whether a text is the token."""
        return token is not None and _same(token, self.token)

    def lets_in(self, request: web.Request) -> bool:
        """Whether a request carries the token: in its address, or else in a cookie.

        A browser sends all cookies of one name, also those that another server of the host set for a shorter path, so each
        of them is tried.
        """
        asked = request.query.getall("secret", [])
        if asked:
            return self.knows(asked[0])
        own = f"{self.cookie_of(request)}="
        cookies = (one.strip() for header in request.headers.getall("Cookie", []) for one in header.split(";"))
        return any(self.knows(one.removeprefix(own)) for one in cookies if one.startswith(own))

    def cookie_of(self, request: web.Request) -> str:
        """Return the name of the cookie that holds the token of the server at this address.

        All ports of a host share their cookies, so the name has the port that the browser sees.
        """
        endpoint = endpoint_of(request.headers.get("Host"))
        return f"nnviz3d-{endpoint.port}" if endpoint is not None and endpoint.port else "nnviz3d"

    def give_cookie(self, request: web.Request, response: web.Response) -> None:
        """Add the cookie with the token to a page, for its reloads and its files.

        The cookie names no path, so that it is valid below the page's own path, which a proxy may have changed. In a frame
        of another site, browsers accept a cookie only if it is secure and belongs to the page around the frame.
        """
        framed = (
            bool(self._origins)
            and request.headers.get("Sec-Fetch-Dest") in _FRAMES
            and request.headers.get("Sec-Fetch-Site") == "cross-site"
        )
        where = "Secure; SameSite=None; Partitioned" if framed else "SameSite=Strict"
        # As a header, because the cookies of Python before 3.14 cannot be partitioned.
        response.headers.add("Set-Cookie", f"{self.cookie_of(request)}={self.token}; HttpOnly; {where}")

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
            inside = self.path_of(request)
            paths = (request.path, inside)  # the base path may itself look like an address of the application
            page = any(map(_is_page, paths))
            private = page or any(path.startswith((PRIVATE, ARRAYS, EXPORTS)) for path in paths)
            refusal = self.refusal(request)
            if refusal is None and not inside:  # relative addresses need the slash at the end of the base path
                address = request.rel_url
                query = f"?{address.raw_query_string}" if address.raw_query_string else ""
                raise web.HTTPTemporaryRedirect(f"./{address.raw_path.rpartition('/')[2]}/{query}")
            if refusal is None and private and not self.lets_in(request):
                refusal = _NO_SECRET
            if refusal is None and page:
                refusal = self._frame(request)
            if refusal is not None:
                return refusal.answer(request)
            if page and inside not in _PAGES:
                return web.Response(status=404, text="There is no such page; open the one that nnviz3d printed.\n")
            try:
                response = await handler(request)
            except web.HTTPException:
                raise
            except Exception as error:
                if isinstance(error, OSError | ValueError) and not self.lets_in(request):
                    # For example an invalid file name. Requests without the token must not write into the terminal.
                    return web.Response(status=404, text="There is no such file.\n")
                # A websocket raises when the client sends an invalid message, which needs no report.
                if inside != "/ws":
                    traceback.print_exc(file=sys.stderr)
                raise
            if not response.prepared:
                for name, value in self._headers(request).items():
                    response.headers[name] = value
            return response

        return check

    def _headers(self, request: web.Request) -> dict[str, str]:
        """Return the headers of an answer to an accepted request."""
        names = sorted({*map(str, self._origins), str(endpoint_of(request.headers.get("Host")))})
        sockets = " ".join(f"{scheme}://{name}" for name in names for scheme in ("ws", "wss"))
        notebooks = _NOTEBOOKS if self.public.in_notebook else ()
        parents = "".join(f" {origin}" for origin in (*self.public.origins, *notebooks))
        return {name: value.format(sockets=sockets, parents=parents) for name, value in _HEADERS.items()}


def _start_with(case: str, origin: str) -> Remedy:
    return Remedy(f"{case}, start nnviz3d again with this option", f"--origin {origin}")


def _plain_origin(origin: str) -> str:
    """Return an origin if it may stand in a command line; else an empty text."""
    endpoint = endpoint_of_origin(origin)
    return f"{origin.partition(':')[0]}://{endpoint}" if endpoint is not None and endpoint.is_plain else ""


def _foreign_origin(origin: str) -> Refusal:
    reason = f"This server answers only its own pages; the request comes from {_quoted(origin)}."
    plain = _plain_origin(origin)
    if not plain:
        return Refusal(reason, (Remedy("Open the address that nnviz3d printed in a tab of its own"),))
    return Refusal(reason, (_start_with("If that is a proxy, hub or notebook that you trust", plain),))


def _is_page(path: str) -> bool:
    """Whether a path is that of the start page, in any spelling that a file system may accept."""
    parts = [part.rstrip(". ").lower() for part in path.replace("\\", "/").split("/")]
    named = [part for part in parts if part]
    return not named or named[-1] == _START


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
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_wildcard(host: str) -> bool:
    """Whether a host stands for all addresses of the machine."""
    return not host or (is_address(host) and ipaddress.ip_address(host).is_unspecified)


def address(host: str, port: int) -> str:
    """Return the server's address for a browser on this machine."""
    return f"http://{bracketed('127.0.0.1' if is_wildcard(host) else host.strip('[]'))}:{port}"
