"""The HTML file around the packs: markup, styles, the client's script, and the policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Sequence

from nnviz3d.apps.export.html.packs import Pack
from nnviz3d.client.bundle import STATIC, bundle

_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing is loaded, and only the script and the styles with these hashes apply."""


def document(title: str, packs: Sequence[Pack]) -> Iterator[str]:
    """Yield the texts of the file one after the other.

    The script stands before the packs, so that it runs and says what is wrong if the file was cut off.

    Parameters
    ----------
    title
        Title of the browser's window; any text.
    packs
        The packs; the page finds them by their position.
    """
    script = f"\n{bundle('player.js')}"
    style = f"\n{static('pages.css')}\n{static('player.css')}"
    if "</script" in script.lower() or "<!--" in script or "</style" in style.lower():
        raise ValueError("The client's script or style would end before its end.")
    values = {
        "policy": _POLICY.format(script=digest(script), style=digest(style)),
        "title": html.escape(title),
        "style": style,
        "script": script,
    }
    head, body = static("player.html").split("<!-- packs -->")
    # In one pass, because a title may hold such a word, too.
    yield re.sub(r"\{(policy|title|style|script)\}", lambda found: values[found[1]], head)
    for number, pack in enumerate(packs):
        # Base64 holds nothing that could end the element.
        yield f'<script type="text/plain" id="pack-{number}">{pack.text}</script>\n'
    yield body


def static(name: str) -> str:
    """Return a text file of the client."""
    return (STATIC / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """Return the hash of a script or a style, as a policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
