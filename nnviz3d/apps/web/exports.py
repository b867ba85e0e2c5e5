"""Exports of what the page shows as one HTML file, which a process of its own packs while the page is used."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

from aiohttp import web

from nnviz3d.apps.comparison import names_of
from nnviz3d.apps.export.html.order import PageOrder, StoredSample
from nnviz3d.apps.export.sizes import size_text
from nnviz3d.apps.saved_scene import selection_at_rest, spec_as_shown
from nnviz3d.apps.session import Session
from nnviz3d.apps.web.page_context import PageContext
from nnviz3d.apps.web.security import EXPORTS
from nnviz3d.data.capture_series import CaptureSeries
from nnviz3d.data.files.temporary_folder import temporary_folder
from nnviz3d.data.quantities import OF_GRADIENTS
from nnviz3d.errors import UserError
from nnviz3d.parent_process import PARENT, run_module
from nnviz3d.scene.camera import CameraPose
from nnviz3d.scene.look import PoseSpec
from nnviz3d.scene.views.activations import ActivationsSpec

_AROUND = 450_000
"""Bytes of a page without cells: mostly its script and its fonts."""
_NOTHING = {"export_stage": "", "export_percent": 0, "export_words": "", "export_notes": [], "export_key": ""}


@dataclass(frozen=True)
class _Choices:
    """Choices of the page's export menu.

    Attributes
    ----------
    every
        Whether all captured samples are exported, not only the shown one.
    rounded
        Whether the numbers of the cells are rounded to float16.
    """

    every: bool
    rounded: bool


class Exports:
    """Packs one page at a time, and keeps its file until it is dismissed or the server ends.

    Parameters
    ----------
    page
        The session and the functions of the page.
    camera
        Returns the camera and the width over height of a page's picture, from the pose that the page sent.
    camera_moved
        Whether the user has moved the camera of the picture that the server draws.
    name
        Name of the file.
    """

    def __init__(
        self,
        page: PageContext,
        camera: Callable[[Any], tuple[CameraPose, float]],
        camera_moved: Callable[[], bool],
        name: str,
    ) -> None:
        self._page = page
        self._session = page.session
        self._camera = camera
        self._camera_moved = camera_moved
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._file: tuple[str, Path] | None = None
        page.show({**_NOTHING, "export_file": name, "export_count": 1, "export_sizes": []})
        page.client_only(export_menu=False, export_every=False, export_rounded=False)
        page.on_trigger("export_sizes", self._tell_sizes)
        page.on_trigger("export_page", self._begin)
        page.on_trigger("dismiss_export", self._dismiss)

    async def run(self) -> None:
        """Wait for the end of the server, and then remove everything."""
        try:
            await asyncio.Event().wait()
        finally:
            self._dismiss()
            if self._task is not None:
                await asyncio.gather(self._task, return_exceptions=True)

    def add_file(self, application: web.Application) -> None:
        """Add the address of the file to a server that does not run yet."""

        async def send(request: web.Request) -> web.StreamResponse:
            if self._file is None or request.match_info["key"] != self._file[0]:
                return web.Response(status=404, text="There is no such page; save it again.\n")
            headers = {
                "Cache-Control": "no-store",
                "Content-Type": "application/octet-stream",  # downloaded, never shown with the rights of this server
                "Content-Disposition": f'attachment; filename="{self._name}"',
            }
            return web.FileResponse(self._file[1], headers=headers)

        application.add_routes([web.get(f"{EXPORTS}{{key}}", send)])

    # Requests of a page.

    def _tell_sizes(self) -> None:
        """Show the estimated sizes: of the shown sample and of all samples, in float32 and in float16."""
        count = len(_captured(self._session))
        numbers = _numbers(self._session)
        sizes = [
            [size_text(_AROUND + samples * numbers * item * 4 // 3) for item in (4, 2)] if numbers else []
            for samples in (1, count)
        ]
        self._page.set({"export_count": count, "export_sizes": sizes})

    def _begin(self, pose: Any, moved: Any, every: Any, rounded: Any) -> None:
        """Start to pack what is shown."""
        if self._task is not None and not self._task.done():
            raise UserError("A page is being made already; cancel it first.")
        order = self._order(pose, moved is True, _Choices(every is True, rounded is True))
        self._page.set({**_NOTHING, "export_stage": "packing", "export_notes": list(order[1])})
        self._task = asyncio.get_running_loop().create_task(self._keep(*order))

    def _dismiss(self) -> None:
        """Stop the work, or remove the file."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self._page.set(_NOTHING)  # a task that has not begun does nothing more

    def _order(self, pose: Any, moved: bool, choices: _Choices) -> tuple[Callable[[Path], PageOrder], tuple[str, ...]]:
        """Return a function that makes the order for a folder, and sentences on what is left out."""
        session = self._session
        camera, aspect = self._camera(pose)
        scene, selection, base = (
            session.layouts.scene_for(aspect),
            selection_at_rest(session),
            session.scene.spec.camera,
        )
        moved = moved if pose is not None else self._camera_moved()
        own = not moved and base.pose is None and not base.keyframes
        spec = spec_as_shown(scene, session.clock.t, selection, None if own else PoseSpec.of(camera, aspect))
        asked = [selection.sample, *(_captured(session) if choices.every else ())]
        samples = [one for one in dict.fromkeys(asked) if one == selection.sample or _holds_quantity(session, one)]
        lacking = len(dict.fromkeys(asked)) - len(samples)
        without = "a changed run" if session.choices.quantity == "change" else "gradients"
        notes = (f"{lacking} samples without {without} are left out.",) if lacking else ()
        stored = _StoredSamples(CaptureSeries.of(session.scene.capture))
        make = partial(
            PageOrder,
            spec=spec,
            selection=selection,
            samples=tuple(map(stored.of, samples)),
            against=None if selection.against is None else stored.of(selection.against),
            trajectory=session.scene.context.trajectory,
            names=names_of(stored.series),
            float16=choices.rounded,
        )

        def order(folder: Path) -> PageOrder:
            return make(
                captures=stored.files(folder),
                others=stored.others(folder),
                changed=stored.changed(folder),
                out=folder / self._name,
            )

        return order, notes

    # Work.

    async def _keep(self, order: Callable[[Path], PageOrder], notes: tuple[str, ...]) -> None:
        """Pack a page, and keep it until this task is cancelled."""
        try:
            with temporary_folder() as folder:
                found = await self._packed(order(folder))
                self._file = (token_hex(8), folder / self._name)
                self._page.set(
                    {
                        "export_stage": "ready",
                        "export_words": found["words"],
                        "export_notes": [*notes, *found["lacks"]],
                        "export_key": self._file[0],
                    }
                )
                await asyncio.Event().wait()
        except Exception as error:  # noqa: BLE001 - the page reports any error and keeps running
            self._page.report(error)
        finally:
            self._file = None
            self._page.set(_NOTHING)

    async def _packed(self, order: PageOrder) -> dict[str, Any]:
        """Pack a page in another process; returns what that tells at the end."""
        # Without asyncio's own processes: as two of its parts reap them, it may report a lost one.
        try:
            process = subprocess.Popen(
                run_module("nnviz3d.apps.export.html.process"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, PARENT: str(os.getpid())},
                process_group=0,  # Ctrl-C reaches only this process, which then ends that one
            )
        except OSError as error:
            raise UserError(f"The export cannot be started: {error.strerror or error}.") from None
        loop = asyncio.get_running_loop()
        talking = loop.run_in_executor(
            None, _talk, process, order, lambda percent: loop.call_soon_threadsafe(self._show_percent, percent)
        )
        try:
            last = await asyncio.shield(talking)
        except asyncio.CancelledError:
            process.kill()
            await talking
            raise
        if "refused" in last:
            raise UserError(last["refused"])
        if "size" not in last:
            raise UserError("The page could not be made, because its process ended; the terminal may say why.")
        return last

    def _show_percent(self, percent: int) -> None:
        self._page.set({"export_percent": percent})


