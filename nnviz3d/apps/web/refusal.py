"""Refusals: what was wrong with a request, and what to type; as a page for people, as a line for programs."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

_STYLE = (
    "body{margin:0;background:#07090d;color:#c9d3e2;font:16px/1.6 system-ui,sans-serif}"
    "main{max-width:44rem;margin:12vh auto;padding:0 1.5rem}"
    "h1{font-size:1.25rem;color:#fff}p{margin:1.2em 0 .4em}"
    "pre{margin:0;padding:.7rem .9rem;background:#131822;border-radius:6px;color:#9fe0ff;"
    "white-space:pre-wrap;overflow-wrap:anywhere}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Content policy of the page. Frames may show it, because it holds no secret and no button."""


class Remedy(NamedTuple):
    """A step that works, with the case that it is for, and the line to type, which may be empty."""

    case: str
    line: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused. All texts are plain; foreign parts of them are escaped in the page.

    Attributes
    ----------
    reason
        One sentence.
    remedies
        What helps, the likeliest first.
    """

    reason: str
    remedies: tuple[Remedy, ...] = ()

    @property
    def text(self) -> str:
        """Everything on one line."""
        parts = (f"{one.case}: {one.line}." if one.line else f"{one.case}." for one in self.remedies)
        return " ".join((self.reason, *parts))

    @property
    def page(self) -> str:
        """Everything as an HTML page."""
        parts = [f"<h1>{html.escape(self.reason)}</h1>"]
        for one in self.remedies:
            parts.append(f"<p>{html.escape(one.case)}{':' if one.line else '.'}</p>")
            if one.line:
                parts.append(f"<pre>{html.escape(one.line)}</pre>")
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>nnviz3d: not let in</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
            f"<body><main>{''.join(parts)}</main></body></html>\n"
        )

    def answer(self, request: web.Request) -> web.Response:
        """Return the answer to a refused request: a page if a browser opens an address, else a line."""
        headers = {
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(status=403, text=self.page, content_type="text/html", headers=headers)
        return web.Response(status=403, text=f"{self.text}\n", headers=headers)
