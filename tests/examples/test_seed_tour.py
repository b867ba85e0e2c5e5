"""Tests of the example that trains, captures and draws a network in one Python program."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnviz3d.apps.target import bundled_scenes
from nnviz3d.data.bundled import bundled
from nnviz3d.data.capture import Capture, open_capture
from nnviz3d.scene.spec import default_scene, read_scene
from tests.examples.programs import EXAMPLES, Picture, cold, hot, run

PICTURES = (
    "structure.png",
    "weights.png",
    "activation_visualization.png",
    "activations_3d.png",
    "feature_visualization.png",
    "features_3d.png",
)
pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return the folder with the files of the example, and the lines of its output."""
    where = tmp_path_factory.mktemp("tour")
    done = run(EXAMPLES / "seed_tour.py", "-o", "out", cwd=where)
    assert done.returncode == 0, done.stderr
    return where / "out", done.stdout.splitlines()


@pytest.fixture(scope="module")
def capture(tour: tuple[Path, list[str]]) -> Capture:
    return open_capture(tour[0] / "run.zarr")


def test_example_prints_accuracy_and_files(tour: tuple[Path, list[str]]):
    folder, (trained, *pictures, last) = tour
    share = re.fullmatch(r"Trained on 900 digits; of 100 others (\d+)% are classified correctly\.", trained)
    assert share is not None
    assert int(share[1]) >= 85
    assert pictures == [str(Path("out") / name) for name in PICTURES]
    assert all((folder / name).is_file() for name in PICTURES)
    assert last == "To see it in 3D: nnviz3d serve out/run.zarr"


def test_network_and_captured_shapes_are_those_of_the_article(capture: Capture):
    kinds = [node.kind for node in capture.graph]
    assert kinds == [
        *("InputLayer", "Conv2D", "MaxPooling2D", "Conv2D", "MaxPooling2D", "Conv2D"),
        *("Flatten", "Dense", "Dense"),
    ]
    assert capture.graph.parameters == 93_322
    with np.load(bundled("digits.npz"), allow_pickle=False) as file:
        assert np.array_equal(capture.activation("input_layer", 0)[..., 0], file["images"][0] / np.float32(255))
    assert capture.activation("dense_1", 0).argmax() == capture.labels[0] == 7


# One channel may well be silent for one digit; the strongest of all channels is not.
@pytest.mark.parametrize(("name", "least"), [("activation_visualization.png", 2), ("feature_visualization.png", 4)])
def test_sheets_show_each_layer(tour: tuple[Path, list[str]], name: str, least: int):
    pixels = np.asarray(Image.open(tour[0] / name).convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    r, g, b = (pixels[..., k] for k in range(3))
    yellow, purple = (r > 200) & (g > 200) & (b < 90), (r < 90) & (g < 30) & (b > 70)
    # The upper row: convolutions and poolings.
    maps = [np.s_[: height // 2, k * width // 4 : (k + 1) * width // 4] for k in range(4)]
    assert all(purple[here].mean() > 0.03 for here in maps)
    assert sum(bool(yellow[here].mean() > 0.001) for here in maps) >= least
    below = pixels[height // 2 :]
    for k in range(1, 4):  # vectors, as a column or a histogram
        part = below[:, k * width // 4 : (k + 1) * width // 4]
        assert len(np.unique(part.reshape(-1, 3), axis=0)) > 5


def test_architecture_is_solid_and_coloured_by_kind(tour: tuple[Path, list[str]], capture: Capture):
    picture = Picture(tour[0] / "structure.png", read_scene(bundled_scenes()["structure"]), capture)
    assert picture.pixels.shape == (1080, 1920, 3)
    for node, wanted in [("conv2d", (2, 0)), ("max_pooling2d", (0, 2)), ("dense", (1, 0))]:
        part = picture.part(node).reshape(-1, 3)
        less, more = wanted
        body = part[part.max(axis=1) > 80]
        assert len(body) > 0.3 * len(part), node
        assert np.median(body[:, more]) > np.median(body[:, less]) + 50, node


def test_picture_has_weights_of_both_signs_between_neurons(tour: tuple[Path, list[str]], capture: Capture):
    picture = Picture(tour[0] / "weights.png", read_scene(tour[0] / "weights.toml"), capture)
    for node in ("flatten", "dense", "dense_1"):
        assert hot(picture.part(node)) > 0.003, node
    between = picture.pixels[350:750, 1100:1350]  # from dense to dense_1
    r, b = between[..., 0], between[..., 2]
    assert (r > b + 30).mean() > 0.02
    assert (b > r + 30).mean() > 0.02


def test_threshold_leaves_the_strongest_cells(tour: tuple[Path, list[str]], capture: Capture):
    whole, strongest = (
        Picture(tour[0] / f"{name}_3d.png", default_scene(), capture) for name in ("activations", "features")
    )
    for node in ("conv2d", "conv2d_1", "conv2d_2"):
        some, fewer = whole.part(node), strongest.part(node)
        assert hot(some) > 0.02
        assert hot(fewer) > 0.02
        # Dark red to purple are the numbers in the middle: the threshold takes them away.
        middle = [((p[..., 0] > 60) & (p[..., 1] < 60) & (p[..., 2] > 60)).mean() for p in (some, fewer)]
        assert middle[1] < 0.2 * middle[0], node
    assert cold(whole.part("dense_1")) < 0.05
