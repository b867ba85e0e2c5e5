"""Looking from Python: `serve`, `show`, `record` and `snapshot`, of a model object, a file, a scene or a capture.

The viewer is always a process of its own, the command line, because TensorFlow and OpenGL cannot share one. A live model
stays where it is: this process captures the first sample and then answers the viewer's requests for others.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

import numpy as np

from nnviz3d.data.arrays import as_numbers
from nnviz3d.data.capture import Capture
from nnviz3d.data.records import Ranking
from nnviz3d.data.request import CaptureRequest, Invitation, Preprocessing
from nnviz3d.data.sources import expand
from nnviz3d.errors import Nnviz3dError, UserError
from nnviz3d.parent import PARENT

_PATIENCE = 20.0
"""Seconds that a viewer gets to close in."""


class Options(TypedDict, total=False):
    """What every way of looking takes beside the target.

    Attributes
    ----------
    scene
        A scene file, or the name of a bundled scene, by which to look at a model or a capture.
    sample
        Which of the samples, from 0.
    layer
        A layer that stands out.
    threshold
        Hide cells below this share of their layer's range, 0 to 1.
    colormap, normalize, ranking
        As the options of the command line of these names.
    preprocess
        ``tf``, ``torch``, ``caffe``, ``unit`` or ``none``: how pictures are prepared.
    classes
        Names of the classes.
    labels
        ``(N,)`` integers: the true class of each sample; for a model object.
    weights, trust
        For a model file; as the options of the command line of these names.
    """

    scene: str | Path
    sample: int
    layer: str
    threshold: float
    colormap: str
    normalize: Literal["layer", "global", "symmetric"]
    ranking: Ranking
    preprocess: Preprocessing
    classes: Iterable[str]
    labels: Any
    weights: str
    trust: bool


class Viewer:
    """A window or a server that was opened from Python. It closes with this program, or with `close`, or as a context.

    Attributes
    ----------
    url
        The address of a server, with the secret that it takes; empty for a window.
    """

    def __init__(self, child: _Child, workshop: _Workshop, url: str) -> None:
        self._child = child
        self._workshop = workshop
        self.url = url
        self._problem: Nnviz3dError | None = None
        atexit.register(self.close)
        # What this process holds for the viewer goes when the viewer goes, whoever closed it.
        self._watch = threading.Thread(target=self._close_with_child, name="nnviz3d viewer's end", daemon=True)
        self._watch.start()

    @property
    def running(self) -> bool:
        """Whether it is still open."""
        return self._child.running

    def wait(self) -> None:
        """Wait until it is closed; Ctrl-C closes it.

        Raises
        ------
        UserError
            If it could not go on.
        """
        try:
            self._watch.join()
        except KeyboardInterrupt:
            self.close()
        if self._problem is not None:
            raise self._problem

    def close(self) -> None:
        """Close it."""
        atexit.unregister(self.close)
        self._child.end()
        self._watch.join()

    def _close_with_child(self) -> None:
        try:
            self._child.wait()
        except Nnviz3dError as error:
            self._problem = error
        self._workshop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = (self.url or "a window") if self.running else "closed"
        return f"<nnviz3d viewer: {state}>"

    def _repr_html_(self) -> str:
        return f'<a href="{self.url}" target="_blank">{self.url}</a>' if self.url and self.running else repr(self)


def serve(
    target: Any = None,
    x: Any = None,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    open: bool = True,
    block: bool | None = None,
    **options: Unpack[Options],
) -> Viewer:
    """Show a model in the browser.

    Parameters
    ----------
    target
        A Keras model; a `Capture`; or what the command line takes: a scene, a model file, ``keras:NAME``, the path of
        a capture, or `None` for the demo.
    x
        What a model is shown: an array ``(N, *shape)`` or one sample, a list or dictionary of arrays for several
        inputs, or what ``--input`` takes, such as ``cat.jpg`` or ``digits:7``. By default random.
    host, port, open
        As on the command line.
    block
        Whether to wait until it is closed. By default so in a script, and not in a notebook or at a prompt.
    **options
        See `Options`.

    Returns
    -------
    Viewer
        Its `url` is the address.

    Raises
    ------
    UserError
        If something named is not there or does not fit; the message is one sentence.
    """
    more = ["--host", host, *_given("--port", port), "--open" if open else "--no-open"]
    return _view("serve", target, x, more, block, options)


def show(
    target: Any = None,
    x: Any = None,
    *,
    size: tuple[int, int] | None = None,
    block: bool | None = None,
    **options: Unpack[Options],
) -> Viewer:
    """Show a model in a native 3D window.

    Parameters
    ----------
    target, x, block, **options
        As for `serve`.
    size
        Width and height of the window in pixels.
    """
    return _view("show", target, x, _size(size), block, options)


def record(
    target: Any,
    output: str | Path,
    x: Any = None,
    *,
    tour: Literal["orbit", "flythrough", "scene"] | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
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
    more = [*_given("--tour", tour), *_size(size), *_given("--fps", fps), *_given("--seconds", seconds)]
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
        Seconds into the scene; by default its end.

    Returns
    -------
    Path
        The picture.
    """
    return _make("snapshot", target, output, x, [*_size(size), *_given("--at", at)], options)