def _talk(process: subprocess.Popen[bytes], order: PageOrder, report: Callable[[int], object]) -> dict[str, Any]:
    """Give the order to the process, and wait for its end; returns what it told last."""
    last: dict[str, Any] = {}
    with process:  # closes the pipes, and waits
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("The export process has no pipes.")
        with contextlib.suppress(BrokenPipeError):  # it has ended; the missing answer shows that
            process.stdin.write(order.to_json().encode())
        with contextlib.suppress(BrokenPipeError):  # it writes what is left
            process.stdin.close()
        for line in process.stdout:
            with contextlib.suppress(ValueError):  # the process was killed within a line
                last = json.loads(line)
            if last.get("total"):
                report(round(100 * last["done"] / last["total"]))
    return last


class _StoredSamples:
    """The captures of a session on disk, and the position of each sample in them.

    Parameters
    ----------
    series
        The samples of the session.
    """

    def __init__(self, series: CaptureSeries) -> None:
        self.series = series
        self._paths: list[Path] = []
        self._others: list[Path | None] = []
        self._stored: dict[int, StoredSample] = {}
        start = 0
        for part in series.parts:
            if part.capture is not None:
                self._stored |= {start + i: (len(self._paths), i) for i in range(len(part.names))}
                self._paths.append(part.capture.path)
                self._others.append(None if part.counterpart is None else part.counterpart.capture.path)
            start += len(part.names)
        self._changed = {
            self._stored[sample]: None if run is None else run.path
            for sample, run in series.changed.items()
            if sample in self._stored
        }

    def of(self, sample: int) -> StoredSample:
        """Return the position of a sample."""
        return self._stored[sample]

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Return the captures; later ones, which the session may remove, as files of their own in a folder."""
        first, *later = self._paths
        return (first, *(_kept(path, folder / f"{number}-{path.name}") for number, path in enumerate(later, 1)))

    def others(self, folder: Path) -> tuple[Path | None, ...]:
        """Return the compared model's capture for each of `files`, likewise; none if no model is compared."""
        if not any(self._others):
            return ()
        first, *later = self._others
        kept = (
            None if path is None else _kept(path, folder / f"other-{number}-{path.name}")
            for number, path in enumerate(later, 1)
        )
        return (first, *kept)

    def changed(self, folder: Path) -> tuple[tuple[StoredSample, Path | None], ...]:
        """Return the captures of changed runs, as files of their own in a folder, and the samples without any."""
        return tuple(
            (sample, None if path is None else _kept(path, folder / f"changed-{number}-{path.name}"))
            for number, (sample, path) in enumerate(self._changed.items())
        )


