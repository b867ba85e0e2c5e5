"""Serving below a base path, for proxies that keep their own path in the address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from aiohttp.abc import AbstractMatchInfo
from yarl import URL


def below(base_path: str, address: URL) -> URL | None:
    """Return an address without its base path; `None` if it does not begin with it.

    The base path itself, without a slash at its end, gives an empty path.
    """
    first = base_path.split("/")
    parts = address.raw_path.split("/")
    if [unquote(part) for part in parts[: len(first)]] != first:
        return None
    rest = parts[len(first) :]
    query = f"?{address.raw_query_string}" if address.raw_query_string else ""
    return URL(f"/{'/'.join(rest)}{query}" if rest else query, encoded=True)


class BasePath(web.AbstractResource):
    """Everything that an application serves, once more below a base path.

    Parameters
    ----------
    path
        The base path, which begins with a slash and does not end with one.
    application
        The application, whose addresses without the base path remain.
    """

    def __init__(self, path: str, application: web.Application) -> None:
        super().__init__()
        self._path = path
        self._router = application.router

    @property
    def canonical(self) -> str:
        """The base path, by which the router finds this resource."""
        return self._path

    async def resolve(self, request: web.Request) -> tuple[Any, set[str]]:
        """Find the handler of the address without the base path."""
        address = below(self._path, request.rel_url)
        # An address that repeats the base path would resolve itself as many times.
        if address is None or not address.raw_path.startswith("/") or below(self._path, address) is not None:
            return None, set()
        found: AbstractMatchInfo = await self._router.resolve(request.clone(rel_url=address))
        return found, set()

    def raw_match(self, path: str) -> bool:
        """Whether a path is the base path."""
        return path == self._path

    def url_for(self, **_parts: str) -> URL:
        """Return the base path."""
        return URL.build(path=self._path)

    def add_prefix(self, prefix: str) -> None:
        """Put a path before the base path."""
        self._path = prefix + self._path

    def get_info(self) -> Any:
        """Describe the resource for aiohttp."""
        return {"path": self._path}

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter(())
