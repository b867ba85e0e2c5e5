"""`serve`, `show`, `record`, `snapshot` and `export` for a model object, a file, a scene or a capture.

Each runs the command of its name in a process of its own, because TensorFlow and OpenGL cannot share one. A live model
stays in this process, which captures the first sample and then answers the viewer's requests for others.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

from nnviz3d.api.command_arguments import CommandArguments, given, of_proxy
from nnviz3d.api.command_process import CommandProcess
from nnviz3d.api.embedded import EmbeddedScene, in_notebook
from nnviz3d.api.viewer import Viewer
from nnviz3d.api.viewer_options import Options
from nnviz3d.data.capture import Capture
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.errors import UserError

_MOST_EMBEDDED = "40MB"
"""Maximum size of a scene in a notebook; the export names what it leaves out."""
_MOST_SAMPLES = 16
"""Maximum number of samples of which a scene in a notebook holds all."""


def serve(
    target: Any = None,
    x: Any = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    origin: str | Sequence[str] = (),
    base_path: str | None = None,
    open: bool | None = None,
    draw: Literal["auto", "client", "server"] = "auto",
    block: bool | None = None,
    live: bool = True,
    tour: bool = False,
    model: str | Path | None = None,
    **options: Unpack[Options],
) -> Viewer:
    """Show a model in the browser.

    Parameters
    ----------
    target
        A Keras model; a `Capture`; a `SceneSpec`; or a target of the command line: a scene, a model file,
        ``keras:NAME``, the path of a capture; `None` for the demo.
    x
        Input of the model: an array ``(N, *shape)`` or one sample, a list or dictionary of arrays for several inputs,
        or a value of ``--input``, such as ``cat.jpg`` or ``digits:7``. By default random.
    host, port, base_path, draw
        As on the command line.
    origin
        As on the command line; several as a sequence.
    open
        Whether to open the browser. The default is `False` in a notebook, which shows the page in a frame, and `True`
        elsewhere.
    block
        Whether to wait until the page is closed. The default is `True` in a script, and `False` in a notebook or at a
        prompt.
    live
        Whether the model of a file or a scene is loaded while the page opens, and not with the first sample that is
        chosen and was not captured.
    tour
        Whether the page begins with a tour from the input to the decision.
    model
        The model file that a target was captured from, which is a capture: it computes on demand what the capture lacks.
    **options
        See `Options`.

    Returns
    -------
    Viewer
        Its `url` is the address.

    Raises
    ------
    UserError
        If the target, the input or an option is missing or invalid; the message is one sentence.
    """
    where = ["--host", host, *given("--port", port), *of_proxy(origin, base_path)]
    notebook = in_notebook()
    opens = not notebook if open is None else open
    more = [*where, "--open" if opens else "--no-open", "--draw", draw, *(["--in-notebook"] if notebook else [])]
    more += [*([] if live else ["--no-live"]), *(["--tour"] if tour else [])]
    return _view("serve", target, x, more, block, options, model)


def show(
    target: Any = None,
    x: Any = None,
    *,
    size: tuple[int, int] | None = None,
    block: bool | None = None,
    inline: bool | None = None,
    live: bool = True,
    tour: bool = False,
    model: str | Path | None = None,
    **options: Unpack[Options],
) -> Viewer | EmbeddedScene:
    """Show a model in a native 3D window, or inline in a notebook.

    Parameters
    ----------
    target, x, block, live, tour, model, **options
        As for `serve`; a scene in a notebook has no tour, and runs no model.
    size
        Width and height of the window in pixels; of a scene in a notebook only the height counts.
    inline
        Whether to return a scene that the notebook shows inline, without a window or a port. The default is `True` in a
        notebook, and `False` elsewhere.

    Returns
    -------
    Viewer or EmbeddedScene
        A window, which the viewer's `close` closes; or the scene for the notebook, which `save` writes as an HTML file.

    Raises
    ------
    UserError
        As for `serve`, and if a scene in a notebook is to begin with a tour, or to run a model.
    """
    if inline or (inline is None and in_notebook()):
        if tour:
            raise UserError(
                "A scene in a notebook has no tour; nnviz3d.serve(..., tour=True) shows a page that has one."
            )
        if model is not None:
            raise UserError(
                "A scene in a notebook runs no model; nnviz3d.serve(..., model=...) shows a page that does."
            )
        return _embedded(target, x, size, options)
    more = [*_size(size), *([] if live else ["--no-live"]), *(["--tour"] if tour else [])]
    return _view("show", target, x, more, block, options, model)


def record(
    target: Any,
    output: str | Path,
    x: Any = None,
    *,
    tour: Literal["orbit", "flythrough", "backward", "scene", "story"] | None = None,
    size: tuple[int, int] | None = None,
    fps: int | None = None,
    seconds: float | None = None,
    **options: Unpack[Options],
) -> Path:
    """Record a film.

    Parameters
    ----------
    target, x, **options
        As for `serve`.
    output
        ``.mp4``, ``.webm``, ``.gif``, or a folder for PNG.
    tour, size, fps, seconds
        As on the command line.

    Returns
    -------
    Path
        The film.
    """
    more = [*given("--tour", tour), *_size(size), *given("--fps", fps), *given("--seconds", seconds)]
    return _make("record", target, output, x, more, options)


def snapshot(
    target: Any,
    output: str | Path,
    x: Any = None,
    *,
    size: tuple[int, int] | None = None,
    at: float | None = None,
    **options: Unpack[Options],
) -> Path:
    """Make one picture.

    Parameters
    ----------
    target, x, **options
        As for `serve`.
    output
        The ``.png`` to write.
    size
        Width and height in pixels; by default 1920 x 1080.
    at
        Time in the scene, in seconds; by default its end.

    Returns
    -------
    Path
        The picture.
    """
    return _make("snapshot", target, output, x, [*_size(size), *given("--at", at)], options)


def export(
    target: Any,
    output: str | Path,
    x: Any = None,
    *,
    samples: str | None = None,
    max_size: str | None = None,
    float16: bool = False,
    **options: Unpack[Options],
) -> Path:
    """Write one file that others open.

    Parameters
    ----------
    target, x, **options
        As for `serve`.
    output
        The file to write; its ending says what it is: ``.html``, ``.zarr.zip``, ``.glb``, ``.vtm``, ``.csv``, ``.svg`` or
        ``.pdf``.
    samples, max_size, float16
        As on the command line.

    Returns
    -------
    Path
        The file.
    """
    from nnviz3d.apps.export import ExportSettings, check_export

    whole = check_export(Path(output), ExportSettings(samples, max_size, float16)).whole or samples is not None
    more = [*given("--samples", samples), *given("--max-size", max_size), *(["--float16"] if float16 else [])]
    return _make("export", target, output, x, more, options, whole=whole)


def _view(
    command: Literal["serve", "show"],
    target: Any,
    x: Any,
    more: Sequence[str],
    block: bool | None,
    options: Options,
    model: str | Path | None,
) -> Viewer:
    if model is not None and isinstance(target, Capture):
        target = target.path  # a capture alone takes no options of models
    arguments = CommandArguments()
    try:
        words = [*arguments.of(target, x, options, live=True), *more, *given("--model", model)]
    except BaseException:
        arguments.close()
        raise
    viewer = Viewer(command, words, on_close=arguments.close)
    viewer.open(block=block if block is not None else not _interactive())
    return viewer


def _embedded(target: Any, x: Any, size: tuple[int, int] | None, options: Options) -> EmbeddedScene:
    with temporary_folder() as folder:
        few = not isinstance(x, str) and hasattr(x, "__len__") and len(x) <= _MOST_SAMPLES
        more = ["--max-size", _MOST_EMBEDDED, *(["--samples", "all"] if few else [])]
        page = _make("export", target, folder / "inline.html", x, more, options, whole=few)
        return EmbeddedScene(page.read_text(encoding="utf-8"), None if size is None else size[1])


def _make(
    command: str,
    target: Any,
    output: str | Path,
    x: Any,
    more: Sequence[str],
    options: Options,
    *,
    whole: bool = False,
) -> Path:
    arguments = CommandArguments()
    try:
        words = [*arguments.of(target, x, options, live=False, whole=whole), "--output", str(output), *more]
        process = CommandProcess(command, words)
        try:
            process.wait()
        except BaseException:
            process.end()
            raise
    finally:
        arguments.close()
    return Path(output)


def _interactive() -> bool:
    """Whether this is a prompt or a notebook, whose user wants to continue while a viewer is open."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or in_notebook()


def _size(size: tuple[int, int] | None) -> list[str]:
    return [] if size is None else ["--size", f"{size[0]}x{size[1]}"]
