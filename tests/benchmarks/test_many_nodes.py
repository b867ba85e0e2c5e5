"""Networks of thousands of nodes, all groups open: seconds of `snapshot`, and frames per second of a moving camera."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from nnviz3d.data.capture import is_capture, open_capture
from nnviz3d.render.offscreen import Offscreen
from nnviz3d.scene.scene import Scene
from nnviz3d.scene.spec import Keyframe, default_scene
from tests.benchmarks.results import record_result
from tests.benchmarks.timing import table

SIZE = (1280, 720)
ASPECT = SIZE[0] / SIZE[1]
NODES = (600, 2000)
ROUNDS = 5
FRAMES = 40


@pytest.fixture(scope="module")
def networks(smallest: bool, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A capture for each number of nodes; they are kept in the temporary folder between runs."""
    if find_spec("tensorflow") is None:
        pytest.skip("The networks are made and captured by TensorFlow, which is not installed.")
    folder = tmp_path_factory.mktemp("many") if smallest else Path(tempfile.gettempdir()) / "nnviz3d-benchmarks"
    folder.mkdir(exist_ok=True)
    found = {nodes: folder / f"residual_{nodes}.zarr" for nodes in ((60,) if smallest else NODES)}
    for nodes, capture in found.items():
        if is_capture(capture):
            continue
        model = capture.with_suffix(".keras")
        for command in (
            ["tests.benchmarks.residual", str(nodes), str(model)],
            ["nnviz3d", "capture", str(model), "--input", "random", "-o", str(capture)],
        ):
            subprocess.run([sys.executable, "-m", *command], check=True, capture_output=True)
    return found


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    return time.perf_counter() - start


def test_first_picture(networks: dict[int, Path], smallest: bool, tmp_path: Path) -> None:
    """Measure the whole command of a picture, in turn with the start of Python alone."""
    rows: list[list[object]] = [["", "command", "Python alone"]]
    for nodes, capture in networks.items():
        picture = ["-m", "nnviz3d", "snapshot", str(capture), "--groups", "open", "--size", "1280x720"]
        turns = [
            (seconds([*picture, "-o", str(tmp_path / f"{nodes}_{k}.png")]), seconds(["-c", "pass"]))
            for k in range(1 if smallest else ROUNDS)
        ]
        command, alone = (statistics.median(times) for times in zip(*turns, strict=True))
        rows.append([f"{nodes:,} nodes", command, alone])
        if nodes == NODES[-1]:
            how = f"`snapshot --groups open --size 1280x720` less the start of Python, median of {ROUNDS}"
            record_result("nodes_first", command - alone, how)
    table("Seconds to the first picture of a capture", rows)


def test_moving(networks: dict[int, Path], smallest: bool) -> None:
    """Measure frames while the camera moves around all blocks, in the quality of a drag at full resolution."""
    rows: list[list[object]] = [["", "frames/s", "blocks drawn"]]
    for nodes, path in networks.items():
        scene = Scene.build(default_scene().model_copy(update={"groups": "open"}), open_capture(path), aspect=ASPECT)
        azimuth, elevation = scene.context.plan.angles
        turned = [azimuth + step for step in (*range(0, 16, 2), *range(14, 0, -2))]
        poses = [scene.poses.of(Keyframe(azimuth=angle, elevation=elevation), ASPECT) for angle in turned]
        studio = Offscreen(SIZE, antialias=False)
        renderer = studio.renderer
        renderer.careful = False
        renderer.draw(scene.at(scene.duration))
        times = []
        for k in range(-3, 1 if smallest else FRAMES):
            start = time.perf_counter()
            renderer.look(poses[k % len(poses)])
            renderer.render()
            studio.renderer.pixels()[0, 0]  # waits until the frame is drawn
            if k >= 0:
                times.append(time.perf_counter() - start)
        studio.close()
        rate = 1 / statistics.median(times)
        rows.append([f"{nodes:,} nodes", rate, len(scene.context.graph)])
        if nodes == NODES[-1]:
            how = f"a turning camera, {SIZE[0]} x {SIZE[1]}, frames read back, median of {FRAMES}"
            record_result("nodes_moving", rate, how)
    table("Frames a second, moving camera", rows)
