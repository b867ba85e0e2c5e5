"""Frames per second of recorded films: at 3840 x 2160 against frames of 7680 x 4320, and of all formats against drawing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nnviz3d.apps.film.encoded import MP4, EncodedFilm
from nnviz3d.apps.film.frame_range import FilmScene
from nnviz3d.apps.film.record import record
from nnviz3d.apps.film.writer_thread import FilmWriter
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.render.steady_labels import SteadyLabels
from nnviz3d.scene.selection import Selection
from nnviz3d.scene.spec import default_scene
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import interleaved, table

ROUNDS = 3


def drawn(capture: Capture, size: tuple[int, int], fps: int, seconds: float | None, out: Path | None = None) -> int:
    """Draw every frame of the flight in one process; with `out`, also encode them on a thread. Return their number."""
    film = FilmScene(
        default_scene(),
        capture,
        Selection(),
        tour="flythrough",
        size=size,
        fps=fps,
        seconds=seconds,
        trajectory=None,
    )
    studio = Offscreen(size)
    labels = SteadyLabels(film.path.seconds, film.at, studio.renderer.size, studio.renderer.scale)

    def samples(tau: float):
        what, pose = film.at(tau)
        return studio.samples(labels.of(what, tau), pose)

    if out is None:
        for tau in film.moments:
            studio.averaged(samples(float(tau)))
    else:
        film_file = EncodedFilm(out, MP4, size, fps)
        with FilmWriter(film_file, lambda raw: film_file.packed(studio.averaged(raw))) as writing:
            for number, tau in enumerate(film.moments):
                writing.put(number, samples(float(tau)))
    studio.close()
    return len(film.moments)


def test_recording_4k_against_frames_twice_as_wide(digits: Capture, tmp_path: Path, smallest: bool) -> None:
    """Compare whole films: the frames of both have at least four samples a pixel."""
    size, fps, seconds = ((128, 72), 2, 1.0) if smallest else ((3840, 2160), 4, None)
    frames = []

    def earlier(_: int) -> None:
        frames.append(drawn(digits, size, fps, seconds, tmp_path / "earlier.mp4"))

    def film(_: int) -> None:
        processes = 2 if smallest else None
        record(
            default_scene(),
            digits,
            tmp_path / "x.mp4",
            tour="flythrough",
            size=size,
            fps=fps,
            seconds=seconds,
            processes=processes,
        )

    spent = interleaved({"earlier": earlier, "film": film}, 1 if smallest else ROUNDS, warm=0 if smallest else 1)
    rates = {name: frames[0] / took for name, took in spent.items()}
    table(
        f"Digits, {size[0]} x {size[1]}, .mp4, frames a second",
        [["one process, frames of 7680 x 4320 halved", rates["earlier"]], ["record", rates["film"]]],
    )
    if not smallest:
        record_result(
            "film_4k",
            rates["film"],
            f"{frames[0]} frames of the digits' flight as .mp4, median of {ROUNDS} rounds; {rates['earlier']:.2f} "
            "frames/s by one process that draws frames of 7680 x 4320 and halves them",
        )


def test_recording_against_drawing(
    digits: Capture, tmp_path: Path, smallest: bool, request: pytest.FixtureRequest
) -> None:
    """Compare whole programs: each lays out the scene, opens a window, and makes every frame of the flight."""
    size, seconds, fps = ((128, 72), 1.0, 2) if smallest else ((1280, 720), 12.0, 10)
    networks = {"digits": digits}
    if not smallest:
        networks["VGG16"] = open_capture(request.getfixturevalue("vgg"))
    lowest: dict[str, float] = {}
    for network, capture in networks.items():

        def draw(_: int, capture: Capture = capture) -> None:
            drawn(capture, size, fps, seconds)

        def film(name: str, capture: Capture = capture) -> None:
            out = tmp_path / name
            record(default_scene(), capture, out, tour="flythrough", size=size, fps=fps, seconds=seconds)
            if out.is_dir():
                shutil.rmtree(out)  # otherwise the next round would reuse its frames

        names = ("x.mp4", "x.webm", "x.gif", "x")
        actions = {"drawn and read back": draw, **{name: lambda _, n=name, film=film: film(n) for name in names}}
        spent = interleaved(actions, 1 if smallest else ROUNDS, warm=0 if smallest else 1)
        frames = round(seconds * fps)
        ratios = {name: spent["drawn and read back"] / took for name, took in spent.items()}
        rows: list[list[object]] = [["", "frames a second", "of drawing"]]
        rows += [[name, frames / took, ratios[name]] for name, took in spent.items()]
        table(f"{network}, {size[0]} x {size[1]}, 2 x 2 samples a pixel", rows)
        for name, ratio in ratios.items():
            lowest[name] = min(ratio, lowest.get(name, ratio))
    if not smallest:
        what = f"{frames} frames of 1280 x 720, the lower of {' and '.join(networks)}, median of {ROUNDS} rounds"
        record_result("gif", lowest["x.gif"], what)
        record_result("png", lowest["x"], what)