class _Workshop:
    """What a view needs for as long as it lasts: a folder, and perhaps someone who answers for a live model."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nnviz3d-"))
        self._ends = contextlib.ExitStack()
        self._ends.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def close(self) -> None:
        self._ends.close()

    def arguments(self, target: Any, x: Any, options: Options, *, live: bool) -> list[str]:
        """Return the command line's words for a target and what it is shown."""
        common = [
            *_given("--scene", options.get("scene")),
            *_given("--layer", options.get("layer")),
            *_given("--threshold", options.get("threshold")),
            *_given("--colormap", options.get("colormap")),
            *_given("--normalize", options.get("normalize")),
            *_given("--ranking", options.get("ranking")),
        ]
        if target is not None and not isinstance(target, str | Path | Capture):
            return [*self._live(target, x, options, live=live), *common]
        common += _given("--sample", options.get("sample"))
        if options.get("labels") is not None:
            raise UserError("labels go with a model object; a file of arrays (.npz) holds its own.")
        if isinstance(target, Capture):
            return [str(target.path), *common]
        named = [] if target is None else [str(target)]
        classes = options.get("classes")
        return [
            *named,
            *common,
            *[word for source in self._sources(x) for word in ("--input", source)],
            *_given("--preprocess", options.get("preprocess")),
            *_given("--weights", options.get("weights")),
            *_given("--classes", None if classes is None else self._text("classes.txt", "\n".join(map(str, classes)))),
            *(["--trust"] if options.get("trust") else []),
        ]

    def _text(self, name: str, text: str) -> str:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        return str(path)

    def _sources(self, x: Any) -> list[str]:
        """Return what a model file is shown in the command line's words; arrays go through a file."""
        if x is None:
            return []
        if isinstance(x, str | Path):
            return [str(x)]
        if isinstance(x, Sequence) and x and all(isinstance(item, str | Path) for item in x):
            return [str(item) for item in x]
        path = self.folder / "x.npz"
        if isinstance(x, Mapping):
            arrays: dict[str, Any] = {str(name): as_numbers(values) for name, values in x.items()}
            np.savez(path, **arrays)
        else:
            path = path.with_suffix(".npy")
            np.save(path, as_numbers(x), allow_pickle=False)
        return [str(path)]

    def _live(self, model: Any, x: Any, options: Options, *, live: bool) -> list[str]:
        """Capture one sample of a live model, and let the viewer ask for the others."""
        from nnviz3d.capture.live import keep

        if options.get("weights") is not None or options.get("trust"):
            raise UserError("weights and trust go with a model file; a model object has its weights.")
        kept = keep(model, x, classes=options.get("classes"), labels=options.get("labels"))
        if kept.held is not None:
            samples = tuple((name, name) for name in kept.held.names)
        elif options.get("labels") is not None:
            raise UserError("labels go with arrays; pictures and other samples that are named have their own or none.")
        else:
            samples = tuple((one.name, one.source) for one in expand(kept.sources or ("random",)))
        position = options.get("sample", 0)
        if not 0 <= position < len(samples):
            raise UserError(f"There is no sample {position}; x holds {len(samples)}, from 0.")
        out = self.folder / "run.zarr"
        request = CaptureRequest(model="live", out=out, preprocess=options.get("preprocess"))
        kept.answer(request.model_copy(update={"inputs": (samples[position][1],)}), lambda _event: None)
        if not live:
            return [str(out)]
        from nnviz3d.capture.listener import Listener

        listener = Listener(kept.answer)
        self._ends.callback(listener.close)
        invitation = Invitation(
            port=listener.port, token=listener.token, request=request, samples=samples, position=position
        )
        return [str(out), "--live", self._text("live.json", invitation.model_dump_json())]


