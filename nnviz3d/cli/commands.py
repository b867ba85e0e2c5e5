"""The commands. Each imports its modules when it runs, so that ``--help`` is fast."""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from nnviz3d.cli.targets import capturing, open_live_target, open_target, selection_of
from nnviz3d.errors import UserError
from nnviz3d.options import NO_CLUSTER, NO_LOOK, NO_MODEL, OPTIONAL, Cluster, Look, Model, ModelOfCapture
from nnviz3d.version import __version__

app = App(
    name="nnviz3d",
    version=__version__,
    help="""See into a neural network: its layers as blocks of voxels in 3D,
every voxel a real activation.

TARGET is a scene (a .toml file, or a bundled one: digits, structure, imagenet),
a model (.keras, .h5, .onnx, .tflite, a SavedModel folder, or keras:EfficientNetB0 for
keras.applications) or a capture (.zarr). The default is the bundled scene
digits, the demo.""",
    help_epilogue="""Examples:

  nnviz3d serve                               the demo, in the browser

  nnviz3d serve model.keras --input cat.jpg   your model on your picture

  nnviz3d show model.keras --input photos/    in a window

  nnviz3d record -o digits.mp4                a film of the demo

  nnviz3d snapshot keras:VGG16 --input cat.jpg -o vgg.png

  nnviz3d capture model.keras --input photos/ -o run.zarr
""",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


_Live = Annotated[Path | None, Parameter(show=False)]
"""File with the address of a program that answers for its live model; `serve` and `show` of the Python API write it."""
_NoLive = Annotated[bool, Parameter(name="--no-live", negative=())]
"""Whether the model waits for the first sample that was not captured; otherwise it is loaded at once."""
_Tour = Annotated[bool, Parameter(negative=())]
"""Whether a tour leads from the input to the decision at first."""
_InNotebook = Annotated[bool, Parameter(show=False, negative=())]
"""Whether a notebook on this machine shows the page in a frame; `serve` of the Python API passes it."""


@app.command(help_epilogue="")  # otherwise the examples of `nnviz3d --help` would follow the command's own
def snapshot(
    target: str | None = None,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    size: str = "1920x1080",
    at: Annotated[float | None, OPTIONAL] = None,
    model: Model = NO_MODEL,
    look: Look = NO_LOOK,
) -> None:
    """Make one picture.

    Examples:

      nnviz3d snapshot -o digits.png

      nnviz3d snapshot model.keras --input cat.jpg -o cat.png --size 3840x2160

      nnviz3d snapshot keras:ResNet50 --weights none --scene structure -o resnet.png

    Parameters
    ----------
    target
        A scene, a model or a capture; by default the demo.
    output
        The .png file to write.
    size
        Width and height in pixels.
    at
        Time in the scene, in seconds; by default its end.
    """
    from nnviz3d.apps.warm_up import picture_steps

    with capturing(target, picture_steps) as run:
        from nnviz3d.apps.snapshot import require_graphics
        from nnviz3d.apps.snapshot import snapshot as draw
        from nnviz3d.apps.target import check_output, parse_size

        pixels = parse_size(size)
        check_output(output, (".png",))
        if at is not None and not 0 <= at < math.inf:  # NaN too
            raise UserError(f"--at is a time in seconds, 0 or more; got {at:g}.")
        require_graphics()
        with open_target(target, model, look, run) as found:
            selection = selection_of(look, found)
            draw(
                found.spec, found.capture, output, size=pixels, at=at, selection=selection, trajectory=found.trajectory
            )


@app.command(help_epilogue="")
def serve(
    target: str | None = None,
    /,
    *,
    host: str = "127.0.0.1",
    port: Annotated[int | None, OPTIONAL] = None,
    origin: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    base_path: Annotated[str | None, OPTIONAL] = None,
    open: Annotated[bool, Parameter(negative="--no-open")] = True,
    draw: Literal["auto", "client", "server"] = "auto",
    tour: _Tour = False,
    no_live: _NoLive = False,
    of_capture: ModelOfCapture = None,
    model: Model = NO_MODEL,
    look: Look = NO_LOOK,
    live: _Live = None,
    in_notebook: _InNotebook = False,
) -> None:
    """Show the target in the browser. The printed address contains a secret key: anyone with the address can open the page.

    Examples:

      nnviz3d serve

      nnviz3d serve model.keras --input cat.jpg

      nnviz3d serve model.keras --input cat.jpg --tour

      nnviz3d serve run.zarr --port 9000 --no-open

      nnviz3d serve run.zarr --model model.keras

      nnviz3d serve --origin https://hub.example

    Parameters
    ----------
    target
        A scene, a model or a capture; by default the demo.
    host
        The address to listen on.
    port
        The port to listen on; by default 8080, or the next free one.
    origin
        The public address of a proxy or hub in front of the server, or of a page that may hold it in a frame, such as
        https://hub.example. May be repeated.
    base_path
        The path of a proxy that keeps it in the addresses that it passes on, such as /user/x/proxy/8080.
    open
        Open the browser.
    draw
        What draws the picture: client, each browser by its own graphics card; server, the server for all; auto, the
        browser where it can.
    tour
        Begin with a tour from the input to the decision; t ends it, and the arrow keys choose the stop.
    no_live
        Load the model only when a sample is chosen that was not captured, which saves memory; by default it is loaded
        while the page opens.
    """
    from nnviz3d.apps.snapshot import require_graphics
    from nnviz3d.apps.warm_up import page_steps
    from nnviz3d.apps.web.origins import public_address

    public = replace(public_address(origin, base_path), in_notebook=in_notebook)
    require_graphics()
    with open_live_target(
        target, model, look, live, ready=not no_live, beside=page_steps, of_capture=of_capture
    ) as found:
        from nnviz3d.apps.web.server import serve as run_server

        selection = selection_of(look, found)
        run_server(
            found, host=host, port=port, public=public, open_browser=open, drawer=draw, selection=selection, tour=tour
        )


@app.command(help_epilogue="")
def show(
    target: str | None = None,
    /,
    *,
    size: str = "1280x800",
    tour: _Tour = False,
    no_live: _NoLive = False,
    of_capture: ModelOfCapture = None,
    model: Model = NO_MODEL,
    look: Look = NO_LOOK,
    live: _Live = None,
) -> None:
    """Show the target in a native 3D window: drag to turn, click to pick, h for all keys. Each pick is printed as a line.

    Examples:

      nnviz3d show

      nnviz3d show model.keras --input cat.jpg --no-live

      nnviz3d show run.zarr --layer conv2d --size 1920x1080

    Parameters
    ----------
    target
        A scene, a model or a capture; by default the demo.
    size
        Width and height of the window in pixels.
    tour
        Begin with a tour from the input to the decision; t ends it, and the arrow keys choose the stop.
    no_live
        Load the model only when a sample is chosen that was not captured, which saves memory; by default it is loaded
        while the window opens.
    """
    from nnviz3d.apps.snapshot import require_graphics
    from nnviz3d.apps.target import parse_size
    from nnviz3d.apps.warm_up import window_steps
    from nnviz3d.apps.window.desktop import require_display
    from nnviz3d.apps.window.desktop import show as open_window

    pixels = parse_size(size)
    require_graphics()
    require_display()
    with open_live_target(
        target, model, look, live, ready=not no_live, beside=window_steps, of_capture=of_capture
    ) as found:
        open_window(found, size=pixels, selection=selection_of(look, found), tour=tour)


@app.command(help_epilogue="")
def record(
    target: str | None = None,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    tour: Annotated[Literal["orbit", "flythrough", "backward", "scene", "story"] | None, OPTIONAL] = None,
    size: Annotated[str | None, OPTIONAL] = None,
    fps: Annotated[int | None, OPTIONAL] = None,
    seconds: Annotated[float | None, OPTIONAL] = None,
    model: Model = NO_MODEL,
    look: Look = NO_LOOK,
    cluster: Cluster = NO_CLUSTER,
) -> None:
    """Make a film: along the layers while they light up, back with the gradient, once around, or a story with captions.

    Examples:

      nnviz3d record -o digits.mp4

      nnviz3d record model.keras --input cat.jpg -o cat.webm --size 3840x2160 --fps 60

      nnviz3d record run.zarr -o turn.gif --tour orbit --size 640x360

      nnviz3d record model.keras --input cat.jpg -o back.mp4 --tour backward

      nnviz3d record model.keras --input cat.jpg -o story.mp4 --tour story

      nnviz3d record run.zarr -o frames/

      nnviz3d record run.zarr -o big.mp4 --size 3840x2160 --cluster tcp://10.0.0.5:8786

    Parameters
    ----------
    target
        A scene, a model or a capture; by default the demo.
    output
        A .mp4, .webm or .gif file, or a folder for one PNG per frame; an interrupted folder is continued.
    tour
        scene: the scene's camera keyframes (the default if it has some); backward: the gradient back through the layers
        (the default if the scene shows a backward pass); flythrough: along the layers (the default otherwise); orbit:
        once around with everything lit, a seamless loop, which swings to and fro if it is shorter than 13 seconds;
        story: from the input to the decision, with captions made from the model's own numbers, as fast as one reads.
    size
        Width and height in pixels, up to 3840x2160; by default 1280x720, for .gif 800x450.
    fps
        Frames per second; by default 30, for .gif 15.
    seconds
        Length of the film; the default depends on the network. In a short film the camera keeps more distance, so that
        it never moves too fast.
    """
    from nnviz3d.apps.film.progress_bar import FilmBar
    from nnviz3d.apps.film.record import check_film, film_size
    from nnviz3d.apps.film.record import record as record_film
    from nnviz3d.apps.snapshot import require_graphics
    from nnviz3d.apps.target import parse_size
    from nnviz3d.apps.warm_up import picture_steps

    pixels = None if size is None else parse_size(size)
    check_film(output, size=pixels, fps=fps, seconds=seconds)
    where = cluster.options()
    if where is None:
        require_graphics()
    with (
        capturing(target, picture_steps if where is None else tuple) as run,
        open_target(target, model, look, run, backward=tour == "backward") as found,
    ):
        selection = selection_of(look, found)
        even = film_size(output, pixels)
        if pixels is not None and even != pixels:
            words = f"{output.suffix} holds even sizes only: the film is {even[0]}x{even[1]}, not {size}."
            print(words, file=sys.stderr)
        with ExitStack() as stack:
            draws = None
            if where is not None:
                from nnviz3d.cluster.connection import DRAWING, connected
                from nnviz3d.cluster.film_job import drawing_on

                draws = drawing_on(stack.enter_context(connected(where, DRAWING)))
            bar = stack.enter_context(FilmBar(output.name))
            record_film(
                found.spec,
                found.capture,
                output,
                tour=tour,
                size=pixels,
                fps=fps,
                seconds=seconds,
                selection=selection,
                trajectory=found.trajectory,
                progress=bar,
                draws=draws,
            )


CAPTURE_HELP = """Run a model once and store its numbers, and on request their explanations. This needs TensorFlow; viewing
does not.

Examples:

  nnviz3d capture model.keras --input cat.jpg -o run.zarr

  nnviz3d capture model.keras -i cat.jpg --gradients --attribution grad_cam
  --class 5 -o run.zarr

  nnviz3d capture model.keras -i cat.jpg --features conv2d_2 --embed dense
  --dataset photos/ -o run.zarr

  nnviz3d capture model.keras --landscape --dataset x.npy --labels y.npy
  -o run.zarr

  nnviz3d capture keras:VGG16 --input photos/ --preprocess caffe -o vgg.zarr

  nnviz3d capture model.h5 --input batch.npy -o run.zarr.zip

  nnviz3d capture model.keras -i cat.jpg --embed dense --embed-method umap
  --dataset photos/ --landmarks 10000 --workers 4 -o run.zarr

  nnviz3d capture model.keras -i photos/ --keep 'conv*' --keep dense --float16
  -o run.zarr

Parameters
----------
model_file
    A .keras, .h5, .tflite or .onnx file, a SavedModel folder, keras:NAME, hub:NAME, or hf://USER/NAME.
output
    The capture to write: RUN.zarr, or RUN.zarr.zip for one file.
"""
"""Help of `capture`, which is imported when it is needed only, since the options of all capabilities take time."""
app.command("nnviz3d.cli.capture:capture", name="capture", help=CAPTURE_HELP, help_epilogue="")


EXPORT_HELP = """Write the target into one file that others open: a page that needs no server, a capture, data for
other programs.

Examples:

  nnviz3d export -o digits.html

  nnviz3d export model.keras --input photos/ --samples 0:20 -o net.html

  nnviz3d export keras:VGG16 --input cat.jpg -o vgg.html --max-size 50MB

  nnviz3d export --gallery -o gallery/

  nnviz3d export run.zarr -o run.zarr.zip

  nnviz3d export run.zarr -o run.vtm

  nnviz3d export run.zarr -o net.glb                    a 3D model

  nnviz3d export run.zarr --scene structure -o net.svg  or .pdf

  nnviz3d export embedding -o points.csv

Parameters
----------
target
    A scene, a model or a capture; by default the demo.
output
    The file to write; its ending says what it is.
samples
    The samples of an .html file, counted from 0: 0:20, 3,7,9 or all; by default the one that is shown.
max_size
    Maximum size of an .html or .glb file, such as 50MB; what does not fit is left out, and named.
float16
    Round the numbers of an .html file to float16, for a smaller file.
gallery
    Export all bundled scenes as pages, with a page that lists them; the output is a folder.
"""
"""Help of `export`, which is imported when it is needed only."""
app.command("nnviz3d.cli.export:export", name="export", help=EXPORT_HELP, help_epilogue="")


INSPECT_HELP = """Print graph, shapes and statistics. Of a model's samples one is run, unless --all is given.

Examples:

  nnviz3d inspect

  nnviz3d inspect model.keras --input cat.jpg --json

  nnviz3d inspect model.keras --input photos/ --all

Parameters
----------
target
    A scene, a model or a capture; by default the demo.
json_
    Print JSON.
sample
    Index of the sample of the statistics, from 0.
all_
    Statistics of all samples together: a model is run on all of them.
"""
"""Help of `inspect`."""
app.command("nnviz3d.cli.inspect:inspect", name="inspect", help=INSPECT_HELP, help_epilogue="")


def count(number: int, what: str) -> str:
    """Write a number of things: ``1 sample``, ``2 samples``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
