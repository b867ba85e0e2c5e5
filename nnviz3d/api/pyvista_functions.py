"""A target in PyVista, in this process: `to_pyvista`, `plotter`, and the reader of captures for `pyvista.read`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from cyclopts import App

from nnviz3d.api.command_arguments import CommandArguments
from nnviz3d.api.viewer_options import Options
from nnviz3d.data.capture import is_capture
from nnviz3d.errors import CaptureError, UserError
from nnviz3d.options import NO_LOOK, NO_MODEL, Look, Model, selection_of

if TYPE_CHECKING:
    import pyvista as pv

    from nnviz3d.apps.open_target import Opened
    from nnviz3d.scene.selection import Selection


def to_pyvista(target: Any = None, x: Any = None, **options: Unpack[Options]) -> pv.MultiBlock:
    """Return a model, a capture or a scene as PyVista's data.

    Parameters
    ----------
    target, x, **options
        As for `nnviz3d.serve`. All groups of layers are open, unless `groups` says otherwise.

    Returns
    -------
    pyvista.MultiBlock
        ``layers`` holds an ``ImageData`` for each layer: its exact float32 numbers as cell data, named after the quantity,
        at its place in the world. ``edges``, ``connections``, ``points``, ``pictures``, ``meshes`` and ``labels`` hold the
        rest; parts without content are left out.

    Raises
    ------
    UserError
        If this process holds TensorFlow, which cannot share a process with VTK; or if the target, the input or an option is
        missing or invalid.

    Examples
    --------
    >>> blocks = nnviz3d.to_pyvista("run.zarr")
    >>> blocks["layers"]["conv2d"].threshold(0.5).plot()
    """
    options.setdefault("groups", "open")
    with _opened(target, x, options) as (found, selection):
        from nnviz3d.apps.export import ASPECT
        from nnviz3d.apps.export.multi_block import multi_block

        return multi_block(found.scene(selection, aspect=ASPECT), selection)


def plotter(
    target: Any = None, x: Any = None, *, plotter_options: Mapping[str, Any] | None = None, **options: Unpack[Options]
) -> pv.Plotter:
    """Return a plotter of PyVista that shows a model, a capture or a scene, to go on with.

    Parameters
    ----------
    target, x, **options
        As for `nnviz3d.serve`.
    plotter_options
        Options of `pyvista.Plotter`, such as ``{"off_screen": True, "window_size": (1600, 900)}``.

    Returns
    -------
    pyvista.Plotter
        Its camera, colours and names are those of nnviz3d's own picture, without labels that would cover others. Its
        actors are named after the layers. In a notebook, ``show`` uses PyVista's own backends.

    Raises
    ------
    UserError
        As for `to_pyvista`; or if the system has no OpenGL.

    Examples
    --------
    >>> plotter = nnviz3d.plotter("run.zarr")
    >>> blocks = nnviz3d.to_pyvista("run.zarr")
    >>> plotter.add_mesh_slice(blocks["layers"]["conv2d"])
    >>> plotter.show()
    """
    with _opened(target, x, options) as (found, selection):
        from nnviz3d.apps.export.plotting import plotter_of
        from nnviz3d.apps.snapshot import require_graphics

        require_graphics()
        more = dict(plotter_options or {})
        width, height = more.get("window_size", (16, 9))
        scene = found.scene(selection, aspect=width / height)
        moment = scene.first_time
        pose = scene.first_pose(moment, aspect=width / height)
        return plotter_of(scene.at(moment, selection), pose, selection.quantity or "activation", **more)


def read_capture(path: str, **options: Any) -> pv.MultiBlock:
    """Read a capture for `pyvista.read`, which finds this function by the endings ``.zarr`` and ``.zip``.

    Parameters
    ----------
    path
        A folder ``RUN.zarr``, or a file ``RUN.zarr.zip``.
    **options
        As for `to_pyvista`.

    Raises
    ------
    UserError
        If it is not a capture, or this process holds TensorFlow.
    """
    if "://" in path:
        from pyvista import LocalFileRequiredError

        raise LocalFileRequiredError
    if not is_capture(Path(path)):
        raise CaptureError(
            f"{path} is not a capture of nnviz3d, which reads .zarr and .zarr.zip for PyVista; make one with: nnviz3d "
            "capture MODEL -o run.zarr."
        )
    return to_pyvista(path, **options)


@contextmanager
def _opened(target: Any, x: Any, options: Options) -> Iterator[tuple[Opened, Selection]]:
    """Open a target as a command does; a model is run in a process of its own."""
    if "tensorflow" in sys.modules:
        raise UserError(
            "This process holds TensorFlow, which cannot share a process with VTK: write the data with "
            'nnviz3d.export(model, "net.vtm", x), or keep a capture with nnviz3d.capture(model, x, out="run.zarr"), and '
            "read it in another Python process."
        )
    from nnviz3d.apps.open_target import opened
    from nnviz3d.apps.progress import capture_with_progress

    with closing(CommandArguments()) as arguments:
        name, model, look = _parsed(arguments.of(target, x, options, live=False))
        with opened(
            name,
            look.scene,
            model.options(),
            capture_with_progress,
            sample=look.sample,
            whole=look.whole,
            groups=look.groups,
            metadata=look.metadata,
            wanted=look.wanted(),
            chosen=look.chosen(),
        ) as found:
            yield found, selection_of(look, found)


def _parsed(words: list[str]) -> tuple[str | None, Model, Look]:
    """Read the arguments of a command."""
    app = App()

    @app.default
    def _taken(
        target: str | None = None, /, *, model: Model = NO_MODEL, look: Look = NO_LOOK
    ) -> tuple[str | None, Model, Look]:
        return target, model, look

    command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    taken: tuple[str | None, Model, Look] = command(*bound.args, **bound.kwargs)
    return taken
