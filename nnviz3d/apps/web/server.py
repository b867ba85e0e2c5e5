"""Server that shows one scene in browsers until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from nnviz3d.apps.open_target import Opened
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.drawing import Drawer
from nnviz3d.apps.web.origins import PublicAddress
from nnviz3d.apps.web.ports import PORT, PortTaken, bind_error, choose_port
from nnviz3d.apps.web.security import Gate, address, is_loopback, is_wildcard
from nnviz3d.apps.web.server_environment import ServerEnvironment
from nnviz3d.parent_process import run_module
from nnviz3d.render.offscreen import offscreen_window
from nnviz3d.render.renderer import Renderer
from nnviz3d.scene.selection import Selection
from nnviz3d.stopping import DelayedSignals

ASPECT = 1.55
"""Width over height of the picture on a page of usual size, beside the panels."""
_CHATTER = ("aiohttp", "trame_client", "trame_rca", "trame_server", "wslink")
_PATIENCE = 3.0
"""Seconds that open connections have to end."""


def serve(
    found: Opened,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    public: PublicAddress | None = None,
    open_browser: bool = True,
    size: tuple[int, int] = (1280, 720),
    drawer: Drawer = "auto",
    selection: Selection | None = None,
    tour: bool = False,
) -> None:
    """Show an opened target in the browser; returns after Ctrl-C or SIGTERM.

    Standard output gets one line, once the server answers: the address, with the secret that it requires.

    Parameters
    ----------
    found
        The scene, its capture, and the runner of the model on more samples.
    host
        The address to listen at; the loopback by default, which only this machine reaches.
    port
        The port to listen at; by default 8080, or the next free one.
    public
        The origins and the base path of proxies in front of the server; by default none but what the environment names.
    open_browser
        Whether to open the page in a browser.
    size
        Width and height of the picture until a page sends its own.
    drawer
        Whether the browsers draw, or the server.
    selection
        The first selection.
    tour
        Whether a tour leads from the first page on.

    Raises
    ------
    UserError
        If the port is taken, there is no such host, or there is nothing that a tour could lead through.
    """
    chosen = choose_port(host, port)
    selection = selection or Selection(sample=found.sample)
    scene = found.scene(selection, aspect=ASPECT)
    with DelayedSignals():
        renderer = Renderer(offscreen_window(size))
    try:
        session = Session.of(found, scene, renderer, selection)
        if tour:
            session.tour.start()
        while True:
            if port is None and chosen != PORT:
                print(f"Port {PORT} is taken; using {chosen}.", file=sys.stderr, flush=True)
            environment = ServerEnvironment(os.environ, chosen)
            gate = Gate(host, chosen, environment.trusted(public or PublicAddress()))
            try:
                asyncio.run(_serve(session, gate, environment, host, open_browser, drawer))
            except PortTaken:
                if port is not None:
                    raise
                chosen = choose_port(host, None)  # another program took the port meanwhile
            else:
                return
    finally:
        renderer.close()


async def _serve(
    session: Session, gate: Gate, environment: ServerEnvironment, host: str, open_browser: bool, drawer: Drawer
) -> None:
    asyncio.get_running_loop().set_exception_handler(_report_task_error)
    with _isolated_trame(), _signals() as stop:
        try:
            await _serve_until(stop.event, session, gate, environment, host, open_browser, drawer)
        except PortTaken:
            if not stop.asked:  # otherwise the caller would serve at another port
                raise


async def _serve_until(
    stop: asyncio.Event,
    session: Session,
    gate: Gate,
    environment: ServerEnvironment,
    host: str,
    open_browser: bool,
    drawer: Drawer,
) -> None:
    # Imported only when needed: importing trame takes a second.
    from nnviz3d.apps.web.app import WebApp

    port = environment.port
    app = WebApp(session, gate, drawer)
    serving = asyncio.ensure_future(app.listen(host, port))
    drawing, watching = asyncio.ensure_future(app.draw()), asyncio.ensure_future(app.watch())
    ready, stopping = asyncio.ensure_future(app.ready()), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            await serving  # raises its error
        if stop.is_set():  # before the address was printed
            return
        _announce(gate, environment, host, open_browser)
        done, _ = await asyncio.wait({serving, drawing, watching, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except OSError as error:
        raise bind_error(host, port, error) from None
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(app.stop(), _PATIENCE)
        tasks = (serving, drawing, watching, ready, stopping)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report_task_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report the error of a task, except a message to a page that was closed meanwhile."""
    if not isinstance(context.get("exception"), ConnectionError):
        loop.default_exception_handler(context)


def _announce(gate: Gate, environment: ServerEnvironment, host: str, open_browser: bool) -> None:
    port = environment.port
    base = f"{address(host, port)}{quote(gate.public.base_path)}"
    elsewhere = environment.instructions(host, gate.public, gate.token)
    for sentence in elsewhere:
        print(sentence, file=sys.stderr, flush=True)
    if is_wildcard(host) and not elsewhere:
        name = f"http://{socket.gethostname()}:{port}{quote(gate.public.base_path)}/?secret={gate.token}"
        print(f"From other machines: {name}", file=sys.stderr, flush=True)
    elif not is_loopback(host) and not is_wildcard(host):
        print(
            "Other machines can reach this server; anyone with the address can see the page.",
            file=sys.stderr,
            flush=True,
        )
    print(f"{base}/?secret={gate.token}", flush=True)
    if open_browser:
        # In a separate process, because browsers print; with a ticket, because command lines are public.
        subprocess.Popen(
            run_module("webbrowser", "-t", f"{base}/open/{gate.ticket}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


@contextlib.contextmanager
def _isolated_trame() -> Iterator[None]:
    """Keep trame from reading this program's command line, and keep its log out of the terminal.

    Errors in this program's callbacks are reported without the log.
    """
    before = os.environ.get("TRAME_ARGS")
    os.environ["TRAME_ARGS"] = ""
    loggers = [logging.getLogger(name) for name in _CHATTER]
    propagated = [logger.propagate for logger in loggers]
    silence = logging.NullHandler()
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(silence)
    try:
        yield
    finally:
        for logger, propagate in zip(loggers, propagated, strict=True):
            logger.propagate = propagate
            logger.removeHandler(silence)
        if before is None:
            os.environ.pop("TRAME_ARGS", None)
        else:
            os.environ["TRAME_ARGS"] = before


class _Stop:
    """A request to end the server.

    Attributes
    ----------
    asked
        Whether the end is requested, from the moment of the signal on.
    event
        Set at the loop's next iteration.
    """

    def __init__(self) -> None:
        self.asked = False
        self.event = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, *_: object) -> None:
        """Request the end; a signal handler."""
        self.asked = True
        self._loop.call_soon_threadsafe(self.event.set)


@contextlib.contextmanager
def _signals() -> Iterator[_Stop]:
    """Collect Ctrl-C and SIGTERM, so that the server can end cleanly."""
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
