"""A scene in a notebook: one HTML text in a frame, which needs no server, no port and no network."""

from __future__ import annotations

import html
import sys
from pathlib import Path

_HEIGHT = 560
"""Height of the frame in pixels, unless another is given."""


def in_notebook() -> bool:
    """Whether this program is a notebook's kernel: of Jupyter, VS Code, Colab or another one with IPython's kernel."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None  # a shell in a terminal has none


def frame(content: str, height: int = _HEIGHT) -> str:
    """Return a frame of a page as HTML.

    Parameters
    ----------
    content
        Attributes that say what it holds.
    height
        In pixels.
    """
    style = f"width: 100%; height: {height}px; border: 0; border-radius: 6px; background: #07090d;"
    return f'<iframe allow="fullscreen" style="{style}" {content}></iframe>'


class EmbeddedScene:
    """A scene that a notebook shows inline, with its own controls.

    The frame runs in a sandbox: it has no access to the notebook, to other sites or to files.

    Parameters
    ----------
    text
        The page, as `nnviz3d.export` writes it to an ``.html`` file.
    height
        Height of the frame in pixels; its width is that of the notebook's cell.

    Attributes
    ----------
    text, height
        As above.
    """

    def __init__(self, text: str, height: int | None = None) -> None:
        self.text = text
        self.height = _HEIGHT if height is None else height

    def save(self, path: str | Path) -> Path:
        """Write the page to an ``.html`` file, whole or not at all, which any browser opens without a network.

        Raises
        ------
        UserError
            If the system refuses to write it.
        """
        from nnviz3d.apps.whole_files import write_whole

        out = Path(path)
        write_whole(out, self.text.encode())
        return out

    def __repr__(self) -> str:
        return f"<nnviz3d scene: {len(self.text.encode()) / 1e6:.1f} MB of HTML; save(...) writes a file>"

    def _repr_html_(self) -> str:
        """Return the frame. Its sandbox lets scripts run, with an origin of their own."""
        text = html.escape(self.text, quote=True)
        return frame(f'sandbox="allow-scripts allow-downloads" srcdoc="{text}"', self.height)
