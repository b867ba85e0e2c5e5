"""Names of options, such as ``--landscape``, in the sentences of a page: a line does not break within one."""

from __future__ import annotations

from trame.widgets import html

_OPTIONS = "/(--[a-z]+(?:-[a-z]+)*)/"
_JOINER = "\\u2060"
"""A character without width after which a line does not break."""


def build_sentences(words: str) -> None:
    """Make the widgets of sentences that may hold options. These can be copied as they are.

    Parameters
    ----------
    words
        A JavaScript expression.
    """
    html.Span(
        "{{ part }}",
        v_for=f"(part, number) in ({words}).split({_OPTIONS})",
        key="number",
        style=("number % 2 ? 'white-space: nowrap' : ''",),
    )


def unbroken(words: str) -> str:
    """Return a JavaScript expression for sentences in a tooltip of the browser, from which nothing can be copied."""
    return f"({words}).split({_OPTIONS}).map((part, i) => i % 2 ? [...part].join('{_JOINER}') : part).join('')"