def _kept(path: Path, out: Path) -> Path:
    if path.is_dir():  # beside the first capture from the beginning, and never removed
        return path
    try:
        os.link(path, out)
    except OSError:  # a file system without links
        try:
            shutil.copyfile(path, out)
        except OSError as error:
            raise UserError(f"{path.name} cannot be read: {error.strerror or error}.") from None
    return out


def _captured(session: Session) -> list[int]:
    """Return the samples that the model was run on, by their index in the capture."""
    return list(dict.fromkeys(one.index for one in session.samples if one.index is not None))


def _holds_quantity(session: Session, sample: int) -> bool:
    """Whether a sample has the quantity that is shown."""
    quantity, found = session.choices.quantity, session.scene.capture.explanations(sample)
    if quantity == "change":
        return bool(found.interventions)
    return quantity not in OF_GRADIENTS or found.has_gradients()


def _numbers(session: Session) -> int:
    """Return how many numbers of one sample a page holds; 0 if that says nothing about its size."""
    capture = session.scene.capture
    spec = session.scene.spec
    if capture.training is not None or spec.embeds or not any(isinstance(view, ActivationsSpec) for view in spec.views):
        return 0
    quantities = 3 if capture.has_gradients() else 1
    count = 0
    for node in capture.graph:
        size = 1
        for extent in node.shape:
            size *= extent or 1
        count += size
    return count * quantities