def _view(verb: str, target: Any, x: Any, more: Sequence[str], block: bool | None, options: Options) -> Viewer:
    workshop = _Workshop()
    try:
        child = _Child(verb, [*workshop.arguments(target, x, options, live=True), *more], listen=verb == "serve")
        url = child.first_line() if verb == "serve" else ""
        if verb == "serve" and not url:
            child.wait()
    except BaseException:
        workshop.close()
        raise
    viewer = Viewer(child, workshop, url)
    if block if block is not None else not _interactive():
        if url:
            print(url, flush=True)
        viewer.wait()
    return viewer


def _make(verb: str, target: Any, output: str | Path, x: Any, more: Sequence[str], options: Options) -> Path:
    workshop = _Workshop()
    try:
        child = _Child(verb, [*workshop.arguments(target, x, options, live=False), "--output", str(output), *more])
        try:
            child.wait()
        except BaseException:
            child.end()
            raise
    finally:
        workshop.close()
    return Path(output)


class _Child:
    """The command line in a process of its own. What it says on standard error is passed on, but for its last sentence."""

    def __init__(self, verb: str, arguments: Sequence[str], *, listen: bool = False) -> None:
        environment = {**os.environ, PARENT: str(os.getpid())}
        if sys.stderr is not None and sys.stderr.isatty():
            # Its progress bars go through this process to the same terminal.
            environment |= {"FORCE_COLOR": "1", "COLUMNS": str(shutil.get_terminal_size().columns)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nnviz3d", verb, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if listen else None,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self._sentence = b""
        self._reader = threading.Thread(target=self._pass_on, name="nnviz3d viewer's words", daemon=True)
        self._reader.start()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def first_line(self) -> str:
        return "" if self._process.stdout is None else self._process.stdout.readline().decode().strip()

    def wait(self) -> None:
        """Wait for its end, and raise what it ended of."""
        code = self._process.wait()
        self._reader.join()
        sentence = self._sentence.decode(errors="replace").strip().removeprefix("nnviz3d: ")
        if code == 2:
            raise UserError(sentence)
        if code not in (0, 130, 128 + signal.SIGTERM):
            raise Nnviz3dError(
                sentence or f"The viewer died ({f'exit code {code}' if code > 0 else f'signal {-code}'})."
            )

    def end(self) -> None:
        """Ask it to close, and see that it does."""
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _pass_on(self) -> None:
        pipe = self._process.stderr
        if pipe is None:
            raise RuntimeError("The viewer has no pipe.")
        with pipe:
            while said := os.read(pipe.fileno(), 4096):
                if self._sentence or said.startswith(b"nnviz3d: "):
                    self._sentence += said
                elif sys.stderr is not None:
                    sys.stderr.write(said.decode(errors="replace"))
                    sys.stderr.flush()


def _interactive() -> bool:
    """Whether somebody sits at a prompt or a notebook and wants to go on."""
    return hasattr(sys, "ps1") or bool(sys.flags.interactive) or "ipykernel" in sys.modules


def _given(option: str, value: Any) -> list[str]:
    return [] if value is None else [option, str(value)]


def _size(size: tuple[int, int] | None) -> list[str]:
    return [] if size is None else ["--size", f"{size[0]}x{size[1]}"]
